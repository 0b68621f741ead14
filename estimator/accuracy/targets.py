"""Errors with whole sources left out, beside the bounds that they must stay below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from estimator.accuracy import crossval
from estimator.accuracy.calibrate import strata_residuals
from estimator.accuracy.observations import MeasuredRow
from estimator.accuracy.spread import spread
from estimator.calibration.coefficients import Calibration
from estimator.structure.arrays import Flags, Floats
from estimator.types import Backend


@dataclass(frozen=True, slots=True)
class Target:
    """Most of the median and the 90th percentile of the errors, and least and most of the share inside ranges."""

    median: float
    p90: float
    inside: tuple[float, float] | None = None


TARGETS: Mapping[str, Target] = {
    "decode of each, 2 to 32 streams": Target(0.12, 0.30, (0.76, 0.84)),
    "decode of each, more streams": Target(0.18, 0.45, (0.76, 0.84)),
    "total at saturation": Target(0.20, 0.50, (0.74, 0.86)),
    "several cards, decode, layers": Target(0.12, 0.35, (0.74, 0.86)),
    "several cards, decode, tensor": Target(0.12, 0.35, (0.74, 0.86)),
    "several cards, decode, cut": Target(0.12, 0.35, (0.74, 0.86)),
    "several cards, prefill, layers": Target(0.25, 0.70, (0.74, 0.86)),
    "several cards, prefill, tensor": Target(0.25, 0.70, (0.74, 0.86)),
    "several cards, prefill, cut": Target(0.25, 0.70, (0.74, 0.86)),
    "system memory, decode": Target(0.12, 0.35, (0.74, 0.86)),
    "system memory, prefill": Target(0.22, 0.60, (0.74, 0.86)),
    "unlike any row, decode": Target(0.14, 0.45, (0.70, 0.90)),
    "unlike any row, prefill": Target(0.22, 0.70, (0.65, 0.90)),
    "processors, decode": Target(0.15, 0.40),
    "one device, decode": Target(0.08, 0.23, (0.76, 0.84)),
    "one device, prefill": Target(0.14, 0.38, (0.76, 0.84)),
}


def stated_errors(calibration: Calibration) -> dict[str, Mapping[str, Any]]:
    """Errors that the calibration holds, by the names of ``TARGETS``."""
    data = calibration.data
    out: dict[str, Mapping[str, Any]] = dict(data["streams"]["errors"])
    for key, errors in data["parallel"]["errors"].items():
        kind, mode = key.split()
        out[f"several cards, {kind}, {mode}"] = {**errors, **errors.get("source", {})}
    for kind, errors in data["offload"]["errors"].items():
        out[f"system memory, {kind}"] = errors
    return out


def errors_of_kind(
    kind: str, measured: Sequence[MeasuredRow], residuals: Mapping[str, Floats], calibration: Calibration
) -> dict[str, Mapping[str, Any]]:
    """Errors of one device and stream: a pair left out, devices unlike any row, and processors among the GPUs left out."""
    observations = [row.observation for row in measured]
    ranges = calibration.data[kind]["ranges"]
    strata = strata_residuals(observations, [row.quant.slug for row in measured], residuals)
    values: list[Floats] = []
    held: list[Flags] = []
    for stratum in ("family", "none"):
        at, residual = strata[stratum]
        size = spread([observations[index] for index in at], ranges[stratum]["spread"])
        values.append(np.asarray(residual))
        held.append(crossval.inside(values[-1], size, (ranges[stratum]["low"], ranges[stratum]["high"])))
    joined = np.concatenate(values)
    inside = float(np.concatenate(held).mean())
    out: dict[str, Mapping[str, Any]] = {}
    out[f"unlike any row, {kind}"] = _errors(joined, inside)
    pair_errors = calibration.data[kind]["cross_validation"]["pair"]
    out[f"one device, {kind}"] = {**pair_errors, "inside": None}
    processors = np.array([row.backend is Backend.CPU for row in measured])
    if processors.any():
        left_out = residuals["gpu"][processors]
        out[f"processors, {kind}"] = _errors(left_out, None)
    return out


def _errors(residual: Floats, inside: float | None) -> dict[str, Any]:
    return {"rows": len(residual), **crossval.row_errors(residual), "inside": inside}


def section(errors: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown of every target beside its errors."""
    lines = [
        "## Targets",
        "",
        "Errors of rows whose source, device, or pair of model and device was left out whole, beside what they must stay below.",
        "",
        "| speed | rows | median error | target | 90th percentile | target | inside | target |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    return "\n".join([*lines, *_lines(errors), ""])


def _lines(errors: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    for name, target in TARGETS.items():
        error = errors.get(name)
        if error is None or error.get("median") is None:
            continue
        inside = "" if error.get("inside") is None else f"{error['inside']:.0%}"
        ends = "" if target.inside is None else f"{target.inside[0]:.0%} to {target.inside[1]:.0%}"
        yield (
            f"| {name} | {error['rows']:,} | {error['median']:.1%} | {target.median:.0%} | {error['p90']:.1%} | "
            f"{target.p90:.0%} | {inside} | {ends} |"
        )
