"""Reading fits for resolvers: single ones, pages of all, pages of one model or accelerator."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from api.errors import bad_input
from api.graphql.catalog.engines import Engine
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.hosts import Host
from api.graphql.catalog.models import Model
from api.graphql.catalog.quants import Quant
from api.graphql.catalog.workloads import Workload
from api.graphql.core.connections import Page, connect, keyset_page_of
from api.graphql.core.enums import FitSource
from api.graphql.core.ids import Cursor, decode_cursor, encode_cursor, signature
from api.graphql.fits.inputs import FitFilter, FitOrder, store_order, store_query, too_wide_for
from api.graphql.fits.types import Fit, FitConnection, fit_from_cell
from db.fits import reads
from db.fits.cells import ENGINES
from db.fits.layout import SLOTS
from db.fits.query import FitOrder as StoredOrder
from db.fits.query import FitOwner, FitPage, FitQuery
from estimator.types import Status, WorkloadKind

if TYPE_CHECKING:
    from api.graphql.catalog_view import CatalogView
    from api.graphql.context import RequestContext

#: The arguments ``first``, ``after``, ``last`` and ``before``.
Paging: TypeAlias = tuple[int | None, str | None, int | None, str | None]
#: What fits belong to.
Owner: TypeAlias = Model | Gpu | Quant | Engine | Workload | Host


async def find_fit(
    context: RequestContext, model: Model, gpu: Gpu, quant: str | None, workload: WorkloadKind
) -> Fit | None:
    """The fit of a pairing in a named quantization, or in the best one; a live one when none is published."""
    wanted = None if quant is None else context.view.quant(quant)
    options = await context.loaders.pairing(model, gpu, SLOTS.index(workload))
    found = fit_among(options, wanted)
    return found if found is not None or wanted is None else await _unpublished(context, model, gpu, wanted, workload)


def fit_among(options: Sequence[Fit], wanted: Quant | None) -> Fit | None:
    """The fit in a quantization, or in the best one; None when there is none."""
    return best_of(options) if wanted is None else next((fit for fit in options if fit.quant is wanted), None)


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
    return fit_from_cell(context.view, cells[SLOTS.index(workload)], FitSource.LIVE)


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
    #: The query without its owners of a kind: for pages of one of them.
    of_any: dict[FitOwner, FitQuery] = dataclasses.field(default_factory=dict)

    def of(self, owner: FitOwner) -> FitQuery:
        """The query whatever it says of owners of this kind."""
        known = self.of_any.get(owner)
        if known is None:
            known = self.of_any[owner] = owner.only(self.query, 0)
        return known

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
    )
    if len(view.selections) >= _KEPT_SELECTIONS:
        view.selections.clear()
    view.selections[key] = made
    return made


async def all_fits(
    context: RequestContext, wanted: FitFilter | None, order_by: Sequence[FitOrder] | None, paging: Paging
) -> FitConnection:
    """One page of all fits."""
    chosen = selection_of(context.view, wanted, order_by)
    return await _page(context, chosen, lambda: chosen.query, keyset_page_of(context.services.limits, *paging), "all")


async def fits_of(
    context: RequestContext,
    one: Owner,
    wanted: FitFilter | None,
    order_by: Sequence[FitOrder] | None,
    paging: Paging,
) -> FitConnection:
    """One page of what belongs to ``one``. Pages without a cursor are read together, for all owners of a kind."""
    chosen, view = selection_of(context.view, wanted, order_by), context.view
    page = keyset_page_of(context.services.limits, *paging)
    if isinstance(one, Host):
        # Published fits are computed with the default host, all of them.
        kind, number, mark, allowed = None, 0, f"host {one.slug}", one.default
    else:
        kind, number, mark = _owner_of(view, one)
        allowed = kind.allowed(chosen.query, number) and not (isinstance(one, Engine) and one.front_of is not None)

    def own() -> FitQuery:
        if not allowed:
            return dataclasses.replace(chosen.query, model_ids=())
        return chosen.query if kind is None else kind.only(chosen.query, number)

    if not allowed:
        return _connection(context, _NOTHING, chosen, mark, own)
    if kind is None or page.after is not None or page.before is not None:
        return await _page(context, chosen, own, page, mark)
    found = await context.loaders.top_fits(kind, number, chosen.of(kind), chosen.order, page.size, page.backward)
    return _connection(context, found, chosen, mark, own)


def _owner_of(view: CatalogView, one: Model | Gpu | Quant | Engine | Workload) -> tuple[FitOwner, int, str]:
    """Kind, number and mark of an owner; a quantization that runs do not cover has a number without rows."""
    if isinstance(one, Model):
        return FitOwner.MODEL, view.model_ids[one.slug], one.slug
    if isinstance(one, Gpu):
        return FitOwner.GPU, view.gpu_ids[one.slug], one.slug
    if isinstance(one, Quant):
        return FitOwner.QUANT, view.quant_ids.get(one.slug, 0), f"quant {one.slug}"
    if isinstance(one, Engine):
        return FitOwner.ENGINE, ENGINES.index(one.kind), f"engine {one.slug}"
    return FitOwner.WORKLOAD, SLOTS.index(one.kind), f"workload {one.slug}"


_NOTHING = FitPage(cells=[], cursors=[], has_next=False, has_previous=False)


async def _page(
    context: RequestContext, chosen: Selection, query: Callable[[], FitQuery], page: Page, owner: str
) -> FitConnection:
    cursor = page.before if page.backward else page.after
    place = None if cursor is None else _place(decode_cursor(cursor, context.view.state, chosen.sealed(owner)))
    asked = query()
    if (refused := too_wide_for(chosen.order, asked)) is not None:
        raise refused
    try:
        found = await reads.page_fits(
            context.services.reads,
            context.generation,
            asked,
            chosen.order,
            after=None if page.backward else place,
            before=place if page.backward else None,
            limit=page.size,
            backwards=page.backward,
            prices=context.view.prices,
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
            (generation.id, asked), lambda: reads.count_fits(services.reads, generation, asked)
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
