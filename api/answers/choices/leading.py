"""The first of the models that serve several users, without laying out those that cannot come among them.

No user waits less, and no model needs less memory, beside others than alone, so the published fits of one user bound what
every model can be. Speeds beside others, and the memory that is taken at least, are computed of all at once, where engines
treat a model as they do most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from api.answers.choices.judged import Judged
from api.answers.choices.paces import Loads, OwnerPace
from estimator.judgement.setups import Pace, usable_setups
from estimator.judgement.worth import WorthTable
from estimator.structure.arrays import Flags, Floats, Ints
from estimator.types import OperatingMode, Workload

#: Models that are laid out between two looks at the order, once the list is full: a look takes as long as a model.
_STEP = 3
#: Part by which a speed may differ between a published fit and one that is computed.
_ROUNDING = 1e-5


@dataclass(frozen=True, slots=True)
class Reach:
    """Setups of one user, (N,), and the most that each model can have of them, (models,): ``rating``, and ``speed``."""

    model: Ints
    worth: Floats
    seconds: Floats
    rating: Floats
    speed: Floats

    @classmethod
    def of(cls, table: WorthTable, alone: Pace, workload: Workload, mode: OperatingMode) -> Reach:
        """``alone`` is the pace of one user at most, of all that holds a model."""
        # Weights that were trained narrow may be taken in another format where those of their own do not fit any more.
        setups = usable_setups(replace(table, native=np.zeros_like(table.native)), alone, workload, mode)
        count = len(table.value)
        return cls(
            model=setups.model,
            worth=setups.worth,
            seconds=setups.seconds * (1.0 - _ROUNDING),
            rating=_highest(count, setups.model, setups.rating + _ROUNDING),
            speed=_highest(count, setups.model, setups.decode_tok_s * (1.0 + _ROUNDING)),
        )

    def open(self, judged: Judged, places: Ints, first: int, *, by_speed: bool) -> Flags:
        """Models that can change the first of ``places``, or what is said of them, shape (models,).

        ``places`` are the chosen setups in order: of their speed, or of their rating.
        """
        setups, pick = judged.setups, judged.pick
        if pick is None or len(places) < first:
            return np.asarray(np.isfinite(self.rating))
        leaders = places[:first]
        keys, reach = (setups.decode_tok_s, self.speed) if by_speed else (setups.rating, self.rating)
        # Every reason compares with the pick, which is the best rated in any order.
        least, least_rating = keys[leaders].min(), setups.rating[pick]
        beats = (self.worth[:, None] >= setups.worth[leaders]) & (self.seconds[:, None] <= setups.seconds[leaders])
        # A setup is said to be beaten by the best rated one that does.
        beaten_by = [judged.dominator(n) for n in leaders]
        beats &= self.rating[self.model, None] >= [-np.inf if n is None else setups.rating[n] for n in beaten_by]
        can = np.asarray((reach >= least) | (self.rating >= least_rating))
        can[self.model[beats.any(axis=1)]] = True
        return can


def leading(
    loads: Loads, reach: Reach, first: int, judge: Callable[[OwnerPace], tuple[Judged, Ints]], *, by_speed: bool
) -> tuple[Judged, Ints]:
    """Loads laid out and judged, and the places of their ``first`` chosen setups in order.

    ``judge`` gives the places of all for a pace.
    """
    best_first = np.argsort(-(reach.speed if by_speed else reach.rating), kind="stable")
    waiting = best_first[:first]
    while True:
        loads.lay_out(map(int, waiting))
        judged, places = judge(loads.pace())
        can = reach.open(judged, places, first, by_speed=by_speed) & np.isfinite(reach.rating) & ~loads.known
        if not can.any():
            return judged, places[:first]
        waiting = best_first[can[best_first]][: max(first - len(places), _STEP)]


def _highest(count: int, model: Ints, values: Floats) -> Floats:
    """The highest value of each model, (count,)."""
    out = np.full(count, -np.inf)
    np.maximum.at(out, model, values)
    return out
