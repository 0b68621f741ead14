"""Reading fits for resolvers: single ones, pages of all, pages of one model or accelerator."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from api.graphql.connections import Page, connect, page_of
from api.graphql.enums import FitSource
from api.graphql.errors import bad_input
from api.graphql.fit_inputs import FitFilter, FitOrder, store_order, store_query
from api.graphql.fits import Fit, FitConnection, fit_from_cell
from api.graphql.ids import Cursor, decode_cursor, encode_cursor, signature
from db import fit_store
from db.fit_store import FitOrder as StoredOrder
from db.fit_store import FitPage, FitQuery
from estimator.types import Status, WorkloadKind

if TYPE_CHECKING:
    from api.graphql.catalog_view import CatalogView
    from api.graphql.context import RequestContext
    from api.graphql.gpus import Gpu
    from api.graphql.models import Model
    from api.graphql.quants import Quant


async def find_fit(
    context: RequestContext, model: Model, gpu: Gpu, quant: str | None, workload: WorkloadKind
) -> Fit | None:
    """The fit of a pairing in a named quantization, or in the best one; a live one when none is published."""
    wanted = None if quant is None else context.view.quant(quant)
    options = await context.loaders.pairing(model, gpu, fit_store.SLOTS.index(workload))
    if wanted is None:
        return best_of(options)
    for fit in options:
        if fit.quant is wanted:
            return fit
    return await _unpublished(context, model, gpu, wanted, workload)


def best_of(options: Sequence[Fit]) -> Fit | None:
    """The recommended quantization; where nothing runs, the one that needs the least memory."""
    if not options:
        return None
    for fit in options:
        if fit.cell.recommended:
            return fit
    placed = [fit for fit in options if fit.cell.status is not Status.UNSUPPORTED]
    if placed:
        return min(placed, key=lambda fit: (-fit.cell.score, fit.cell.memory.total_bytes, fit.quant.slug))
    return options[0]


async def _unpublished(context: RequestContext, model: Model, gpu: Gpu, quant: Quant, workload: WorkloadKind) -> Fit:
    """A quantization without a row: not part of the runs, or without an engine there, which the live estimate says."""
    cells = await context.services.live.pairing(context.view, model, gpu, quant)
    return fit_from_cell(context.view, cells[fit_store.SLOTS.index(workload)], FitSource.LIVE)


async def fit_by_key(context: RequestContext, key: tuple[str, ...]) -> Fit | None:
    """The fit of an id; None when an entity of it has left the catalog."""
    if len(key) != 4:
        return None
    model, gpu = context.view.by_slug("model", key[0]), context.view.by_slug("gpu", key[1])
    quant, workload = context.view.by_slug("quant", key[2]), context.view.by_slug("workload", key[3])
    if model is None or gpu is None or quant is None or workload is None:
        return None
    return await find_fit(context, model, gpu, key[2], workload.kind)


@dataclasses.dataclass(frozen=True, slots=True)
class Selection:
    """A filter and an order, as the client gave them and as the store has them; ``mark`` tells their lists apart."""

    wanted: FitFilter | None
    order_by: Sequence[FitOrder] | None
    query: FitQuery
    order: tuple[StoredOrder, ...]
    mark: str
    #: The query without its models, and without its accelerators: for pages of one of them.
    of_any_model: FitQuery
    of_any_gpu: FitQuery

    def sealed(self, owner: str) -> str:
        """Signature of one list's cursors."""
        return signature("fits", owner, self.mark)


#: Selections that a catalog view keeps.
_KEPT_SELECTIONS = 512


def selection_of(view: CatalogView, wanted: FitFilter | None, order_by: Sequence[FitOrder] | None) -> Selection:
    """The selection of two arguments. Those that a document holds are the same objects every time, and known again."""
    key = (id(wanted), id(order_by))
    known: Selection | None = view.selections.get(key)
    if known is not None and known.wanted is wanted and known.order_by is order_by:
        return known
    query, order = store_query(view, wanted), store_order(order_by)
    condition: Any = None if wanted is None else dataclasses.asdict(wanted)
    made = Selection(
        wanted,
        order_by,
        query,
        order,
        signature(condition, [(term.field.value, term.descending) for term in order]),
        dataclasses.replace(query, model_ids=None),
        dataclasses.replace(query, gpu_ids=None),
    )
    if len(view.selections) >= _KEPT_SELECTIONS:
        view.selections.clear()
    view.selections[key] = made
    return made


