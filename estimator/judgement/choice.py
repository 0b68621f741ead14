"""The choice among setups of one machine: those that are usable, the frontier of worth and time, and a pick by mode.

Flat arrays, one item a setup. Worth in points of capability, time in seconds.
"""

from __future__ import annotations

import numpy as np

from estimator.structure.arrays import Flags, Floats, Ints

#: Letters of tiers, and how many points below the best rating of a machine each ends: nine points are about the step to
#: models of twice the size and date.
TIERS: tuple[tuple[str, float], ...] = (
    ("S", 3.0), ("A", 8.0), ("B", 14.0), ("C", 21.0), ("D", 30.0), ("F", np.inf),
)  # fmt: skip


def tiers(ratings: Floats) -> dict[str, list[int]]:
    """Letter -> positions of ``ratings``, best first; every letter is there, also when empty."""
    tiers: dict[str, list[int]] = {letter: [] for letter, _ in TIERS}
    best = ratings.max(initial=-np.inf)
    for place in np.argsort(-ratings, kind="stable"):
        letter = next(letter for letter, ends in TIERS if best - ratings[place] <= ends)
        tiers[letter].append(int(place))
    return tiers


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


def ranked(charged_worth: Floats, worth: Floats, seconds: Floats, *tie_breaks: Floats) -> Ints:
    """Positions, best first: charged worth, worth, time, then ``tie_breaks`` (more is better), then the given order."""
    return np.lexsort((*(-values for values in reversed(tie_breaks)), seconds, -worth, -charged_worth))
