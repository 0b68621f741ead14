"""Pages of fits: of all, and of an owner such as a model or an accelerator."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from api.catalog.fit_reads import NO_FITS, too_wide_for
from api.catalog.view import CatalogView
from api.errors import bad_input
from api.graphql.catalog.engines import Engine
from api.graphql.catalog.faces import Faces
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.hosts import Host
from api.graphql.catalog.models import Model
from api.graphql.catalog.quants import Quant
from api.graphql.catalog.workloads import Workload
from api.graphql.context import RequestContext
from api.graphql.core.arguments import Paging
from api.graphql.core.connections import Page, connect, keyset_page_of
from api.graphql.core.ids import Cursor, decode_cursor, encode_cursor, signature
from api.graphql.fits.inputs import FitFilter, FitGroup, FitOrder, store_order, store_query
from api.graphql.fits.types import FitConnection, fits_of_cells
from db.fits import reads
from db.fits.cells import ENGINES
from db.fits.layout import SLOTS
from db.fits.query import FitOrder as StoredOrder
from db.fits.query import FitOwner, FitPage, FitQuery

#: Types whose objects own fits.
Owner: TypeAlias = Model | Gpu | Quant | Engine | Workload | Host
#: Counts the fits of a list.
Counter: TypeAlias = Callable[[], Awaitable[int]]
#: The arguments ``filter``, ``orderBy`` and ``onePer``.
Asked: TypeAlias = tuple[FitFilter | None, Sequence[FitOrder] | None, FitGroup | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Selection:
    """A filter and an order, as the client gave them and as the store has them; ``mark`` is their signature."""

    wanted: FitFilter | None
    order_by: Sequence[FitOrder] | None
    query: FitQuery
    order: tuple[StoredOrder, ...]
    mark: str
    #: The query without its owners of a kind: for pages of one of them.
    of_any: dict[FitOwner, FitQuery] = dataclasses.field(default_factory=dict)

    def of(self, owner: FitOwner) -> FitQuery:
        """The query without its condition on owners of this kind."""
        known = self.of_any.get(owner)
        if known is None:
            known = self.of_any[owner] = owner.only(self.query, 0)
        return known

    def sealed(self, owner: str) -> str:
        """Signature of one list's cursors."""
        return _sealed(owner, self.mark)


@lru_cache(maxsize=4096)
def _sealed(owner: str, mark: str) -> str:
    return signature("fits", owner, mark)


#: Most selections of a catalog view.
_KEPT_SELECTIONS = 512


def _selections(_: CatalogView) -> dict[tuple[int, int, FitGroup | None], Selection]:
    """Selections of a view, by the ids of their arguments: a document has the same argument objects every time."""
    return {}


def selection_of(faces: Faces, asked: Asked) -> Selection:
    """The selection of the arguments, made once for arguments that a document holds."""
    wanted, order_by, group = asked
    selections = faces.view.derived(_selections)
    key = (id(wanted), id(order_by), group)
    known = selections.get(key)
    if known is not None and known.wanted is wanted and known.order_by is order_by:
        return known
    one_per = None if group is None else group.value
    # The lists of many owners follow each other, and variables are made into objects anew for each.
    latest = next(reversed(selections.values()), None)
    if latest is not None and (latest.query.one_per, latest.order_by, latest.wanted) == (one_per, order_by, wanted):
        return latest
    query, order = dataclasses.replace(store_query(faces, wanted), one_per=one_per), store_order(order_by)
    mark = signature(wanted, [(term.field.value, term.descending) for term in order], query.one_per)
    if len(selections) >= _KEPT_SELECTIONS:
        selections.clear()
    selection = selections[key] = Selection(wanted, order_by, query, order, mark)
    return selection


async def all_fits(context: RequestContext, asked: Asked, paging: Paging, *, counts: bool) -> FitConnection:
    """One page of all fits; an empty one where ``counts`` says that only the total is asked for."""
    selection = selection_of(context.faces, asked)
    page = keyset_page_of(context.services.limits, *paging)
    if _is_spared(selection, page, counts=counts):
        return _connection(context, NO_FITS, selection, "all", _counter(context, selection.query))
    return await _page(context, selection, lambda: selection.query, page, "all", _counter(context, selection.query))


