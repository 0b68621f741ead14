"""Choices, best first: models for an accelerator, accelerators for a model, quantizations for a pairing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from api.answers.choices.judged import Judged, Judgement
from api.answers.choices.leading import Reach, leading
from api.answers.choices.models import Wanted
from api.answers.choices.paces import OwnerPace, Paces, loaded
from api.answers.choices.prices import prices_of
from api.answers.searches import search
from api.catalog.fit_reads import FitReads
from api.catalog.live import require_facts
from api.catalog.records import GpuRecord, ModelRecord, QuantRecord
from api.catalog.view import CatalogView
from api.errors import bad_input
from db.fits.cells import AnyCell, FitKey
from db.fits.layout import SLOTS
from estimator.judgement import recommend
from estimator.judgement.choice import frontier
from estimator.judgement.recommend import Aim
from estimator.judgement.setups import Pace
from estimator.quant_choice import CHARGES
from estimator.structure.arrays import Flags, Floats, Ints
from estimator.types import OperatingMode, WorkloadKind

Side: TypeAlias = ModelRecord | GpuRecord | QuantRecord


@dataclass(frozen=True, slots=True)
class Question:
    """The workload, the order and the limits of a recommendation."""

    workload: WorkloadKind
    aim: Aim
    mode: OperatingMode
    buyer: recommend.Buyer
    target: recommend.Target
    wanted: Wanted

    @property
    def slot(self) -> int:
        """Slot of the workload."""
        return SLOTS.index(self.workload)

    @property
    def users(self) -> int:
        """Users that are answered at once: those of the target, else of the mode."""
        return self.target.users or CHARGES[self.mode].users


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of the list; ``side`` is what was chosen, and ``place`` its position in what is judged."""

    side: Side
    place: int
    key: FitKey

    @property
    def slug(self) -> str:
        return self.side.slug


class Choices(Sequence[Choice]):
    """Entries in order, each made when it is asked for."""

    def __init__(self, places: Ints, made: Callable[[int], Choice]) -> None:
        self._places, self._made = places, made

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self._made(int(place)) for place in self._places[at]]
        return self._made(int(self._places[at]))


class Recommendations:
    """A whole list in order. Worth and reasons are computed for the entries that are asked about.

    ``places`` are the entries in what is judged, and ``made`` gives the entry of a place.
    """

    def __init__(
        self, judged: Judged, places: Ints, made: Callable[[int], Choice], on_frontier: Flags, whole: Flags, slot: int
    ) -> None:
        self._judged, self._on_frontier, self._whole, self._slot = judged, on_frontier, whole, slot
        self._places = places
        self.choices = Choices(places, made)
        self.pick = self.choices[0] if len(places) else None

    def judgement(self, choice: Choice) -> Judgement:
        """The worth of an entry."""
        return self._judged.judgement(choice.place, on_frontier=bool(self._on_frontier[choice.place]))

    def rating(self, choice: Choice) -> float:
        """The rating of an entry alone."""
        return float(self._judged.setups.rating[choice.place])

    def is_whole(self, choice: Choice) -> bool:
        """Whether everything lies on the accelerator."""
        setups = self._judged.setups
        return bool(self._whole[setups.model[choice.place], setups.quant[choice.place]])

    def rank(self, choice: Choice) -> int:
        """Place in the list, from 1."""
        return int(self._ranks[choice.place])

    @cached_property
    def _ranks(self) -> Ints:
        """Place in the list, from 1, of each place in what is judged; 0 for what is not chosen."""
        ranks = np.zeros(len(self._judged.setups.model), dtype=np.intp)
        ranks[self._places] = np.arange(1, len(self._places) + 1)
        return ranks

    async def cells(self, reads: FitReads, choices: Sequence[Choice]) -> list[AnyCell]:
        """The fit of each of ``choices``: published, or live where it is not precomputed."""
        return await reads.cells([choice.key for choice in choices], self._slot)


async def recommendations(
    reads: FitReads, model: ModelRecord | None, gpu: GpuRecord | None, question: Question, first: int | None = None
) -> Recommendations:
    """The list for a model, an accelerator, or both; the most recent ones are kept, so that pages of one share it.

    For several users only the ``first`` models are laid out, unless it is None. Raises ``BAD_USER_INPUT`` when neither a
    model nor an accelerator is given.
    """
    if model is None and gpu is None:
        raise bad_input("Name a model, an accelerator, or both.", field="for")
    paces = await reads.view.derived_aside(Paces)
    if model is not None or question.users == 1 or reads.view.generation is None:
        first = None
    key = model and model.slug, gpu and gpu.slug, question, first
    kept = paces.lists.get(key)
    if kept is None:
        if first is not None:
            assert gpu is not None
            kept = await _leading(reads, paces, gpu, question, first)
        elif model is None:
            assert gpu is not None
            kept = await _models(reads, paces, gpu, question)
        elif gpu is None:
            kept = await _gpus(reads, paces, model, question)
        else:
            kept = await _quants(reads, paces, model, gpu, question)
        paces.lists.keep(key, kept)
    return kept