async def all_fits(
    context: RequestContext,
    wanted: FitFilter | None,
    order_by: Sequence[FitOrder] | None,
    first: int | None,
    after: str | None,
) -> FitConnection:
    """One page of all fits."""
    chosen = selection_of(context.view, wanted, order_by)
    return await _page(context, chosen, lambda: chosen.query, first, after, "all")


async def fits_of_model(
    context: RequestContext,
    model: Model,
    wanted: FitFilter | None,
    order_by: Sequence[FitOrder] | None,
    first: int | None,
    after: str | None,
) -> FitConnection:
    """One page of a model's fits; first pages of several models are read in one statement."""
    chosen = selection_of(context.view, wanted, order_by)
    number = context.view.model_ids[model.slug]

    def own() -> FitQuery:
        return dataclasses.replace(
            chosen.query, model_ids=(number,) if _includes(chosen.query.model_ids, number) else ()
        )

    if not _includes(chosen.query.model_ids, number):
        return _connection(context, _NOTHING, chosen, model.slug, own)
    if after is not None:
        return await _page(context, chosen, own, first, after, model.slug)
    page = page_of(context.services.limits, first, after)
    found = await context.loaders.top_of_model(model, chosen.of_any_model, chosen.order, page.size)
    return _connection(context, found, chosen, model.slug, own)


async def fits_of_gpu(
    context: RequestContext,
    gpu: Gpu,
    wanted: FitFilter | None,
    order_by: Sequence[FitOrder] | None,
    first: int | None,
    after: str | None,
) -> FitConnection:
    """One page of an accelerator's fits; first pages of several are read in one statement."""
    chosen = selection_of(context.view, wanted, order_by)
    number = context.view.gpu_ids[gpu.slug]

    def own() -> FitQuery:
        return dataclasses.replace(chosen.query, gpu_ids=(number,) if _includes(chosen.query.gpu_ids, number) else ())

    if not _includes(chosen.query.gpu_ids, number):
        return _connection(context, _NOTHING, chosen, gpu.slug, own)
    if after is not None:
        return await _page(context, chosen, own, first, after, gpu.slug)
    page = page_of(context.services.limits, first, after)
    found = await context.loaders.top_of_gpu(gpu, chosen.of_any_gpu, chosen.order, page.size)
    return _connection(context, found, chosen, gpu.slug, own)


_NOTHING = FitPage(cells=[], cursors=[], has_next=False, has_previous=False)


async def _page(
    context: RequestContext,
    chosen: Selection,
    query: Callable[[], FitQuery],
    first: int | None,
    after: str | None,
    owner: str,
) -> FitConnection:
    page: Page = page_of(context.services.limits, first, after)
    place = None
    if after is not None:
        place = _place(decode_cursor(after, context.view.state, chosen.sealed(owner)))
    try:
        found = await fit_store.page_fits(
            context.services.reads, context.generation, query(), chosen.order, after=place, limit=page.size
        )
    except ValueError as error:
        if place is None:
            raise
        # The checksum was right and the key was not: somebody made this cursor.
        raise bad_input("This cursor does not belong to this list.") from error
    return _connection(context, found, chosen, owner, query)


def _connection(
    context: RequestContext, found: FitPage, chosen: Selection, owner: str, query: Callable[[], FitQuery]
) -> FitConnection:
    view, services = context.view, context.services

    async def count() -> int:
        generation, asked = context.generation, query()
        return await services.counts.get(
            (generation.id, asked), lambda: fit_store.count_fits(services.reads, generation, asked)
        )

    def cursors() -> Callable[[int], str]:
        mark = chosen.sealed(owner)
        return lambda place: encode_cursor(Cursor(view.state, mark, tuple(found.cursors[place])))

    return connect(
        FitConnection,
        [fit_from_cell(view, cell) for cell in found.cells],
        cursors,
        has_next=found.has_next,
        has_previous=found.has_previous,
        counter=count,
    )


def _place(key: tuple[Any, ...]) -> tuple[int, ...]:
    if not all(isinstance(part, int) and not isinstance(part, bool) for part in key):
        raise bad_input("This cursor is not one that this service gave out.")
    return key


def _includes(numbers: tuple[int, ...] | None, number: int) -> bool:
    return numbers is None or number in numbers
