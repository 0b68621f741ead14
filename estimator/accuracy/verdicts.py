"""Said to fit, did fit: every distinct measured load on one GPU against the verdict at the context it was measured at.

A load with weights in system memory proves that it did not fit only when the engine itself decided so: a user may choose
the flags for other reasons, and many tables do not record placement at all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from estimator.accuracy.observations import Entities, is_unrecorded
from estimator.calibration.coefficients import Calibration
from estimator.estimate import estimate
from estimator.types import Estimate, EstimateRequest, EstimatorError, Status

#: Memory that llama.cpp's own fitting leaves free on every device by default (``--fit-target``), bytes.
ENGINE_MARGIN_BYTES = 1024 * 1024**2
_WHOLE, _DECIDED, _CHOSEN, _SURMISED, _UNRECORDED = PLACEMENTS = (
    "all on the GPU",
    "partly in system memory by the engine's own decision",
    "partly in system memory by flags that the user chose",
    "surmised by the table to be partly in system memory",
    "placement not recorded",
)
_CONTEXT = re.compile(r"\bctx=(\d+)k\b")
_GUESSED = re.compile(r"\b(probable|possible|may be)\b")


def placement_of(row: Mapping[str, Any]) -> str:
    """The place of its weights that a row states: one of ``PLACEMENTS``."""
    text = str(row.get("offload") or "")
    if not text:
        return _WHOLE
    if is_unrecorded(row):
        return _UNRECORDED
    if text.startswith("llama.cpp fit"):
        return _DECIDED
    return _SURMISED if _GUESSED.search(text) else _CHOSEN


def context_of(row: Mapping[str, Any]) -> int | None:
    """Context that a row states to have allocated, tokens; None when it states none."""
    match = _CONTEXT.search(str(row.get("source_note") or ""))
    return int(match.group(1)) * 1024 if match else None


def verdicts(
    entities: Entities, calibration: Calibration, rows: Sequence[Mapping[str, Any]]
) -> Counter[tuple[str, str]]:
    """Distinct loads by (placement, verdict); verdicts: ``fits``, ``margin`` (fits, but leaves less than llama.cpp's own
    fitting keeps free) and ``not``."""
    counts: Counter[tuple[str, str]] = Counter()
    known_questions: set[tuple[Any, ...]] = set()
    for row in rows:
        if not all(row.get(key) for key in ("gpu_slug", "model_slug", "quant_slug")) or row.get("suspect"):
            continue
        if (row.get("gpu_count") or 1) != 1:
            continue
        placement, context, depth = placement_of(row), context_of(row), int(row.get("depth") or 0)
        key = (row["gpu_slug"], row["model_slug"], row["quant_slug"], depth, context, placement)
        model = entities.models[row["model_slug"]]
        if model is None or key in known_questions:
            continue
        known_questions.add(key)
        request = EstimateRequest(
            quant=entities.quants[row["quant_slug"]],
            accelerator=entities.accelerators[row["gpu_slug"]],
            host=entities.default_host,
            depth_tokens=depth,
            context_tokens=None if context is None else max(context, depth),
        )
        try:
            answer = estimate(model, request, calibration)
        except EstimatorError:
            continue
        counts[placement, _verdict(answer)] += 1
    return counts


def _verdict(answer: Estimate) -> str:
    if answer.status not in (Status.FITS, Status.FITS_TIGHTLY):
        return "not"
    spare = answer.memory.usable_bytes - answer.memory.total_bytes
    return "fits" if spare >= ENGINE_MARGIN_BYTES else "margin"


def verdict_section(entities: Entities, calibration: Calibration, rows: Sequence[Mapping[str, Any]]) -> str:
    """The part of the validation report about verdicts."""
    counts = verdicts(entities, calibration, rows)
    lines = [
        "## Verdicts",
        "",
        "Distinct loads on one GPU, asked at the context they were measured at. Only the first two lines test the verdict: "
        "whoever chose the flags may have had other reasons, and many tables do not record placement. llama.cpp's own "
        "fitting keeps 1 GiB free and some of its loads carry a vision projector, which the question did not ask for.",
        "",
        "| measured | said to fit with 1 GiB to spare | said to fit with less | said not to fit |",
        "|---|---:|---:|---:|",
        *(
            f"| {placement} | {counts[placement, 'fits']:,} | {counts[placement, 'margin']:,} "
            f"| {counts[placement, 'not']:,} |"
            for placement in PLACEMENTS
        ),
    ]
    return "\n".join([*lines, ""])