async def _models(reads: FitReads, paces: Paces, gpu: GpuRecord, question: Question) -> Recommendations:
    """Every wanted model that is usable on an accelerator and reaches the target, once."""
    own = await paces.of(reads, gpu, question.slot, question.users)
    wanted = _wanted(reads.view, paces, gpu, question)
    judged, places = _judge_models(reads.view, paces, own, question, wanted)
    return _recommendations(reads.view, judged, places, question, own.whole, reads.view.models, gpu=gpu)


async def _leading(reads: FitReads, paces: Paces, gpu: GpuRecord, question: Question, first: int) -> Recommendations:
    """The ``first`` of those models for several users; the list ends behind them."""
    view = reads.view
    alone = await paces.of(reads, gpu, question.slot, 1)
    wanted, by_speed = _wanted(view, paces, gpu, question), question.aim in (Aim.FASTEST, Aim.EFFICIENT)
    situation = loaded(view.workloads[question.slot].spec, question.users)

    def laid_out() -> tuple[Judged, Ints, Flags]:
        beside = paces.stacks.beside_others(gpu, question.slot, situation)
        known = beside if question.target.context_tokens is None else None
        loads = paces.loads(gpu, question.slot, question.users, known)
        # No bound on safe contexts: those of several users are counted in another way.
        free = replace(question, target=replace(question.target, context_tokens=None))
        most = paces.at_most(gpu, alone, situation, beside)
        reach = Reach.of(
            paces.table(question.slot), _limited(most, free, wanted), view.workloads[question.slot].spec, question.mode
        )
        judged, places = leading(
            loads, reach, first, lambda own: _judge_models(view, paces, own, question, wanted), by_speed=by_speed
        )
        return judged, places, loads.pace().whole

    judged, places, whole = await search(laid_out)
    return _recommendations(view, judged, places, question, whole, view.models, gpu=gpu)


def _wanted(view: CatalogView, paces: Paces, gpu: GpuRecord, question: Question) -> Flags:
    """Models that are asked for on an accelerator that is within the buyer's limits, (models, 1)."""
    wanted = paces.wanted.get(question.wanted)
    if wanted is None:
        takes = question.wanted.takes
        wanted = np.array([takes(model.entry, own) for model, own in zip(view.models, paces.traits, strict=True)])
        paces.wanted.keep(question.wanted, wanted)
    bought = recommend.affordable([gpu.accelerator], question.buyer, _known([view.derived(prices_of)[gpu.slug]]))[0]
    return np.asarray(wanted[:, None] & bought)


async def _gpus(reads: FitReads, paces: Paces, model: ModelRecord, question: Question) -> Recommendations:
    """Every accelerator of the catalog that a model is usable on within the limits, once."""
    view = reads.view
    require_facts(model)
    own = await paces.of(reads, model, question.slot, question.users)
    devices = [gpu.accelerator for gpu in view.gpus]
    prices = view.derived(prices_of)
    price, power = _known([prices[gpu.slug] for gpu in view.gpus]), _known([device.tdp_w for device in devices])
    good = recommend.affordable(devices, question.buyer, price)
    if question.aim is Aim.CHEAPEST:
        good &= np.isfinite(price)
    if question.aim is Aim.EFFICIENT:
        good &= np.isfinite(power)
    pace = _limited(own, question, good[:, None])
    names = [gpu.accelerator.name for gpu in view.gpus]
    judged = _judge_one(view, paces, model, names, pace, question)
    cost = price if question.aim is Aim.CHEAPEST else power
    places = _by_aim(judged, question.aim, cost)
    machines = judged.setups.model[places]
    on_frontier = np.zeros(len(judged.setups.model), dtype=np.bool_)
    on_frontier[places] = frontier(judged.setups.rating[places], price[machines])
    return _recommendations(view, judged, places, question, own.whole, view.gpus, model=model, on_frontier=on_frontier)