async def fits_of(
    context: RequestContext, owner: Owner, asked: Asked, paging: Paging, *, counts: bool
) -> FitConnection:
    """One page of an owner's fits; an empty one where ``counts`` says that only the total is asked for.

    Pages without a cursor are read together, for all owners of a kind.
    """
    selection, view = selection_of(context.faces, asked), context.view
    page = keyset_page_of(context.services.limits, *paging)
    if isinstance(owner, Host):
        on_host, mark = _on_host(view, owner, selection.query), f"host {owner.slug}"
        if not on_host.gpu_ids:
            return _connection(context, NO_FITS, selection, mark, _none)
        if _is_spared(selection, page, counts=counts):
            return _connection(context, NO_FITS, selection, mark, _counter(context, on_host))
        return await _page(context, selection, lambda: on_host, page, mark, _counter(context, on_host))
    kind, number, mark = _owner_of(view, owner)
    is_front = isinstance(owner, Engine) and owner.front_of is not None
    allowed = kind.allowed(selection.query, number) and not is_front
    if not allowed:
        return _connection(context, NO_FITS, selection, mark, _none)
    counter = _counter_of(context, kind, number, selection)
    if _is_spared(selection, page, counts=counts):
        return _connection(context, NO_FITS, selection, mark, counter)
    if page.after is not None or page.before is not None:
        return await _page(context, selection, lambda: kind.only(selection.query, number), page, mark, counter)
    key = (number, kind, selection.of(kind), selection.order, page.size, page.backward)
    return _connection(context, await context.loaders.top_fits(key), selection, mark, counter)


def _is_spared(selection: Selection, page: Page, *, counts: bool) -> bool:
    """Whether a page need not be read. A cursor is checked in any case, and one fit a group needs few owners."""
    return counts and page.after is None and page.before is None and selection.query.one_per is None


def _on_host(view: CatalogView, host: Host, query: FitQuery) -> FitQuery:
    """``query`` of the accelerators whose fits are computed in this computer."""
    own = tuple(view.gpu_ids[gpu.slug] for gpu in view.gpus if view.host_of(gpu).slug == host.slug)
    gpu_ids = own if query.gpu_ids is None else tuple(number for number in query.gpu_ids if number in own)
    return dataclasses.replace(query, gpu_ids=gpu_ids)


def _owner_of(view: CatalogView, owner: Model | Gpu | Quant | Engine | Workload) -> tuple[FitOwner, int, str]:
    """Kind, number and mark of an owner; a quantization outside the runs has a number without rows."""
    if isinstance(owner, Model):
        return FitOwner.MODEL, view.model_ids[owner.slug], owner.slug
    if isinstance(owner, Gpu):
        return FitOwner.GPU, view.gpu_ids[owner.slug], owner.slug
    if isinstance(owner, Quant):
        return FitOwner.QUANT, view.quant_ids.get(owner.slug, 0), f"quant {owner.slug}"
    if isinstance(owner, Engine):
        return FitOwner.ENGINE, ENGINES.index(owner.kind), f"engine {owner.slug}"
    return FitOwner.WORKLOAD, SLOTS.index(owner.kind), f"workload {owner.slug}"


async def _none() -> int:
    return 0


def _counter(context: RequestContext, query: FitQuery) -> Counter:
    """Function that counts the fits of a query."""
    services, view = context.services, context.view

    async def count() -> int:
        generation = view.published
        return await services.counts.get(
            (generation.id, query), lambda: reads.count_fits(services.state, generation, query)
        )

    return count


def _counter_of(context: RequestContext, kind: FitOwner, number: int, selection: Selection) -> Counter:
    """Function that counts the fits of an owner, in one statement with those of others of its kind."""
    key = (number, kind, selection.of(kind))

    async def count() -> int:
        generation = context.view.published.id
        return await context.services.counts.get((generation, key), lambda: context.loaders.count(key))

    return count


async def _page(
    context: RequestContext,
    selection: Selection,
    query: Callable[[], FitQuery],
    page: Page,
    owner: str,
    counter: Counter,
) -> FitConnection:
    cursor = page.before if page.backward else page.after
    place = None if cursor is None else _place(decode_cursor(cursor, context.view.state, selection.sealed(owner)))
    fit_query = query()
    if (refused := too_wide_for(selection.order, fit_query)) is not None:
        raise refused
    try:
        fits = await context.loaders.page(
            fit_query,
            selection.order,
            page.size,
            after=None if page.backward else place,
            before=place if page.backward else None,
            backwards=page.backward,
        )
    except ValueError as error:
        if place is None:
            raise
        # The checksum is right and the key is wrong: the client made this cursor.
        raise bad_input("This cursor does not belong to this list.") from error
    return _connection(context, fits, selection, owner, counter)


def _connection(
    context: RequestContext, page: FitPage, selection: Selection, owner: str, counter: Counter
) -> FitConnection:
    view = context.view

    def cursors() -> Callable[[int], str]:
        mark = selection.sealed(owner)
        return lambda place: encode_cursor(Cursor(view.state, mark, tuple(page.cursors[place])))

    return connect(
        FitConnection,
        fits_of_cells(context.faces, page.cells),
        cursors,
        has_next=page.has_next,
        has_previous=page.has_previous,
        counter=counter,
    )


def _place(key: tuple[Any, ...]) -> tuple[int, ...]:
    if not all(isinstance(part, int) and not isinstance(part, bool) for part in key):
        raise bad_input("This cursor is not one that this service gave out.")
    return key
