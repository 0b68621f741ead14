"""Score and grade: a documented, monotone function of what the workload needs, in the band of the setup's usability.

Every part lies in 0..1 and never falls when hardware gets better or a quantization loses less at equal speed. The weighted
mean of the parts gives the place within the band, so that word, grade and score always agree: S, A and B are a "Yes", C is
"Yes, slowly", D is "Barely", F is "No".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from estimator.types import STATUSES, OperatingMode, Status
from estimator.usability import NO, USABILITIES, YES, Usability

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
#: Letter and the score from which it is given.
GRADES: tuple[tuple[str, float], ...] = (("S", 90.0), ("A", 80.0), ("B", 65.0), ("C", 50.0), ("D", 30.0), ("F", 0.0))
#: Least and largest score of each of ``USABILITIES``; scores are stated to a hundredth.
BANDS: tuple[tuple[float, float], ...] = ((65.0, 100.0), (50.0, 64.99), (30.0, 49.99), (0.0, 29.99))
_LEAST, _MOST = (np.array(ends) for ends in zip(*BANDS, strict=True))
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


def score(parts: tuple[Floats, ...], usable: Codes, mode: OperatingMode = OperatingMode.BALANCED) -> Floats:
    """Scores 0..100 of broadcastable ``parts`` (order of ``PART_NAMES``) in the bands of ``usable``."""
    weights = MODE_WEIGHTS[mode]
    total = parts[0] * weights[0]
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        total = total + part * weight
    return banded(total, usable)


def banded(total: Floats, usable: Codes | int) -> Floats:
    """The score of a weighted mean of parts, 0..1, in the band of a code of ``USABILITIES``.

    Within "Yes" it is the mean in percent: there speed, wait and context count in full already.
    """
    kind = np.result_type(total)
    least, most = _LEAST.astype(kind)[usable], _MOST.astype(kind)[usable]
    return np.where(
        np.asarray(usable) == YES, np.clip(total * kind.type(100), least, most), least + (most - least) * total
    )


def codes_of(scores: Floats) -> Codes:
    """Codes of ``USABILITIES`` of scores, by their bands."""
    return np.asarray(NO - sum((np.asarray(scores) >= least).astype(np.uint8) for least, _ in BANDS[:NO]))


def word_of(score: float) -> Usability:
    return USABILITIES[int(codes_of(score))]


def grade(value: float) -> str:
    """Letter of a score: S from 90, A 80, B 65, C 50, D 30, else F."""
    return next(letter for letter, least in GRADES if value >= least)
