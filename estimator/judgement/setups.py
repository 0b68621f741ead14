"""Setups of one machine: every model in every quantization and way to answer that is usable there, flattened and ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from estimator.calibration.capability_prior import ModelTraits
from estimator.judgement.choice import ranked
from estimator.judgement.worth import WorthTable, capabilities
from estimator.quant_choice import ALIKE_POINTS, broken, charged, needlessly_wide, rewritten
from estimator.structure.arrays import Flags, Floats, Ints
from estimator.types import OperatingMode, Workload
from estimator.usability import answer_seconds, comfortable_seconds, is_usable, wait_ms, written_tokens

#: No answer takes less.
LEAST_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """Speeds of a machine: arrays (models, quants). ``runs`` are the pairings that may be chosen at all, ``tight`` those
    that leave next to no memory free, ``offloads`` those in host memory in part, ``drawback_points`` the charges that do
    not follow from time and loss. A ``ttft_ms`` of 0 is unknown."""

    runs: Flags
    tight: Flags
    offloads: Flags
    decode_tok_s: Floats
    ttft_ms: Floats
    bits_per_weight: Floats
    drawback_points: Floats

    def of_rows(self, rows: Ints) -> Pace:
        """That of some rows."""
        return Pace(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Setups:
    """Usable setups, arrays (N,): positions of model, way and quant, worth in points, time in seconds.

    ``rating`` is the lower end of worth less the charges for time and for drawbacks; those that are not
    ``sensible`` are never chosen.
    """

    model: Ints
    way: Ints
    quant: Ints
    worth: Floats
    decode_tok_s: Floats
    seconds: Floats
    rating: Floats
    sensible: Flags

    def best(self, recency: Floats, custom: Floats) -> Ints:
        """Positions of one setup a model, best first.

        Among setups of a model that are rated alike, that of the most customary quantization is taken (``custom``, one value
        a quant). ``recency`` (models,) breaks ties of models.
        """
        at = np.flatnonzero(self.sensible)
        best_rating = np.full(int(self.model.max(initial=-1)) + 1, -np.inf)
        np.maximum.at(best_rating, self.model[at], self.rating[at])
        # Only the best rated of each model need an order: a whole machine has tens of thousands of setups.
        leading = at[self.rating[at] == best_rating[self.model[at]]]
        order = leading[ranked(self.rating[leading], self.worth[leading], self.seconds[leading])]
        models, first = np.unique(self.model[order], return_index=True)
        best = np.full(len(best_rating), -1)
        best[models] = order[first]
        top = best[self.model[at]]
        alike = at[(self.rating[at] >= self.rating[top] - ALIKE_POINTS) & (self.way[at] == self.way[top])]
        order = alike[np.lexsort((-self.rating[alike], -custom[self.quant[alike]]))]
        _, first = np.unique(self.model[order], return_index=True)
        chosen: Ints = order[first]
        return chosen[
            ranked(self.rating[chosen], self.worth[chosen], self.seconds[chosen], recency[self.model[chosen]])
        ]

    def of_quants(self) -> Ints:
        """Positions of one setup a quantization, best first, those that are never chosen last."""
        order = np.lexsort((-self.rating, ~self.sensible))
        _, first = np.unique(self.quant[order], return_index=True)
        return order[np.sort(first)]


def most(workload: Workload, models: Sequence[ModelTraits], mode: OperatingMode) -> tuple[Floats, Floats]:
    """Upper bounds of each model: rating without loss in no time worth speaking of, and worth without loss."""
    ways_of = capabilities(workload.kind, models)
    known = np.array(
        [[(np.nan,) * 2 if ability is None else (ability.low, ability.value) for ability in pair] for pair in ways_of]
    )
    known = known.reshape(-1, 2, 2)
    soonest = np.full(2, LEAST_SECONDS)
    rating = charged(known[:, :, 0], soonest, comfortable_seconds(workload), mode)
    return np.nanmax(rating, axis=1, initial=-np.inf), np.nanmax(known[:, :, 1], axis=1, initial=-np.inf)


def usable_setups(table: WorthTable, pace: Pace, workload: Workload, mode: OperatingMode) -> Setups:
    """Flatten what is usable, and judge it."""
    tokens = written_tokens(workload, table.thinking)
    decode, wait = pace.decode_tok_s[:, None, :], wait_ms(workload, pace.ttft_ms)[:, None, :]
    seconds = answer_seconds(wait, decode, tokens[:, :, None])
    usable = is_usable(workload, wait, decode, seconds) & pace.runs[:, None, :] & np.isfinite(table.value)
    usable &= ~rewritten(usable, table.native[:, None, :], table.loss, axis=2)
    at = np.flatnonzero(usable)
    model, way, quant = np.unravel_index(at, usable.shape)
    of_pair = model * usable.shape[2] + quant
    worth, time = table.value.ravel()[at], seconds.ravel()[at]
    low = table.low.ravel()[at] - broken(table.loss_high.ravel()[at]) - pace.drawback_points.ravel()[of_pair]
    wide = needlessly_wide(pace.bits_per_weight, pace.decode_tok_s, pace.runs)
    return Setups(
        model=model,
        way=way,
        quant=quant,
        worth=worth,
        decode_tok_s=pace.decode_tok_s.ravel()[of_pair],
        seconds=time,
        rating=charged(low, time, comfortable_seconds(workload), mode),
        sensible=~(wide | table.ruined).ravel()[of_pair],
    )
