"""Batched reads: however many fits a query nests, each kind of look-up is one statement a level.

A loader lives as long as its request. Keys that are asked for in the same turn of the event loop go into one call.
"""

from __future__ import annotations

from collections.abc import Coroutine, Hashable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from strawberry.dataloader import DataLoader

from api.errors import LimitExceededError
from api.graphql.core.enums import FitSource
from api.graphql.fits.inputs import too_wide_for
from api.graphql.fits.types import Fit, fit_from_cell
from api.graphql.live import unsupported_cell
from db.fits import by_key, reads
from db.fits.cells import AnyCell, FitKey
from db.fits.layout import SLOTS
from db.fits.query import NARROW_IDS, FitOrder, FitOwner, FitPage, FitQuery, is_narrow
from estimator.structure.weights import weight_table
from estimator.types import Status

if TYPE_CHECKING:
    from api.graphql.catalog.gpus import Gpu
    from api.graphql.catalog.models import Model
    from api.graphql.catalog.quants import Quant
    from api.graphql.catalog_view import CatalogView
    from api.graphql.services import Services

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
#: Most quantizations whose fits are read at once when nothing narrows them to few models or accelerators.
MANY_QUANTS = 5
Pair = tuple[int, int]
#: A pairing by its ids, and the slot of a workload or None for all.
PairKey = tuple[Pair, int | None]
#: An owner's id; then kind of owner, query, order, size of the page, whether it is the last one.
TopKey = tuple[int, FitOwner, FitQuery, tuple[FitOrder, ...], int, bool]


class _Source:
    """What the loaders call: reads of one generation.

    It knows neither the loaders nor the request, so that their end frees every row at once: what refers to itself waits for
    the garbage collector, thousands of objects an answer.
    """

    def __init__(self, services: Services, view: CatalogView) -> None:
        self._reads = services.reads
        self._view = view
        #: Pairings that were read.
        self.known: dict[PairKey, list[Fit]] = {}

    async def pairs(self, groups: list[tuple[PairKey, ...]]) -> list[list[list[Fit]]]:
        keys = list(dict.fromkeys(key for group in groups for key in group))
        slots = {slot for _, slot in keys}
        wanted = None if None in slots else tuple(sorted(slot for slot in slots if slot is not None))
        view = self._view
        pairs = list(dict.fromkeys(pair for pair, _ in keys))
        found = await by_key.fetch_pairs(self._reads, view.published, pairs, wanted, view.quant_ranks)
        for pair, slot in keys:
            cells = found.get(pair, [])
            if wanted is None or len(wanted) > 1:
                cells = [cell for cell in cells if slot is None or cell.workload_id == slot]
            self.known[pair, slot] = [fit_from_cell(view, cell) for cell in cells]
        return [[self.known[key] for key in group] for group in groups]

    async def cells(self, keys: list[FitKey]) -> list[tuple[AnyCell, ...]]:
        found = await by_key.fetch_fits(self._reads, self._view.published, keys)
        return [found.get(key) or tuple(unsupported_cell(key, slot) for slot in range(len(SLOTS))) for key in keys]

    async def sizes(self, keys: list[int]) -> list[list[tuple[Quant, int, int]]]:
        view = self._view
        if view.generation is None:
            return [self._computed_sizes(key) for key in keys]
        found = await by_key.model_quants(self._reads, view.generation, keys)
        rows = [found.get(key, []) for key in keys]
        return [
            sorted(
                ((view.quant_by_id[row.quant_id], row.file_size_bytes, row.weights_bytes) for row in part),
                key=lambda size: (size[0].nominal_bits, size[0].slug),
            )
            for part in rows
        ]

    def _computed_sizes(self, model_id: int) -> list[tuple[Quant, int, int]]:
        view = self._view
        table = weight_table(view.architecture(view.model_by_id[model_id]), [quant.spec for quant in view.quants])
        return [
            (quant, int(table.file[row]), int(table.file[row] - table.stored[row]))
            for row, quant in enumerate(view.quants)
        ]

    async def tops(self, keys: list[TopKey]) -> list[FitPage | Exception]:
        found: dict[TopKey, FitPage | Exception] = {}
        for one, ids in _grouped((key[1:], key[0]) for key in keys).items():
            owner, query, order, size, backwards = one
            refused: Exception | None = too_wide_for(order, owner.among(query, tuple(set(ids))), owner)
            if owner is FitOwner.QUANT and len(set(ids)) > MANY_QUANTS and not is_narrow(query):
                refused = refused or _too_wide(len(set(ids)))
            if refused is not None:
                found |= dict.fromkeys(((number, *one) for number in ids), refused)
                continue
            view = self._view
            pages = await reads.top_fits(
                self._reads, view.published, owner, ids, query, order, size, backwards=backwards, prices=view.prices
            )
            for number in ids:
                found[(number, *one)] = pages.get(number, _EMPTY)
        return [found[key] for key in keys]


