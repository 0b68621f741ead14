"""Limits of a document: measured once per fragment, each refused by name and value."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import get_named_type, parse

from api.errors import ApiError, LimitExceededError
from api.graphql.execution.documents import Documents
from api.graphql.execution.field_costs import FIELD_COSTS, VOLATILE_TYPES
from api.graphql.execution.limits import FieldCost
from api.graphql.execution.limits_shape import check_shape
from api.graphql.schema import schema
from api.settings import QueryLimits

CORE = schema.core


def documents(**limits: int) -> Documents:
    return Documents(CORE, QueryLimits(**limits), FIELD_COSTS, VOLATILE_TYPES)


def refusal(text: str, **limits: int) -> dict[str, Any]:
    """Extensions of the error that a document is refused with."""
    prepared = documents(**limits).prepare(text)
    assert len(prepared.errors) == 1
    assert isinstance(prepared.errors[0].original_error, LimitExceededError)
    return dict(prepared.errors[0].extensions or {})


def cost_of(text: str, **variables: Any) -> int:
    kept = documents()
    prepared = kept.prepare(text)
    assert prepared.errors == []
    return kept.cost(prepared, prepared.operation(None), variables)


def nested_fragments(levels: int) -> str:
    """A document of 2^levels fields in a few bytes a level."""
    parts = [f"fragment f{level} on Query {{ ...f{level + 1} ...f{level + 1} }}" for level in range(levels)]
    return "\n".join(["{ ...f0 }", *parts, f"fragment f{levels} on Query {{ a: __typename }}"])


def test_tokens() -> None:
    text = "{" + " a: __typename" * 50 + "}"
    assert refusal(text, tokens=100) == {"code": "LIMIT_EXCEEDED", "limit": "tokens", "value": 101, "maximum": 100}


def test_depth_counts_fields_and_not_fragments() -> None:
    text = '{ model(slug: "a") { ...on Model { fits { nodes { gpu { name } } } } } }'
    check_shape(parse(text), QueryLimits(depth=5))
    assert refusal(text, depth=4) == {"code": "LIMIT_EXCEEDED", "limit": "depth", "value": 5, "maximum": 4}


def test_aliases_are_counted_after_expansion() -> None:
    text = "{ ...f ...f } fragment f on Query { a: __typename b: __typename }"
    assert refusal(text, aliases=3)["value"] == 4


def test_fields_of_doubling_fragments_are_counted_exactly() -> None:
    assert refusal(nested_fragments(10), aliases=10**6, fields=1000)["value"] == 1024


def test_sixty_levels_of_doubling_fragments_are_measured_at_once() -> None:
    extensions = refusal(nested_fragments(60), fragments=100, aliases=2**53)
    assert extensions["limit"] == "aliases"
    assert extensions["value"] == 2**53 - 1


def test_cyclic_fragments_end_in_a_validation_error() -> None:
    prepared = documents().prepare("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }")
    assert "itself" in prepared.errors[0].message


def test_repeated_fields_are_refused_before_the_quadratic_rule() -> None:
    text = "{" + "".join(f' model(slug: "m{number}") {{ name }}' for number in range(30)) + "}"
    assert refusal(text) == {"code": "LIMIT_EXCEEDED", "limit": "repeated fields", "value": 30, "maximum": 25}


def test_directives() -> None:
    text = "{ __typename " + "@skip(if: false) " * 60 + "}"
    assert refusal(text)["limit"] == "directives"


def test_fragment_definitions() -> None:
    text = "{ __typename }" + "".join(f" fragment f{number} on Query {{ __typename }}" for number in range(101))
    assert refusal(text)["limit"] == "fragments"


def test_deeply_nested_lists_are_an_error_and_no_crash() -> None:
    prepared = documents(tokens=100_000).prepare("{ nodes(ids: " + "[" * 5000 + "]" * 5000 + ") { id } }")
    assert len(prepared.errors) == 1


def test_a_field_costs_one() -> None:
    assert cost_of("{ __typename }") == 1
    assert cost_of('{ model(slug: "a") { name slug } }') == 3


def test_a_page_multiplies_its_subtree() -> None:
    # 1 for the field, and for each of 10 items: 1 for the page itself, nodes and slug.
    assert cost_of("{ models(first: 10) { nodes { slug } } }") == 1 + 10 * 3
    assert cost_of("{ models(last: 10) { nodes { slug } } }") == 1 + 10 * 3
    assert cost_of("{ models { nodes { slug } } }") == 1 + 20 * 3


def test_totals_and_page_info_count_once_a_connection() -> None:
    rows = cost_of("{ fits(first: 100) { nodes { score } } }")
    text = "{ fits(first: 100) { nodes { score } totalCount pageInfo { hasNextPage } } }"
    assert cost_of(text) == rows + (1 + 200) + 2
    spread = "{ fits(first: 100) { ...P } } fragment P on FitConnection { nodes { score } ...Q } "
    assert cost_of(spread + "fragment Q on FitConnection { totalCount pageInfo { hasNextPage } }") == cost_of(text)
    # Once for each of the 20 connections, whose read counts 150.
    nested = cost_of("{ models(first: 20) { nodes { fits(first: 20) { totalCount } } } }")
    assert nested == 1 + 20 * (1 + 1 + (1 + 150 + 20 + 201))


@pytest.mark.parametrize(("variables", "expected"), [({}, 16), ({"n": 10}, 31), ({"n": 1000}, 301)])
def test_a_page_size_may_be_a_variable_with_a_default(variables: dict[str, int], expected: int) -> None:
    assert cost_of("query Q($n: Int = 5) { models(first: $n) { nodes { slug } } }", **variables) == expected


def test_nested_pages_multiply() -> None:
    text = "{ models(first: 50) { nodes { fits(first: 50) { nodes { score } } } } }"
    with pytest.raises(LimitExceededError) as caught:
        documents(cost=5000).cost(documents().prepare(text), documents().prepare(text).operation(None), {})
    # 1 + 50 * (1 + nodes + fits, whose 50 items hold the page, nodes and score)
    assert (caught.value.extensions or {})["value"] == 1 + 50 * (1 + 1 + (1 + 150 + 50 * 3))


def test_the_length_of_a_list_argument_multiplies() -> None:
    text = "query Q($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert cost_of(text, ids=["a"] * 7) == 1 + 7 * 6
    assert cost_of('{ nodes(ids: ["a", "b"]) { id } }') == 1 + 2 * 6


def test_cost_of_doubling_fragments_is_linear_work() -> None:
    kept = documents(aliases=2**70, fields=2**70)
    prepared = kept.prepare(nested_fragments(60))
    with pytest.raises(LimitExceededError):
        kept.cost(prepared, prepared.operation(None), {})


def test_what_is_left_out_costs_nothing() -> None:
    complete = cost_of('{ fits(first: 100) { nodes { score } } model(slug: "a") { name } }')
    part = cost_of('{ fits(first: 100) @include(if: false) { nodes { score } } model(slug: "a") { name } }')
    assert part == cost_of('{ model(slug: "a") { name } }') == 2 < complete
    text = "query($n: Boolean = true) { fits(first: 100) @skip(if: $n) { nodes { score } } ... @skip(if: $n) { quants { slug } } }"
    assert cost_of(text) == 1
    assert cost_of(text, n=False) > 100


def test_every_priced_field_exists() -> None:
    for name, price in FIELD_COSTS.items():
        type_name, field_name = name.split(".")
        field = CORE.type_map[type_name].fields[field_name]  # type: ignore[attr-defined]
        assert isinstance(price, FieldCost)
        if price.page:
            assert "first" in field.args
        for path in price.lists:
            head, *rest = path.split(".")
            kind: Any = field.args[head].type
            for part in rest:
                kind = get_named_type(kind).fields[part].type


def test_every_connection_and_every_list_of_things_is_priced() -> None:
    things = {"Model", "Gpu", "Quant", "Workload", "Engine", "Fit", "Run", "ModelQuant", "EstimateResult"}
    for type_name, kind in CORE.type_map.items():
        for field_name, field in getattr(kind, "fields", {}).items():
            shown = str(getattr(field, "type", ""))
            is_list = shown.startswith("[") and shown.strip("[]!") in things
            is_page = shown.strip("!").endswith("Connection")
            inside_page = type_name.endswith(("Connection", "Matrix")) or type_name == "Comparison"
            if (is_list or is_page) and not inside_page and not type_name.startswith("__"):
                if type_name in ("Gpu",) and field_name == "engines":
                    continue  # at most four
                assert f"{type_name}.{field_name}" in FIELD_COSTS


def test_operation_names() -> None:
    kept = documents()
    prepared = kept.prepare("query A { __typename } query B { __typename }")
    assert prepared.operation("B").name is not None
    for name in (None, "C"):
        with pytest.raises(ApiError):
            prepared.operation(name)
    with pytest.raises(ApiError):
        kept.prepare("fragment f on Query { __typename }").operation(None)


def test_a_document_is_prepared_once() -> None:
    kept = documents()
    assert kept.prepare("{ __typename }") is kept.prepare("{ __typename }")


def test_the_cache_keeps_the_most_recent() -> None:
    kept = Documents(CORE, QueryLimits(), FIELD_COSTS, VOLATILE_TYPES, size=2)
    first = kept.prepare("{ a: __typename }")
    kept.prepare("{ b: __typename }")
    assert kept.prepare("{ a: __typename }") is first
    kept.prepare("{ c: __typename }")
    assert kept.prepare("{ a: __typename }") is first
    assert len(kept._kept) == 2


@pytest.mark.parametrize(
    ("text", "cacheable"),
    [
        ('{ model(slug: "a") { name } }', True),
        ("{ catalog { generation } }", False),
        ("{ runs { nodes { state } } }", False),
        ('{ node(id: "x") { ... on Run { state } } }', False),
        ('mutation { cancelRun(input: {id: "x"}) { run { state } } }', False),
    ],
)
def test_what_may_be_cached(text: str, cacheable: bool) -> None:
    prepared = documents().prepare(text)
    assert prepared.errors == []
    assert prepared.cacheable is cacheable


def test_more_work_that_an_argument_asks_for_costs_more() -> None:
    def purchases(asked: str) -> int:
        return cost_of(f"{{ purchases(input: {{{asked}}}) {{ streams }} }}")

    single, two, every = purchases('models: ["a"]'), purchases('models: ["a", "b"]'), purchases("models: null")
    assert two - single == 450
    assert every == purchases("") > 10 * (two - single) + single
    searched, listed = (cost_of(f"{{ models{asked} {{ totalCount }} }}") for asked in ('(filter: {search: "a"})', ""))
    assert searched - listed == 400
    text = "query($i: RecommendationInput!) { recommendations(input: $i) { totalCount } }"
    few, many = (cost_of(text, i={"gpu": "a", "target": target}) for target in (None, {"users": 8}))
    assert many == cost_of('{ recommendations(input: {gpu: "a", target: {users: 8}}) { totalCount } }') == few + 10_000


@pytest.mark.parametrize(
    ("mode", "more"), [("BALANCED", 0), ("INTERACTIVE", 0), ("LIGHT_API", 10_000), ("SCALE_OUT", 10_000)]
)
def test_a_mode_that_serves_several_users_costs_as_they_do(mode: str, more: int) -> None:
    alone = cost_of('{ recommendations(input: {gpu: "a"}) { totalCount } }')
    assert cost_of(f'{{ recommendations(input: {{gpu: "a"}}, mode: {mode}) {{ totalCount }} }}') == alone + more
    text = 'query($m: OperatingMode) { recommendations(input: {gpu: "a"}, mode: $m) { totalCount } }'
    assert cost_of(text, m=mode) == alone + more
    assert cost_of(text) == alone


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        ("orderBy: [{field: SCORE}]", 0),
        ("orderBy: [{field: DECODE}, {field: TTFT}]", 0),
        ("orderBy: []", 0),
        ("orderBy: [{field: TTFT}]", 10_000),
        ("orderBy: {field: TTFT}", 10_000),
        ("orderBy: [{field: TTFT, direction: ASC}]", 10_000),
        ("orderBy: [{field: SCORE, direction: ASC}]", 10_000),
        ("orderBy: [{field: SCORE, direction: DESC}]", 0),
        ('orderBy: [{field: TTFT}], filter: {gpu: {in: ["a"]}}', 0),
        ('orderBy: [{field: TTFT}], filter: {model: {in: "a"}}', 0),
        ('orderBy: [{field: TTFT}], filter: {model: {notIn: ["a"]}}', 10_000),
        ("orderBy: [{field: TTFT}], filter: {gpu: {in: []}}", 10_000),
    ],
)
def test_an_order_without_an_index_costs_a_walk_through_all_pairings(arguments: str, more: int) -> None:
    page = cost_of("{ fits { nodes { score } } }")
    assert cost_of(f"{{ fits({arguments}) {{ nodes {{ score }} }} }}") == page + more
    many = ", ".join(f'"{number}"' for number in range(25))
    wide = f"{{ fits(orderBy: [{{field: TTFT}}], filter: {{gpu: {{in: [{many}]}}}}) {{ nodes {{ score }} }} }}"
    assert cost_of(wide) == page + 10_000


@pytest.mark.parametrize(
    ("filtered", "more"),
    [
        ("ttftMs: {min: 20000}", 10_000),
        ("safeContextTokens: {min: 1}, score: {max: 2}", 10_000),
        ("status: {in: [FITS_TIGHTLY]}", 10_000),
        ("or: [{score: {min: 1}}, {score: {max: 1}}]", 10_000),
        ("or: []", 0),
        ("ttftMs: null", 0),
        ("minimumGrade: B, recommended: true", 0),
        ('ttftMs: {min: 20000}, gpu: {in: ["a"]}', 0),
    ],
)
def test_a_filter_that_few_may_pass_costs_a_walk_through_all_pairings(filtered: str, more: int) -> None:
    page = cost_of("{ fits { nodes { score } } }")
    assert cost_of(f"{{ fits(filter: {{{filtered}}}) {{ nodes {{ score }} }} }}") == page + more
    late = f"{{ fits(filter: {{{filtered}}}, orderBy: [{{field: TTFT}}]) {{ nodes {{ score }} }} }}"
    # An order without an index takes the same walk.
    assert cost_of(late) == page + (0 if "gpu:" in filtered else 10_000)


def test_orders_and_filters_of_variables_cost_as_written_ones() -> None:
    text = "query($f: FitFilter, $o: [FitOrder!]) { fits(filter: $f, orderBy: $o) { nodes { score } totalCount } }"
    plain = cost_of(text)
    assert cost_of(text, o=[{"field": "TTFT", "direction": "ASC"}]) == plain + 10_000
    assert cost_of(text, f={"minimumGrade": "B"}) == plain + 10_000
    # The page and the count.
    assert cost_of(text, f={"score": {"min": 50}}) == plain + 20_000
    assert cost_of(text, f={"score": {"min": 50}, "gpu": {"in": ["a"]}}) == plain


@pytest.mark.parametrize("wrong", [{"a": 1}, ["ASC"], 1, True, [[]], None])
def test_a_variable_of_another_type_has_a_cost(wrong: object) -> None:
    order = "query($d: OrderDirection!) { fits(orderBy: [{field: SCORE, direction: $d}]) { nodes { score } } }"
    assert cost_of(order, d=wrong) == cost_of("{ fits { nodes { score } } }")
    mode = 'query($m: OperatingMode) { recommendations(input: {gpu: "a"}, mode: $m) { totalCount } }'
    assert cost_of(mode, m=wrong) == cost_of('{ recommendations(input: {gpu: "a"}) { totalCount } }')
    orders = "query($o: [FitOrder!]) { fits(orderBy: $o) { nodes { score } } }"
    assert cost_of(orders, o=wrong) == cost_of(orders, o=[{"field": wrong}]) == cost_of("{ fits { nodes { score } } }")


def test_a_count_of_what_passes_a_filter_costs_where_it_is_asked_for() -> None:
    def cost(selection: str, owner: str = "fits") -> int:
        return cost_of(f"{{ {owner}(filter: {{score: {{min: 50}}}}) {{ {selection} }} }}")

    rows = cost("nodes { score }")
    assert cost("nodes { score } totalCount") - rows == 10_000 + 201
    shared = "{ a: fits(filter: {recommended: true}) { ...Total } b: fits { ...Total } } "
    assert (
        cost_of(shared + "fragment Total on FitConnection { totalCount }")
        == 2 * cost_of("{ fits { totalCount } }") + 10_000
    )
    of_model = '{ model(slug: "a") { fits(filter: {score: {min: 50}}) { totalCount } } }'
    assert cost_of(of_model) < 1000
    every = cost_of("{ workloads { fits(filter: {score: {min: 50}}) { totalCount } } }")
    # The rows are not read, unless a cursor is to be checked or one fit a group to be found.
    assert every - cost_of("{ workloads { fits { totalCount } } }") == 10_000
    alone = cost("totalCount")
    for argument in ('after: "c"', 'before: "c"', "onePer: MODEL"):
        paged = f"{{ fits(filter: {{score: {{min: 50}}}}, {argument}) {{ totalCount }} }}"
        assert cost_of(paged) == alone + 10_000


def test_costs_that_a_document_keeps_are_those_of_a_new_document() -> None:
    text = """query Q($n: Int, $gpus: [String!]!) {
      a: models(first: $n) { ...Shared } b: models(first: 2) { ...Shared } c: models(first: 0) { nodes { slug } }
      comparison(input: {models: ["m"], gpus: $gpus}) { columns { quant { slug name } } rows { values } }
    }
    fragment Shared on ModelConnection { totalCount nodes { slug fits(first: $n) { nodes { id } } name } }"""
    kept = documents(cost=10**9)
    prepared = kept.prepare(text)
    assert prepared.errors == []
    sent = [{"n": n, "gpus": ["a"] * count} for n in (0, 1, 7, None, 1) for count in (1, 20, 3)]
    costs = [kept.cost(prepared, prepared.operation(None), variables) for variables in sent]
    anew = documents(cost=10**9)
    for variables, cost in zip(sent, costs, strict=True):
        fresh = anew._prepare(text)
        assert anew.cost(fresh, fresh.operation(None), variables) == cost
    assert len(set(costs)) > 10
