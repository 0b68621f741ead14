"""Reads of fits of one generation as cells, with live cells for pairings that it does not have."""

from __future__ import annotations

from collections.abc import Coroutine, Hashable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

from api.catalog.fits import best_of
from api.catalog.live import LiveFits
from api.catalog.records import GpuRecord, ModelRecord, QuantRecord
from api.catalog.view import CatalogView
from api.errors import ApiError, LimitExceededError, bad_input
from db.fits import by_key, reads
from db.fits.by_unpacking import PACKED
from db.fits.cells import AnyCell, FitKey
from db.fits.layout import SLOTS
from db.fits.query import NARROW_IDS, FitOrder, FitOwner, FitPage, FitQuery, is_narrow
from db.reading import Reader
from estimator.structure.weights import weight_table
from estimator.types import Status, WorkloadKind

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
#: Owners whose fits no index leads to: the read of each walks through those of all others.
_SCATTERED = {FitOwner.QUANT: "quantizations", FitOwner.ENGINE: "engines"}
#: Most of them whose fits are read at once by a query of many models and accelerators.
MANY_SCATTERED = 5
Pair: TypeAlias = tuple[int, int]
#: Ids of model and accelerator, and the slot of a workload or None for all.
PairKey: TypeAlias = tuple[Pair, int | None]
#: A pairing and quantization, and the slot of a workload or None for all.
CellsKey: TypeAlias = tuple[FitKey, int | None]
#: An owner's id, kind of owner, query, order, size of the page, whether it is the last page.
TopKey: TypeAlias = tuple[int, FitOwner, FitQuery, tuple[FitOrder, ...], int, bool]
#: An owner's id, kind of owner, query.
CountKey: TypeAlias = tuple[int, FitOwner, FitQuery]
#: Quantization, bytes of the file, bytes of the weights.
Size: TypeAlias = tuple[QuantRecord, int, int]
NO_FITS = FitPage(cells=[], cursors=[], has_next=False, has_previous=False)


class BatchedReads:
    """Statements for many keys at once.

    It refers neither to :class:`FitReads` nor to a request: a cycle of references would keep every row of a request until
    the garbage collector runs.
    """

    def __init__(self, reader: Reader, view: CatalogView) -> None:
        self._reader = reader
        self._view = view
        #: Cells of the pairings that were read.
        self.known: dict[PairKey, list[AnyCell]] = {}

    async def pairs(self, groups: Sequence[tuple[PairKey, ...]]) -> list[list[list[AnyCell]]]:
        """Cells of each pairing of each group, fewest bits first."""
        keys = list(dict.fromkeys(key for group in groups for key in group))
        view, wanted = self._view, _wanted_slots(slot for _, slot in keys)
        pairs = list(dict.fromkeys(pair for pair, _ in keys))
        cells_of_pair = await by_key.fetch_pairs(self._reader, view.published, pairs, wanted, view.quant_ranks)
        for pair, slot in keys:
            self.known[pair, slot] = _of_slot(cells_of_pair[pair], slot)
        return [[self.known[key] for key in group] for group in groups]

    async def cells(self, keys: list[CellsKey]) -> list[list[AnyCell]]:
        """Cells of each fit, by slot; none for a fit without a row."""
        wanted = _wanted_slots(slot for _, slot in keys)
        cells_of_key = await by_key.fetch_fits(self._reader, self._view.published, [key for key, _ in keys], wanted)
        return [_of_slot(cells_of_key.get(key, ()), slot) for key, slot in keys]

    async def sizes(self, model_ids: list[int]) -> list[list[Size]]:
        """Sizes of each model in every quantization, fewest bits first: published ones, else computed."""
        view = self._view
        if view.generation is None:
            return [self._computed_sizes(number) for number in model_ids]
        sizes_of_model = await by_key.model_quants(self._reader, view.generation, model_ids)
        ranks = view.quant_ranks
        return [
            [
                (view.quant_by_id[row.quant_id], row.file_size_bytes, row.weights_bytes)
                for row in sorted(sizes_of_model.get(number, []), key=lambda row: ranks[row.quant_id])
            ]
            for number in model_ids
        ]

    def _computed_sizes(self, model_id: int) -> list[Size]:
        view = self._view
        table = weight_table(view.architecture(view.model_by_id[model_id]), [quant.spec for quant in view.quants])
        return [
            (quant, int(table.file[row]), int(table.file[row] - table.stored[row]))
            for row, quant in enumerate(view.quants)
        ]

    async def tops(self, keys: list[TopKey]) -> list[FitPage | Exception]:
        """First or last page of each owner; an exception is the answer of its key alone."""
        answers: dict[TopKey, FitPage | Exception] = {}
        view = self._view
        for shared, ids in _grouped((key[1:], key[0]) for key in keys).items():
            owner, query, order, size, backwards = shared
            refused: Exception | None = too_wide_for(order, query, owner, ids)
            if owner in _SCATTERED and len(set(ids)) > MANY_SCATTERED and not is_narrow(query):
                refused = refused or _too_many(_SCATTERED[owner], len(set(ids)))
            if refused is not None:
                answers |= dict.fromkeys(((number, *shared) for number in ids), refused)
                continue
            pages = await reads.top_fits(
                self._reader, view.published, owner, ids, query, order, size, backwards=backwards, gpus=view.gpu_figures
            )
            for number in ids:
                answers[(number, *shared)] = pages.get(number, NO_FITS)
        return [answers[key] for key in keys]

    async def counts(self, keys: list[CountKey]) -> list[int]:
        """How many fits each owner has."""
        counts: dict[CountKey, int] = {}
        for (owner, query), ids in _grouped((key[1:], key[0]) for key in keys).items():
            count_of_owner = await reads.count_of_owners(self._reader, self._view.published, owner, ids, query)
            counts |= {(number, owner, query): count for number, count in count_of_owner.items()}
        return [counts[key] for key in keys]


