"""The part of the report on servers: errors by group beside the formulas of others, with sources left out whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.accuracy.observations import Entities
from estimator.accuracy.serving.fit import Case, Fitted, cases, fit, groups_of, ranges_of
from estimator.accuracy.serving.rows import why_left_out
from estimator.calibration.coefficients import Calibration
from estimator.speed.roofline import expert_spread
from estimator.structure.arrays import Flags


def _bytes_s(case: Case) -> float:
    """Seconds of what a step reads at the peak of the memory, over devices that cut every matrix."""
    work = case.decode
    read = work.dense_bytes + work.routed_bytes * expert_spread(work) + work.kv_bytes
    return float(np.ravel(read / case.coefficients.bandwidth_bytes_s)[0]) / case.served.request.gpu_count


def _products_s(case: Case) -> float:
    products = case.decode.batch * case.decode.flops / case.coefficients.peak_flops
    return float(np.ravel(products)[0]) / case.served.request.gpu_count


#: Seconds of a step by formulas that other calculators use.
BASELINES: Mapping[str, Callable[[Case], float]] = {
    "bytes of a step / bandwidth": _bytes_s,
    "the larger of bytes / bandwidth and FLOPs / peak": lambda case: max(_bytes_s(case), _products_s(case)),
    "one stream, shared evenly": lambda case: case.streams * _one_s(case),
}


def _one_s(case: Case) -> float:
    """Seconds of a token of one stream alone at the peak of the memory."""
    work = case.decode
    read = work.dense_bytes + work.routed_bytes + work.kv_bytes / work.batch
    return float(np.ravel(read / case.coefficients.bandwidth_bytes_s)[0]) / case.served.request.gpu_count


def section(entities: Entities, calibration: Calibration, rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown of the errors on rows of servers."""
    fitted = fit(cases(entities, rows, calibration))
    reasons = Counter(reason for row in rows if (reason := why_left_out(row)) is not None)
    lines = [
        "## Several streams at once",
        "",
        f"{len(rows):,} rows of servers give {len(fitted.law.cases):,} speeds. Constants are fitted by engine over the "
        "calibrated speed of one stream, with whole sources left out; where one source has nearly all rows of an engine, "
        "at saturation or with stated streams, models are left out instead. *Inside* is the share of rows in a range that was "
        "set without theirs.",
        "",
        "| speed | formula | rows | sources | median error | 90th percentile | inside |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    _, held = ranges_of(fitted)
    sources = np.array([case.served.source for case in fitted.law.cases])
    for name, of in groups_of(fitted.law.cases).items():
        if of.any():
            counts = f"{of.sum():,} | {len(set(sources[of]))}"
            error = np.abs(np.expm1(fitted.left_out[of]))
            lines.append(
                f"| {name} | **fitgraph** | {counts} | {np.median(error):.1%} | {np.quantile(error, 0.9):.1%} | "
                f"{held[of].mean():.1%} |"
            )
            lines += [f"| | {peer} | {counts} | {text} | |" for peer, text in _peers(fitted, of)]
    lines += [
        "",
        "| engine | rows | sources | bias | median error | 90th percentile |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += _by_engine(fitted, sources)
    lines += ["", "Left out, by what the row states:", ""]
    return "\n".join([*lines, *(f"- {count:,}: {reason}" for reason, count in reasons.most_common()), ""])


def _peers(fitted: Fitted, of: Flags) -> list[tuple[str, str]]:
    errors = []
    for name, formula in BASELINES.items():
        seconds = np.array([formula(case) for case in fitted.law.cases])
        error = np.abs(np.expm1(fitted.law.measured - np.log(seconds)))[of]
        errors.append((name, f"{np.median(error):.1%} | {np.quantile(error, 0.9):.1%}"))
    return errors


def _by_engine(fitted: Fitted, sources: NDArray[np.str_]) -> list[str]:
    engines = np.array([case.served.engine for case in fitted.law.cases])
    lines = []
    for engine in sorted(set(engines)):
        of = engines == engine
        ratio = np.expm1(fitted.left_out[of])
        error = np.abs(ratio)
        lines.append(
            f"| {engine} | {of.sum():,} | {len(set(sources[of]))} | {np.median(ratio):+.1%} | {np.median(error):.1%} | "
            f"{np.quantile(error, 0.9):.1%} |"
        )
    return lines
