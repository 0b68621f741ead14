"""The choice among setups of one machine: those that are usable, the frontier of worth and time, and a pick by mode.

Flat arrays, one item a setup. Worth in points of capability, time in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from estimator.calibration.divergence import form_of
from estimator.types import OperatingMode, Quant

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TimeCharge:
    """Points of capability that a doubling of the time costs, within the comfortable time and beyond it.

    ``users`` are answered at once.
    """

    within: float
    beyond: float
    users: int = 1


#: Judgements, not measurements. Nine points are about the step from a model to one of twice its size and date.
CHARGES: Mapping[OperatingMode, TimeCharge] = {
    OperatingMode.BALANCED: TimeCharge(0.4, 3.0),
    OperatingMode.INTERACTIVE: TimeCharge(1.5, 5.0),
    OperatingMode.LIGHT_API: TimeCharge(1.0, 3.0, users=4),
    OperatingMode.SCALE_OUT: TimeCharge(2.5, 4.0, users=32),
}
#: Weights of this many bits and more answer alike within the noise of any benchmark, so the faster ones are chosen.
WIDE_BITS = 8.0
#: How much faster they must be.
NOTICEABLY_FASTER = 1.15


#: Families of formats by how customary they are: what publishers offer first and most users run comes first.
_CUSTOM = ("k-quant", "mlx", "fp8", "mxfp4", "legacy", "int4-group", "i-quant", "nvfp4", "int8")


def customary(quant: Quant) -> float:
    """How customary a quantization is, more being more; 16 bits, and families that are not listed, are last."""
    form = form_of(quant)
    return float(len(_CUSTOM) - _CUSTOM.index(form.family)) if form is not None and form.family in _CUSTOM else 0.0


#: Letters of tiers, and how many points below the best rating of a machine each ends: nine points are about the step to
#: models of twice the size and date.
TIERS: tuple[tuple[str, float], ...] = (
    ("S", 3.0), ("A", 8.0), ("B", 14.0), ("C", 21.0), ("D", 30.0), ("F", np.inf),
)  # fmt: skip


def tiers(ratings: Floats) -> dict[str, list[int]]:
    """Letter -> positions of ``ratings``, best first; every letter is there, also when empty."""
    found: dict[str, list[int]] = {letter: [] for letter, _ in TIERS}
    best = ratings.max(initial=-np.inf)
    for place in np.argsort(-ratings, kind="stable"):
        letter = next(letter for letter, ends in TIERS if best - ratings[place] <= ends)
        found[letter].append(int(place))
    return found


def charged(worth: Floats, seconds: Floats, comfortable_s: float, mode: OperatingMode) -> Floats:
    """Worth less the charge for time: no setup gains by being slower or worse."""
    charge = CHARGES[mode]
    doublings = np.log2(np.maximum(seconds, 1e-3) / comfortable_s)
    return np.asarray(worth - np.where(doublings > 0, charge.beyond, charge.within) * doublings)


def frontier(worth: Floats, seconds: Floats) -> Flags:
    """Setups that no other one dominates: none is at least as good in both and better in one."""
    order = np.lexsort((-worth, seconds))
    best_before = np.concatenate(([-np.inf], np.maximum.accumulate(worth[order])[:-1]))
    leading = worth[order] > best_before
    # Equals of a leader in both are not dominated either.
    first = np.maximum.accumulate(np.where(leading, np.arange(len(order)), -1))
    kept = leading.copy()
    if len(order):
        leader = order[np.maximum(first, 0)]
        kept |= (worth[order] == worth[leader]) & (seconds[order] == seconds[leader]) & (first >= 0)
    flags = np.zeros(len(worth), dtype=np.bool_)
    flags[order] = kept
    return flags


def needlessly_wide(bits: Floats, decode_tok_s: Floats, eligible: Flags) -> Flags:
    """Cells (models, quants) of wide weights beside which other wide ones are noticeably faster."""
    wide = eligible & (bits >= WIDE_BITS)
    fastest = np.where(wide, decode_tok_s, 0.0).max(axis=1, keepdims=True, initial=0.0)
    return np.asarray(wide & (fastest >= NOTICEABLY_FASTER * decode_tok_s))


def ranked(charged_worth: Floats, worth: Floats, seconds: Floats, *tie_breaks: Floats) -> Ints:
    """Positions, best first: charged worth, worth, time, then ``tie_breaks`` (more is better), then the given order."""
    return np.lexsort((*(-values for values in reversed(tie_breaks)), seconds, -worth, -charged_worth))
