"""Orders of lists that are wholly in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.errors import bad_input
from api.graphql.core.enums import OrderDirection
from api.graphql.core.ids import signature
from api.graphql.core.inputs import check_set
from api.graphql.core.scalars import date_bounds

#: Most terms of one order.
MAX_ORDER_TERMS = 3
_DATES = ("release_date", "date")


def ordered(items: list[Any], order_by: Sequence[Any] | None) -> list[Any]:
    """Items by the given terms, ties by slug; unknown values last. Without terms the order stays.

    The value of a term's field names an attribute. Raises ``BAD_USER_INPUT`` for a field named twice.
    """
    if not order_by:
        return items
    check_set("orderBy", order_by, MAX_ORDER_TERMS)
    if len({term.field for term in order_by}) < len(order_by):
        raise bad_input("orderBy names a field twice.", field="orderBy")
    items = sorted(items, key=lambda item: item.slug)
    for term in reversed(order_by):
        name = term.field.value
        known = [item for item in items if getattr(item, name) is not None]
        unknown = [item for item in items if getattr(item, name) is None]
        known.sort(key=lambda item: _sortable(name, getattr(item, name)), reverse=term.direction is OrderDirection.DESC)
        items = known + unknown
    return items


def signature_of(kind: str, wanted: Any, order_by: Sequence[Any] | None) -> str:
    """Signature of a filter and an order, for the cursors of their list."""
    terms = [(term.field.name, term.direction.name) for term in order_by or ()]
    return signature(kind, wanted, terms)


def _sortable(name: str, value: Any) -> Any:
    if name in _DATES:
        return date_bounds(value)
    return value.casefold() if isinstance(value, str) else value