class FitReads:
    """Fits of one catalog view. A subclass may read the keys of several callers in one statement."""

    def __init__(self, reader: Reader, live: LiveFits, view: CatalogView) -> None:
        self.view = view
        self.reader = reader
        self._live = live
        self._batched = BatchedReads(reader, view)

    async def _load_pairs(self, keys: tuple[PairKey, ...]) -> list[list[AnyCell]]:
        return (await self._batched.pairs([keys]))[0]

    async def _load_cells(self, keys: list[CellsKey]) -> list[list[AnyCell]]:
        return await self._batched.cells(keys)

    async def published(self, pairs: Sequence[tuple[ModelRecord, GpuRecord]], slot: int | None) -> list[list[AnyCell]]:
        """Published cells of each pairing, for one workload or all, fewest bits first."""
        view = self.view
        if view.generation is None:
            return [[] for _ in pairs]
        keys = tuple(((view.model_ids[model.slug], view.gpu_ids[gpu.slug]), slot) for model, gpu in pairs)
        known = self._batched.known
        if any(key not in known for key in keys):
            return await self._load_pairs(keys)
        return [known[key] for key in keys]

    async def pairing(self, model: ModelRecord, gpu: GpuRecord, slot: int | None) -> list[AnyCell]:
        """Cells of a pairing, for one workload or all, fewest bits first; live ones when none are published."""
        (cells,) = await self.published([(model, gpu)], slot)
        if cells:
            return cells
        return _of_slot(await self._live.pairing(self.view, model, gpu), slot)

    async def live(self, model: ModelRecord, gpu: GpuRecord, quant: QuantRecord) -> list[AnyCell]:
        """Live cells of a quantization, by slot."""
        return list(await self._live.pairing(self.view, model, gpu, quant))

    async def fit(
        self, model: ModelRecord, gpu: GpuRecord, quant: QuantRecord | None, workload: WorkloadKind
    ) -> AnyCell | None:
        """The cell of a pairing in a quantization, or in the best one; a live one when none is published."""
        slot = SLOTS.index(workload)
        cell = self.chosen(await self.pairing(model, gpu, slot), quant)
        if cell is None and quant is not None:
            # The runs leave the quantization out, or no engine runs it: the live cell has the status.
            return (await self.live(model, gpu, quant))[slot]
        return cell

    def chosen(self, cells: Sequence[AnyCell], quant: QuantRecord | None) -> AnyCell | None:
        """The cell in a quantization, or in the best one, among those of a pairing and workload."""
        if quant is None:
            return best_of(self.view, cells)
        number = self.view.quant_ids.get(quant.slug)
        return next((cell for cell in cells if cell.quant_id == number), None)

    async def workloads_of(self, cell: AnyCell) -> Sequence[AnyCell]:
        """Cells of the same pairing and quantization, by slot."""
        return (await self._load_cells([(cell.key, None)]))[0] if cell.generation else await self._live_of(cell.key)

    def quant_options_of(self, cell: AnyCell) -> list[AnyCell] | Coroutine[Any, Any, list[AnyCell]]:
        """Cells of the same pairing and workload that an engine runs, fewest bits first.

        A list when the pairing was read before, else an awaitable.
        """
        slot = cell.workload_id
        known = self._batched.known.get(((cell.model_id, cell.gpu_id), slot))
        # What no engine runs is not published.
        return known if cell.generation and known else self._options_of(cell.key, slot)

    async def _options_of(self, key: FitKey, slot: int) -> list[AnyCell]:
        model, gpu = self.view.model_by_id[key.model_id], self.view.gpu_by_id[key.gpu_id]
        return _supported(await self.pairing(model, gpu, slot))

    async def cells(self, keys: Sequence[FitKey], slot: int) -> list[AnyCell]:
        """The cell of each fit for one workload: published, or live where the fit has no row."""
        published: list[list[AnyCell]] = [[] for _ in keys]
        if self.view.generation is not None:
            published = await self._load_cells([(key, slot) for key in keys])
        return [
            read[0] if read else (await self._live_of(key))[slot] for key, read in zip(keys, published, strict=True)
        ]

    async def _live_of(self, key: FitKey) -> list[AnyCell]:
        view = self.view
        return await self.live(
            view.model_by_id[key.model_id], view.gpu_by_id[key.gpu_id], view.quant_by_id[key.quant_id]
        )

    async def page(self, query: FitQuery, order: tuple[FitOrder, ...], limit: int, **paging: Any) -> FitPage:
        """One page of published cells; ``paging`` is that of :func:`db.fits.reads.page_fits`."""
        return await reads.page_fits(
            self.reader, self.view.published, query, order, limit=limit, gpus=self.view.gpu_figures, **paging
        )


