"""Constants of several streams at once, by engine: fitted on rows of servers over the calibrated speed of one stream.

A server with k streams answers each of them once in k prompts plus the decoding of k answers together; a stream decodes
while the prompts of the others are read. So a row gives the seconds per token of a stream, or of all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.accuracy.crossval import MINIMUM_NAMES, held_range, row_errors
from estimator.accuracy.observations import Entities
from estimator.accuracy.serving.rows import Served, served_rows
from estimator.calibration.coefficients import Calibration
from estimator.calibration.stream_constants import OLD_VLLM, OTHER_ENGINES, stream_engine
from estimator.estimate import overrides_of, require_company, situation_of_request, thresholds_of
from estimator.fleet import Overrides, fleet_of, require_engine
from estimator.grid import assemble
from estimator.placement.demand import Needs, needs
from estimator.placement.layer_sums import ModelTables, model_tables
from estimator.placement.placements import Placed, Rig
from estimator.placement.search import place
from estimator.speed.coefficients import FEW_STREAMS, REGIMES, SpeedCoefficients
from estimator.speed.roofline import decode_seconds, prefill_seconds
from estimator.speed.streams import CONSTANTS, request_seconds
from estimator.speed.throughput import Pace, pace
from estimator.speed.work import DecodeWork, PrefillWork
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.arrays import Flags, Floats
from estimator.types import STATUSES, Engine, EstimateRequest, EstimatorError, Status

#: First guess of each constant and the spread of its log around it; those of one server spread half as much around those
#: of all servers.
FIRST: Mapping[str, tuple[float, float]] = {
    "cache": (1.0, 0.5), "arithmetic": (2.0, 0.7), "unpack": (1.0, 0.7), "four_bits": (2.0, 0.3), "sample_s": (1.5e-8, 0.7),
    "s": (1e-5, 1.0), "step_s": (1e-3, 1.0), "prompt": (3.0, 0.4),
}  # fmt: skip
#: Constants that rows of llama.cpp inform, and those of servers; an engine has the others at 1 or 0.
OF_GGUF: tuple[str, ...] = ("cache", "arithmetic", "unpack", "sample_s")
OF_SERVERS: tuple[str, ...] = ("cache", "arithmetic", "four_bits", "s", "step_s", "prompt")
_NEUTRAL: Mapping[str, float] = {"cache": 1.0, "unpack": 1.0, "four_bits": 1.0, "prompt": 1.0}
_POOLED = 0.5
ROW_SCALE, ROBUST_SCALE = 0.2, 0.2
#: A group of n rows of a source counts as n to this power.
GROUP_POWER = 0.5
#: Fewer rows than this make no range of their own.
MINIMUM_ROWS = 40
#: Share of an engine's rows from which on a source counts as the only one.
ALONE = 0.9
#: The ``streams`` of ``calibration.json`` before anything is fitted.
UNFITTED: Mapping[str, Any] = {
    "engines": {
        name: {
            **{constant: _NEUTRAL.get(constant, 0.0) for constant in CONSTANTS},
            "arithmetic": 2.0,
            "ranges": dict.fromkeys(REGIMES, (0.6, 1.6)),
        }
        for name in (Engine.LLAMA_CPP.value, OTHER_ENGINES)
    }
}
_FITS = tuple(STATUSES.index(status) for status in (Status.FITS, Status.FITS_TIGHTLY))


@dataclass(frozen=True, slots=True)
class Case:
    """A row with what the estimator reads and computes for it; ``streams`` are those that fit."""

    served: Served
    streams: int
    decode: DecodeWork
    prefill: PrefillWork
    coefficients: SpeedCoefficients

    @property
    def group(self) -> tuple[Any, ...]:
        served = self.served
        return served.source, served.engine, served.kind, served.request.gpu_count > 1, served.unlimited


def cases(entities: Entities, rows: Sequence[Mapping[str, Any]], calibration: Calibration) -> list[Case]:
    """The usable rows whose streams fit; where only the engine bounds them, as many as fit."""
    memo: dict[Any, Case | None] = {}
    cases = []
    for served in served_rows(entities, rows):
        request = served.request
        key = (served.model.slug, replace(request, host=None), served.unlimited, served.unpacks)
        if key not in memo:
            memo[key] = _case(served, calibration)
        case = memo[key]
        if case is not None:
            cases.append(replace(case, served=served))
    return cases


def _case(served: Served, calibration: Calibration) -> Case | None:
    low, high = 0, served.streams + 1
    best = None
    while high - low > max(1, low // 16):
        tried = (
            min(served.streams, high - 1) if best is None and low == 0 and high > served.streams else (low + high) // 2
        )
        case = _at(served, calibration, tried)
        if case is None and not served.unlimited:
            return None
        if case is None:
            high = tried
        else:
            best, low = case, tried
    return best


def _at(served: Served, calibration: Calibration, streams: int) -> Case | None:
    """The case with so many streams, None when they do not fit or nothing runs it."""
    model, request = served.model, replace(served.request, batch=streams)
    if request.accelerator.bandwidth_bytes_s is None:
        return None
    seen: list[tuple[DecodeWork, PrefillWork, SpeedCoefficients]] = []
    try:
        if request.gpu_count > 1:
            require_company((request.accelerator,) * 2)
        overrides = overrides_of(request)
        require_engine(model, request.accelerator, request.quant, overrides)
        status = _placed(model, request, calibration, overrides, seen)
    except EstimatorError:
        return None
    if status not in _FITS or not seen or not np.isfinite(seen[-1][2].peak_flops).all():
        return None
    decode, prefill, coefficients = seen[-1]
    if served.unpacks:
        coefficients = replace(coefficients, stream_peak_flops=coefficients.peak_flops)
    return Case(served, streams, decode, prefill, coefficients)


def _placed(
    model: Any, request: EstimateRequest, calibration: Calibration, overrides: Overrides, seen: list[Any]
) -> int:
    """Status of the one cell of a request; ``seen`` receives its works and coefficients."""
    situation = situation_of_request(request)
    assert request.host is not None
    fleet = fleet_of(
        model.architecture, model.is_moe, (request.accelerator,), (request.quant,), (request.host,), overrides
    )
    tables, need = model_tables(model, (request.quant,)), needs(model, (situation,))
    placed = place(
        model, tables, need, fleet.rig, fleet.available, fleet.choices.engine, fleet.choices.backend, None, None
    )
    coefficients = calibration.table(model, fleet.choices, overrides.build_age_years)

    def watched(
        model: ModelArchitecture, tables: ModelTables, need: Needs, rig: Rig, placed: Placed, coef: SpeedCoefficients
    ) -> Pace:
        return pace(model, tables, need, rig, placed, coef, lambda *work: seen.append(work))

    block = assemble(
        model, tables, need, fleet, placed, coefficients, thresholds_of(None, situation), calibration.losses, watched
    )
    return int(block.status[0, 0, 0])


class Law:
    """Seconds per token of cases under given constants: the speed model itself, over all cases at once."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases = list(cases)
        self._decode = _joined(DecodeWork, [case.decode for case in cases])
        self._prefill = _joined(PrefillWork, [case.prefill for case in cases])
        self._coefficients = _joined(SpeedCoefficients, [case.coefficients for case in cases])
        totals = np.array([case.served.kind == "total" for case in cases])
        self._streams = np.array([float(case.streams) for case in cases])
        asked = np.array([float(case.served.streams) for case in cases])
        self._prompts = np.array([case.served.prompts for case in cases]) * self._streams / asked
        self._output = np.array([float(case.served.request.output_tokens or 1) for case in cases])
        tok_s = np.array([case.served.tok_s for case in cases])
        self.measured = np.log(np.where(totals, self._streams / tok_s, 1.0 / tok_s))

    def log_seconds(self, constants: Mapping[str, Floats]) -> Floats:
        """Log seconds per token of a stream, (cases,); ``constants`` have that shape, too."""
        coefficients = replace(self._coefficients, **{f"stream_{name}": value for name, value in constants.items()})
        decode = decode_seconds(self._decode, coefficients)
        prompt = prefill_seconds(self._prefill, coefficients)
        return np.asarray(np.log(request_seconds(decode, prompt, self._output, self._prompts) / self._output))


