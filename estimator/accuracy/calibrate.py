"""The calibration: the open constants fitted on measured rows, with their cross-validation."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from estimator.accuracy import crossval
from estimator.accuracy.fit_multi_gpu import FIRST, fit_parallel
from estimator.accuracy.fit_offload import STARTS as OFFLOAD_STARTS
from estimator.accuracy.fit_offload import fit_offload
from estimator.accuracy.fitting import Fit, Observation, fit
from estimator.accuracy.observations import Entities, MeasuredRow, observe, on_another_device
from estimator.accuracy.serving.fit import UNFITTED, fit_streams
from estimator.accuracy.serving.rows import rows_of_one_stream
from estimator.accuracy.spread import fit_spread, spread
from estimator.calibration.coefficients import Calibration
from estimator.calibration.effects import DECODE_FACTORS, PREFILL_FACTORS, chip_of, effect_name
from estimator.calibration.intervals import DEPTH
from estimator.calibration.siblings import Siblings, families_of, of_parts, ordered, siblings_of
from estimator.calibration.term_logs import PER_WEIGHT_TERMS
from estimator.speed.roofline import DECODE_TERMS
from estimator.structure.likeness import special_layers
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
#: Terms of which single parts have effects of their own.
OF_PARTS: Mapping[str, tuple[str, ...]] = {
    kind: (*(term for term, names in factors.items() if {"gpu", "chip"} & {*names}), "whole")
    for kind, factors in FACTORS.items()
}
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
#: Part of its time by which a device without rows may be quicker than a better one of its family: far within every range.
_SMALL_LEAD = 0.03
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
    measured, parts = observe(entities, rows), entities.accelerators.values()
    lines, families = siblings_of(parts), families_of(parts)
    for kind in ("decode", "prefill"):
        own = [row for row in measured if row.kind == kind]
        result[kind] = _fit_kind(kind, own, lines, families, say)
    result["offload"] = UNFITTED_OFFLOAD
    result["parallel"], result["streams"] = FIRST, UNFITTED
    result["offload"] = fit_offload(entities, rows, result, say)
    result["parallel"] = fit_parallel(entities, rows, result, say)
    result["streams"] = fit_streams(entities, serving, result, say)
    return result


def _fit_kind(
    kind: str,
    measured: Sequence[MeasuredRow],
    lines: Sequence[Siblings],
    families: Sequence[Siblings],
    say: Callable[[str], None],
) -> dict[str, Any]:
    observations = [row.observation for row in measured]
    quants = [row.quant.slug for row in measured]
    factors, start = FACTORS[kind], STARTS[kind]
    fitted = fit(observations, factors, start)
    shipped = shipped_terms(kind, measured, lines)
    effects = {name: value for name, value in fitted.effects.items() if abs(value) >= _SMALL_EFFECT}
    counts = Counter(row.gpu for row in observations)
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
        "effects": of_parts(effects, OF_PARTS[kind], counts, lines),
        "measured": _measured(measured, residual, lines, families, fitted),
        "seen": {
            "gpu": sorted({f"{row.gpu}|{row.stack}" for row in observations}),
            "family": sorted({f"{row.factors['family']}|{row.stack}" for row in observations}),
            "layers": sorted({name for row in measured for name in _layers_of(row)}),
        },
        "ranges": _ranges(observations, quants, residuals),
        "cross_validation": validated,
    }


def _layers_of(row: MeasuredRow) -> list[str]:
    """Special layers of a row's model, with its family of devices, engine and backend."""
    observation = row.observation
    return [f"{kind}|{observation.factors['family']}|{observation.stack}" for kind in special_layers(row.model)]


def shipped_terms(kind: str, measured: Sequence[MeasuredRow], lines: Sequence[Siblings]) -> crossval.Shipped:
    """The terms that the estimator computes for measured rows under given effects: it evens file types and siblings that
    thin data put out of order, which the fit does not know of."""
    gpus = [row.accelerator.slug for row in measured]

    def shipped(at: Sequence[int], effects: Mapping[str, float]) -> Sequence[Observation]:
        known = Counter(gpus) - Counter(gpus[index] for index in at) if len(at) < len(gpus) else Counter(gpus)
        parts = of_parts(effects, OF_PARTS[kind], known, lines)

        def moved(row: MeasuredRow) -> list[float]:
            names = {term: effect_name(term, "gpu", row.accelerator.slug) for term in (*FACTORS[kind], "whole")}
            # The fit has such effects of some terms, and predicts with them.
            fitted = {
                term: effects.get(name, 0.0)
                for term, name in names.items()
                if "gpu" in FACTORS[kind].get(term, ("gpu",))
            }
            *terms, whole = (parts.get(name, 0.0) - fitted.get(term, 0.0) for term, name in names.items())
            return [math.exp(term + whole) for term in terms]

        return [_times(row, moved(measured[index])) for index, row in zip(at, evened(at, effects), strict=True)]

    def evened(at: Sequence[int], effects: Mapping[str, float]) -> Sequence[Observation]:
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


