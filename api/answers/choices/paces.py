"""Paces and worths of a catalog view: what a choice among all models of an accelerator, or all accelerators of a model,
compares. Both are made once and kept: worths for as long as the view, paces of the most recent owners."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from api.answers.choices.stacks import WHOLE, BesideOthers, Stacks
from api.answers.searches import search
from api.catalog.fit_reads import FitReads
from api.catalog.records import GpuRecord, ModelRecord, Record
from api.catalog.view import CatalogView
from db.entries.traits import model_traits
from db.fits.by_key import Figures, fetch_figures
from db.fits.query import FitOwner
from estimator import verdict
from estimator.calibration.capability_prior import ModelTraits
from estimator.fleet import NO_OVERRIDES, Overrides
from estimator.grid import Outline, outline
from estimator.judgement.setups import Pace
from estimator.judgement.worth import WorthTable, worth_table
from estimator.placement.demand import UNKNOWN_CONTEXT_LIMIT, Situation, needs, situation_of
from estimator.placement.layer_sums import model_tables
from estimator.placement.pairs import Pairs
from estimator.placement.whole import WholeLoad
from estimator.quant_choice import drawbacks, unpaged_points
from estimator.structure.arrays import Flags, Ints
from estimator.structure.checkpoints import is_offered
from estimator.types import Accelerator, EstimatorError, Host, Workload

#: Owners whose paces are kept: some half a megabyte each.
_KEPT = 64
#: Lists, and loads of several users, that are kept: as much each.
_KEPT_LISTS = 48
#: Part of the tokens of several contexts that one context holds in the same memory at least: buffers differ by some.
_SURELY_HELD = 0.9
#: Part of the memory by which sums of whole bytes may differ.
_ROUNDING = 1e-6
#: Longest contexts are whole pages.
_PAGE_TOKENS = 256
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Owner: TypeAlias = GpuRecord | ModelRecord
Columns: TypeAlias = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class OwnerPace:
    """Arrays (others, quants): the other side is in the order of the view, quants are its precomputed ones.

    ``whole`` are those of the pace that hold everything on the device, ``holds`` all that do, weights known or not.
    """

    pace: Pace
    whole: Flags
    holds: Flags
    safe_context_tokens: Ints


class Recent(Generic[K, V]):
    """The values that were used last, at most ``most`` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value of a key; None when it is not kept."""
        value = self._kept.get(key)
        if value is not None:
            self._kept.move_to_end(key)
        return value

    def keep(self, key: K, value: V) -> None:
        """Keep a value, and drop the one that was not used for longest."""
        self._kept[key] = value
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)


class Paces:
    """Paces of one view, which its choices compare; made once by ``view.derived(Paces)``."""

    def __init__(self, view: CatalogView) -> None:
        self._view = view
        traits = model_traits(view.catalog)
        #: In the order of the view's models.
        self.traits: list[ModelTraits] = [traits[model.slug] for model in view.models]
        self.quants = quants = tuple(quant.spec for quant in view.precomputed_quants)
        #: Places of accelerators without a missing fact, those accelerators, and the computers around them.
        self.complete = [place for place, gpu in enumerate(view.gpus) if not gpu.missing_facts]
        self.devices = tuple(view.gpus[place].accelerator for place in self.complete)
        self.hosts = tuple(view.host_of(view.gpus[place]) for place in self.complete)
        self.bits = np.full((len(view.models), len(quants)), np.nan)
        self.known = np.zeros(self.bits.shape, dtype=np.bool_)
        self._common = np.array([not quant.own_only for quant in quants])
        limits = np.full((len(view.models), 1), UNKNOWN_CONTEXT_LIMIT)
        for place, model in enumerate(view.models):
            if not model.missing_facts:
                architecture = view.architecture(model)
                self.bits[place] = model_tables(architecture, quants).bits_per_weight
                self.known[place] = [is_offered(quant, architecture) for quant in quants]
                limits[place] = architecture.context_tokens or UNKNOWN_CONTEXT_LIMIT
        self._context_limits = limits
        self._mixtures = np.array([[model.is_mixture] for model in self.traits])
        self._tables: dict[int, WorthTable] = {}
        #: What is computed of many models in one go.
        self.stacks = Stacks(view, quants)
        self._kept: Recent[tuple[str, str, int, int], OwnerPace] = Recent(_KEPT)
        self._loads: Recent[tuple[str, int, int, bool], Loads] = Recent(_KEPT_LISTS)
        #: Whole lists that were made of these.
        self.lists: Recent[Any, Any] = Recent(_KEPT_LISTS)
        #: Models that a question takes, (models,), by what it asks of them.
        self.wanted: Recent[Any, Flags] = Recent(_KEPT_LISTS)
        self.names = [model.name for model in view.models]
        #: Places of models, accelerators and quantizations by id.
        self._places = (
            _table(view.models, view.model_ids), _table(view.gpus, view.gpu_ids), _table(view.precomputed_quants, view.quant_ids)
        )  # fmt: skip

    def table(self, slot: int) -> WorthTable:
        """Worth of every model in every quantization for a workload; NaN for models that lack a fact."""
        known = self._tables.get(slot)
        if known is None:
            kind = self._view.workloads[slot].spec.kind
            known = self._tables[slot] = worth_table(kind, self.traits, self.quants, self.bits)
        return known

    async def of(self, reads: FitReads, owner: Owner, slot: int, users: int) -> OwnerPace:
        """The pace of an owner's fits: published ones, or computed for several users or where none are published.

        Those of an accelerator are of the precomputed models.
        """
        key = (type(owner).__name__, owner.slug, slot, users)
        pace = self._kept.get(key)
        if pace is None:
            if users == 1 and reads.view.generation is not None:
                pace = await self._stored(reads, owner, slot)
            if pace is None:
                pace = await search(self._computed, owner, self._view.workloads[slot].spec, users)
            self._kept.keep(key, pace)
        return pace

    def loads(self, gpu: GpuRecord, slot: int, users: int, beside: BesideOthers | None) -> Loads:
        """Loads of several users on an accelerator, as far as they were asked for; their longest contexts where nothing is
        known ``beside`` others."""
        key = gpu.slug, slot, users, beside is None
        loads = self._loads.get(key)
        if loads is None:
            loads = Loads(self, self._view, gpu, self._view.workloads[slot].spec, users, beside)
            self._loads.keep(key, loads)
        return loads

    def at_most(self, gpu: GpuRecord, alone: OwnerPace, situation: Situation, beside: BesideOthers) -> OwnerPace:
        """The pace of one user, with what is known of several before any is laid out: at best they do as well."""
        pace = alone.pace
        # The longest context of one user ends where the memory or the model does.
        tokens = np.minimum(surely_held_tokens(situation), self._context_limits)
        holds = alone.holds & (alone.safe_context_tokens + _PAGE_TOKENS >= tokens)
        holds &= beside.room >= -_ROUNDING
        tight = pace.tight | (beside.room < verdict.TIGHT_HEADROOM_FRACTION - _ROUNDING)
        most = replace(
            pace, runs=holds, decode_tok_s=np.fmin(pace.decode_tok_s, beside.decode_tok_s),
            ttft_ms=np.where(np.isnan(beside.ttft_ms), pace.ttft_ms, beside.ttft_ms),
            drawback_points=drawbacks(
                tight, np.False_, unpaged_points(self.quants, [gpu.accelerator], situation.batch), np.False_
            ),
        )  # fmt: skip
        return replace(alone, pace=most, whole=holds)

    async def _stored(self, reads: FitReads, owner: Owner, slot: int) -> OwnerPace | None:
        """The pace of the published fits; None for a model without any."""
        view = self._view
        of_gpu = isinstance(owner, GpuRecord)
        kind = FitOwner.GPU if of_gpu else FitOwner.MODEL
        number = (view.gpu_ids if of_gpu else view.model_ids)[owner.slug]
        figures = await fetch_figures(reads.reader, view.published, kind, number, slot)
        return self._placed(owner, figures) if of_gpu or len(figures.other_id) else None

    def _placed(self, owner: Owner, figures: Figures) -> OwnerPace:
        """Figures written into arrays; what has no row does not run."""
        view = self._view
        of_gpu = isinstance(owner, GpuRecord)
        models, gpus, quants = self._places
        rows = _looked_up(models if of_gpu else gpus, figures.other_id)
        columns_at = _looked_up(quants, figures.quant_id)
        count = len(view.precomputed_quants)
        columns = _columns((len(view.models if of_gpu else view.gpus), count))
        # What lies in no row or column goes behind the last one.
        places = np.where((rows >= 0) & (columns_at >= 0), rows * count + columns_at, columns["runs"].size)
        for name, values in {"runs": np.True_, **_figures(figures)}.items():
            filled = np.zeros(columns[name].size + 1, dtype=columns[name].dtype)
            filled[places] = values
            columns[name] = filled[:-1].reshape(columns[name].shape)
        return self.pace(owner, columns, 1)

    def _computed(self, owner: Owner, workload: Workload, users: int) -> OwnerPace:
        view = self._view
        if isinstance(owner, GpuRecord):
            loads = Loads(self, view, owner, workload, users)
            loads.lay_out(range(len(view.models)))
            return loads.pace()
        columns = _columns((len(view.gpus), len(self.quants)))
        overrides = NO_OVERRIDES if users == 1 else WHOLE
        outlined = self.outlined(owner, self.devices, self.hosts, loaded(workload, users), overrides)
        _write(columns, self.complete, outlined)
        return self.pace(owner, columns, users)

    def outlined(
        self,
        model: ModelRecord,
        devices: tuple[Accelerator, ...],
        hosts: tuple[Host, ...],
        situation: Situation,
        overrides: Overrides,
    ) -> Outline:
        """A model on each device. Raises EstimatorError."""
        architecture, calibration = self._view.architecture(model), self._view.calibration
        return outline(architecture, devices, self.quants, (situation,), hosts, calibration, overrides)

    def pace(self, owner: Owner, columns: Columns, users: int) -> OwnerPace:
        """With the weights that are known to be had, or with all that run where a pairing has none of those."""
        runs, status = columns["runs"], columns["status"]
        models = np.arange(len(runs)) if isinstance(owner, GpuRecord) else self._view.models.index(owner)
        devices = [owner.accelerator] if isinstance(owner, GpuRecord) else [gpu.accelerator for gpu in self._view.gpus]
        known = runs & self.known[models]
        runs = known | (runs & self._common & ~known.any(axis=1, keepdims=True))
        return OwnerPace(
            Pace(
                runs=runs,
                tight=runs & (status == verdict.FITS_TIGHTLY),
                offloads=runs & (status == verdict.FITS_WITH_OFFLOAD),
                decode_tok_s=columns["decode_tok_s"],
                ttft_ms=columns["ttft_ms"],
                bits_per_weight=np.broadcast_to(self.bits[models], runs.shape),
                drawback_points=drawbacks(
                    status == verdict.FITS_TIGHTLY,
                    status == verdict.FITS_WITH_OFFLOAD,
                    unpaged_points(self.quants, devices, users),
                    self._mixtures[models],
                ),
            ),
            whole=runs & (status <= verdict.FITS_TIGHTLY),
            holds=columns["runs"] & (status <= verdict.FITS_TIGHTLY),
            safe_context_tokens=columns["safe_context_tokens"],
        )


class Loads:
    """Models under a load of several users on one accelerator, laid out when they are asked for."""

    def __init__(
        self,
        paces: Paces,
        view: CatalogView,
        gpu: GpuRecord,
        workload: Workload,
        users: int,
        beside: BesideOthers | None = None,
    ) -> None:
        self._paces, self._view, self._gpu, self._users, self._beside = paces, view, gpu, users, beside
        self._situation = loaded(workload, users)
        self._columns = _columns((len(view.models), len(view.precomputed_quants)))
        #: Models that were laid out, (models,).
        self.known = np.array([bool(model.missing_facts or gpu.missing_facts) for model in view.models])

    def lay_out(self, places: Iterable[int]) -> None:
        """Compute the models at ``places`` that are not known yet."""
        for place in places:
            if not self.known[place]:
                with suppress(EstimatorError):
                    if self._beside is not None and self._beside.known[place]:
                        self._hold(place, self._beside)
                    else:
                        self._outline(place)
                self.known[place] = True

    def _outline(self, place: int) -> None:
        machine, overrides = self._gpu.accelerator, NO_OVERRIDES if self._users == 1 else WHOLE
        hosts = (self._view.host_of(self._gpu),)
        model = self._view.models[place]
        _write(self._columns, [place], self._paces.outlined(model, (machine,), hosts, self._situation, overrides))

    def _hold(self, place: int, beside: BesideOthers) -> None:
        """Only where the model fits is left to find out."""
        model, quants = self._view.architecture(self._view.models[place]), self._paces.quants
        fleet = self._paces.stacks.fleet(self._gpu, model.architecture, is_moe=model.is_moe)
        need, tables, choices = needs(model, (self._situation,)), model_tables(model, quants), fleet.choices
        pairs = Pairs.of(model, tables, need, fleet.rig, fleet.available, choices.engine, choices.backend)
        status = WholeLoad.of(pairs).status(pairs)[0]
        runs = fleet.available[0] & (status < verdict.DOES_NOT_FIT)
        # As precise as an outline.
        figures = {"decode_tok_s": beside.decode_tok_s[place], "ttft_ms": beside.ttft_ms[place]}
        rounded = {name: np.where(runs, values, 0.0).astype(np.float32) for name, values in figures.items()}
        for name, values in {"runs": runs, "status": status, **rounded}.items():
            self._columns[name][place] = values

    def pace(self) -> OwnerPace:
        """The pace of what is known; nothing else runs."""
        return self._paces.pace(self._gpu, self._columns, self._users)


def loaded(workload: Workload, users: int) -> Situation:
    """The situation of several users at all depths at once."""
    return replace(situation_of(workload), batch=users, expected_occupancy=users > 1)


def surely_held_tokens(situation: Situation) -> float:
    """Tokens that one context can have in the memory that the contexts of all streams take."""
    return _SURELY_HELD * situation.batch * situation.held_tokens


def _columns(shape: tuple[int, int]) -> Columns:
    """Empty arrays (others, quants)."""
    kinds = {"runs": np.bool_, "status": np.uint8, "safe_context_tokens": np.int64}
    return {
        name: np.zeros(shape, dtype=kinds.get(name, np.float64))
        for name in ("runs", "status", "decode_tok_s", "ttft_ms", "safe_context_tokens")
    }


def _figures(figures: Figures | Outline) -> Columns:
    """The columns that stored figures and computed blocks share."""
    return {name: getattr(figures, name) for name in ("status", "decode_tok_s", "ttft_ms", "safe_context_tokens")}


def _write(columns: Columns, places: Sequence[int], block: Outline) -> None:
    """The rows of a block with one situation into rows ``places`` of the columns."""
    for name, values in _figures(block).items():
        columns[name][places] = values[:, :, 0]
    columns["runs"][places] = block.available & (block.status[:, :, 0] < verdict.DOES_NOT_FIT)


def _table(records: Sequence[Record], ids: Mapping[str, int]) -> Ints:
    """Place of the record of each id; -1 for one that has none, the last one too."""
    numbers = [ids[record.slug] for record in records]
    table = np.full(max(numbers, default=0) + 2, -1)
    table[numbers] = np.arange(len(numbers))
    return table


def _looked_up(table: Ints, ids: Ints) -> Ints:
    """Place of each id in ``table``; -1 for one that has none."""
    return table[np.minimum(ids, len(table) - 1)]
