"""Models of one machine judged together: each in the setup that suits the mode best, ranked, with its place explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from api.answers.choices.reasons import Standing, reason
from estimator.calibration.capability_prior import ModelTraits
from estimator.calibration.loss import CapabilityLoss
from estimator.judgement.capability import Capability
from estimator.judgement.choice import frontier
from estimator.judgement.setups import Pace, Setups, usable_setups
from estimator.judgement.worth import THINKING, WorthTable
from estimator.quant_choice import customary
from estimator.sentences import Sentence
from estimator.structure.arrays import Flags, Floats, Ints
from estimator.types import OperatingMode, Quant, Workload


@dataclass(frozen=True, slots=True)
class Worth:
    """Points of capability that are left, and their interval of 80 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """One setup: positions of model and quant, and what it is worth. ``rating`` is the lower end of its worth less the
    charges; ``thinks`` tells whether the model is to think first."""

    model: int
    quant: int
    thinks: bool
    capability: Capability
    loss: CapabilityLoss
    worth: Worth
    rating: float
    decode_tok_s: float
    ttft_ms: float | None
    answer_s: float
    on_frontier: bool
    reason: Sentence


class Judged:
    """The usable setups of one machine and workload. Positions are those of ``traits`` and ``quants``.

    One setup a model is chosen, or one a quantization where ``by_quant``; chosen ones alone are on the frontier and beat others.
    """

    def __init__(
        self,
        names: Sequence[str],
        traits: Sequence[ModelTraits],
        quants: Sequence[Quant],
        pace: Pace,
        table: WorthTable,
        workload: Workload,
        mode: OperatingMode,
        *,
        by_quant: bool = False,
    ) -> None:
        self._by_quant = by_quant
        self.names, self.traits, self.quants, self.pace, self.table = names, traits, quants, pace, table
        self.setups: Setups = usable_setups(table, pace, workload, mode)

    @cached_property
    def order(self) -> Ints:
        """Positions of the chosen setups, best first."""
        if self._by_quant:
            return self.setups.of_quants()
        recency = np.array([model.released for model in self.traits])
        return self.setups.best(recency, np.array([customary(quant) for quant in self.quants]))

    @cached_property
    def frontier(self) -> Flags:
        """Chosen setups that no other chosen one beats in worth and time, one flag a setup."""
        flags = np.zeros(len(self.setups.model), dtype=np.bool_)
        flags[self.order] = frontier(*self._in_order)
        return flags

    @cached_property
    def pick(self) -> int | None:
        """The setup to take: the best rated; None when nothing is usable."""
        return int(self.order[0]) if len(self.order) else None

    @cached_property
    def _in_order(self) -> tuple[Floats, Floats]:
        """Worth and seconds of the chosen setups, best first."""
        return self.setups.worth[self.order], self.setups.seconds[self.order]

    def dominator(self, n: int) -> int | None:
        """The best ranked setup that is at least as good and as fast as ``n``, and better in one; None on the frontier."""
        if self.frontier[n]:
            return None
        (worths, times), worth, seconds = self._in_order, self.setups.worth[n], self.setups.seconds[n]
        better = (worths >= worth) & (times <= seconds) & ((worths > worth) | (times < seconds))
        return int(self.order[better.argmax()]) if better.any() else None

    def judgement(self, n: int, *, on_frontier: bool | None = None) -> Judgement:
        """All of one setup; ``on_frontier`` is that among others than these setups."""
        setups, table = self.setups, self.table
        m, way, q = at = int(setups.model[n]), int(setups.way[n]), int(setups.quant[n])
        capability = table.capabilities[m][way]
        assert capability is not None
        beaten_by = self.dominator(n)
        return Judgement(
            model=m,
            quant=q,
            thinks=way == THINKING,
            capability=capability,
            loss=CapabilityLoss(*(float(values[at]) for values in (table.loss, table.loss_low, table.loss_high))),
            worth=Worth(*(float(values[at]) for values in (table.value, table.low, table.high))),
            rating=float(setups.rating[n]),
            decode_tok_s=float(self.pace.decode_tok_s[m, q]),
            ttft_ms=float(self.pace.ttft_ms[m, q]) or None,
            answer_s=float(setups.seconds[n]),
            on_frontier=bool(self.frontier[n]) if on_frontier is None else on_frontier,
            reason=reason(
                self._standing(n),
                self._standing_of_pick,
                None if beaten_by is None else self._standing(beaten_by),
            ),
        )

    @cached_property
    def _standing_of_pick(self) -> Standing | None:
        return None if self.pick is None else self._standing(self.pick)

    def _standing(self, n: int) -> Standing:
        setups = self.setups
        m = int(setups.model[n])
        return Standing(
            model=self.names[m],
            quant=self.quants[int(setups.quant[n])].name,
            plain_of_two=bool(setups.way[n] != THINKING) and self.traits[m].thinking != "never",
            worth=float(setups.worth[n]),
            seconds=float(setups.seconds[n]),
            rating=float(setups.rating[n]),
            tight=bool(self.pace.tight[m, setups.quant[n]]),
            offloads=bool(self.pace.offloads[m, setups.quant[n]]),
            drawback_points=float(self.pace.drawback_points[m, setups.quant[n]]),
        )
