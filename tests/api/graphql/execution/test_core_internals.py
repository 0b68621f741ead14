"""The inside of graphql-core is still as it was read, and coroutines that nobody awaits are closed."""

from __future__ import annotations

import asyncio
import gc
import warnings
from importlib.metadata import version
from types import SimpleNamespace
from typing import Annotated

import pytest
import strawberry

from api.graphql.core import strawberry_internals
from api.graphql.execution import core_internals
from api.graphql.execution.core_internals import ClosingExecutor
from api.graphql.schema import FitSchema
from api.settings import QueryLimits

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("few_objects")]


@strawberry.type
class Slow:
    """Fields that take so many turns of the loop."""

    steps: int

    @strawberry.field
    async def late(self) -> str:
        for _ in range(self.steps):
            await asyncio.sleep(0)
        return "late"

    @strawberry.field
    async def broken(self) -> str:
        for _ in range(self.steps):
            await asyncio.sleep(0)
        raise ValueError("boom")

    @strawberry.field
    async def inside(self, steps: int = 1) -> Annotated[Slow, strawberry.lazy(__name__)]:
        for _ in range(self.steps):
            await asyncio.sleep(0)
        return Slow(steps=steps)


@pytest.mark.parametrize(
    ("package", "read_from"),
    [("graphql-core", core_internals.READ_FROM), ("strawberry-graphql", strawberry_internals.READ_FROM)],
)
async def test_the_installed_version_is_one_whose_inside_was_read(package: str, read_from: str) -> None:
    assert version(package).split(".")[:2] == read_from.split(".")[:2]


@pytest.mark.parametrize("arguments", ["", "(steps: 1)"])
@pytest.mark.parametrize("steps", range(8))
async def test_resolvers_that_never_began_are_closed(steps: int, arguments: str) -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        def fails(self) -> Slow:
            return Slow(steps=steps)

        @strawberry.field
        def works(self) -> Slow:
            return Slow(steps=1)

    query = "{ fails { broken } works { inside@ { a: inside@ { late } b: inside@ { late } c: late } d: late } }"
    made = FitSchema(Query, execution_context_class=ClosingExecutor).configure(QueryLimits())
    context = SimpleNamespace(begun=[])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = await made.execute(query.replace("@", arguments), context_value=context)
        await asyncio.sleep(0)
        del result
        gc.collect()
    assert context.begun == []
    assert [str(warning.message) for warning in caught] == []
