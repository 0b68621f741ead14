"""Models for a machine from the catalog files alone: every one evaluated, judged and ranked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from api.answers.choices.machine import Machine
from api.answers.choices.reasons import Standing, reason
from db.entries import specs
from db.entries.files import Catalog, Entry
from db.entries.traits import model_traits
from estimator import verdict
from estimator.calibration.capability_prior import ModelTraits
from estimator.calibration.coefficients import Calibration
from estimator.calibration.loss import CapabilityLoss
from estimator.estimate import thresholds_of
from estimator.fleet import Overrides
from estimator.grid import FitBlock, evaluate
from estimator.judgement.capability import Capability
from estimator.judgement.choice import CHARGES
from estimator.judgement.setups import Pace, Setups, usable_setups
from estimator.judgement.worth import THINKING, WorthTable, worth_table
from estimator.placement.demand import Situation
from estimator.types import ENGINES, Engine, EstimatorError, OperatingMode, Quant, Workload


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which models may be recommended; None takes all. ``kind``: base, chat, reasoning or coder."""

    family: str | None = None
    license: str | None = None
    kind: str | None = None
    released_from: str | None = None

    def takes(self, entry: Entry, traits: ModelTraits) -> bool:
        """Whether a model passes; base models only when they are asked for, as they do not follow instructions."""
        kinds = {
            "base": traits.base,
            "chat": not traits.base,
            "reasoning": not traits.base and traits.thinking != "never",
            "coder": not traits.base and traits.specialty == "coder",
        }
        return (
            kinds[self.kind or "chat"]
            and (self.family is None or entry["family"].casefold() == self.family.casefold())
            and (self.license is None or (entry["license"] or "").casefold() == self.license.casefold())
            and (self.released_from is None or (entry["release_date"] or "") >= self.released_from)
        )


@dataclass(frozen=True, slots=True)
class Worth:
    """Points of capability that are left, and their interval of 80 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Recommended:
    """One model in the setup that is best for the mode. ``rating`` is the worth's lower end less the charge for time."""

    model: Entry
    quant: Quant
    engine: Engine
    thinks: bool
    capability: Capability
    loss: CapabilityLoss
    worth: Worth
    rating: float
    decode_tok_s: float
    ttft_ms: float
    answer_s: float
    on_frontier: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Models in rank order, and the one to take: the best ranked on the frontier; None when nothing is usable."""

    entries: tuple[Recommended, ...]
    pick: Recommended | None


@dataclass(frozen=True, slots=True)
class _Candidate:
    entry: Entry
    traits: ModelTraits
    block: FitBlock


def recommended_models(
    catalog: Catalog,
    calibration: Calibration,
    machine: Machine,
    workload: Workload,
    mode: OperatingMode,
    wanted: Wanted,
    users: int | None = None,
) -> Choice:
    """Every wanted model that is usable on the machine, best first."""
    quants = tuple(specs.quant(entry) for entry in catalog.quants.values() if specs.is_precomputed(entry))
    users = users or CHARGES[mode].users
    candidates = list(_candidates(catalog, calibration, machine, quants, workload, wanted, users))
    if not candidates:
        return Choice((), None)
    return _Judged(candidates, quants, workload, mode, whole=users > 1).choice()


def _candidates(
    catalog: Catalog,
    calibration: Calibration,
    machine: Machine,
    quants: tuple[Quant, ...],
    workload: Workload,
    wanted: Wanted,
    users: int,
) -> Iterator[_Candidate]:
    traits = model_traits(catalog)
    situation = Situation(
        workload.prompt_tokens, workload.output_tokens, workload.context_tokens, workload.decode_depth_tokens,
        batch=users,
    )  # fmt: skip
    thresholds = thresholds_of(workload, situation)
    overrides = Overrides(gpu_count=len(machine.devices))
    for slug, entry in catalog.models.items():
        if not wanted.takes(entry, traits[slug]):
            continue
        try:
            model = specs.architecture(entry)
        except EstimatorError:
            continue
        block = evaluate(
            model, machine.devices[:1], quants, (situation,), thresholds, (machine.host,), calibration, overrides
        )
        yield _Candidate(entry, traits[slug], block)


class _Judged:
    """Candidates of one machine with the worth of their setups."""

    def __init__(
        self,
        candidates: Sequence[_Candidate],
        quants: Sequence[Quant],
        workload: Workload,
        mode: OperatingMode,
        *,
        whole: bool,
    ) -> None:
        self.candidates, self.quants = candidates, quants
        self.pace = _pace(candidates, whole=whole)
        traits = [each.traits for each in candidates]
        self.table: WorthTable = worth_table(workload.kind, traits, quants, self.pace.bits_per_weight)
        self.setups: Setups = usable_setups(self.table, self.pace, workload, mode)

    def choice(self) -> Choice:
        """The ranked list and the pick."""
        recency = np.array([each.traits.released for each in self.candidates])
        order = [int(n) for n in self.setups.best(recency)]
        pick = next((n for n in order if self.setups.frontier[n]), None)
        entries = tuple(self._recommended(n, pick) for n in order)
        return Choice(entries, None if pick is None else entries[order.index(pick)])

    def _recommended(self, n: int, pick: int | None) -> Recommended:
        setups, table = self.setups, self.table
        m, way, q = int(setups.model[n]), int(setups.way[n]), int(setups.quant[n])
        at = m, way, q
        capability = table.capabilities[m][way]
        assert capability is not None
        beaten_by = None if setups.frontier[n] else setups.dominator(n)
        return Recommended(
            model=self.candidates[m].entry,
            quant=self.quants[q],
            engine=ENGINES[int(self.candidates[m].block.engine[0, q])],
            thinks=way == THINKING,
            capability=capability,
            loss=CapabilityLoss(float(table.loss[m, q]), float(table.loss_low[m, q]), float(table.loss_high[m, q])),
            worth=Worth(float(table.value[at]), float(table.low[at]), float(table.high[at])),
            rating=float(setups.charged[n]),
            decode_tok_s=float(self.pace.decode_tok_s[m, q]),
            ttft_ms=float(self.pace.ttft_ms[m, q]),
            answer_s=float(setups.seconds[n]),
            on_frontier=bool(setups.frontier[n]),
            reason=reason(
                self._standing(n),
                None if pick is None else self._standing(pick),
                None if beaten_by is None else self._standing(beaten_by),
            ),
        )

    def _standing(self, n: int) -> Standing:
        setups = self.setups
        m = int(setups.model[n])
        return Standing(
            model=str(self.candidates[m].entry["name"]),
            quant=self.quants[int(setups.quant[n])].name,
            plain_of_two=setups.way[n] != THINKING and self.candidates[m].traits.thinking != "never",
            worth=float(setups.worth[n]),
            seconds=float(setups.seconds[n]),
        )


def _pace(candidates: Sequence[_Candidate], *, whole: bool) -> Pace:
    """Arrays (models, quants); setups that serve several users hold everything on the devices."""
    worst = verdict.FITS_TIGHTLY if whole else verdict.FITS_WITH_OFFLOAD

    def figures(name: str) -> Any:
        return np.array([getattr(each.block, name)[0, :, 0] for each in candidates])

    known = np.array([each.block.available[0] & each.block.has_weights for each in candidates])
    return Pace(
        runs=known & (figures("status") <= worst),
        decode_tok_s=figures("decode_tok_s").astype(np.float64),
        ttft_ms=figures("ttft_ms").astype(np.float64),
        bits_per_weight=np.array([each.block.bits_per_weight for each in candidates]),
    )
