"""The validation report: errors against every measured row, by stratum, beside the formulas of other calculators."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from estimator.accuracy import crossval, file_sizes, fit_multi_gpu, load_logs, targets
from estimator.accuracy.baselines import BASELINES
from estimator.accuracy.calibrate import FACTORS, RANGE_SCHEMES, STARTS, new_of, shipped_terms, strata_residuals
from estimator.accuracy.fitting import Observation
from estimator.accuracy.observations import (
    CLEARLY_FITS,
    MOST_OF_BANDWIDTH,
    Entities,
    MeasuredRow,
    observe,
    why_left_out,
)
from estimator.accuracy.serving import section as serving_section
from estimator.accuracy.serving.rows import rows_of_one_stream
from estimator.accuracy.spread import spread
from estimator.accuracy.verdicts import verdict_section
from estimator.calibration.coefficients import Calibration
from estimator.calibration.effects import family_of, quant_class
from estimator.calibration.siblings import siblings_of
from estimator.structure.arrays import Floats

Row = Mapping[str, Any]

#: A group of rows smaller than this is not shown on its own line.
MINIMUM_ROWS = 15
_DEPTHS = ((0, "up to 1K"), (1024, "1K to 8K"), (8192, "8K to 32K"), (32768, "32K and more"))


@dataclass(frozen=True, slots=True)
class Report:
    """The report in Markdown, its first section, and by kind of speed the rows with their residuals, left out by pair.

    A residual is the log of measured over predicted seconds.
    """

    text: str
    head: str
    residuals: Mapping[str, tuple[Sequence[MeasuredRow], Floats]]


def report(
    entities: Entities,
    calibration: Calibration,
    rows: Sequence[Row],
    serving: Sequence[Row],
    memory_rows: Callable[[str], Iterable[Row]],
) -> Report:
    """Judge ``calibration`` by the speed ``rows`` and those of servers, memory by the tables ``memory_rows`` reads by name."""
    rows = [*rows, *rows_of_one_stream(serving, rows)]
    measured = observe(entities, rows)
    head = _head(rows, measured, calibration)
    sections = [head]
    by_kind: dict[str, tuple[Sequence[MeasuredRow], Floats]] = {}
    errors = targets.stated_errors(calibration)
    for kind in ("decode", "prefill"):
        of_kind = [row for row in measured if row.kind == kind]
        observations = [row.observation for row in of_kind]
        shipped = shipped_terms(kind, of_kind, siblings_of(entities.accelerators.values()))
        residuals = {
            scheme: crossval.cross_validate(observations, FACTORS[kind], STARTS[kind], scheme, shipped)
            for scheme in RANGE_SCHEMES
        }
        by_kind[kind] = of_kind, residuals["pair"]
        errors |= targets.errors_of_kind(kind, of_kind, residuals, calibration)
        sections.append(_kind_section(kind, of_kind, residuals, calibration))
    sections += [
        _multi_gpu_section(calibration, rows),
        serving_section.section(entities, calibration, serving),
        verdict_section(entities, calibration, rows),
        load_logs.section(entities, list(memory_rows("llama-logs")), memory_rows("vllm-logs")),
        file_sizes.section(entities, list(memory_rows("gguf-sizes")), sum(1 for _ in memory_rows("predicted-sizes"))),
    ]
    sections.insert(1, targets.section(errors))
    return Report("\n".join(sections), head, by_kind)


def _head(rows: Sequence[Mapping[str, Any]], measured: Sequence[MeasuredRow], calibration: Calibration) -> str:
    reasons = Counter(reason for row in rows if (reason := why_left_out(row)) is not None)
    lines = [
        "# Validation",
        "",
        "Written by `fitgraph validate`; every number here is printed by that command. "
        "Speed errors are out of sample: each row is predicted by constants fitted without its (GPU, model) group, and in "
        "further tables without its whole GPU or its whole model. An error is |estimate / measured - 1| of tokens per "
        "second.",
        "",
        f"{len(rows):,} measured rows; {len(measured):,} calibrate single-GPU speed. Left out, by what the row states:",
        "",
        *(f"- {count:,}: {reason}" for reason, count in reasons.most_common()),
        f"- {len(rows) - len(measured) - reasons.total():,}: whether weights were offloaded is not stated and they fill "
        f"more than {CLEARLY_FITS:.0%} of the memory, they cannot have fitted at all, a token would read more than "
        f"{MOST_OF_BANDWIDTH:.0%} of what the memory gives, or a fact of the GPU or model is unknown",
        "",
        "## Left out in cross-validation",
        "",
        "By (GPU, model) group. The floor is what reports of the same configuration by different people say about each "
        "other: decode 7.4 % in the median and 27 % at the 90th percentile, prefill 25 % and 47 %.",
        "",
        "| speed | left out | groups | rows | median error | 90th percentile |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for kind in ("decode", "prefill"):
        for scheme, summary in calibration.data[kind]["cross_validation"].items():
            if summary["groups"]:
                counts = f"{summary['groups']} | {summary['rows']:,}"
                lines.append(f"| {kind} | {scheme} | {counts} | {summary['median']:.1%} | {summary['p90']:.1%} |")
    lines += ["", "Weights in system memory, on rows that state their placement, with whole sources left out:", ""]
    lines += ["| speed | rows | sources | median error | 90th percentile | inside |", "|---|---:|---:|---:|---:|---:|"]
    for kind, error in calibration.data["offload"]["errors"].items():
        lines.append(f"| {kind} | {error['rows']:,} | {error['sources']} | {_shares(error)} |")
    return "\n".join([*lines, ""])


def _shares(error: Mapping[str, Any]) -> str:
    """Median, 90th percentile and share inside as cells of a table."""
    inside = "" if error["inside"] is None else f"{error['inside']:.1%}"
    return f"{error['median']:.1%} | {error['p90']:.1%} | {inside}"


def _kind_section(
    kind: str, measured: Sequence[MeasuredRow], residuals: Mapping[str, Any], calibration: Calibration
) -> str:
    residual = residuals["pair"]
    lines = [f"## {kind.capitalize()}", "", f"![Estimated against measured {kind} speed](validation-{kind}.png)", ""]
    lines += ["| formula | rows | median error | 90th percentile |", "|---|---:|---:|---:|"]
    errors = np.abs(np.expm1(residual))
    lines.append(
        f"| **fitgraph**, left out by pair | {len(errors):,} | {np.median(errors):.1%} | {np.quantile(errors, 0.9):.1%} |"
    )
    if kind == "decode":
        for name, formula in BASELINES.items():
            values = [(formula(row), row.tok_s) for row in measured]
            peer = np.array([abs(value / tok_s - 1.0) for value, tok_s in values if value is not None])
            lines.append(f"| {name} | {len(peer):,} | {np.median(peer):.1%} | {np.quantile(peer, 0.9):.1%} |")
    lines.append("")
    for title, key in _STRATA.items():
        lines += _stratum_table(title, key, measured, residual)
    lines += _coverage(kind, measured, residuals, calibration)
    return "\n".join(lines)


def _depth(case: MeasuredRow) -> str:
    depth = float(case.row.get("depth") or 0)
    return next(name for least, name in reversed(_DEPTHS) if depth >= least)


_STRATA: Mapping[str, Callable[[MeasuredRow], str]] = {
    "hardware family": lambda case: family_of(case.accelerator),
    "GPU": lambda case: case.accelerator.name,
    "model architecture": lambda case: case.model.architecture,
    "kind of model": lambda case: "mixture of experts" if case.model.is_moe else "dense",
    "quant": lambda case: quant_class(case.quant),
    "engine": lambda case: case.engine,
    "backend": lambda case: case.backend.value,
    "depth": _depth,
}


def _stratum_table(
    title: str, key: Callable[[MeasuredRow], str], measured: Sequence[MeasuredRow], residual: Any
) -> list[str]:
    groups: dict[str, list[float]] = defaultdict(list)
    for row, value in zip(measured, residual, strict=True):
        groups[key(row)].append(float(value))
    lines = [
        f"### By {title}",
        "",
        f"| {title} | rows | bias | median error | 90th percentile |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, values in sorted(groups.items()):
        if len(values) >= MINIMUM_ROWS:
            error = np.abs(np.expm1(values))
            bias = float(np.expm1(np.median(values)))
            lines.append(
                f"| {name} | {len(values):,} | {bias:+.1%} | {np.median(error):.1%} | {np.quantile(error, 0.9):.1%} |"
            )
    return [*lines, ""]


def _coverage(
    kind: str, measured: Sequence[MeasuredRow], residuals: Mapping[str, Any], calibration: Calibration
) -> list[str]:
    """Share of left-out rows inside the range of their stratum, in and out of the data that set the range."""
    lines = [
        "### Coverage of the ranges",
        "",
        "A range should hold 80 % of measured values. *All* counts the left-out errors that set the range, which is drawn "
        "wide enough for *others*: set on the errors of one half of the models, or of the GPUs where the GPU was never "
        f"seen, and counted on the other half, over {crossval.SPLITS} ways to halve them. Strata are the ones of the "
        "published evidence; width also goes by kind of model, backend, engine and depth.",
        "",
        "| stratum | rows of | rows | inside, all | inside, others |",
        "|---|---|---:|---:|---:|",
    ]
    observations = [row.observation for row in measured]
    ranges = calibration.data[kind]["ranges"]
    strata = strata_residuals(observations, [row.quant.slug for row in measured], residuals)
    for stratum, (at, values) in strata.items():
        own, stated = [observations[index] for index in at], ranges[stratum]
        size, values = spread(own, stated["spread"]), np.asarray(values)
        held = crossval.inside(values, size, (stated["low"], stated["high"]))
        for name, of in _rows_of(own):
            if of.sum() < _COVERAGE_ROWS:
                continue
            other = crossval.held_coverage(new_of(stratum, own), values, size, stated["tail"], of)
            lines.append(
                f"| {STRATUM_NAMES[stratum]} | {name} | {int(of.sum()):,} | {held[of].mean():.1%} | "
                f"{'' if other is None else f'{other:.1%}'} |"
            )
    return [*lines, ""]


#: Fewer rows than this say little about a share.
_COVERAGE_ROWS = 50
STRATUM_NAMES = {
    "measured": "measured configuration",
    "gpu": "GPU seen, model not",
    "family": "GPU never seen",
    "none": "nor its family",
}


def _rows_of(observations: Sequence[Observation]) -> list[tuple[str, Any]]:
    """All rows, and those of each kind of model, backend and depth."""
    moe = np.array([row.factors["moe"] is not None for row in observations])
    backends = np.array([str(row.factors["backend"]) for row in observations])
    depths = np.array([row.depth_tokens for row in observations])
    groups: list[tuple[str, Any]] = [
        ("all", np.ones(len(moe), dtype=np.bool_)), ("dense", ~moe), ("mixture of experts", moe)
    ]  # fmt: skip
    groups += [(name, backends == name) for name in sorted(set(backends))]
    edges = [least for least, _ in _DEPTHS] + [math.inf]
    for (least, name), most in zip(_DEPTHS, edges[1:], strict=True):
        groups.append((f"depth {name}", (depths >= least) & (depths < most)))
    return groups


_SPEED_NAMES = {
    "decode layers": "decode, layers split",
    "decode tensor": "decode, tensor parallel",
    "decode cut": "decode, tensor parallel by llama.cpp",
    "prefill layers": "prefill, layers split",
    "prefill tensor": "prefill, tensor parallel",
    "prefill cut": "prefill, tensor parallel by llama.cpp",
}


def _multi_gpu_section(calibration: Calibration, rows: Sequence[Mapping[str, Any]]) -> str:
    data = calibration.data["parallel"]
    several = [row for row in rows if (row.get("gpu_count") or 1) > 1]
    reasons = Counter(reason for row in several if (reason := fit_multi_gpu.why_not(row)) is not None)
    lines = [
        "## Several GPUs",
        "",
        f"{len(several):,} rows ran on several GPUs. Their constants are fitted over the calibrated speed of one GPU and "
        "left out by model and by source. *Inside* is the share of rows in a range that was set without their source.",
        "",
        "| speed | rows | sources | models | median and 90th percentile, model left out | source left out | inside |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for key, name in _SPEED_NAMES.items():
        errors = data["errors"][key]
        by_model, by_source = (
            f"{errors[scheme]['median']:.1%}, {errors[scheme]['p90']:.1%}" for scheme in ("model", "source")
        )
        inside = "" if errors["inside"] is None else f"{errors['inside']:.1%}"
        counts = f"{errors['rows']:,} | {errors['sources']} | {errors['models']}"
        lines.append(f"| {name} | {counts} | {by_model} | {by_source if errors['sources'] > 1 else ''} | {inside} |")
    lines += ["", "Left out, by what the row states:", ""]
    lines += [f"- {count:,}: {reason}" for reason, count in reasons.most_common()]
    return "\n".join([*lines, ""])
