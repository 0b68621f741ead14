"""Models for a machine from the catalog files alone: laid out, judged and ranked."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from api.answers.choices.judged import Judged, Judgement
from api.answers.choices.machine import Machine
from db.entries import specs
from db.entries.files import Catalog, Entry
from db.entries.traits import model_traits
from estimator import verdict
from estimator.calibration.capability_prior import ModelTraits
from estimator.calibration.coefficients import Calibration
from estimator.fit_facts import request_of
from estimator.fleet import Overrides
from estimator.grid import outline
from estimator.judgement.setups import Pace, most
from estimator.judgement.worth import worth_table
from estimator.placement.demand import situation_of
from estimator.placement.hardware import choose_engine
from estimator.placement.layer_sums import model_tables
from estimator.quant_choice import CHARGES, drawbacks, unpaged_points
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.checkpoints import is_listed, is_offered
from estimator.types import ENGINES, Engine, EstimatorError, OperatingMode, Quant, Workload
from estimator.usability import BARELY_FACTOR, relaxed
from estimator.whatif import mixed_blocks

#: A file takes at least this share of its quantization's nominal bits for every weight, so larger models are not laid out.
LEAST_SHARE = 0.7
#: Models that are laid out at a time, beyond those that are asked for.
LEAST_EVALUATED = 15
#: The same for accelerators that differ, where a model takes longer.
LEAST_MIXED = 5
#: Factors by which setups may miss the bounds of a use where none is within them, nearest first.
_SLACKS = (1.0, 1.5, 2.0, BARELY_FACTOR, BARELY_FACTOR**2)


class ModelKind(StrEnum):
    """Kinds of models that can be asked for."""

    BASE = "base"
    CHAT = "chat"
    REASONING = "reasoning"
    CODER = "coder"
    MIXTURE_OF_EXPERTS = "mixture-of-experts"
    DENSE = "dense"


def kinds_of(entry: Entry, traits: ModelTraits) -> list[ModelKind]:
    """Kinds of a model; one before its post-training is of no other kind, as it does not follow instructions."""
    if traits.base:
        return [ModelKind.BASE]
    is_mixture = bool((entry.get("moe") or {}).get("n_experts"))
    holds = {
        ModelKind.CHAT: True,
        ModelKind.REASONING: traits.thinking != "never",
        ModelKind.CODER: traits.specialty == "coder",
        ModelKind.MIXTURE_OF_EXPERTS: is_mixture,
        ModelKind.DENSE: not is_mixture,
    }
    return [kind for kind, is_held in holds.items() if is_held]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which models may be recommended; None takes all, but for base models."""

    family: str | None = None
    license: str | None = None
    kind: ModelKind | None = None
    released_from: str | None = None

    def takes(self, entry: Entry, traits: ModelTraits) -> bool:
        """Whether a model passes; base models only when they are asked for."""
        return (
            (self.kind or ModelKind.CHAT) in kinds_of(entry, traits)
            and (self.family is None or _letters(entry["family"]) == _letters(self.family))
            and (self.license is None or _letters(entry["license"] or "") == _letters(self.license))
            and (self.released_from is None or (entry["release_date"] or "") >= self.released_from)
        )


def _letters(name: str) -> str:
    """Letters and digits of a name, which are what its spellings share: ``Gemma 4``, ``gemma-4``."""
    return "".join(filter(str.isalnum, name.casefold()))


