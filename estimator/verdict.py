"""Score, grade and status words: a documented, monotone function of what the workload needs.

Every part lies in 0..1 and never falls when hardware gets better or the quant gets wider at equal speed. The score is
the weighted mean of the parts times 100, capped by the status, so that a setup that barely works cannot be graded well.
A cap bends and does not cut: setups of one status keep the order of their parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from estimator.types import STATUSES, OperatingMode, Status

Floats: TypeAlias = Any  # a NumPy array of floats, or a float: every function broadcasts
Codes: TypeAlias = NDArray[Any]

PART_NAMES: tuple[str, ...] = ("decode", "ttft", "context", "quality", "headroom")
#: Weight of each part by operating mode. A mode re-ranks; it never changes the fit.
MODE_WEIGHTS: dict[OperatingMode, tuple[float, ...]] = {
    OperatingMode.BALANCED: (0.35, 0.15, 0.15, 0.25, 0.10),
    OperatingMode.INTERACTIVE: (0.40, 0.30, 0.10, 0.15, 0.05),
    OperatingMode.LIGHT_API: (0.35, 0.20, 0.15, 0.15, 0.15),
    OperatingMode.SCALE_OUT: (0.30, 0.10, 0.15, 0.15, 0.30),
}
#: No score rises above the cap of its status, in the order of ``STATUSES``.
STATUS_CAPS: tuple[float, ...] = (100.0, 89.0, 74.0, 0.0, 0.0)
#: From here on a score rises slower, so that it reaches the cap with all parts at 1. Each is where the best grade under
#: the cap begins, which so takes the same parts in every status.
STATUS_KNEES: tuple[float, ...] = (100.0, 80.0, 65.0, 0.0, 0.0)
_SLOPES = tuple(
    1.0 if knee == 100.0 else (cap - knee) / (100.0 - knee) for cap, knee in zip(STATUS_CAPS, STATUS_KNEES, strict=True)
)
#: Letter and the score from which it is given.
GRADES: tuple[tuple[str, float], ...] = (("S", 90.0), ("A", 80.0), ("B", 65.0), ("C", 50.0), ("D", 30.0), ("F", 0.0))
#: A load whose free memory after everything is below this share of the usable memory fits tightly.
TIGHT_HEADROOM_FRACTION = 0.05

FITS = STATUSES.index(Status.FITS)
FITS_TIGHTLY = STATUSES.index(Status.FITS_TIGHTLY)
FITS_WITH_OFFLOAD = STATUSES.index(Status.FITS_WITH_OFFLOAD)
DOES_NOT_FIT = STATUSES.index(Status.DOES_NOT_FIT)


@dataclass(frozen=True, slots=True)
class ScorePart:
    """One term of a score: its value in 0..1 and its weight."""

    name: str
    value: float
    weight: float


def decode_part(decode_tok_s: Floats, comfortable_tok_s: Floats) -> Floats:
    """1 at the workload's comfortable speed, 0 at 1/16 of it, logarithmic between (perception of pace is relative)."""
    ratio = np.maximum(decode_tok_s, 1e-6) / comfortable_tok_s
    return np.clip(1.0 + np.log2(ratio) / 4.0, 0.0, 1.0)


def ttft_part(ttft_ms: Floats, patience_ms: Floats) -> Floats:
    """1 within the workload's patience, 0 at 16 times it or when unknown (0), logarithmic between."""
    ratio = np.maximum(ttft_ms, 1e-3) / patience_ms
    return np.clip(1.0 - np.log2(ratio) / 4.0, 0.0, 1.0) * (np.asarray(ttft_ms) > 0)


def context_part(safe_context_tokens: Floats, needed_tokens: Floats) -> Floats:
    """Share of the workload's context that is safe, at most 1."""
    return np.clip(safe_context_tokens / needed_tokens, 0.0, 1.0)


def headroom_part(total_bytes: Floats, usable_bytes: Floats, offload_fraction: Floats) -> Floats:
    """1 from a tenth of the usable memory left free, 0 at none, and 0 beside weights that had to leave the device."""
    part = np.clip((usable_bytes - total_bytes) / (0.1 * np.maximum(usable_bytes, 1.0)), 0.0, 1.0)
    offloads = np.asarray(offload_fraction) > 0
    return np.where(offloads, 0.0, part) if offloads.any() else part


def score(parts: tuple[Floats, ...], status: Codes, mode: OperatingMode = OperatingMode.BALANCED) -> Floats:
    """Scores 0..100 of broadcastable ``parts`` (order of ``PART_NAMES``), capped by status."""
    weights = MODE_WEIGHTS[mode]
    total = parts[0] * weights[0]
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        total = total + part * weight
    return capped(total * 100.0, status)


def capped(total: Floats, status: Codes | int) -> Floats:
    """The score 0..100 of a weighted mean of parts times 100, in the status with code ``status``."""
    kind = np.result_type(total)
    knees, slopes = (np.asarray(values, dtype=kind)[status] for values in (STATUS_KNEES, _SLOPES))
    return np.asarray(np.minimum(total, knees) + np.maximum(total - knees, 0) * slopes, dtype=kind)


def grade(value: float) -> str:
    """Letter of a score: S from 90, A 80, B 65, C 50, D 30, else F."""
    return next(letter for letter, least in GRADES if value >= least)