def _times(row: Observation, factors: Sequence[float]) -> Observation:
    return replace(row, terms=tuple(term * factor for term, factor in zip(row.terms, factors, strict=True)))


def _measured(
    measured: Sequence[MeasuredRow],
    residual: Any,
    lines: Sequence[Siblings],
    families: Sequence[Siblings],
    fitted: Fit,
) -> dict[str, dict[str, dict[str, tuple[float, list[str] | None]]]]:
    """Model -> GPU -> engine and backend -> (shrunk residual, quants measured); None for a GPU that has a residual by the
    order of its siblings alone."""
    positions: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for index, row in enumerate(measured):
        positions[row.observation.model, row.observation.gpu, row.observation.stack].append(index)
    out: dict[str, dict[str, dict[str, tuple[float, list[str] | None]]]] = {}
    of_stacks: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(dict)
    for (model, gpu, stack), members in sorted(positions.items()):
        shift = crossval.measured_shift([float(residual[index]) for index in members])
        of_gpu = out.setdefault(model, {}).setdefault(gpu, {})
        of_gpu[stack] = (shift, sorted({measured[index].quant.slug for index in members}))
        of_stacks[model, stack][gpu] = members
    for (model, stack), of_gpus in of_stacks.items():
        counts = {gpu: len(members) for gpu, members in of_gpus.items()}
        for siblings in families:
            own = [measured[index] for gpu in of_gpus.keys() & siblings.parts.keys() for index in of_gpus[gpu]]
            if own:
                _order(
                    out[model],
                    stack,
                    counts,
                    siblings,
                    _seconds(min(own, key=_quickness), siblings, fitted),
                    _SMALL_LEAD,
                )
        # Parts of one chip keep their order in every row, whatever weighs in it.
        for siblings in lines:
            _order(out[model], stack, counts, siblings, dict.fromkeys(siblings.parts, 0.0), _SMALL_EFFECT)
    return out


def _quickness(row: MeasuredRow) -> tuple[float, str, str]:
    """Orders rows by their time for a token: in the quickest one fixed costs, which parts differ least in, weigh most."""
    return row.observation.log_seconds, row.accelerator.slug, row.quant.slug


def _seconds(row: MeasuredRow, siblings: Siblings, fitted: Fit) -> dict[str, float]:
    """Log seconds that a row would take on each part."""
    on_parts = [on_another_device(row, part) for part in siblings.parts.values()]
    return dict(zip(siblings.parts, fitted.predict(on_parts).tolist(), strict=True))


def _order(
    measured: dict[str, dict[str, tuple[float, list[str] | None]]],
    stack: str,
    counts: Mapping[str, int],
    siblings: Siblings,
    seconds: Mapping[str, float],
    least: float,
) -> None:
    """Bring a model's times with one stack into the order of ``siblings``, whose log ``seconds`` are without what rows have
    shown; parts that differ by memory alone have the mean of theirs. A part without rows moves by ``least`` or not at all."""
    known = {slug: measured[slug][stack] for slug in siblings.parts if stack in measured.get(slug, {})}
    if not known:
        return
    of_chips: dict[str, list[float]] = defaultdict(list)
    for slug in counts.keys() & known.keys():
        of_chips[chip_of(slug)].append(known[slug][0])
    means = {chip: math.fsum(values) / len(values) for chip, values in of_chips.items()}
    shifts = {slug: known[slug][0] if slug in known else means.get(chip_of(slug), 0.0) for slug in siblings.parts}
    times = ordered({slug: seconds[slug] + shift for slug, shift in shifts.items()}, counts, siblings)
    for slug, time in times.items():
        moved = time - seconds[slug] - shifts[slug]
        value = round(shifts[slug] + moved, 5) if abs(moved) >= (0.0 if slug in known else least) else shifts[slug]
        if slug in known or value:
            quants = known[slug][1] if slug in known else [] if chip_of(slug) in means else None
            measured.setdefault(slug, {})[stack] = (value, quants)


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