def too_wide_for(
    order: Sequence[FitOrder], query: FitQuery, owner: FitOwner | None = None, ids: Iterable[int] = ()
) -> ApiError | None:
    """``BAD_USER_INPUT`` for what needs few models or accelerators (some orders, one fit a group), and a query of more.

    ``owner`` is the kind of owners of several lists that are read together, ``ids`` are these owners.
    """
    field = next((term.field for term in order if term.field in PACKED), None)
    if field is None and query.one_per is None:
        return None
    if owner is not None:
        query = owner.among(query, tuple(set(ids)))
    if is_narrow(query):
        return None
    demand = "One fit of each" if field is None else f"An order by {field.name}"
    message = f"{demand} needs a filter that leaves at most {NARROW_IDS} models or accelerators"
    owned = {FitOwner.MODEL: query.model_ids, FitOwner.GPU: query.gpu_ids}.get(owner) if owner else None
    together = "" if owned is None else f", or fits of at most {NARROW_IDS} of them at once, not of {len(owned)}"
    details = {"field": "onePer"} if field is None else {"field": "orderBy", "order": field.name}
    return bad_input(f"{message}{together}.", **details, maximum=NARROW_IDS)


def _too_many(kind: str, count: int) -> LimitExceededError:
    return LimitExceededError(
        f"{kind} with fits",
        count,
        MANY_SCATTERED,
        f"Fits of {count} {kind} at once need a filter that leaves at most {NARROW_IDS} models or accelerators.",
    )


def _grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    groups: dict[K, list[V]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def _wanted_slots(slots: Iterable[int | None]) -> tuple[int, ...] | None:
    """The slots that a statement for all of ``slots`` reads; None for every slot."""
    wanted = set(slots)
    return None if None in wanted else tuple(sorted(slot for slot in wanted if slot is not None))


def _of_slot(cells: Iterable[AnyCell], slot: int | None) -> list[AnyCell]:
    return [cell for cell in cells if slot is None or cell.workload_id == slot]


def _supported(cells: Iterable[AnyCell]) -> list[AnyCell]:
    return [cell for cell in cells if cell.status is not Status.UNSUPPORTED]