@dataclass(frozen=True, slots=True)
class Recommended:
    """One model in the setup that is best for the mode."""

    model: Entry
    quant: Quant
    engine: Engine
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A model and the most that it can be: rating on a machine that needs no time, worth without any loss."""

    entry: Entry
    traits: ModelTraits
    most_rating: float
    most_worth: float


@dataclass(frozen=True, slots=True)
class _Laid:
    """One model laid out on the machine, arrays (quants,): those that run, and ``known``, those of them that can be had."""

    runs: NDArray[np.bool_]
    known: NDArray[np.bool_]
    engine: NDArray[np.uint8]
    status: NDArray[np.uint8]
    decode_tok_s: NDArray[np.float64]
    ttft_ms: NDArray[np.float64]
    bits_per_weight: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Evaluated:
    candidate: _Candidate
    laid: _Laid


@dataclass(frozen=True, slots=True)
class Question:
    """A machine and its use, for which models are recommended; ``users`` None are those of the mode.

    ``left_out`` are engines that the machine's system does not run.
    """

    machine: Machine
    workload: Workload
    mode: OperatingMode
    wanted: Wanted = Wanted()
    users: int | None = None
    left_out: Set[Engine] = frozenset()

    @property
    def streams(self) -> int:
        """Users that are answered at once."""
        return self.users or CHARGES[self.mode].users


def recommended_models(
    catalog: Catalog, calibration: Calibration, question: Question, first: int
) -> tuple[Recommended, ...]:
    """The ``first`` models that are best on the machine, out of all that are wanted, best first.

    Models are laid out in the order of what they can be at most, until no other can come among the first or beat one.
    """
    machine = question.machine
    quants = _quants(catalog, question)
    candidates = _candidates(catalog, quants, question)
    evaluate_model = _evaluator(quants, calibration, question)
    evaluated: list[_Evaluated] = []
    judged: Judged | None = None
    stop = first + (LEAST_EVALUATED if len(set(machine.devices)) == 1 else LEAST_MIXED)
    while candidates:
        for candidate in candidates[:stop]:
            with suppress(EstimatorError):
                evaluated.append(_Evaluated(candidate, evaluate_model(candidate.entry)))
        judged = _judged(evaluated, quants, question, judged)
        candidates = _open(judged, candidates[stop:], first)
    if judged is None:
        return ()

    def recommended(n: int) -> Recommended:
        judgement = judged.judgement(n)
        chosen = evaluated[judgement.model]
        engine = ENGINES[int(chosen.laid.engine[judgement.quant])]
        return Recommended(chosen.candidate.entry, quants[judgement.quant], engine, judgement)

    return tuple(map(recommended, judged.order[:first].tolist()))


#: A model and its quantization; None for any.
Side: TypeAlias = tuple[str, str | None]


def preferred(catalog: Catalog, calibration: Calibration, question: Question, sides: Sequence[Side]) -> Side | None:
    """Which of ``sides`` is chosen on the machine when there are no others; None when none comes near.

    Where none is usable, or only what is never chosen, such as weights in ruins, the choice is among those that come nearest
    to it, at last with fewer users. Base models take no part, as in every choice that does not ask for them.
    """
    quants, evaluated = _of_sides(catalog, calibration, question, sides)
    nearest: Judged | None = None
    for slack in _SLACKS:
        judged = _judged(evaluated, quants, replace(question, workload=relaxed(question.workload, slack)))
        if judged is None or not len(judged.setups.rating):
            continue
        nearest = nearest or judged
        if len(judged.order):
            nearest = judged
            break
    if nearest is None:
        fewer = replace(question, users=question.streams // 2)
        return preferred(catalog, calibration, fewer, sides) if fewer.users else None
    # What is never chosen beside others is still better than nothing.
    first = nearest.order[0] if len(nearest.order) else nearest.setups.rating.argmax()
    slug = evaluated[int(nearest.setups.model[first])].candidate.traits.slug
    quant = quants[int(nearest.setups.quant[first])].slug
    return next(side for side in sides if side in ((slug, None), (slug, quant)))


def best_quant(
    catalog: Catalog, calibration: Calibration, model: str, machine: Machine, workload: Workload
) -> str | None:
    """Slug of the quantization to take of one model on a machine; None where none comes near a usable speed."""
    structure = specs.architecture(catalog.models[model])
    sides = [
        (model, slug)
        for slug, entry in catalog.quants.items()
        if specs.is_precomputed(entry) and is_offered(specs.quant(entry), structure)
    ]
    best = preferred(catalog, calibration, Question(machine, workload, OperatingMode.BALANCED), sides)
    return None if best is None else best[1]


def rating_of(catalog: Catalog, calibration: Calibration, question: Question, side: Side) -> float | None:
    """The rating of one side on the machine; None where it is not usable."""
    quants, evaluated = _of_sides(catalog, calibration, question, [side])
    judged = _judged(evaluated, quants, question)
    return None if judged is None or not len(judged.setups.rating) else float(judged.setups.rating.max())


def _of_sides(
    catalog: Catalog, calibration: Calibration, question: Question, sides: Sequence[Side]
) -> tuple[tuple[Quant, ...], list[_Evaluated]]:
    """The quantizations of the machine, and the models of ``sides`` laid out with those of the sides alone.

    Whoever names a quantization has it, whether or not anybody is known to publish it.
    """
    quants = _quants(catalog, question, {quant for _, quant in sides})
    candidates = _candidates(catalog, quants, question, {slug for slug, _ in sides})
    evaluate_model = _evaluator(quants, calibration, question)
    evaluated = []
    for candidate in candidates:
        with suppress(EstimatorError):
            laid, slug = evaluate_model(candidate.entry), candidate.traits.slug
            any_known = laid.known & ((slug, None) in sides)
            named = laid.runs & [(slug, quant.slug) in sides for quant in quants]
            evaluated.append(_Evaluated(candidate, replace(laid, known=any_known | named)))
    return quants, evaluated


def _quants(catalog: Catalog, question: Question, named: Set[str | None] = frozenset()) -> tuple[Quant, ...]:
    """Quantizations that an engine runs on each of the machine's accelerators: those of the bulk run and the ``named``."""

    def is_run(quant: Quant) -> bool:
        chosen = [choose_engine("", device, quant) for device in set(question.machine.devices)]
        return all(choice is not None and choice[0] not in question.left_out for choice in chosen)

    every = (
        specs.quant(entry) for slug, entry in catalog.quants.items() if specs.is_precomputed(entry) or slug in named
    )
    return tuple(filter(is_run, every))


