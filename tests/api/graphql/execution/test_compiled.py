"""Compiled queries answer exactly as graphql-core does: data, errors, paths and order."""

from __future__ import annotations

import gc
import math
import warnings
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest
import strawberry
from graphql import GraphQLEnumType, GraphQLInterfaceType
from starlette.applications import Starlette
from strawberry.schema.config import StrawberryConfig

from api.graphql.context import RequestContext
from api.graphql.core.ids import encode_id
from api.graphql.core.scalars import SCALARS, Int64
from api.graphql.core.strawberry_internals import StrawberryExecutor
from api.graphql.execution.core_internals import ClosingExecutor
from api.graphql.schema import FitSchema, build_schema
from api.settings import QueryLimits
from tests.api.graphql.execution.random_queries import Writer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("few_objects")]

GENEROUS = QueryLimits(tokens=50_000, depth=50, aliases=5000, fields=50_000, repeated_fields=500, cost=10**12)


@strawberry.type
class Inner:
    number: int
    ratio: float
    text: str
    flag: bool
    big: Int64
    maybe: int | None
    texts: list[str]
    holes: list[int | None]

    @strawberry.field
    def shout(self) -> str:
        return self.text.upper()


@strawberry.type
class Outer:
    inner: Inner
    maybe_inner: Inner | None
    inners: list[Inner]
    sparse: list[Inner | None]
    name: str

    @strawberry.field
    async def later(self) -> Inner:
        return self.inner


BROKEN: list[dict[str, Any]] = [
    {},
    {"number": None},
    {"number": "7"},
    {"number": 7.0},
    {"number": 7.5},
    {"number": True},
    {"number": 2**31},
    {"number": ValueError("boom")},
    {"ratio": math.nan},
    {"ratio": math.inf},
    {"ratio": 3},
    {"ratio": None},
    {"text": 5},
    {"text": None},
    {"text": ["x"]},
    {"flag": 1},
    {"flag": "x"},
    {"big": 2**40},
    {"big": "x"},
    {"maybe": None},
    {"maybe": ValueError("boom")},
    {"texts": ("a", "b")},
    {"texts": ["a", None]},
    {"texts": "ab"},
    {"texts": None},
    {"holes": [1, None, 2**40]},
    {"holes": [ValueError("boom")]},
]
SMALL_QUERIES = (
    "{ outer { name inner { number ratio text flag big maybe texts holes shout } } }",
    "{ outer { a: inner { b: number ...F } ...G name } } fragment F on Inner { ratio text } "
    "fragment G on Outer { inners { flag big } sparse { maybe texts holes } }",
    "{ outer { inners { __typename number shout } maybeInner { ratio text } later { number texts } name } }",
    "query($yes: Boolean = true) { outer { inner { number @skip(if: $yes) ratio @include(if: $yes) } sparse { number text } } }",
    "{ one: outer { inners { number } } two: outer { inners { text number } sparse { big flag } later { ratio } } }",
)


def inner(**changes: Any) -> Inner:
    values = {
        "number": 1,
        "ratio": 0.5,
        "text": "t",
        "flag": True,
        "big": 2**40,
        "maybe": 3,
        "texts": ["a", "b"],
        "holes": [1, None],
    }
    return Inner(**(values | changes))


def schema_of(query: type, executor: type[StrawberryExecutor] = ClosingExecutor) -> FitSchema:
    config = StrawberryConfig(scalar_map=SCALARS)
    return FitSchema(query, execution_context_class=executor, config=config).configure(GENEROUS)


@pytest.mark.parametrize("changes", BROKEN, ids=str)
@pytest.mark.parametrize("query", SMALL_QUERIES)
async def test_odd_values_come_out_as_before(changes: dict[str, Any], query: str) -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        def outer(self) -> Outer | None:
            odd = inner(**changes)
            return Outer(inner=odd, maybe_inner=odd, inners=[inner(), odd], sparse=[odd, None, inner()], name="n")

    answers = []
    for executor in (StrawberryExecutor, ClosingExecutor):
        result = await schema_of(Query, executor).execute(query)
        answers.append((result.data, [error.formatted for error in result.errors or []]))
    assert answers[0] == answers[1]
    assert str(answers[0]) == str(answers[1])  # the order of keys too


