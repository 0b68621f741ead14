"""Arguments that several fields share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import strawberry

from estimator.types import WorkloadKind

First: TypeAlias = Annotated[
    int | None, strawberry.argument(description="Items on the page from the start, 0 to 100; 20 when left out.")
]
After: TypeAlias = Annotated[str | None, strawberry.argument(description="Cursor to continue after.")]
Last: TypeAlias = Annotated[int | None, strawberry.argument(description="Items on the page from the end, 0 to 100.")]
Before: TypeAlias = Annotated[str | None, strawberry.argument(description="Cursor to end before.")]
#: The argument ``orderBy``.
ORDER = strawberry.argument(description="Terms of the order, most important first; at most 3.")
#: The arguments ``first``, ``after``, ``last`` and ``before``.
Paging: TypeAlias = tuple[int | None, str | None, int | None, str | None]
Workload: TypeAlias = Annotated[WorkloadKind | None, strawberry.argument(description="The workload.")]
