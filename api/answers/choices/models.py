"""Models for a machine from the catalog files alone: laid out, judged and ranked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from api.answers.choices.judged import Judged, Judgement
from api.answers.choices.machine import Machine
from db.entries import specs
from db.entries.files import Catalog, Entry
from db.entries.traits import model_traits
from estimator import verdict
from estimator.calibration.capability_prior import ModelTraits
from estimator.calibration.coefficients import Calibration
from estimator.estimate import thresholds_of
from estimator.fleet import Overrides
from estimator.grid import FitBlock, evaluate
from estimator.judgement.setups import Pace, most
from estimator.judgement.worth import worth_table
from estimator.placement.demand import situation_of
from estimator.placement.hardware import choose_engine
from estimator.quant_choice import CHARGES
from estimator.types import ENGINES, Engine, EstimatorError, OperatingMode, Quant, Workload

#: A file takes at least this share of its quantization's nominal bits for every weight, so larger models are not laid out.
LEAST_SHARE = 0.7
#: Models that are laid out at least, beyond those that are asked for.
LEAST_EVALUATED = 60


class ModelKind(StrEnum):
    """Kinds of models that can be asked for."""

    BASE = "base"
    CHAT = "chat"
    REASONING = "reasoning"
    CODER = "coder"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which models may be recommended; None takes all, but for base models."""

    family: str | None = None
    license: str | None = None
    kind: ModelKind | None = None
    released_from: str | None = None

    def takes(self, entry: Entry, traits: ModelTraits) -> bool:
        """Whether a model passes; base models only when they are asked for, as they do not follow instructions."""
        kinds = {
            ModelKind.BASE: traits.base,
            ModelKind.CHAT: not traits.base,
            ModelKind.REASONING: not traits.base and traits.thinking != "never",
            ModelKind.CODER: not traits.base and traits.specialty == "coder",
        }
        return (
            kinds[self.kind or ModelKind.CHAT]
            and (self.family is None or entry["family"].casefold() == self.family.casefold())
            and (self.license is None or (entry["license"] or "").casefold() == self.license.casefold())
            and (self.released_from is None or (entry["release_date"] or "") >= self.released_from)
        )


@dataclass(frozen=True, slots=True)
class Recommended:
    """One model in the setup that is best for the mode."""

    model: Entry
    quant: Quant
    engine: Engine
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Choice:
    """The best ranked models, and the one to take; None when nothing is usable."""

    entries: tuple[Recommended, ...]
    pick: Recommended | None


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A model and the most that it can be: rating on a machine that needs no time, worth without any loss."""

    entry: Entry
    traits: ModelTraits
    most_rating: float
    most_worth: float


@dataclass(frozen=True, slots=True)
class _Evaluated:
    candidate: _Candidate
    block: FitBlock


@dataclass(frozen=True, slots=True)
class Question:
    """What models are recommended for; ``users`` None are those of the mode."""

    machine: Machine
    workload: Workload
    mode: OperatingMode
    wanted: Wanted = Wanted()
    users: int | None = None

    @property
    def streams(self) -> int:
        """Users that are answered at once."""
        return self.users or CHARGES[self.mode].users


def recommended_models(catalog: Catalog, calibration: Calibration, question: Question, first: int) -> Choice:
    """The ``first`` models that are best on the machine, out of all that are wanted.

    Models are laid out in the order of what they can be at most, until no other can come among the first or beat one.
    """
    machine = question.machine
    quants = _quants(catalog, machine)
    candidates = _candidates(catalog, quants, question)
    evaluate_model = _evaluator(quants, calibration, question)
    evaluated: list[_Evaluated] = []
    done, stop = 0, LEAST_EVALUATED + first
    while True:
        for candidate in candidates[done:stop]:
            with suppress(EstimatorError):
                evaluated.append(_Evaluated(candidate, evaluate_model(candidate.entry)))
        done, stop = min(stop, len(candidates)), 2 * stop
        judged = _judged(evaluated, quants, question)
        if done == len(candidates) or (judged is not None and _is_final(judged, candidates[done:], first)):
            break
    if judged is None or judged.pick is None:
        return Choice((), None)

    def recommended(n: int) -> Recommended:
        judgement = judged.judgement(n)
        one = evaluated[judgement.model]
        engine = ENGINES[int(one.block.engine[0, judgement.quant])]
        return Recommended(one.candidate.entry, quants[judgement.quant], engine, judgement)

    return Choice(tuple(map(recommended, judged.order[:first])), recommended(judged.pick))


def _quants(catalog: Catalog, machine: Machine) -> tuple[Quant, ...]:
    """Quantizations that an engine runs on the machine's first accelerator."""
    every = (specs.quant(entry) for entry in catalog.quants.values() if specs.is_precomputed(entry))
    return tuple(quant for quant in every if choose_engine("", machine.devices[0], quant))


