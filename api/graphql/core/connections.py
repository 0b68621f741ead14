"""Relay connections: typed pages with cursors, bounds on page sizes, and totals that cost nothing unless asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import strawberry
from strawberry.types.nodes import SelectedField

from api.errors import LimitExceededError, bad_input
from api.graphql.core.ids import Cursor, decode_cursor, encode_cursor
from api.settings import QueryLimits

T = TypeVar("T")
C = TypeVar("C", bound="Connection[Any]")
#: Makes the function that seals the cursor of the n-th node of a page.
Cursors: TypeAlias = Callable[[], Callable[[int], str]]


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether items follow this page.")
    has_previous_page: bool = strawberry.field(description="Whether items precede this page.")
    start_cursor: str | None = strawberry.field(description="Cursor of the first item; null on an empty page.")
    end_cursor: str | None = strawberry.field(description="Cursor of the last item; null on an empty page.")


@strawberry.type(description="One item of a page with its place in the list.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(description="Opaque place of the item, valid within a generation.")
    node: T = strawberry.field(description="The item.")


@strawberry.type(description="One page of an ordered list.")
class Connection(Generic[T]):
    edges: list[Edge[T]] = strawberry.field(description="Items of this page with their cursors.")
    nodes: list[T] = strawberry.field(description="Items of this page.")
    page_info: PageInfo = strawberry.field(description="Where this page lies in the list.")
    counter: strawberry.Private[Callable[[], Awaitable[int]]]
    cursors: strawberry.Private[Cursors]
    ends: strawberry.Private[tuple[bool, bool]]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Cursors are sealed when they are asked for: what needs them is made at its first use."""
            if name == "edges":
                cursor = self.cursors()
                value: Any = [Edge(cursor=cursor(place), node=node) for place, node in enumerate(self.nodes)]
            elif name == "page_info":
                value = _page_info(self)
            else:
                raise AttributeError(name)
            setattr(self, name, value)
            return value

    @strawberry.field(description="Number of items in the whole list. Counted only when asked for.")
    async def total_count(self) -> int:
        return await self.counter()


def counts_alone(info: strawberry.Info) -> bool:
    """Whether only the total of a connection is asked for, so that no page of it need be read."""
    selections, names = [own for field in info.selected_fields for own in field.selections], set()
    while selections:
        selection = selections.pop()
        if isinstance(selection, SelectedField):
            names.add(selection.name)
        else:
            selections += selection.selections
    return names <= {"totalCount", "__typename"}


@dataclass(frozen=True, slots=True)
class Page:
    """A checked request for one page: at most ``size`` items after or before a cursor."""

    size: int
    backward: bool
    after: str | None
    before: str | None


def page_of(
    limits: QueryLimits, first: int | None, after: str | None, last: int | None = None, before: str | None = None
) -> Page:
    """Check paging arguments. Raises ``BAD_USER_INPUT`` or ``LIMIT_EXCEEDED``."""
    if first is not None and last is not None:
        raise bad_input("Give first or last, not both.")
    name, size = ("last", last) if last is not None else ("first", first)
    if size is None:
        size = limits.default_page_size
    if size < 0:
        raise bad_input(f"{name} must be 0 or more, not {size}.", field=name)
    if size > limits.page_size:
        raise LimitExceededError(
            name, size, limits.page_size, f"{name} is {size}; a page has at most {limits.page_size} items."
        )
    return Page(size, last is not None, after, before)


def checked_size(limits: QueryLimits, first: int | None) -> int:
    """Items of a short list, 10 when left out. Raises ``BAD_USER_INPUT`` or ``LIMIT_EXCEEDED``."""
    size = 10 if first is None else first
    if size < 0:
        raise bad_input(f"first must be 0 or more, not {size}.", field="first")
    if size > limits.page_size:
        raise LimitExceededError("first", size, limits.page_size)
    return size


def keyset_page_of(
    limits: QueryLimits, first: int | None, after: str | None, last: int | None, before: str | None
) -> Page:
    """``page_of`` for lists that are read from a cursor on: it stands at the end that the page starts from."""
    page = page_of(limits, first, after, last, before)
    if page.backward and after is not None:
        raise bad_input("A page of this list from the end takes before, not after.", field="after")
    if not page.backward and before is not None:
        raise bad_input("A page of this list before a cursor needs last: how many, from there back.", field="before")
    return page


def slice_page(kind: type[C], items: Sequence[Any], page: Page, state: str, order: str) -> C:
    """The page of a list that is wholly in memory; cursors hold the item's slug."""
    start, end = 0, len(items)
    if page.after is not None or page.before is not None:
        places = {item.slug: index for index, item in enumerate(items)}
        if page.after is not None:
            start = max(start, _place(places, page.after, state, order) + 1)
        if page.before is not None:
            end = min(end, _place(places, page.before, state, order))
    end = max(start, end)
    if page.backward:
        start = max(start, end - page.size)
    else:
        end = min(end, start + page.size)
    nodes = list(items[start:end])

    def cursor(place: int) -> str:
        return encode_cursor(Cursor(state, order, (nodes[place].slug,)))

    return connect(
        kind, nodes, lambda: cursor, has_next=end < len(items), has_previous=start > 0, counter=_constant(len(items))
    )


def connect(
    kind: type[C],
    nodes: list[Any],
    cursors: Cursors,
    *,
    has_next: bool,
    has_previous: bool,
    counter: Callable[[], Awaitable[int]],
) -> C:
    """Put a page together."""
    connection = kind.__new__(kind)
    connection.nodes, connection.cursors, connection.ends, connection.counter = (
        nodes,
        cursors,
        (has_next, has_previous),
        counter,
    )
    return connection


def _page_info(connection: Connection[Any]) -> PageInfo:
    has_next, has_previous = connection.ends
    start = end = None
    if connection.nodes:
        cursor = connection.cursors()
        start, end = cursor(0), cursor(len(connection.nodes) - 1)
    return PageInfo(has_next_page=has_next, has_previous_page=has_previous, start_cursor=start, end_cursor=end)


def _place(places: dict[str, int], cursor: str, state: str, order: str) -> int:
    key = decode_cursor(cursor, state, order)
    place = places.get(key[0]) if len(key) == 1 and isinstance(key[0], str) else None
    if place is None:
        raise bad_input("This cursor does not belong to this list.")
    return place


def _constant(count: int) -> Callable[[], Awaitable[int]]:
    async def counter() -> int:
        return count

    return counter