@pytest.mark.parametrize("batch", range(5))
async def test_random_queries_answer_the_same_on_both_paths(app: Starlette, batch: int) -> None:
    services = app.state.services
    compiling = build_schema().configure(GENEROUS)
    general = build_schema(executor=StrawberryExecutor).configure(GENEROUS)

    async def answer(schema: FitSchema, text: str) -> tuple[Any, list[Any]]:
        result = await schema.execute(text, context_value=RequestContext(services, await services.state.view(), "r"))
        return result.data, [error.formatted for error in result.errors or []]

    texts = [Writer(compiling, 1000 * batch + number).document() for number in range(40)]
    with warnings.catch_warnings():
        # graphql-core alone leaves coroutines unstarted when a sibling fails.
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = [await answer(general, text) for text in texts]
        gc.collect()
    answered = compiled = 0
    for text, general_answer in zip(texts, expected, strict=True):
        # The first run compiles the query, the second has it compiled.
        answers = [general_answer, await answer(compiling, text), await answer(compiling, text)]
        assert answers[1:] == [answers[0]] * 2, text
        assert len({str(answer[0]) for answer in answers}) == 1, text
        answered += answers[0][0] is not None
        prepared = compiling.documents.prepare(text).compiled
        compiled += prepared is not None and bool(prepared.queries)
    assert answered > 20
    assert compiled > 5


async def test_of_several_failures_the_first_is_the_same_after_a_dropped_attempt(app: Starlette) -> None:
    services = app.state.services
    # Options of one workload are read by the comparison already, and fail before those of the others are read.
    text = """{ comparison(input: {gpus: "rtx-4090", models: ["llama-2-7b"]}) {
        columns { prediction { ... on Fit { workload { slug } workloadOptions { quantOptions {
        engine { fits(first: 1000) { totalCount } } } } } } } } }"""
    paths = []
    for executor in (StrawberryExecutor, ClosingExecutor):
        made = build_schema(executor=executor).configure(GENEROUS)
        for _ in range(4):
            result = await made.execute(text, context_value=RequestContext(services, await services.state.view(), "r"))
            paths.append([error.formatted["path"] for error in result.errors or []])
    assert paths[1:] == paths[:1] * 7
    assert paths[0][0][4] != 0


async def test_enums_and_interfaces_are_in_the_random_queries() -> None:
    core = build_schema().core
    assert any(isinstance(kind, GraphQLEnumType) for kind in core.type_map.values())
    assert isinstance(core.type_map["Node"], GraphQLInterfaceType)


@strawberry.enum
class Colour(Enum):
    RED = "r"
    BLUE = "b"


@strawberry.input
class Filter:
    number: int | None = None
    names: list[str] = strawberry.field(default_factory=list)
    colour: Colour | None = None


@strawberry.type
class Called:
    @strawberry.field
    def sync(
        self,
        info: strawberry.Info,
        text: str = "d",
        number: int | None = 7,
        colour: Colour = Colour.RED,
        filter: Filter | None = None,
        ids: list[int] | None = None,
    ) -> str:
        if text == "boom":
            raise ValueError("boom")
        return f"{info.field_name} {text} {number} {colour} {filter} {ids}"

    @strawberry.field
    async def later(self, needed: int, maybe: float | None = None) -> int | None:
        if needed == 13:
            raise ValueError("boom")
        return None if needed == 0 else needed + int(maybe or 0)

    @strawberry.field
    def again(self) -> Called:
        return self


CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ('{ sync a: sync(text: "x") b: sync(filter: {number: 3, names: ["a"], colour: BLUE}, ids: [1, 2]) }', {}),
    ("{ sync(colour: BLUE, number: null, ids: 5) again { later(needed: 3) sync(ids: []) } }", {}),
    ("query($t: String!) { sync(text: $t) again { sync(text: $t, number: 2) } }", {"t": "v"}),
    ("query($t: String!) { sync(text: $t) again { sync(text: $t, number: 2) } }", {"t": "boom"}),
    ('query($t: String = "e", $n: Int) { sync(text: $t, number: $n) }', {}),
    ("query($n: Int) { sync(number: $n) }", {"n": None}),
    ("query($n: Int) { sync(number: $n) }", {"n": 5}),
    ("query($c: Colour!) { sync(colour: $c) }", {"c": "BLUE"}),
    ("query($f: Filter, $n: Int, $i: [Int!]) { sync(filter: $f, ids: $i) b: sync(filter: {number: $n}) }", {"n": 4}),
    ("query($f: Filter, $i: [Int!]) { sync(filter: $f, ids: $i) }", {"f": {"colour": "RED"}, "i": [1]}),
    ("query($n: Int!, $m: Float) { later(needed: $n, maybe: $m) }", {"n": 2, "m": 4}),
    ("query($n: Int!) { later(needed: $n) again { l: later(needed: $n) } }", {"n": 13}),
    ("query($n: Int!) { later(needed: $n) }", {"n": "x"}),
    ("query($n: Int = 0) { later(needed: $n) }", {"n": None}),
)