async def _quants(
    reads: FitReads, paces: Paces, model: ModelRecord, gpu: GpuRecord, question: Question
) -> Recommendations:
    """Quantizations of a pairing that are usable; by rating those that are never chosen are last."""
    view = reads.view
    require_facts(model, gpu)
    own = await paces.of(reads, model, question.slot, question.users)
    machine = view.gpus.index(gpu)
    bought = recommend.affordable([gpu.accelerator], question.buyer, _known([view.derived(prices_of)[gpu.slug]]))[0]
    pace = _limited(own, question, (np.arange(len(view.gpus)) == machine)[:, None] & bought)
    names = [model.name] * len(view.gpus)
    judged = _judge_one(view, paces, model, names, pace, question, by_quant=True)
    places = _by_aim(judged, question.aim, None)
    return _recommendations(view, judged, places, question, own.whole, view.precomputed_quants, model=model, gpu=gpu)


def _limited(own: OwnerPace, question: Question, allowed: Flags) -> Pace:
    """The pace with only the pairings that are ``allowed`` and reach the target."""
    target, pace = question.target, own.pace
    runs = pace.runs & allowed
    least = target.decode_tok_s
    if question.users > 1:
        runs = runs & own.whole
    if least is not None:
        runs = runs & (pace.decode_tok_s >= least)
    if target.ttft_ms is not None:
        runs = runs & (pace.ttft_ms > 0) & (pace.ttft_ms <= target.ttft_ms)
    if target.context_tokens is not None:
        runs = runs & (own.safe_context_tokens >= target.context_tokens)
    if target.bits_per_weight is not None:
        runs = runs & (pace.bits_per_weight >= target.bits_per_weight)
    return replace(pace, runs=runs)


def _judge_models(
    view: CatalogView, paces: Paces, own: OwnerPace, question: Question, wanted: Flags
) -> tuple[Judged, Ints]:
    """The wanted models that run, and the places of those that are chosen, in order."""
    judged = Judged(
        paces.names, paces.traits, [quant.spec for quant in view.precomputed_quants],
        _limited(own, question, wanted), paces.table(question.slot), view.workloads[question.slot].spec, question.mode,
    )  # fmt: skip
    return judged, _by_aim(judged, question.aim, None)


def _judge_one(
    view: CatalogView,
    paces: Paces,
    model: ModelRecord,
    names: Sequence[str],
    pace: Pace,
    question: Question,
    *,
    by_quant: bool = False,
) -> Judged:
    """One model on every accelerator."""
    place = view.models.index(model)
    return Judged(
        names, [paces.traits[place]] * len(names), [quant.spec for quant in view.precomputed_quants], pace,
        paces.table(question.slot).of_model(place, len(names)), view.workloads[question.slot].spec, question.mode,
        by_quant=by_quant,
    )  # fmt: skip


def _by_aim(judged: Judged, aim: Aim, cost: Floats | None) -> Ints:
    """Places of the chosen setups in the order of the aim; ``cost`` is a price or power a row."""
    places, setups = judged.order, judged.setups
    if aim is Aim.SCORE or (cost is None and aim is Aim.CHEAPEST):
        return places
    key = -setups.decode_tok_s[places]
    if aim is Aim.CHEAPEST:
        assert cost is not None
        key = cost[setups.model[places]]
    elif aim is Aim.EFFICIENT and cost is not None:
        key = key / cost[setups.model[places]]
    return places[np.argsort(key, kind="stable")]


def _recommendations(
    view: CatalogView,
    judged: Judged,
    places: Ints,
    question: Question,
    whole: Flags,
    sides: Sequence[Side],
    model: ModelRecord | None = None,
    gpu: GpuRecord | None = None,
    on_frontier: Flags | None = None,
) -> Recommendations:
    setups = judged.setups
    of_quants = model is not None and gpu is not None
    # The view keeps the list: the list must not keep the view alive.
    quants, model_ids, gpu_ids, quant_ids = view.precomputed_quants, view.model_ids, view.gpu_ids, view.quant_ids

    def made(n: int) -> Choice:
        side = sides[int(setups.quant[n] if of_quants else setups.model[n])]
        quant = quants[int(setups.quant[n])]
        key = FitKey(model_ids[(model or side).slug], gpu_ids[(gpu or side).slug], quant_ids[quant.slug])
        return Choice(side, n, key)

    on_frontier = judged.frontier if on_frontier is None else on_frontier
    return Recommendations(judged, places, made, on_frontier, whole, question.slot)


def _known(values: Sequence[float | None]) -> Floats:
    """Values with infinity for what is unknown."""
    return np.array([np.inf if value is None else value for value in values], dtype=np.float64)