def _joined(kind: Any, parts: Sequence[Any]) -> Any:
    """One record of arrays over cases."""
    values: dict[str, Any] = {}
    for field in fields(kind):
        known = [getattr(part, field.name) for part in parts]
        if field.name == "parallel":
            values[field.name] = known[0]
        elif field.name in ("stream_low", "stream_high"):
            values[field.name] = np.concatenate([np.reshape(value, (1, -1)) for value in known])
        else:
            values[field.name] = np.array([np.ravel(value)[0] for value in known])
    return kind(**values)


def solve(law: Law, used: Flags, names: Sequence[str], start: Mapping[str, float], pooled: float) -> dict[str, float]:
    """Constants ``names`` of the ``used`` cases: robust Gauss-Newton steps on log seconds, pulled to ``start``."""
    at = np.flatnonzero(used)
    own = Law([law.cases[index] for index in at])
    groups = Counter(case.group for case in own.cases)
    weight = np.array([groups[case.group] ** (GROUP_POWER - 1.0) for case in own.cases])
    mean = np.log([start[name] for name in names])
    precision = 1.0 / np.array([(FIRST[name][1] * pooled) ** 2 for name in names])
    theta = mean.copy()

    def predicted(values: Floats) -> Floats:
        return own.log_seconds(_spread(dict(zip(names, np.exp(values), strict=True)), len(own.cases)))

    for _ in range(25):
        at_theta = predicted(theta)
        jacobian = np.column_stack([(predicted(theta + 1e-3 * unit) - at_theta) / 1e-3 for unit in np.eye(len(names))])
        residual = own.measured - at_theta
        robust = weight / np.sqrt(1.0 + (residual / ROBUST_SCALE) ** 2) / ROW_SCALE**2
        normal = jacobian.T @ (jacobian * robust[:, None]) + np.diag(precision)
        gradient = jacobian.T @ (robust * residual) - precision * (theta - mean)
        step = np.clip(np.linalg.solve(normal, gradient), -0.5, 0.5)
        theta = theta + step
        if np.abs(step).max() < 1e-4:
            break
    return dict(zip(names, np.exp(theta).tolist(), strict=True))