def _candidates(catalog: Catalog, quants: Sequence[Quant], question: Question) -> list[_Candidate]:
    """Wanted models that the machine's memory could hold, those that can be best first."""
    least_bytes_per_weight = LEAST_SHARE * min(quant.nominal_bits for quant in quants) / 8
    traits = {
        slug: own
        for slug, own in model_traits(catalog).items()
        if question.wanted.takes(catalog.models[slug], own)
        and own.total_b * 1e9 * least_bytes_per_weight <= question.machine.memory_bytes
    }
    bounds = most(question.workload, list(traits.values()), question.mode)
    found = [
        _Candidate(catalog.models[slug], own, float(rating), float(worth))
        for (slug, own), rating, worth in zip(traits.items(), *bounds, strict=True)
    ]
    return sorted(found, key=lambda candidate: -candidate.most_rating)


def _evaluator(quants: tuple[Quant, ...], calibration: Calibration, question: Question) -> Callable[[Entry], FitBlock]:
    """How a model is laid out on the machine: a block of one accelerator and situation."""
    machine, workload = question.machine, question.workload
    situation = replace(situation_of(workload), batch=question.streams)
    thresholds = thresholds_of(workload, situation)
    overrides = Overrides(gpu_count=len(machine.devices))

    def evaluate_model(entry: Entry) -> FitBlock:
        return evaluate(
            specs.architecture(entry),
            machine.devices[:1],
            quants,
            (situation,),
            thresholds,
            (machine.host,),
            calibration,
            overrides,
        )

    return evaluate_model


def _judged(evaluated: Sequence[_Evaluated], quants: Sequence[Quant], question: Question) -> Judged | None:
    if not evaluated:
        return None
    pace = _pace([each.block for each in evaluated], whole=question.streams > 1)
    names = [str(each.candidate.entry["name"]) for each in evaluated]
    traits = [each.candidate.traits for each in evaluated]
    table = worth_table(question.workload.kind, traits, quants, pace.bits_per_weight)
    return Judged(names, traits, quants, pace, table, question.workload, question.mode)


def _is_final(judged: Judged, others: Sequence[_Candidate], first: int) -> bool:
    """Whether none of ``others`` can come among the first, or beat one of them in worth and time."""
    if len(judged.order) < first:
        return False
    best = judged.order[:first] + ([] if judged.pick is None else [judged.pick])
    least_rating, least_worth = judged.setups.rating[best].min(), judged.setups.worth[best].min()
    return all(other.most_rating < least_rating and other.most_worth < least_worth for other in others)


def _pace(blocks: Sequence[FitBlock], *, whole: bool) -> Pace:
    """Arrays (models, quants); setups that serve several users hold everything on the devices."""
    worst = verdict.FITS_TIGHTLY if whole else verdict.FITS_WITH_OFFLOAD

    def figures(name: str) -> Any:
        return np.array([getattr(block, name)[0, :, 0] for block in blocks])

    known = np.array([block.available[0] & block.has_weights for block in blocks])
    status = figures("status")
    return Pace(
        runs=known & (status <= worst),
        tight=status == verdict.FITS_TIGHTLY,
        decode_tok_s=figures("decode_tok_s").astype(np.float64),
        ttft_ms=figures("ttft_ms").astype(np.float64),
        bits_per_weight=np.array([block.bits_per_weight for block in blocks]),
    )
