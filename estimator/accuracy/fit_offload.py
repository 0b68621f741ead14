"""Constants of system memory: fitted on rows that state which weights were there, with exactly that placement.

Decode time is linear in these constants, so each row is estimated once with all of them 0 and once per constant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.accuracy.observations import Entities
from estimator.calibration.coefficients import Calibration
from estimator.estimate import estimate
from estimator.structure.architecture import ModelArchitecture
from estimator.types import Backend, Engine, EstimateRequest, EstimatorError, Status

Floats = NDArray[np.float64]

#: Constants in fitting order with their first guess: layers and experts read from system memory, fixed cost of each.
STARTS: Mapping[str, float] = {"host": 1.6, "host_layer": 5.0, "host_expert": 1.3, "host_expert_layer": 5.0}
#: Prior spread of the log of each; a plausible computer reads neither faster than its peak nor ten times slower.
PRIOR_SPREAD = 0.7
ROBUST_SCALE = 0.15
ROW_SCALE = 0.2
ITERATIONS = 40
GROUP_POWER = 0.5
_BACKENDS = {backend.value: backend for backend in Backend}
_FIT = re.compile(r"ngl=(\d+), offloaded\(moe\) layers=(\d*)")
_EXPERTS_OF = re.compile(r"n_cpu_moe=(\d+)")
#: What a row says about its computer -> the host profile that is meant; the default host otherwise.
_HOSTS = (("DDR4", "desktop-ddr4-3200-64gb"),)


@dataclass(frozen=True, slots=True)
class Stated:
    """A row with the placement that it states; layers as llama.cpp counts them."""

    row: Mapping[str, Any]
    model: ModelArchitecture
    request: EstimateRequest


def stated_placement(text: str, n_layers: int) -> tuple[int | None, int | None] | None:
    """GPU layers and layers with experts in system memory that ``text`` states; None when it states neither.

    llama.cpp's own fit counts expert layers among those on the GPU; ``--n-cpu-moe`` counts from the first layer on.
    """
    found = _FIT.search(text)
    if found:
        layers = int(found.group(1))
        moved = int(found.group(2)) + max(n_layers + 1 - layers, 0) if found.group(2) else None
        return layers, None if moved is None else min(moved, n_layers)
    found = _EXPERTS_OF.search(text)
    if found:
        return None, int(found.group(1))
    if "cpu-moe all" in text or 'ot "exps=CPU"' in text:
        return None, n_layers
    return None


def stated_rows(entities: Entities, rows: Sequence[Mapping[str, Any]]) -> list[Stated]:
    """Decode rows on one GPU, of llama.cpp, that state which weights were in system memory."""
    out = []
    for row in rows:
        if row["kind"] != "decode" or not row.get("offload") or row.get("suspect") or (row.get("gpu_count") or 1) != 1:
            continue
        if (row.get("engine") or Engine.LLAMA_CPP.value) != Engine.LLAMA_CPP.value:
            continue
        if not all(row.get(key) for key in ("gpu_slug", "model_slug", "quant_slug")):
            continue
        text, model = str(row["offload"]), entities.models[row["model_slug"]]
        placement = None if model is None else stated_placement(text, model.n_layers)
        if model is not None and placement is not None:
            out.append(Stated(row, model, _request(entities, row, *placement)))
    return out


def _request(
    entities: Entities, row: Mapping[str, Any], gpu_layers: int | None, cpu_moe_layers: int | None
) -> EstimateRequest:
    stated_hosts = (entities.hosts[slug] for mark, slug in _HOSTS if mark in str(row["offload"]))
    return EstimateRequest(
        quant=entities.quants[row["quant_slug"]],
        accelerator=entities.accelerators[row["gpu_slug"]],
        host=next(stated_hosts, entities.default_host),
        backend=_BACKENDS.get(str(row.get("backend") or "")),
        depth_tokens=int(row.get("depth") or 0),
        output_tokens=int(row.get("n_gen") or 128),
        gpu_layers=gpu_layers,
        cpu_moe_layers=cpu_moe_layers,
    )


def decode_seconds_of(calibration: Calibration, stated: Stated) -> float | None:
    """Seconds per token under the stated placement, None when it is no offload or cannot be estimated."""
    try:
        answer = estimate(stated.model, stated.request, calibration)
    except EstimatorError:
        return None
    if answer.status is not Status.FITS_WITH_OFFLOAD or answer.decode is None:
        return None
    return 1.0 / answer.decode.value


def design(rows: Sequence[Stated], result: Mapping[str, Any]) -> tuple[list[Stated], Floats, Floats]:
    """Rows that could be estimated, their seconds without system memory (rows,), and seconds per unit of each constant
    (rows, constants)."""
    zeros = {**result["offload"], **dict.fromkeys(STARTS, 0.0)}
    variants = [Calibration({**result, "offload": zeros}, "none")]
    variants += [Calibration({**result, "offload": {**zeros, name: 1.0}}, name) for name in STARTS]
    kept: list[Stated] = []
    seconds: list[list[float]] = []
    for row in rows:
        values = [decode_seconds_of(variant, row) for variant in variants]
        if all(value is not None for value in values):
            kept.append(row)
            seconds.append([float(value) for value in values if value is not None])
    table = np.array(seconds).reshape(len(kept), len(STARTS) + 1)
    return kept, table[:, 0], table[:, 1:] - table[:, :1]


def solve(
    device: Floats, unit: Floats, measured: Floats, weight: Floats, starts: Mapping[str, float] = STARTS
) -> Floats:
    """Constants (constants,) by robust Gauss-Newton steps on log seconds, pulled to ``starts``."""
    start = np.log(np.array(list(starts.values())))
    theta = start.copy()
    precision = np.full(len(theta), 1.0 / PRIOR_SPREAD**2)
    for _ in range(ITERATIONS):
        parts = unit * np.exp(theta)
        total = device + parts.sum(1)
        residual = np.log(measured) - np.log(total)
        jacobian = parts / total[:, None]
        robust = weight / np.sqrt(1.0 + (residual / ROBUST_SCALE) ** 2) / ROW_SCALE**2
        normal = jacobian.T @ (jacobian * robust[:, None]) + np.diag(precision)
        gradient = jacobian.T @ (robust * residual) - precision * (theta - start)
        theta = theta + np.clip(np.linalg.solve(normal, gradient), -0.5, 0.5)
    return np.asarray(np.exp(theta))


def fit_offload(
    entities: Entities, rows: Sequence[Mapping[str, Any]], result: Mapping[str, Any], say: Callable[[str], None]
) -> dict[str, Any]:
    """The constants of system memory with their error by (GPU, model, quant) group, each left out in turn."""
    kept, device, unit = design(stated_rows(entities, rows), result)
    if not kept:
        return {}
    measured = np.array([1.0 / float(each.row["tok_s"]) for each in kept])
    names = [tuple(each.row[key] for key in ("gpu_slug", "model_slug", "quant_slug")) for each in kept]
    weight = np.array([names.count(name) ** (GROUP_POWER - 1.0) for name in names])
    residual = np.zeros(len(kept))
    for model in sorted({name[1] for name in names}):
        held = np.array([name[1] == model for name in names])
        found = solve(device[~held], unit[~held], measured[~held], weight[~held])
        residual[held] = np.log(measured[held]) - np.log(device[held] + unit[held] @ found)
    errors = np.abs(np.expm1(residual))
    found = solve(device, unit, measured, weight)
    say(f"offload  left out by model: median {np.median(errors):.3f}, p90 {np.quantile(errors, 0.9):.3f}, {found}")
    return {
        **{name: round(float(value), 4) for name, value in zip(STARTS, found, strict=True)},
        "rows": len(kept),
        "models": len({name[1] for name in names}),
        "median_error": round(float(np.median(errors)), 4),
        "p90_error": round(float(np.quantile(errors, 0.9)), 4),
        "low": round(min(float(np.exp(-np.quantile(residual, 0.9))), 1.0), 4),
        "high": round(max(float(np.exp(-np.quantile(residual, 0.1))), 1.0), 4),
    }
