"""Every connection of the schema runs a constant number of statements, however long its page is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import GraphQLInterfaceType, GraphQLObjectType, get_named_type, is_leaf_type, is_required_argument

from api.answers.choices.paces import Paces
from api.graphql.schema import schema

#: A query of each connection, with its arguments and its selection left open, and its longer page.
QUERIES: dict[str, tuple[str, int]] = {
    "Query.models": ("{ models(%s) %s }", 4),
    "Query.gpus": ("{ gpus(%s) %s }", 5),
    "Query.computers": ("{ computers(%s) %s }", 10),
    "Query.fits": ('{ fits(%s, filter: {model: {in: ["llama-2-7b", "qwen3-30b-a3b"]}, score: {min: 1}}) %s }', 8),
    "Query.recommendations": ('{ recommendations(%s, input: {gpu: "rtx-4090"}) %s }', 4),
    "Query.measurements": ("{ measurements(%s) %s }", 20),
    "Query.runs": ("{ runs(%s) %s }", 5),
    "Query.fitDifferences": ("{ fitDifferences(%s, from: 1) %s }", 5),
    "Model.fits": ('{ model(slug: "llama-2-7b") { fits(%s) %s } }', 8),
    "Gpu.fits": ('{ gpu(slug: "rtx-4090") { fits(%s) %s } }', 8),
    "Quant.fits": ('{ quant(slug: "q4-k-m") { fits(%s) %s } }', 8),
    "Workload.fits": ("{ workloads { fits(%s) %s } }", 4),
    "Engine.fits": ('{ engines { fits(%s, filter: {gpu: {in: ["rtx-4090"]}}) %s } }', 4),
    "Host.fits": ("{ hosts { fits(%s) %s } }", 4),
    "Fit.measurements": ('{ fit(model: "llama-2-7b", gpu: "rtx-4090") { measurements(%s) %s } }', 20),
}
#: What searches for every fit alone, with no statement of its own, takes most of the time of a page.
_SEARCHES = {"advice", "faq", "limits", "summary", "headline", "capacityMessage", "tight"}


def connections() -> Iterator[tuple[str, GraphQLObjectType]]:
    """Name of each field that is a connection, and its type."""
    for kind in schema.core.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__"):
            for name, field in kind.fields.items():
                inner = get_named_type(field.type)
                if isinstance(inner, GraphQLObjectType) and "pageInfo" in inner.fields:
                    yield f"{kind.name}.{name}", inner


def everything_of(kind: Any, levels: int) -> str:
    """Selection of all that an object has without an argument, with pages and totals of its own lists."""
    parts = ["__typename"]
    for name, field in kind.fields.items():
        inner: Any = get_named_type(field.type)
        if name in _SEARCHES or any(is_required_argument(argument) for argument in field.args.values()):
            continue
        if is_leaf_type(inner):
            parts.append(name)
        elif not levels:
            continue
        elif "pageInfo" in getattr(inner, "fields", {}):
            parts.append(f"{name}(first: 2) {{ totalCount nodes {{ __typename }} }}")
        elif isinstance(inner, GraphQLObjectType | GraphQLInterfaceType):
            parts.append(f"{name} {everything_of(inner, levels - 1)}")
    return f"{{ {' '.join(parts)} }}"


def test_every_connection_has_a_query() -> None:
    assert set(QUERIES) == {name for name, _ in connections()}


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("paging", ["first", "last"])
async def test_statements_do_not_grow_with_the_page(
    data: Any, statements: Any, app: Any, name: str, paging: str
) -> None:
    query, size = QUERIES[name]
    kind = get_named_type(dict(connections())[name].fields["nodes"].type)
    # What a list of owners holds is dear.
    levels = 0 if query.startswith(("{ workloads", "{ engines", "{ hosts")) else 1
    asked = f"{{ totalCount pageInfo {{ startCursor endCursor }} nodes {everything_of(kind, levels)} }}"
    view = await app.state.services.state.view()
    counts = []
    for rows in (1, size):
        # What is kept was read by another test, or by the shorter page.
        app.state.services.counts._kept.clear()
        view._derived.pop(Paces, None)
        with statements() as run:
            await data(query % (f"{paging}: {rows}", asked))
        counts.append(len(run))
    assert counts[0] == counts[1], counts
