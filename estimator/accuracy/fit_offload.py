"""Constants of system memory: fitted on rows that state which weights were there, with exactly that placement.

Seconds are linear in these constants, so each row is estimated once with all of them 0 and once per constant.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from estimator.accuracy.crossval import held_range, row_errors, share_of
from estimator.accuracy.observations import (
    DEFAULT_PROMPT_TOKENS,
    Entities,
    micro_batch_of,
    source_of,
    stated_backend,
    weight_scale,
)
from estimator.calibration.coefficients import Calibration
from estimator.calibration.effects import DECODE_FACTORS
from estimator.calibration.term_logs import sum_effects
from estimator.estimate import estimate
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.arrays import Floats
from estimator.types import Backend, Engine, EstimateRequest, EstimatorError, Status

R = TypeVar("R")
#: Constants by kind of speed, in fitting order with their first guess: layers and experts read from system memory, fixed
#: cost of each; bytes copied over the link for a prompt, by backend.
STARTS: Mapping[str, Mapping[str, float]] = {
    "decode": {"host": 1.6, "host_layer": 5.0, "host_expert": 2.1, "host_expert_layer": 15.0},
    "prefill": {"link_cuda": 1.35, "link_other": 1.35},
}
#: Constants that processors alone have shown: the term of decode that each is the coefficient of.
_OF_PROCESSORS: Mapping[str, str] = {"host": "dense", "host_expert": "routed"}
_FIXED = ("host_layer", "host_expert_layer")
_PROCESSOR: Mapping[str, str | None] = {
    "": "", "backend": Backend.CPU.value, "family": "cpu", "family|backend": f"cpu|{Backend.CPU.value}", "moe": "yes",
    "moe|backend": Backend.CPU.value, "moe|family": f"cpu|{Backend.CPU.value}",
}  # fmt: skip
#: Prior spread of the log of each; a plausible computer reads neither faster than its peak nor ten times slower. What
#: processors alone have shown holds for most computers: some ten sources of rows, most of one computer, say less.
PRIOR_SPREAD = 0.7
PRIOR_SPREAD_OF_PROCESSORS = 0.15
ROBUST_SCALE = 0.15
ROW_SCALE = 0.2
ITERATIONS = 40
GROUP_POWER = 0.5
_ENGINES = {Engine.LLAMA_CPP.value: Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP.value: Engine.IK_LLAMA_CPP}
_FIT = re.compile(r"ngl=(\d+), offloaded\(moe\) layers=(\d*)")
_EXPERTS_OF = re.compile(r"n[_-]cpu[_-]moe[= ](\d+)")
_LAYERS_OF = re.compile(r"(?:ngl |^)(\d+)(?: of \d+)? layers on the GPU")
_ALL_EXPERTS = re.compile(r'cpu-moe all|ot "?exps=CPU"?$')
#: Override patterns that name the layers whose experts stay on a device and send the others to system memory.
_KEPT = re.compile(r"blk\\\.(\[\d-\d\]|\([\d|]+\))\\\.ffn_\.\*=CUDA\d")
_REST = re.compile(r"exps=CPU|blk\\\.\[0-9\]\+\\\.ffn\.\*=CPU")
#: A row's words for its computer -> the host profile that is meant; the default host otherwise.
_HOSTS = (
    (re.compile(r"12-channel DDR5"), "server-ddr5-6000-12ch-768gb"),
    (re.compile(r"Threadripper PRO 7\d|8480 ES"), "workstation-ddr5-4800-8ch-256gb"),
    (re.compile(r"DDR4|Ryzen \d 5\d{3}"), "desktop-ddr4-3200-64gb"),
)


@dataclass(frozen=True, slots=True)
class Stated:
    """A row with the placement that it states; layers as llama.cpp counts them."""

    row: Mapping[str, Any]
    model: ModelArchitecture
    request: EstimateRequest

    @property
    def kind(self) -> str:
        """``decode`` or ``prefill``."""
        return str(self.row["kind"])

    @property
    def tokens(self) -> int:
        """Tokens whose time is meant: the prompt, or one."""
        return self.request.prompt_tokens or 1

    @property
    def group(self) -> tuple[Any, ...]:
        return tuple(self.row[key] for key in ("gpu_slug", "model_slug", "quant_slug"))


def stated_placement(text: str, n_layers: int) -> tuple[int | None, int | None] | None:
    """GPU layers and layers with experts in system memory that ``text`` states; None when it states neither.

    llama.cpp's own fit counts expert layers among those on the GPU; ``--n-cpu-moe`` counts from the first layer on.
    """
    match = _FIT.search(text)
    if match:
        layers = int(match.group(1))
        moved = int(match.group(2)) + max(n_layers + 1 - layers, 0) if match.group(2) else None
        return layers, None if moved is None else min(moved, n_layers)
    match = _EXPERTS_OF.search(text)
    if match:
        return None, min(int(match.group(1)), n_layers)
    match = _LAYERS_OF.search(text)
    if match:
        return int(match.group(1)), None
    if _ALL_EXPERTS.search(text):
        return None, n_layers
    if _REST.search(text) and _KEPT.search(text):
        return None, n_layers - sum(_layers_named(part) for part in _KEPT.findall(text))
    return None


def _layers_named(pattern: str) -> int:
    """Layers that a part of an override pattern names: ``[3-9]`` or ``(3|4|5)``."""
    first, dash, last = pattern.strip("[]()").partition("-")
    return int(last) - int(first) + 1 if dash else len(first.split("|"))


def stated_rows(entities: Entities, rows: Sequence[Mapping[str, Any]]) -> list[Stated]:
    """Rows of llama.cpp and its fork that state which weights were in system memory."""
    out = []
    for row in rows:
        if not row.get("offload") or row.get("suspect") or row.get("split_mode") == "row":
            continue
        if (row.get("engine") or Engine.LLAMA_CPP.value) not in _ENGINES:
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
    computer = " ".join(str(row.get(key) or "") for key in ("offload", "host_cpu", "host_memory"))
    stated_hosts = (entities.hosts[slug] for mark, slug in _HOSTS if mark.search(computer))
    return EstimateRequest(
        quant=entities.quants[row["quant_slug"]],
        accelerator=entities.accelerators[row["gpu_slug"]],
        gpu_count=int(row.get("gpu_count") or 1),
        host=next(stated_hosts, entities.default_host),
        engine=_ENGINES[row.get("engine") or Engine.LLAMA_CPP.value],
        backend=stated_backend(row),
        depth_tokens=int(row.get("depth") or 0),
        prompt_tokens=int(row.get("n_prompt") or DEFAULT_PROMPT_TOKENS) if row["kind"] == "prefill" else None,
        output_tokens=int(row.get("n_gen") or 128),
        micro_batch_tokens=int(row["ubatch"]) if row.get("ubatch") else micro_batch_of(row),
        gpu_layers=gpu_layers,
        cpu_moe_layers=cpu_moe_layers,
    )


def seconds_of(calibration: Calibration, stated: Stated) -> float | None:
    """Seconds per token, or of the prompt, under the stated placement; None when it is no offload or nothing is known."""
    try:
        answer = estimate(stated.model, stated.request, calibration)
    except EstimatorError:
        return None
    speed = answer.decode if stated.kind == "decode" else answer.prefill
    if answer.status is not Status.FITS_WITH_OFFLOAD or speed is None:
        return None
    return stated.tokens / speed.value


def starts_of(kind: str, result: Mapping[str, Any]) -> dict[str, float]:
    """First guess of the constants of one kind of speed, what processors alone have shown among it."""
    effects = result["decode"]["effects"]
    shown = {
        name: math.exp(sum_effects(effects, term, DECODE_FACTORS[term], _PROCESSOR))
        for name, term in _OF_PROCESSORS.items()
    }
    return {name: shown.get(name, start) for name, start in STARTS[kind].items()}


def design(
    rows: Sequence[R],
    result: Mapping[str, Any],
    part: str,
    starts: Mapping[str, float],
    seconds_of: Callable[[Calibration, R], float | None],
) -> tuple[list[R], Floats, Floats]:
    """Rows that could be estimated, their seconds without the constants of ``part`` (rows,), and seconds per unit of each
    constant (rows, constants)."""
    zeros = {**result[part], **dict.fromkeys(starts, 0.0)}
    variants = [Calibration({**result, part: zeros}, "none")]
    variants += [Calibration({**result, part: {**zeros, name: 1.0}}, name) for name in starts]
    kept: list[R] = []
    seconds: list[list[float]] = []
    for row in rows:
        values = [value for variant in variants if (value := seconds_of(variant, row)) is not None]
        if len(values) == len(variants):
            kept.append(row)
            seconds.append(values)
    table = np.array(seconds).reshape(len(kept), len(variants))
    return kept, table[:, 0], table[:, 1:] - table[:, :1]


def solve(device: Floats, unit: Floats, measured: Floats, weight: Floats, starts: Mapping[str, float]) -> Floats:
    """Constants (constants,) by robust Gauss-Newton steps on log seconds, pulled to ``starts``."""
    start = np.log(np.array(list(starts.values())))
    theta = start.copy()
    spread = [PRIOR_SPREAD_OF_PROCESSORS if name in _OF_PROCESSORS else PRIOR_SPREAD for name in starts]
    precision = 1.0 / np.array(spread) ** 2
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


@dataclass(frozen=True, slots=True)
class Fitted:
    """Constants by name, and for each usable row the log of measured over estimated seconds with its source left out."""

    constants: dict[str, float]
    rows: list[Stated]
    by_source: Floats

    @property
    def sources(self) -> list[str]:
        return [source_of(row.row) for row in self.rows]


def fit_kind(rows: Sequence[Stated], result: Mapping[str, Any], kind: str) -> Fitted:
    """Fit the constants of one kind of speed."""
    starts = starts_of(kind, result)
    own = [row for row in rows if row.kind == kind]
    kept, device, unit = design(own, result, "offload", starts, seconds_of)
    sizes = np.array([weight_scale(stated.row, stated.model, stated.request.quant) for stated in kept])
    unit[:, [name not in _FIXED for name in starts]] *= sizes[:, None]
    measured = np.array([stated.tokens / float(stated.row["tok_s"]) for stated in kept])
    counts = Counter(stated.group for stated in kept)
    weight = np.array([counts[stated.group] ** (GROUP_POWER - 1.0) for stated in kept])
    sources = np.array([source_of(stated.row) for stated in kept])
    residual = np.zeros(len(kept))
    for source in sorted(set(sources.tolist())):
        held = sources == source
        solution = solve(device[~held], unit[~held], measured[~held], weight[~held], starts)
        residual[held] = np.log(measured[held]) - np.log(device[held] + unit[held] @ solution)
    solution = solve(device, unit, measured, weight, starts)
    constants = {name: round(float(value), 4) for name, value in zip(starts, solution, strict=True)}
    return Fitted(constants, kept, residual)


def fit_offload(
    entities: Entities, rows: Sequence[Mapping[str, Any]], result: Mapping[str, Any], say: Callable[[str], None]
) -> dict[str, Any]:
    """The ``offload`` part of the calibration: constants, and ranges and errors by kind with sources left out."""
    stated = stated_rows(entities, rows)
    out: dict[str, Any] = {**result["offload"], "errors": {}}
    for kind in STARTS:
        fitted = fit_kind(stated, {**result, "offload": out}, kind)
        out |= fitted.constants
        ends, inside = held_range(fitted.sources, fitted.by_source)
        out["ranges"] = {**out["ranges"], kind: ends}
        out["errors"][kind] = {
            "rows": len(fitted.rows),
            "sources": len(set(fitted.sources)),
            **row_errors(fitted.by_source),
            "inside": share_of(inside),
        }
        say(f"offload {kind}: {fitted.constants} {out['errors'][kind]} range {ends}")
    return out