def _candidates(
    catalog: Catalog, quants: Sequence[Quant], question: Question, slugs: Set[str] | None = None
) -> list[_Candidate]:
    """Wanted models, of all or of ``slugs``, that the machine's memory could hold, those that can be best first."""
    least_bytes_per_weight = LEAST_SHARE * min(quant.nominal_bits for quant in quants) / 8
    traits = {
        slug: own
        for slug, own in model_traits(catalog).items()
        if (slugs is None or slug in slugs)
        and question.wanted.takes(catalog.models[slug], own)
        and own.total_b * 1e9 * least_bytes_per_weight <= question.machine.memory_bytes
    }
    bounds = most(question.workload, list(traits.values()), question.mode)
    candidates = [
        _Candidate(catalog.models[slug], own, float(rating), float(worth))
        for (slug, own), rating, worth in zip(traits.items(), *bounds, strict=True)
    ]
    return sorted(candidates, key=lambda candidate: -candidate.most_rating)


def _evaluator(quants: tuple[Quant, ...], calibration: Calibration, question: Question) -> Callable[[Entry], _Laid]:
    """How a model is laid out on the machine."""
    machine, workload = question.machine, question.workload
    situation = replace(situation_of(workload), batch=question.streams, expected_occupancy=True)
    overrides = Overrides(gpu_count=len(machine.devices))

    def on_equals(entry: Entry) -> _Laid:
        model = specs.architecture(entry)
        block = outline(model, machine.devices[:1], quants, (situation,), (machine.host,), calibration, overrides)
        return _Laid(
            runs=block.available[0] & [is_listed(quant, model) for quant in quants],
            known=block.available[0] & [is_offered(quant, model) for quant in quants],
            engine=block.engine[0],
            status=block.status[0, :, 0],
            decode_tok_s=block.decode_tok_s[0, :, 0].astype(np.float64),
            ttft_ms=block.ttft_ms[0, :, 0].astype(np.float64),
            bits_per_weight=block.bits_per_weight,
        )

    def on_mixed(entry: Entry) -> _Laid:
        return _on_mixed(specs.architecture(entry), quants, calibration, question)

    return on_equals if len(set(machine.devices)) == 1 else on_mixed


