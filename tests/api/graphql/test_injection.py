"""Hostile values in every argument of every field, on both databases: data or a typed error, and nothing of SQL."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    get_named_type,
    is_input_object_type,
    is_leaf_type,
    is_required_input_field,
)
from starlette.applications import Starlette

from api.graphql.schema import schema
from tests.api.conftest import client_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

TEXTS = (
    "' OR '1'='1", "a\x00b", "'; DROP TABLE run; --", '") OR 1=1 --', "%", "\\", "\x00", "{{7*7}}", "", " ", "x" * 5000,
    "🜏" * 100, "-1", "NaN",
)  # fmt: skip
VALUES: dict[str, tuple[Any, ...]] = {
    "String": TEXTS,
    "ID": TEXTS,
    "DateTime": ("0001-01-01T00:00:00+10:00", *TEXTS, "9999-12-31T23:59:59-10:00", "2026-02-30T00:00:00"),
    "PartialDate": (*TEXTS, "9999-99-99", "0000-00-00", "2024-02-30", "99999999-01-01"),
    "Int": (0, -1, 1, 2**31 - 1, -(2**31), 2**31, 1.5),
    "Int64": (0, -1, 2**53, 2**63 - 1, -(2**63), 2**63, 10**30, "' OR 1=1 --"),
    "Float": (0, -1, 1e308, -1e308, 5e-324, 2**63),
    "Boolean": (True, False, "' OR 1=1 --"),
    "JSON": TEXTS,
}
NAMES = {
    "model": "llama-2-7b", "gpu": "rtx-4090", "slug": "rtx-4090", "models": "llama-2-7b", "gpus": "rtx-4090",
    "quant": "Q4_K_M", "id": "x", "ids": "x",
}  # fmt: skip
PARENTS = {
    "Query": "%s",
    "Model": 'model(slug: "llama-2-7b") { %s }',
    "Gpu": 'gpu(slug: "rtx-4090") { %s }',
    "Quant": 'quant(slug: "q4_k_m") { %s }',
    "Workload": "workloads { %s }",
    "Engine": "engines { %s }",
    "Host": "hosts { %s }",
    "Computer": 'computer(slug: "nvidia-dgx-spark") { %s }',
    "Fit": 'fit(model: "llama-2-7b", gpu: "rtx-4090", quant: "Q4_K_M") { %s }',
}
EXPECTED = {"BAD_USER_INPUT", "NOT_FOUND", "LIMIT_EXCEEDED", "MISSING_FACT", "UNSUPPORTED", "STALE_CURSOR"}


def ordinary(name: str, kind: Any) -> Any:
    """A value that a required argument may have."""
    if isinstance(kind, GraphQLNonNull):
        kind = kind.of_type
    if isinstance(kind, GraphQLList):
        return [ordinary(name, kind.of_type)]
    if isinstance(kind, GraphQLInputObjectType):
        return {key: ordinary(key, field.type) for key, field in kind.fields.items() if is_required_input_field(field)}
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    return NAMES.get(name, "x") if kind.name in ("String", "ID") else 1


def hostile(name: str, kind: Any, depth: int = 0, within: tuple[str, ...] = ()) -> Iterator[Any]:
    """Every value of a type in which one leaf is hostile; ``within`` are the types that it lies in."""
    if isinstance(kind, GraphQLNonNull):
        kind = kind.of_type
    if isinstance(kind, GraphQLList):
        for value in hostile(name, kind.of_type, depth, within):
            yield [value]
    elif isinstance(kind, GraphQLInputObjectType) and kind.name not in within:
        base = ordinary(name, kind)
        for key, field in kind.fields.items():
            for value in hostile(key, field.type, depth + 1, (*within, kind.name)):
                yield {**base, key: value}
    elif isinstance(kind, GraphQLScalarType):
        values = VALUES[kind.name]
        # Inside objects, a few of each kind: the texts take the same way through one filter as through another.
        yield from values if not depth else random.Random(f"{within} {name}").sample(values, min(INSIDE, len(values)))


def selection(kind: Any) -> str:
    """Fields of an answer that make the server do the work."""
    if is_leaf_type(kind):
        return ""
    asked = {"totalCount": "totalCount", "nodes": "nodes { __typename }"}
    known = kind.fields if isinstance(kind, GraphQLObjectType) else {}
    return f"{{ __typename {' '.join(text for name, text in asked.items() if name in known)} }}"


def cases() -> list[tuple[str, str, str]]:
    """Every field with every one of its arguments."""
    kinds: dict[str, Any] = {name: schema._schema.type_map[name] for name in PARENTS}
    return [
        (parent, name, argument)
        for parent, kind in kinds.items()
        for name, field in kind.fields.items()
        for argument in field.args
    ]


#: Fields whose answers come from the database; the others are answered from memory, whichever database it is.
STORED = ("fit", "fits", "measurements", "node", "nodes", "recommendations", "run", "runs")


#: Values of each leaf inside an object.
INSIDE = 2
#: Values of an input object, beyond the first field that takes one of its kind.
SAMPLED = 5


def takers() -> dict[str, tuple[str, str, str]]:
    """The first field that takes each input object: there every value is tried."""
    first: dict[str, tuple[str, str, str]] = {}
    for parent, name, argument in cases():
        kind = schema._schema.type_map[parent]
        assert isinstance(kind, GraphQLObjectType)
        named = get_named_type(kind.fields[name].args[argument].type)
        if is_input_object_type(named):
            first.setdefault(named.name, (parent, name, argument))
    return first


WHOLE = frozenset(takers().values())


def requests(parent: str, name: str, argument: str) -> list[dict[str, Any]]:
    """Requests for a field with hostile values in an argument: of an object that another field has tried whole, a few."""
    made = list(every_request(parent, name, argument))
    kind: Any = schema._schema.type_map[parent]
    is_whole = (parent, name, argument) in WHOLE
    if is_whole or not is_input_object_type(get_named_type(kind.fields[name].args[argument].type)):
        return made
    return random.Random(f"{parent}.{name}({argument})").sample(made, min(SAMPLED, len(made)))


def every_request(parent: str, name: str, argument: str) -> Iterator[dict[str, Any]]:
    """Requests for a field, each with one hostile value in an argument."""
    kind: Any = schema._schema.type_map[parent]
    field = kind.fields[name]
    needed = [
        key for key, argument_ in field.args.items() if key == argument or isinstance(argument_.type, GraphQLNonNull)
    ]
    declared = ", ".join(f"${key}: {field.args[key].type}" for key in needed)
    passed = ", ".join(f"{key}: ${key}" for key in needed)
    asked = f"{name}({passed}) {selection(get_named_type(field.type))}"
    query = f"query({declared}) {{ {PARENTS[parent] % asked} }}"
    usual = {key: ordinary(key, field.args[key].type) for key in needed}
    for value in hostile(argument, field.args[argument].type):
        yield {"query": query, "variables": {**usual, argument: value}}


COUNTS = "{ catalog { fitCount } runs { totalCount } models { totalCount } gpus { totalCount } fits { totalCount } }"


@asynccontextmanager
async def unchanged(client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose database holds after all cases what it held before."""
    before = (await client.post("/graphql", json={"query": COUNTS})).json()["data"]
    yield client
    assert (await client.post("/graphql", json={"query": COUNTS})).json()["data"] == before


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def on_sqlite(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client, unchanged(client):
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def on_postgres(other: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    async with unchanged(other):
        yield other


async def attack(client: httpx.AsyncClient, asked: list[dict[str, Any]]) -> None:
    for request in asked:
        try:
            content = orjson.dumps(request)
        except TypeError:
            # Beyond 64 bits: other writers of JSON send it.
            content = json.dumps(request).encode()
        response = await client.post("/graphql", content=content, headers={"content-type": "application/json"})
        assert response.status_code in (200, 400)
        for error in response.json().get("errors", ()):
            assert error["extensions"]["code"] in EXPECTED, (request, error)
            for sign in ("Traceback", "sqlite", "psycopg", "SELECT ", "sqlalchemy", "asyncpg"):
                assert sign not in error["message"]


@pytest.mark.parametrize(("parent", "name", "argument"), cases())
async def test_injection_on_sqlite(on_sqlite: httpx.AsyncClient, parent: str, name: str, argument: str) -> None:
    await attack(on_sqlite, requests(parent, name, argument))


@pytest.mark.postgres
@pytest.mark.parametrize(("parent", "name", "argument"), [case for case in cases() if case[1] in STORED])
async def test_injection_on_postgres(on_postgres: httpx.AsyncClient, parent: str, name: str, argument: str) -> None:
    await attack(on_postgres, requests(parent, name, argument))


async def test_hostile_text_in_a_set_matches_nothing(client: httpx.AsyncClient) -> None:
    for text in TEXTS:
        query = "query($t: String!) { fits(filter: {model: {in: [$t]}}) { totalCount } }"
        reply = (await client.post("/graphql", json={"query": query, "variables": {"t": text}})).json()
        assert reply["errors"][0]["extensions"]["code"] == "NOT_FOUND", text
