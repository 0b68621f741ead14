"""Arguments that lists share, and the list of fits that many types have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import strawberry
from strawberry.types.lazy_type import LazyType

# The types whose fields take them are imported by the module that defines them.
if TYPE_CHECKING:
    from api.graphql.fits.inputs import FitFilter, FitOrder
    from api.graphql.fits.types import FitConnection
else:
    FitFilter = LazyType("FitFilter", "api.graphql.fits.inputs")
    FitOrder = LazyType("FitOrder", "api.graphql.fits.inputs")

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


def fits_field(description: str) -> Any:
    """The field of a type whose objects own fits: models, accelerators, quantizations, workloads, engines, hosts."""

    async def fits(
        self: Any,
        info: strawberry.Info,
        filter: WhichFits = None,
        order_by: FitOrders = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Annotated[FitConnection, strawberry.lazy("api.graphql.fits.types")]:
        from api.graphql.fits.queries import fits_of

        return await fits_of(info.context, self, filter, order_by, (first, after, last, before))

    return strawberry.field(resolver=fits, description=description)