def _on_mixed(
    model: ModelArchitecture, quants: tuple[Quant, ...], calibration: Calibration, question: Question
) -> _Laid:
    """A model on accelerators that differ, where the split depends on every device."""
    machine, count = question.machine, len(quants)
    laid = _Laid(
        runs=np.zeros(count, np.bool_),
        known=np.zeros(count, np.bool_),
        engine=np.zeros(count, np.uint8),
        status=np.full(count, verdict.DOES_NOT_FIT, np.uint8),
        decode_tok_s=np.zeros(count),
        ttft_ms=np.zeros(count),
        bits_per_weight=model_tables(model, quants).bits_per_weight,
    )
    request = request_of(quants[0], machine.devices[0], machine.host)
    request = replace(request, batch=question.streams, expected_occupancy=True)
    for at, block in mixed_blocks(model, request, quants, machine.devices, calibration, question.workload):
        available = block.available[0]
        laid.runs[at] = available & [is_listed(quants[place], model) for place in at]
        laid.known[at] = available & [is_offered(quants[place], model) for place in at]
        laid.engine[at] = block.engine[0]
        laid.status[at] = block.status[0, :, 0]
        laid.decode_tok_s[at], laid.ttft_ms[at] = block.decode_tok_s[0, :, 0], block.ttft_ms[0, :, 0]
    return laid


def _judged(
    evaluated: Sequence[_Evaluated], quants: Sequence[Quant], question: Question, before: Judged | None = None
) -> Judged | None:
    """All that is evaluated, judged together; ``before`` judges the first of them."""
    if not evaluated:
        return None
    names = [str(model.candidate.entry["name"]) for model in evaluated]
    traits = [model.candidate.traits for model in evaluated]
    pace = _pace([model.laid for model in evaluated], traits, quants, question)
    known = 0 if before is None else len(before.traits)
    table = worth_table(question.workload.kind, traits[known:], quants, pace.bits_per_weight[known:])
    if before is not None:
        table = before.table.with_models(table)
    return Judged(names, traits, quants, pace, table, question.workload, question.mode)


def _open(judged: Judged | None, others: Sequence[_Candidate], first: int) -> list[_Candidate]:
    """Those of ``others`` that can come among the first, or beat one of them in worth and time."""
    if judged is None or len(judged.order) < first:
        return list(others)
    best = judged.order[:first]
    least_rating, least_worth = judged.setups.rating[best].min(), judged.setups.worth[best].min()
    return [other for other in others if other.most_rating >= least_rating or other.most_worth >= least_worth]


def _pace(laid: Sequence[_Laid], traits: Sequence[ModelTraits], quants: Sequence[Quant], question: Question) -> Pace:
    """Arrays (models, quants); setups that serve several users hold everything on the devices."""
    worst = verdict.FITS_TIGHTLY if question.streams > 1 else verdict.FITS_WITH_OFFLOAD
    status, devices = np.array([model.status for model in laid]), question.machine.devices
    return Pace(
        runs=np.array([model.known for model in laid]) & (status <= worst),
        tight=status == verdict.FITS_TIGHTLY,
        offloads=status == verdict.FITS_WITH_OFFLOAD,
        decode_tok_s=np.array([model.decode_tok_s for model in laid]),
        ttft_ms=np.array([model.ttft_ms for model in laid]),
        bits_per_weight=np.array([model.bits_per_weight for model in laid]),
        drawback_points=drawbacks(
            status == verdict.FITS_TIGHTLY,
            status == verdict.FITS_WITH_OFFLOAD,
            unpaged_points(quants, devices, question.streams, len(devices)).min(axis=0),
            np.array([[model.is_mixture] for model in traits]),
        ),
    )
