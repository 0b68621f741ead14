"""Arguments that lists share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import strawberry
from strawberry.types.lazy_type import LazyType

# The types whose fields take them are imported by the module that defines them.
if TYPE_CHECKING:
    from api.graphql.fit_inputs import FitFilter, FitOrder
else:
    FitFilter = LazyType("FitFilter", "api.graphql.fit_inputs")
    FitOrder = LazyType("FitOrder", "api.graphql.fit_inputs")

First: TypeAlias = Annotated[
    int | None, strawberry.argument(description="Items on the page from the start, 0 to 100; 20 when left out.")
]
After: TypeAlias = Annotated[str | None, strawberry.argument(description="Cursor to continue after.")]
Last: TypeAlias = Annotated[int | None, strawberry.argument(description="Items on the page from the end, 0 to 100.")]
Before: TypeAlias = Annotated[str | None, strawberry.argument(description="Cursor to end before.")]
WhichFits: TypeAlias = Annotated[
    FitFilter | None, strawberry.argument(description="Which fits; all given parts must hold.")
]
FitOrders: TypeAlias = Annotated[
    list[FitOrder] | None, strawberry.argument(description="Terms of the order, most important first; at most 3.")
]