class Loaders:
    """The loaders of one request, all reading the generation that the request is pinned to."""

    def __init__(self, services: Services, view: CatalogView) -> None:
        self._view = view
        self._live = services.live
        self._source = _Source(services, view)

    @cached_property
    def _pairs(self) -> DataLoader[tuple[PairKey, ...], list[list[Fit]]]:
        # A key is all the pairings that one field wants: a future for each of them would cost as much as reading it.
        return DataLoader(load_fn=self._source.pairs)

    @cached_property
    def _cells(self) -> DataLoader[FitKey, tuple[AnyCell, ...]]:
        return DataLoader(load_fn=self._source.cells)

    @cached_property
    def _sizes(self) -> DataLoader[int, list[tuple[Quant, int, int]]]:
        return DataLoader(load_fn=self._source.sizes)

    @cached_property
    def _tops(self) -> DataLoader[TopKey, FitPage]:
        # What is an exception is raised for its key alone.
        return DataLoader(load_fn=self._source.tops)

    async def pairing(self, model: Model, gpu: Gpu, slot: int | None) -> list[Fit]:
        """Fits of a pairing, for one workload or all, fewest bits first; live ones when none are published."""
        view = self._view
        (fits,) = await self.published([(model, gpu)], slot)
        if fits:
            return fits
        live = await self._live.pairing(view, model, gpu)
        return [fit_from_cell(view, cell, FitSource.LIVE) for cell in live if slot is None or cell.workload_id == slot]

    async def published(self, pairs: Sequence[tuple[Model, Gpu]], slot: int | None) -> list[list[Fit]]:
        """Published fits of each pairing, for one workload or all, fewest bits first; empty where there are none."""
        view = self._view
        if view.generation is None:
            return [[] for _ in pairs]
        keys = tuple(((view.model_ids[model.slug], view.gpu_ids[gpu.slug]), slot) for model, gpu in pairs)
        if any(key not in self._source.known for key in keys):
            await self._pairs.load(keys)
        return [self._source.known[key] for key in keys]

    async def workloads_of(self, fit: Fit) -> list[Fit]:
        """The same pairing and quantization, every workload in order."""
        view = self._view
        if fit.source is FitSource.LIVE:
            cells = await self._live.pairing(view, fit.model, fit.gpu, fit.quant)
            return [fit_from_cell(view, cell, FitSource.LIVE) for cell in cells]
        key = FitKey(view.model_ids[fit.model.slug], view.gpu_ids[fit.gpu.slug], view.quant_ids[fit.quant.slug])
        published = await self._cells.load(key)
        return [fit_from_cell(view, cell) for cell in published]

    def quant_options_of(self, fit: Fit) -> list[Fit] | Coroutine[Any, Any, list[Fit]]:
        """The same pairing and workload in every quantization that an engine runs, fewest bits first.

        At once when they were read before, else to be awaited.
        """
        cell = fit.cell
        found = self._source.known.get(((cell.key.model_id, cell.key.gpu_id), cell.workload_id))
        return self._options_of(fit) if fit.source is FitSource.LIVE or not found else _runnable(found)

    async def _options_of(self, fit: Fit) -> list[Fit]:
        return _runnable(await self.pairing(fit.model, fit.gpu, self._view.workloads.index(fit.workload)))

    async def cells(self, keys: Sequence[FitKey]) -> dict[FitKey, tuple[AnyCell, ...]]:
        """Published cells of several fits, every workload; what has no row is marked so."""
        return dict(zip(keys, await self._cells.load_many(list(keys)), strict=True))

    async def model_sizes(self, model: Model) -> list[tuple[Quant, int, int]]:
        """Quantization, file bytes and weight bytes of a model."""
        return await self._sizes.load(self._view.model_ids[model.slug])

    async def top_fits(
        self, owner: FitOwner, number: int, query: FitQuery, order: tuple[FitOrder, ...], size: int, backwards: bool
    ) -> FitPage:
        """First page of the fits of a model, accelerator, quantization, engine or workload; or the last one."""
        return await self._tops.load((number, owner, query, order, size, backwards))


def _too_wide(quants: int) -> LimitExceededError:
    """No index leads to the fits of a quantization: each of many would walk through those of all others."""
    return LimitExceededError(
        "quantizations with fits",
        quants,
        MANY_QUANTS,
        f"Fits of {quants} quantizations at once need a filter that leaves at most {NARROW_IDS} models or accelerators.",
    )


_EMPTY = FitPage(cells=[], cursors=[], has_next=False, has_previous=False)


def _grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    groups: dict[K, list[V]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def _runnable(fits: Iterable[Fit]) -> list[Fit]:
    return [fit for fit in fits if fit.cell.status is not Status.UNSUPPORTED]
