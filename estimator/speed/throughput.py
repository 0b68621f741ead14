"""From a placement to speeds: gathers what each running cell reads and computes, and asks the speed model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from estimator.placement.demand import Needs
from estimator.placement.layer_sums import ModelTables
from estimator.placement.placements import Placed, Rig
from estimator.speed.coefficients import CALIBRATED, FEW_STREAMS, SpeedCoefficients, depth_log
from estimator.speed.multi_gpu import on_several, ranges_of
from estimator.speed.roofline import decode_seconds, prompt_seconds
from estimator.speed.work import DecodeWork, PrefillWork, decode_work, prefill_work
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.arrays import Floats


@dataclass(frozen=True, slots=True)
class Pace:
    """Speeds of the cells of one :class:`~estimator.placement.placements.Placed`, tok/s and milliseconds; they broadcast to it.

    ``*_low`` and ``*_high`` are logs of factors on tok/s. Unknown prefill speeds and TTFT are 0.
    """

    decode_tok_s: Floats
    decode_low: Any
    decode_high: Any
    prefill_tok_s: Floats
    prefill_low: Any
    prefill_high: Any
    ttft_ms: Floats
    decode_evidence: Any
    prefill_evidence: Any


@dataclass(frozen=True, slots=True)
class Speeds:
    """The speeds of a :class:`Pace` without ranges, and what they are made of."""

    step: DecodeWork
    work: PrefillWork
    decode_tok_s: Floats
    prefill_tok_s: Floats
    ttft_ms: Floats


def speeds(
    model: ModelArchitecture,
    tables: ModelTables,
    need: Needs,
    rig: Rig,
    placed: Placed,
    coef: SpeedCoefficients,
    watch: Callable[[DecodeWork, PrefillWork, SpeedCoefficients], None] | None = None,
) -> Speeds:
    """Decode and prefill of every cell of ``placed``; ``coef`` is that of its pairs. ``watch`` sees what they are made of."""
    if rig.count > 1:
        coef = on_several(coef, cuts=rig.cuts)
    step, work = decode_work(model, tables, need, rig, placed), prefill_work(model, tables, need, rig, placed)
    if watch is not None:
        watch(step, work, coef)
    decode, (prefill, own_prompt) = decode_seconds(step, coef), prompt_seconds(work, coef)
    prefill_tok_s = work.prompt_tokens / np.maximum(prefill, 1e-9)
    ttft = (own_prompt + decode + coef.ttft_fixed_s) * 1000.0
    unknown = np.flatnonzero(np.isnan(coef.peak_flops))
    if len(unknown):
        # A device without a known arithmetic peak has a decode speed and no prefill.
        prefill_tok_s[..., unknown] = ttft[..., unknown] = 0.0
    return Speeds(step, work, 1.0 / decode, prefill_tok_s, ttft)


def pace(
    model: ModelArchitecture,
    tables: ModelTables,
    need: Needs,
    rig: Rig,
    placed: Placed,
    coef: SpeedCoefficients,
    watch: Callable[[DecodeWork, PrefillWork, SpeedCoefficients], None] | None = None,
) -> Pace:
    """:func:`speeds` with their ranges."""
    several = rig.count > 1
    cells = speeds(model, tables, need, rig, placed, coef, watch)
    offloaded = False if placed.runs is not None else np.asarray(placed.on_host) > 0
    if several:
        coef = replace(coef, **ranges_of(coef, cuts=rig.cuts))
    # Measured loads had everything on one device, so a split load is at best calibrated.
    shared = True if several else offloaded
    if np.any(cells.step.batch > 1):
        coef = replace(coef, **stream_ranges(cells.step, coef))
    # The range of a split load was set on rows of all depths as they are.
    ends = coef.offload_decode_low, coef.offload_decode_high, coef.offload_prefill_low, coef.offload_prefill_high
    if not np.all(offloaded):
        decode_width, prefill_width = widths(cells.step.depth_tokens, cells.work.depth_tokens, coef)
        low, high = coef.decode_low * decode_width, coef.decode_high * decode_width
        whole_ends = low, high, coef.prefill_low * prefill_width, coef.prefill_high * prefill_width
        ends = tuple(_where(offloaded, *pair) for pair in zip(ends, whole_ends, strict=True))
    decode_low, decode_high, prefill_low, prefill_high = ends
    return Pace(
        decode_tok_s=cells.decode_tok_s,
        decode_low=decode_low,
        decode_high=decode_high,
        prefill_tok_s=cells.prefill_tok_s,
        prefill_low=prefill_low,
        prefill_high=prefill_high,
        ttft_ms=cells.ttft_ms,
        decode_evidence=_where(shared, np.maximum(coef.decode_evidence, CALIBRATED), coef.decode_evidence),
        prefill_evidence=_where(shared, np.maximum(coef.prefill_evidence, CALIBRATED), coef.prefill_evidence),
    )


def stream_ranges(work: DecodeWork, coef: SpeedCoefficients) -> dict[str, Any]:
    """Log ends of the ranges of decode with several streams as fields of ``coef``; never surer than one stream is."""
    many = np.asarray(work.batch > FEW_STREAMS)
    out: dict[str, Any] = {}
    for field, ends, wider in (
        ("decode_low", coef.stream_low, np.minimum),
        ("decode_high", coef.stream_high, np.maximum),
    ):
        own = np.where(many, ends[..., 1], ends[..., 0])
        out[field] = np.where(work.batch > 1, wider(getattr(coef, field), own), getattr(coef, field))
    return out


def widths(decode_depth_tokens: Any, prefill_depth_tokens: Any, coef: SpeedCoefficients) -> tuple[Any, Any]:
    """How many times wider the ranges of decode and prefill are, in logs, than at an empty context."""
    return (
        np.exp(coef.decode_depth * depth_log(decode_depth_tokens)),
        np.exp(coef.prefill_depth * depth_log(prefill_depth_tokens)),
    )


def _where(condition: Any, yes: Any, no: Any) -> Any:
    return no if condition is False else np.where(condition, yes, no)
