"""The calibration: the open constants fitted on measured rows, with their cross-validation."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from estimator.accuracy import crossval
from estimator.accuracy.fit_multi_gpu import FIRST, fit_parallel
from estimator.accuracy.fit_offload import STARTS as OFFLOAD_STARTS
from estimator.accuracy.fit_offload import fit_offload
from estimator.accuracy.fitting import Observation, fit
from estimator.accuracy.observations import Entities, MeasuredRow, observe
from estimator.accuracy.serving.fit import UNFITTED, fit_streams
from estimator.accuracy.serving.rows import rows_of_one_stream
from estimator.accuracy.spread import fit_spread, spread
from estimator.calibration.coefficients import Calibration
from estimator.calibration.effects import DECODE_FACTORS, PREFILL_FACTORS
from estimator.calibration.intervals import DEPTH
from estimator.calibration.term_logs import PER_WEIGHT_TERMS
from estimator.speed.roofline import DECODE_TERMS
from estimator.structure.weights import kernel_quant

#: First guess of each term's own level, log; the prior is wide, so this only says where to start. Matrix units, in which
#: servers multiply attention, are ten and more times as quick as the units that the nominal time is of.
STARTS: Mapping[str, Mapping[str, float]] = {
    "decode": {
        "dense": math.log(1.35), "routed": math.log(2.0), "cache": math.log(2.0), "attend": math.log(0.1),
        "attend/server:yes": math.log(0.1),
    },
    "prefill": {"linear": math.log(2.8), "attention": math.log(4.0)},
}  # fmt: skip
FACTORS: Mapping[str, Mapping[str, tuple[str, ...]]] = {"decode": DECODE_FACTORS, "prefill": PREFILL_FACTORS}
#: Constants that no row of the measurements can give, with where they come from.
TTFT_FIXED_S = 0.015
DEFAULT_LINK_BYTES_S = 15.75e9
#: The ``offload`` part before anything is fitted.
UNFITTED_OFFLOAD: Mapping[str, Any] = {
    **{name: value for starts in OFFLOAD_STARTS.values() for name, value in starts.items()},
    "ranges": dict.fromkeys(OFFLOAD_STARTS, (0.7, 1.3)),
    "default_link_bytes_s": DEFAULT_LINK_BYTES_S,
}
_SMALL_EFFECT = 5e-4
#: Ways to leave rows out whose errors set the ranges.
RANGE_SCHEMES: tuple[str, ...] = ("pair", "gpu", "family", "source")


def calibrate(
    entities: Entities,
    rows: Sequence[Mapping[str, Any]],
    serving: Sequence[Mapping[str, Any]],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """The constants of ``calibration.json``, reproducible to the digit; ``say`` receives a line about each error.

    ``rows`` are speeds of one stream, ``serving`` those of servers.
    """
    result: dict[str, Any] = {"rows": len(rows), "ttft_fixed_s": TTFT_FIXED_S}
    rows = [*rows, *rows_of_one_stream(serving, rows)]
    measured = observe(entities, rows)
    for kind in ("decode", "prefill"):
        own = [row for row in measured if row.kind == kind]
        result[kind] = _fit_kind(kind, own, say)
    result["offload"] = UNFITTED_OFFLOAD
    result["parallel"], result["streams"] = FIRST, UNFITTED
    result["offload"] = fit_offload(entities, rows, result, say)
    result["parallel"] = fit_parallel(entities, rows, result, say)
    result["streams"] = fit_streams(entities, serving, result, say)
    return result


def _fit_kind(kind: str, measured: Sequence[MeasuredRow], say: Callable[[str], None]) -> dict[str, Any]:
    observations = [row.observation for row in measured]
    quants = [row.quant.slug for row in measured]
    factors, start = FACTORS[kind], STARTS[kind]
    fitted = fit(observations, factors, start)
    shipped = shipped_terms(kind, measured)
    effects = {name: value for name, value in fitted.effects.items() if abs(value) >= _SMALL_EFFECT}
    answered = shipped(range(len(observations)), fitted.effects)
    residual = np.array([row.log_seconds for row in observations]) - fitted.predict(answered)
    validated: dict[str, Any] = {}
    residuals: dict[str, Any] = {}
    is_moe = np.array([row.factors["moe"] is not None for row in observations])
    for scheme in crossval.SCHEMES:
        residuals[scheme] = crossval.cross_validate(observations, factors, start, scheme, shipped)
        validated[scheme] = crossval.error_summary(observations, residuals[scheme])
        for name, mask in (("moe", is_moe), ("dense", ~is_moe)):
            chosen = [int(index) for index in np.flatnonzero(mask)]
            validated[f"{scheme} {name}"] = crossval.error_summary(
                [observations[index] for index in chosen], residuals[scheme][chosen]
            )
        say(f"{kind:8} left out by {scheme:7} {validated[scheme]}")
    return {
        "effects": effects,
        "measured": _measured(observations, quants, residual),
        "seen": {
            "gpu": sorted({f"{row.gpu}|{row.stack}" for row in observations}),
            "family": sorted({f"{row.factors['family']}|{row.stack}" for row in observations}),
        },
        "ranges": _ranges(observations, quants, residuals),
        "cross_validation": validated,
    }


def shipped_terms(kind: str, measured: Sequence[MeasuredRow]) -> crossval.Shipped:
    """The terms that the estimator computes for measured rows under given effects: it evens file types that thin data
    put out of order, which the fit does not know of."""

    def shipped(at: Sequence[int], effects: Mapping[str, float]) -> Sequence[Observation]:
        if kind != "decode":
            return [measured[index].observation for index in at]
        calibration = Calibration({"decode": {"effects": effects}, "prefill": {"effects": {}}}, "shipped")
        memo: dict[Any, float] = {}
        out = []
        for index in at:
            row = measured[index]
            quant = kernel_quant(row.model.architecture, row.quant)
            asked = (row.accelerator, row.backend, row.engine, quant, row.model.is_moe)
            key = (row.accelerator.slug, row.backend, row.engine, quant.slug, quant.file_type, row.model.is_moe)
            if key not in memo:
                memo[key] = math.exp(calibration.terms.evening(*asked))
            terms = tuple(
                seconds * memo[key] if term in PER_WEIGHT_TERMS else seconds
                for term, seconds in zip(DECODE_TERMS, row.observation.terms, strict=True)
            )
            out.append(replace(row.observation, terms=terms))
        return out

    return shipped


def _measured(
    observations: Sequence[Observation], quants: Sequence[str], residual: Any
) -> dict[str, dict[str, dict[str, tuple[float, list[str]]]]]:
    """Model -> GPU -> engine and backend -> (shrunk residual, quants measured)."""
    positions: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for index, row in enumerate(observations):
        positions[row.model, row.gpu, row.stack].append(index)
    out: dict[str, dict[str, dict[str, tuple[float, list[str]]]]] = {}
    for (model, gpu, stack), members in sorted(positions.items()):
        shift = crossval.measured_shift([float(residual[index]) for index in members])
        of_gpu = out.setdefault(model, {}).setdefault(gpu, {})
        of_gpu[stack] = (shift, sorted({quants[index] for index in members}))
    return out


def strata_residuals(
    observations: Sequence[Observation], quants: Sequence[str], residuals: Mapping[str, Any]
) -> dict[str, tuple[list[int], Any]]:
    """Stratum -> positions of the rows that stand for it and their residuals; a row stands once for each way to leave it
    out, for how well its device was known then."""
    kept, values = crossval.leave_one_out(observations, quants, residuals["pair"])
    strata: dict[str, tuple[list[int], Any]] = {"measured": (kept, values)}
    known = {
        scheme: np.array(crossval.known_as(observations, scheme)) for scheme in RANGE_SCHEMES if scheme in residuals
    }
    for stratum in ("gpu", "family", "none"):
        places = {scheme: np.flatnonzero(names == stratum) for scheme, names in known.items()}
        at = [int(place) for own in places.values() for place in own]
        strata[stratum] = (at, np.concatenate([residuals[scheme][own] for scheme, own in places.items()]))
    return strata


def new_of(stratum: str, observations: Sequence[Observation]) -> list[str]:
    """The entity of each row that the calibration of its stratum has not seen: a model, or the GPU."""
    return [row.model if stratum in ("measured", "gpu") else row.gpu for row in observations]


def _ranges(
    observations: Sequence[Observation], quants: Sequence[str], residuals: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Stratum -> log range of tok/s and the effects on its width; one with few rows takes the next wider one's."""
    strata = strata_residuals(observations, quants, residuals)
    out: dict[str, dict[str, Any]] = {}
    wider: dict[str, Any] = {"low": math.log(0.4), "high": math.log(2.5), "spread": {DEPTH: 0.0}, "tail": 0.1}
    for stratum in ("none", "family", "gpu", "measured"):
        at, values = strata[stratum]
        own = [observations[index] for index in at]
        if len(own) >= crossval.MINIMUM_RESIDUALS:
            effects = fit_spread(own, values)
            size = spread(own, effects)
            tail = crossval.fair_tail(new_of(stratum, own), values, size)
            range_ = crossval.range_of(values, size, tail)
            assert range_ is not None
            wider = {"low": range_[0], "high": range_[1], "spread": effects, "tail": tail}
        out[stratum] = wider
    return out
