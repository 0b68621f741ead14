"""Compiled selections answer exactly as graphql-core does: data, errors, paths and order."""

from __future__ import annotations

import asyncio
import gc
import math
import random
import warnings
from enum import Enum
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
import strawberry
from graphql import GraphQLEnumType, GraphQLInt, GraphQLInterfaceType, GraphQLObjectType, get_named_type, is_leaf_type
from starlette.applications import Starlette
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from api.graphql.context import RequestContext
from api.graphql.core.scalars import SCALARS, Int64
from api.graphql.execution.completion import Entry, never_changes, of_object, of_scalar
from api.graphql.execution.plain import PlainExecutor, Plans
from api.graphql.schema import FitSchema, build_schema
from api.settings import QueryLimits

pytestmark = pytest.mark.asyncio(loop_scope="session")

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
    for executor in (StrawberryGraphQLCoreExecutionContext, PlainExecutor):
        made = strawberry.Schema(Query, execution_context_class=executor, config=StrawberryConfig(scalar_map=SCALARS))
        result = await made.execute(query)
        answers.append((result.data, [error.formatted for error in result.errors or []]))
    assert answers[0] == answers[1]
    assert str(answers[0]) == str(answers[1])  # the order of keys too


class Writer:
    """Writes random valid queries over the schema, and sometimes names that do not exist."""

    def __init__(self, schema: FitSchema, seed: int) -> None:
        self._core = schema._schema
        self._random = random.Random(seed)
        self._fragments: list[str] = []

    def document(self) -> str:
        assert self._core.query_type is not None
        body = self._selection(self._core.query_type, 0)
        return "\n".join([f"query Q {body}", *self._fragments])

    def _selection(self, kind: GraphQLObjectType | GraphQLInterfaceType, depth: int) -> str:
        chance = self._random
        names = [name for name in kind.fields if f"{kind.name}.{name}" not in _SLOW]
        chosen = chance.sample(names, min(len(names), chance.randint(1, 6 if depth else 3)))
        parts = [part for name in chosen if (part := self._field(kind, name, depth))]
        if chance.random() < 0.2:
            parts.append("__typename")
        parts = parts or ["__typename"]
        if chance.random() < 0.2 and depth:
            name = f"F{len(self._fragments)}"
            self._fragments.append("")
            place = len(self._fragments) - 1
            self._fragments[place] = f"fragment {name} on {kind.name} {{ {' '.join(parts)} }}"
            return f"{{ ...{name} {'' if chance.random() < 0.5 else '__typename'} }}"
        if chance.random() < 0.15:
            return f"{{ ... on {kind.name} {{ {' '.join(parts)} }} }}"
        return f"{{ {' '.join(parts)} }}"

    def _field(self, kind: Any, name: str, depth: int) -> str:
        chance = self._random
        field = kind.fields[name]
        inner_type: Any = get_named_type(field.type)
        if not is_leaf_type(inner_type) and depth >= 6:
            return ""
        arguments = self._arguments(kind.name, name)
        if arguments is None:
            return ""
        alias = f"a{chance.randint(0, 10**6)}: " if chance.random() < 0.3 or arguments else ""
        directive = chance.choice(["", "", "", "", " @skip(if: false)", " @include(if: true)", " @include(if: false)"])
        if is_leaf_type(inner_type):
            return f"{alias}{name}{arguments}{directive}"
        return f"{alias}{name}{arguments}{directive} {self._selection(inner_type, depth + 1)}"

    def _arguments(self, kind: str, name: str) -> str | None:
        chance = self._random
        options = _ARGUMENTS.get(f"{kind}.{name}") or _ARGUMENTS.get(name)
        if options is not None:
            return chance.choice(options)
        field: Any = self._core.type_map[kind].fields[name]  # type: ignore[attr-defined]
        required = [argument for argument in field.args.values() if str(argument.type).endswith("!")]
        return None if required else ""