@pytest.mark.parametrize(("query", "variables"), CALLS)
async def test_arguments_reach_resolvers_as_before(query: str, variables: dict[str, Any]) -> None:
    answers = []
    for executor in (StrawberryExecutor, ClosingExecutor):
        made = schema_of(Called, executor)
        context = SimpleNamespace()
        for _ in range(2):  # the second time, what the first one compiled is used
            result = await made.execute(query, variables, context_value=context, root_value=Called())
            answers.append((result.data, [error.formatted for error in result.errors or []]))
    assert answers[1:] == [answers[0]] * 3


FAST: tuple[tuple[str, dict[str, Any]], ...] = (
    ('query($yes: Boolean!) { gpu(slug: "rtx-4090") { slug name @include(if: $yes) } }', {"yes": True}),
    ('query($yes: Boolean!) { gpu(slug: "rtx-4090") { slug name @include(if: $yes) } }', {"yes": False}),
    (
        """query($no: Boolean = true, $page: Int!) { model(slug: "llama-2-7b") { name ...Fits @skip(if: $no) } }
        fragment Fits on Model { fits(first: $page) { nodes { id gpu { slug } } } }""",
        {"no": False, "page": 2},
    ),
    (
        """query($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on Gpu { slug }
        ... on Model { name fits(first: 2) { nodes { decode { tokensPerSecond } } } } } }""",
        {"ids": [encode_id("Gpu", "rtx-4090"), encode_id("Model", "llama-2-7b"), encode_id("Gpu", "nope")]},
    ),
)


class CountingWatch:
    def __init__(self) -> None:
        self.spans = self.calls = 0

    def span(self) -> AbstractContextManager[None]:
        self.spans += 1
        return nullcontext()

    def took(self, seconds: float) -> None:
        assert seconds >= 0
        self.calls += 1


class CountingObserver:
    def __init__(self) -> None:
        self.watches: dict[str, CountingWatch] = {}

    def watch(self, type_name: str, field_name: str) -> CountingWatch:
        return self.watches.setdefault(f"{type_name}.{field_name}", CountingWatch())

    async def execute(self, _kind: str, _name: str | None, _context: Any, run: Any) -> Any:
        return await run()

    def stream(self, results: Any, _context: Any) -> Any:
        return results


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize(("text", "variables"), FAST)
async def test_conditional_and_observed_queries_never_reach_graphql_core(
    app: Starlette, monkeypatch: pytest.MonkeyPatch, text: str, variables: dict[str, Any], observed: bool
) -> None:
    services = app.state.services
    expected = await run_in(build_schema(executor=StrawberryExecutor), services, text, variables)
    compiling = build_schema()
    observer = CountingObserver()
    if observed:
        compiling.observe(observer)
    monkeypatch.setattr(strawberry.Schema, "execute", None)
    for _ in range(2):
        result = await run_in(compiling, services, text, variables)
        assert (result.data, result.errors) == (expected.data, None)
        assert str(result.data) == str(expected.data)
    calls = [watch.calls for name, watch in observer.watches.items() if name.startswith("Query.") and watch.calls]
    assert calls == ([2] if observed else [])


async def run_in(schema: FitSchema, services: Any, text: str, variables: dict[str, Any]) -> Any:
    context = RequestContext(services, await services.state.view(), "r")
    return await schema.execute(text, variable_values=variables, context_value=context)


async def test_a_dropped_attempt_reports_no_call() -> None:
    observer = CountingObserver()
    made = schema_of(Called)
    made.observe(observer)
    await made.execute('{ a: sync b: sync(text: "boom") }', root_value=Called())
    # The calls of the second run, by graphql-core.
    assert observer.watches["Called.sync"].calls == 2
