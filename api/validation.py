"""`fitgraph validate`: errors against every measured row, by stratum, beside peers' formulas, as a report with plots.

Speed errors are out of sample: each row is predicted by constants fitted without its (GPU, model) group, and in further
tables without its whole GPU or its whole model. An error is |estimate / measured - 1| of tokens per second.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from api import file_sizes, load_logs
from api.accuracy import FACTORS, STARTS, new_of, shipped_terms, strata_residuals
from api.observations import CLEARLY_FITS, MOST_OF_BANDWIDTH, MeasuredRow, Observer, why_left_out
from api.parallel import several_section
from api.peers import PEERS
from api.verdicts import verdict_section
from db.entries.files import load_catalog
from db.entries.measurements import speed_rows
from estimator.accuracy import crossval
from estimator.accuracy.fitting import Observation
from estimator.accuracy.spread import spread
from estimator.calibration.coefficients import Calibration
from estimator.calibration.effects import family_of, quant_class

DEFAULT_REPORT = Path("docs/validation.md")
#: A group of rows smaller than this is not shown on its own line.
MINIMUM_ROWS = 15
_DEPTHS = ((0, "up to 1K"), (1024, "1K to 8K"), (8192, "8K to 32K"), (32768, "32K and more"))


def write_report(output: Path | None) -> Path:
    """Compute everything and write the report and its plots; prints the head of it."""
    path = output or DEFAULT_REPORT
    catalog, calibration = load_catalog(), Calibration.load()
    rows = list(speed_rows())
    measured = Observer(catalog).observe(rows)
    parts = [_head(rows, measured, calibration)]
    plots: dict[str, tuple[Sequence[MeasuredRow], Any]] = {}
    for kind in ("decode", "prefill"):
        own = [each for each in measured if each.kind == kind]
        observations = [each.observation for each in own]
        shipped = shipped_terms(kind, own)
        residuals = {
            scheme: crossval.cross_validate(observations, FACTORS[kind], STARTS[kind], scheme, shipped)
            for scheme in ("pair", "gpu", "family")
        }
        plots[kind] = (own, residuals["pair"])
        parts += [_kind_section(kind, own, residuals, calibration)]
    parts.append(several_section(calibration, rows))
    parts.append(verdict_section(catalog, calibration, rows))
    parts.append(load_logs.report(catalog))
    parts.append(file_sizes.report(catalog))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts))
    _draw(path, plots)
    print(parts[0])
    print(f"wrote {path}")
    return path


def _head(rows: Sequence[Mapping[str, Any]], measured: Sequence[MeasuredRow], calibration: Calibration) -> str:
    reasons = Counter(reason for row in rows if (reason := why_left_out(row)) is not None)
    lines = [
        "# Validation",
        "",
        "Written by `fitgraph validate`; every number here is printed by that command. "
        + __doc__.split("\n\n")[1].strip().replace("\n", " "),
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
    offload = calibration.data["offload"]
    if offload.get("median_error") is not None:
        lines += [
            "",
            f"Weights in system memory ({offload['rows']} decode rows of {offload['models']} models that state their "
            f"placement, left out by model): median error {offload['median_error']:.1%}, 90th percentile "
            f"{offload['p90_error']:.1%}. Nearly all come from one computer, so this says little about others.",
        ]
    return "\n".join([*lines, ""])


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
        for name, formula in PEERS.items():
            values = [(formula(each), each.tok_s) for each in measured]
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
    for each, value in zip(measured, residual, strict=True):
        groups[key(each)].append(float(value))
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
    observations = [each.observation for each in measured]
    ranges = calibration.data[kind]["ranges"]
    found = strata_residuals(observations, [each.quant.slug for each in measured], residuals)
    for stratum, (at, values) in found.items():
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
    moe = np.array([each.factors["moe"] is not None for each in observations])
    backends = np.array([str(each.factors["backend"]) for each in observations])
    depths = np.array([each.depth_tokens for each in observations])
    found: list[tuple[str, Any]] = [
        ("all", np.ones(len(moe), dtype=np.bool_)), ("dense", ~moe), ("mixture of experts", moe)
    ]  # fmt: skip
    found += [(name, backends == name) for name in sorted(set(backends))]
    edges = [least for least, _ in _DEPTHS] + [math.inf]
    for (least, name), most in zip(_DEPTHS, edges[1:], strict=True):
        found.append((f"depth {name}", (depths >= least) & (depths < most)))
    return found


def _draw(path: Path, plots: Mapping[str, tuple[Sequence[MeasuredRow], Any]]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    for kind, (measured, residual) in plots.items():
        tok_s = np.array([each.tok_s for each in measured])
        estimated = tok_s * np.exp(residual)
        figure, axes = plt.subplots(1, 3, figsize=(15, 4.6))
        moe = np.array([each.model.is_moe for each in measured])
        for mask, name, colour in ((~moe, "dense", "#2563eb"), (moe, "mixture of experts", "#d97706")):
            axes[0].loglog(tok_s[mask], estimated[mask], ".", ms=3, alpha=0.5, label=name, color=colour)
        ends = [tok_s.min(), tok_s.max()]
        axes[0].loglog(ends, ends, "k-", lw=0.8)
        axes[0].set(xlabel="measured tok/s", ylabel="estimated tok/s (left out by pair)", title=f"{kind} speed")
        axes[0].legend()
        families: dict[str, list[float]] = defaultdict(list)
        for each, value in zip(measured, residual, strict=True):
            families[family_of(each.accelerator)].append(abs(float(np.expm1(value))))
        names = sorted(name for name, values in families.items() if len(values) >= MINIMUM_ROWS)
        axes[1].barh(names, [float(np.median(families[name])) * 100 for name in names], color="#2563eb")
        axes[1].set(xlabel="median error, %", title="error by hardware family")
        shares = np.linspace(0.1, 0.95, 18)
        held = np.sort(np.abs(residual))
        axes[2].plot(shares * 100, [float(np.expm1(held[int(share * (len(held) - 1))])) * 100 for share in shares])
        axes[2].set(xlabel="share of rows, %", ylabel="error below, %", title="error distribution")
        figure.tight_layout()
        figure.savefig(path.with_name(f"validation-{kind}.png"), dpi=80)
        plt.close(figure)