def _spread(constants: Mapping[str, float], size: int) -> dict[str, Floats]:
    return {name: np.full(size, constants.get(name, _NEUTRAL.get(name, 0.0))) for name in CONSTANTS}


@dataclass(frozen=True, slots=True)
class Fitted:
    """Constants by engine, and of each case the log of measured over estimated seconds with its source left out.

    Where one source has nearly all rows of an engine at saturation, or with stated streams, models are left out instead:
    nothing else tells its constants.
    ``names`` are the sources or models that were left out, shape (cases,).
    """

    constants: dict[str, dict[str, float]]
    law: Law
    names: NDArray[np.str_]
    left_out: Floats
    in_sample: Floats


def fit(cases: Sequence[Case]) -> Fitted:
    """Fit every engine's constants."""
    law = Law(cases)
    engines = np.array([stream_engine(case.served.engine) for case in cases])
    sources = np.array([case.served.source for case in cases])
    models = np.array([case.served.model.slug for case in cases])
    constants = _engines(law, engines, np.ones(len(cases), dtype=np.bool_))
    in_sample = _residual(law, engines, constants)
    left_out, names = np.zeros(len(cases)), sources.astype(object)
    unlimited = np.array([case.served.unlimited for case in cases])
    for engine, is_unlimited in sorted({*zip(engines.tolist(), unlimited.tolist(), strict=True)}):
        own = (engines == engine) & (unlimited == is_unlimited)
        key = models if max(Counter(sources[own]).values()) > ALONE * own.sum() else sources
        names[own] = key[own]
        for name in sorted(set(key[own])):
            held = own & (key == name)
            others = _engines(law, engines, key != name, only=engine)
            left_out[held] = _residual(law, engines, others)[held]
    return Fitted(constants, law, names.astype(np.str_), left_out, in_sample)


def _engines(law: Law, engines: NDArray[np.str_], used: Flags, only: str | None = None) -> dict[str, dict[str, float]]:
    """Constants by engine from the ``used`` cases; a server's are pulled to those of all servers."""
    first = {name: start for name, (start, _) in FIRST.items()}
    own = engines == Engine.LLAMA_CPP.value
    out: dict[str, dict[str, float]] = {}
    if only in (None, Engine.LLAMA_CPP.value) and (own & used).any():
        out[Engine.LLAMA_CPP.value] = solve(law, own & used, OF_GGUF, first, 1.0)
    if only == Engine.LLAMA_CPP.value:
        return out
    now = ~own & used & ~np.char.startswith(engines, OLD_VLLM)
    out[OTHER_ENGINES] = solve(law, now, OF_SERVERS, first, 1.0)
    for name in sorted(set(engines[~own])) if only is None else (only,):
        rows = (engines == name) & used
        out[name] = solve(law, rows, OF_SERVERS, out[OTHER_ENGINES], _POOLED) if rows.any() else out[OTHER_ENGINES]
    return out