#: Fields whose text takes milliseconds each; their own tests cover them.
_SLOW = {"Fit.advice", "Fit.faq", "Fit.limits", "Fit.summary", "Query.estimates", "Query.recommendations", "Query.run"}
_ENDS = ["(last: 2)", "(first: 1, last: 1)", "(first: 2, filter: {minimumGrade: B, engine: {in: [LLAMA_CPP]}})"]
#: Few models or accelerators may be asked at once; lists of all fits are refused.
_ORDERS = [
    "(first: 2, orderBy: [{field: MEMORY}])",
    "(last: 1, orderBy: [{field: PRICE}, {field: PREFILL, direction: ASC}])",
]
_PAGES = ["(first: 1)", "(first: 2)", "(first: 3)", "(first: 0)", "(first: 1000)", '(first: 1, after: "bad")']
_ARGUMENTS = {
    "fits": [*_PAGES, *_ENDS, *_ORDERS],
    "models": [*_PAGES, '(first: 2, filter: {search: "lama"})', "(last: 2, orderBy: [{field: NAME}])"],
    "gpus": [*_PAGES, "(first: 3, orderBy: [{field: PRICE, direction: DESC}])"],
    "runs": _PAGES,
    "measurements": [
        *_PAGES[:3],
        "(last: 2)",
        "(first: 2, filter: {phase: DECODE, exact: true}, orderBy: [{field: DATE}])",
    ],
    "Query.model": ['(slug: "llama-2-7b")', '(slug: "nope")', '(slug: "kimi-linear-48b-a3b")'],
    "Query.gpu": ['(slug: "rtx-4090")', '(slug: "nope")', '(slug: "apple-m3-max-30c-36gb")'],
    "Query.quant": ['(slug: "q4-k-m")', '(slug: "nope")'],
    "Query.fit": [
        '(model: "llama-2-7b", gpu: "rtx-4090")',
        '(model: "qwen3-30b-a3b", gpu: "rtx-3090", quant: "q8-0", workload: RAG)',
        '(model: "llama-2-7b", gpu: "rtx-3090", quant: "mlx-4bit")',
        '(model: "nope", gpu: "rtx-4090")',
    ],
    "Query.compareGpus": [
        '(model: "llama-2-7b", gpus: ["rtx-4090", "rtx-3090"])',
        '(model: "llama-2-7b", gpus: [])',
    ],
    "Query.compareModels": ['(gpu: "rtx-4090", models: ["llama-2-7b"])'],
    "Query.node": ['(id: "bad")'],
    "Query.nodes": ["(ids: [])", '(ids: ["bad"])'],
    "Query.estimate": [
        '(input: {model: "llama-2-7b", gpu: "rtx-4090", quant: "q4-k-m"})',
        '(input: {model: "llama-2-7b", gpu: "rtx-4090", quant: "nope"})',
    ],
    "Fit.modeScore": ["(mode: SCALE_OUT)"],
}


@pytest.mark.parametrize("batch", range(8))
async def test_random_queries_answer_the_same_on_both_paths(app: Starlette, batch: int) -> None:
    services = app.state.services
    plain = build_schema().configure(GENEROUS)
    general = build_schema(executor=StrawberryGraphQLCoreExecutionContext).configure(GENEROUS)
    answered = compiled = 0
    for number in range(40):
        text = Writer(plain, 1000 * batch + number).document()
        answers = []
        # The second run compiles the whole query, the third has it compiled.
        for made in (general, plain, plain, plain):
            context = RequestContext(services, await services.state.view(), "r")
            result = await made.execute(text, context_value=context)
            answers.append((result.data, [error.formatted for error in result.errors or []]))
        assert answers[1:] == [answers[0]] * 3, text
        assert len({str(answer[0]) for answer in answers}) == 1, text
        answered += answers[0][0] is not None
        compiled += any(callable(each) for each in plain.documents.prepare(text).plans_of_queries())
    assert answered > 20
    assert compiled > 5


async def test_of_several_failures_the_first_is_the_same_after_a_dropped_attempt(app: Starlette) -> None:
    services = app.state.services
    # Options of one workload are read by the comparison already, and fail before those of the others are read.
    text = """{ compareModels(gpu: "rtx-4090", models: ["llama-2-7b"]) {
        columns { workload { slug } workloads { quantOptions { engine { fits(first: 1000) { totalCount } } } } } } }"""
    paths = []
    for executor in (StrawberryGraphQLCoreExecutionContext, PlainExecutor):
        made = build_schema(executor=executor).configure(GENEROUS)
        for _ in range(4):
            result = await made.execute(text, context_value=RequestContext(services, await services.state.view(), "r"))
            paths.append([error.formatted["path"] for error in result.errors or []])
    assert paths[1:] == paths[:1] * 7
    assert paths[0][0][4] != 0


async def test_enums_and_interfaces_are_in_the_random_queries() -> None:
    core = build_schema()._schema
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
    for executor in (StrawberryGraphQLCoreExecutionContext, PlainExecutor):
        made = strawberry.Schema(Called, execution_context_class=executor)
        context = SimpleNamespace(plans=Plans())
        for _ in range(2):  # the second time, what the first one compiled is used
            result = await made.execute(query, variables, context_value=context, root_value=Called())
            answers.append((result.data, [error.formatted for error in result.errors or []]))
    assert answers[1:] == [answers[0]] * 3


async def test_a_kept_object_is_completed_once_and_an_other_one_anew() -> None:
    model, other = inner(), inner(number=2)
    of_int = of_scalar(GraphQLInt)
    assert of_int is not None
    completer = of_object(Inner, [Entry("n", "number", of_int)])
    never_changes(Inner)
    kept = of_object(Inner, [Entry("n", "number", of_int)])
    assert completer.call(model) is not completer.call(model)
    for _ in range(1000):
        kept.call(model)
    assert kept.call(model) is kept.call(model)
    assert [kept.call(each) for each in (model, other)] == [{"n": 1}, {"n": 2}]
    assert [kept.call(inner(number=number)) for number in range(1000)] == [{"n": number} for number in range(1000)]


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
    made = FitSchema(Query, execution_context_class=PlainExecutor).configure(GENEROUS)
    context = SimpleNamespace(begun=[])
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        result = await made.execute(query.replace("@", arguments), context_value=context)
        await asyncio.sleep(0)
        del result
        gc.collect()
    assert context.begun == []
    assert [str(each.message) for each in found] == []