def _residual(law: Law, engines: NDArray[np.str_], constants: Mapping[str, Mapping[str, float]]) -> Floats:
    values = {
        name: np.array([constants.get(engine, {}).get(name, _NEUTRAL.get(name, 0.0)) for engine in engines])
        for name in CONSTANTS
    }
    return np.asarray(law.measured - law.log_seconds(values))


def regime_of(case: Case) -> str:
    """The one of :data:`REGIMES` that a case belongs to."""
    return REGIMES[int(case.streams > FEW_STREAMS)]


def fit_streams(
    entities: Entities, rows: Sequence[Mapping[str, Any]], result: Mapping[str, Any], say: Callable[[str], None]
) -> dict[str, Any]:
    """The ``streams`` part of the calibration: constants and ranges by engine, errors by group."""
    calibration = Calibration({**result, "streams": UNFITTED}, "one stream")
    fitted = fit(cases(entities, rows, calibration))
    ranges, held = ranges_of(fitted)
    out: dict[str, Any] = {"engines": {}, "rows": len(held)}
    for engine, constants in fitted.constants.items():
        known = {name: float(f"{constants.get(name, _NEUTRAL.get(name, 0.0)):.5g}") for name in CONSTANTS}
        out["engines"][engine] = {**known, "ranges": ranges[engine]}
    out["errors"] = errors(fitted, held)
    for name, error in out["errors"].items():
        say(f"streams  {name}: {error}")
    return out


def ranges_of(fitted: Fitted) -> tuple[dict[str, dict[str, tuple[float, float]]], Flags]:
    """Engine -> range of each of :data:`REGIMES`, and which cases are inside one that was set without their source.

    A range is one of the decode speed of each stream: where enough rows of an engine state that, of these alone. Where too
    few sources have them to tell how sources differ, it is set without the models in turn.
    """
    all_cases = fitted.law.cases
    engines = np.array([stream_engine(case.served.engine) for case in all_cases])
    regimes = np.array([regime_of(case) for case in all_cases])
    models = np.array([case.served.model.slug for case in all_cases])
    stream = np.array([case.served.kind == "stream" for case in all_cases])
    is_gguf, ratio = engines == Engine.LLAMA_CPP.value, np.exp(-fitted.left_out)
    ranges: dict[str, dict[str, tuple[float, float]]] = {}
    held = np.zeros(len(all_cases), dtype=np.bool_)
    for engine in fitted.constants:
        ranges[engine] = {}
        for regime in REGIMES:
            near = regimes == regime
            mine, like = near & (engines == engine), near & (is_gguf == (engine == Engine.LLAMA_CPP.value))
            own = next((of for of in (mine & stream, mine, like) if of.sum() >= MINIMUM_ROWS), near)
            names = fitted.names[own] if len(set(fitted.names[own].tolist())) >= MINIMUM_NAMES else models[own]
            (low, high), inside = held_range(names.tolist(), fitted.left_out[own])
            ranges[engine][regime] = low, high
            held[mine] = ((ratio >= low) & (ratio <= high))[mine]
            if inside is not None:
                held[own & mine] = inside[mine[own]]
    return ranges, held


def groups_of(cases: Sequence[Case]) -> dict[str, Flags]:
    """Name -> which cases, as the report lists them."""
    stream = np.array([case.served.kind == "stream" for case in cases])
    many = np.array([case.streams > FEW_STREAMS for case in cases])
    unlimited = np.array([case.served.unlimited for case in cases])
    return {
        "decode of each, 2 to 32 streams": stream & ~many,
        "decode of each, more streams": stream & many,
        "total, stated streams": ~stream & ~unlimited,
        "total at saturation": ~stream & unlimited,
    }


def errors(fitted: Fitted, held: Flags) -> dict[str, Any]:
    """Rows, sources, median, 90th percentile of the left-out errors and share of those that are ``held``, by group."""
    out: dict[str, Any] = {}
    sources = np.array([case.served.source for case in fitted.law.cases])
    for name, of in groups_of(fitted.law.cases).items():
        if of.any():
            out[name] = {"rows": int(of.sum()), "sources": len(set(sources[of])), **row_errors(fitted.left_out[of])}
            out[name]["inside"] = round(float(held[of].mean()), 4)
    return out
