"""A bad name, a bad value or a stale cursor fails its own field, with its path and code; the rest of the answer stands."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLNonNull, parse

from api.graphql.schema import schema

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Selections at the root, with the code of their fault.
ROOTS = {
    'model(slug: "none") { slug }': "NOT_FOUND",
    'gpu(slug: "none") { slug }': "NOT_FOUND",
    'model(slug: "llama") { slug }': "AMBIGUOUS_NAME",
    'quant(slug: "none") { slug }': "NOT_FOUND",
    'computer(slug: "none") { slug }': "NOT_FOUND",
    'node(id: "bad") { id }': "BAD_USER_INPUT",
    'run(id: "bad") { id }': "BAD_USER_INPUT",
    'nameMeaning(kind: GPU, text: "") { slug }': "NOT_FOUND",
    'models(filter: {slug: {in: ["none"]}}) { totalCount }': "NOT_FOUND",
    'models(filter: {or: [{slug: {notIn: ["none"]}}]}) { totalCount }': "NOT_FOUND",
    "models(filter: {parameterCount: {min: 2, max: 1}}) { totalCount }": "BAD_USER_INPUT",
    'models(filter: {releaseDate: {min: "2025", max: "2024"}}) { totalCount }': "BAD_USER_INPUT",
    'models(filter: {or: [{search: "x"}]}) { totalCount }': "BAD_USER_INPUT",
    "models(first: -1) { totalCount }": "BAD_USER_INPUT",
    'models(after: "bad") { totalCount }': "BAD_USER_INPUT",
    "models(orderBy: [{field: NAME}, {field: NAME}]) { totalCount }": "BAD_USER_INPUT",
    'gpus(filter: {slug: {in: ["none"]}}) { totalCount }': "NOT_FOUND",
    "gpus(filter: {priceUsd: {min: 2, max: 1}}) { totalCount }": "BAD_USER_INPUT",
    "gpus(first: 2, last: 2) { totalCount }": "BAD_USER_INPUT",
    'computers(gpu: "none") { totalCount }': "NOT_FOUND",
    'fits(filter: {model: {in: ["none"]}}) { totalCount }': "NOT_FOUND",
    'fits(filter: {quant: {notIn: ["none"]}}) { totalCount }': "NOT_FOUND",
    'fits(filter: {gpuMatches: {slug: {in: ["none"]}}}) { totalCount }': "NOT_FOUND",
    'fits(filter: {or: [{gpu: {in: ["none"]}}]}) { totalCount }': "NOT_FOUND",
    "fits(filter: {ttftMs: {min: 2, max: 1}}) { totalCount }": "BAD_USER_INPUT",
    "fits(orderBy: [{field: SCORE}, {field: SCORE}]) { totalCount }": "BAD_USER_INPUT",
    'fit(model: "none", gpu: "rtx-4090") { score }': "NOT_FOUND",
    'fit(model: "llama-2-7b", gpu: "rtx-4090", quant: "none") { score }': "NOT_FOUND",
    'measurements(filter: {model: {in: ["none"]}}) { totalCount }': "NOT_FOUND",
    "measurements(filter: {batch: {min: 2, max: 1}}) { totalCount }": "BAD_USER_INPUT",
    'runs(after: "bad") { totalCount }': "BAD_USER_INPUT",
    'runs(filter: {createdAt: {min: "2025-01-02T00:00:00", max: "2025-01-01T00:00:00"}}) { totalCount }': "BAD_USER_INPUT",
    "fitDifferences(from: 99) { totalCount }": "BAD_USER_INPUT",
    'fitDifferences(from: 1, filter: {gpu: {in: ["none"]}}) { totalCount }': "NOT_FOUND",
    'recommendations(input: {gpu: "none"}) { totalCount }': "NOT_FOUND",
    "recommendations(input: {}) { totalCount }": "BAD_USER_INPUT",
    'recommendations(input: {gpu: "rtx-4090", target: {users: -1}}) { totalCount }': "BAD_USER_INPUT",
    'purchases(input: {models: ["none"]}) { streams }': "NOT_FOUND",
    "purchases(input: {users: -1}) { streams }": "BAD_USER_INPUT",
    'rentOrBuy(gpu: "none") { soldAsCard }': "NOT_FOUND",
    'tiers(gpu: "none") { letter }': "NOT_FOUND",
    'rankedModels(gpu: "rtx-4090", benchmark: "none") { rank }': "NOT_FOUND",
    'upgradeGains(from: "rtx-4090", to: "none") { newlyUsable }': "NOT_FOUND",
    'smallestSetups(model: "none", target: {}) { gpuCount }': "NOT_FOUND",
    'fit(model: "llama", gpu: "rtx-4090") { score }': "AMBIGUOUS_NAME",
    'comparison(input: {models: [], gpus: ["rtx-4090"]}) { winner }': "BAD_USER_INPUT",
    'estimate(input: {model: {slug: "llama"}, machine: {gpu: "rtx-4090"}}) { score }': "AMBIGUOUS_NAME",
    'estimate(input: {model: {slug: "none"}, machine: {gpu: "rtx-4090"}, quant: "q4-k-m"}) { score }': "NOT_FOUND",
}
#: Fields of an accelerator, a model or a fit that fail, with their path below it.
NESTED = {
    ("gpu", 'fits(filter: {model: {in: ["none"]}}) { totalCount }'): ("NOT_FOUND", ["fits"]),
    ("gpu", 'fits(filter: {modelMatches: {slug: {in: ["none"]}}}) { totalCount }'): ("NOT_FOUND", ["fits"]),
    ("gpu", "fits(filter: {score: {min: 2, max: 1}}) { totalCount }"): ("BAD_USER_INPUT", ["fits"]),
    ("gpu", 'fits(before: "bad") { totalCount }'): ("BAD_USER_INPUT", ["fits"]),
    ("gpu", "fits(first: 2, last: 2) { totalCount }"): ("BAD_USER_INPUT", ["fits"]),
    ("fit", "serving { people points(people: [0]) { people } }"): ("BAD_USER_INPUT", ["serving", "points"]),
    ("fit", "serving { points(people: [1]) { people cost(electricityUsdPerKwh: 99) { totalUsd } } }"): (
        "BAD_USER_INPUT", ["serving", "points", 0, "cost"],
    ),
    ("fit", 'measurements(after: "bad") { totalCount }'): ("BAD_USER_INPUT", ["measurements"]),
    ("fit", 'gpu { slug fits(filter: {gpu: {in: ["none"]}}) { totalCount } }'): ("NOT_FOUND", ["gpu", "fits"]),
}  # fmt: skip
OWNERS = {
    "gpu": 'gpu(slug: "rtx-4090") { slug %s }',
    "fit": 'fit(model: "llama-3.1-8b", gpu: "rtx-4090", quant: "q4-k-m") { score %s }',
}


@pytest.mark.parametrize("selection", ROOTS)
async def test_a_fault_at_the_root_leaves_the_other_roots(ask: Any, selection: str) -> None:
    answer = await ask(f'{{ bad: {selection} good: gpu(slug: "rtx-4090") {{ slug }} }}')
    assert answer["data"] == {"bad": None, "good": {"slug": "rtx-4090"}}
    assert [(error["path"], error["extensions"]["code"]) for error in answer["errors"]] == [
        (["bad"], ROOTS[selection])
    ], answer["errors"]


async def test_every_root_with_arguments_is_tried() -> None:
    operation: Any = parse(f"{{ {' '.join(ROOTS)} }}").definitions[0]
    tried = {field.name.value for field in operation.selection_set.selections}
    query = schema._schema.query_type
    assert query is not None
    # A bad place in a list is null there, or has its own error.
    assert {name for name, field in query.fields.items() if field.args} - tried == {"nodes", "estimates"}
    assert [name for name in tried if isinstance(query.fields[name].type, GraphQLNonNull)] == []


@pytest.mark.parametrize(("owner", "selection"), NESTED)
async def test_a_fault_below_leaves_its_owner(ask: Any, owner: str, selection: str) -> None:
    code, path = NESTED[owner, selection]
    answer = await ask(f"{{ {OWNERS[owner] % selection} }}")
    assert [(error["path"], error["extensions"]["code"]) for error in answer["errors"]] == [([owner, *path], code)]
    value = answer["data"]
    for name in (owner, *path[:-1]):
        value = value[name]
        assert value
    assert value[path[-1]] is None


async def test_a_fault_below_a_list_is_told_of_every_item(ask: Any) -> None:
    answer = await ask('{ models(first: 3) { nodes { slug fits(filter: {gpu: {in: ["none"]}}) { totalCount } } } }')
    assert [node["fits"] for node in answer["data"]["models"]["nodes"]] == [None] * 3
    assert [error["path"] for error in answer["errors"]] == [["models", "nodes", n, "fits"] for n in range(3)]


async def test_a_bad_place_of_a_list_fails_alone(ask: Any) -> None:
    question = '{model: {slug: "llama-2-7b"}, machine: {gpu: "%s"}, quant: "q4-k-m"}'
    answer = await ask(
        f"{{ estimates(inputs: [{question % 'none'}, {question % 'rtx-4090'}]) {{ estimate {{ score }} error {{ code }} }} "
        'nodes(ids: ["bad"]) { id } '
        'comparison(input: {models: ["llama-2-7b"], gpus: ["none", "rtx-4090"]}) { columns { prediction { score } '
        "error { code } } } }"
    )
    bad, good = answer["data"]["estimates"]
    assert (bad["estimate"], bad["error"]["code"], good["error"]) == (None, "NOT_FOUND", None)
    assert answer["data"]["nodes"] == [None]
    assert [error["path"] for error in answer["errors"]] == [["nodes", 0]]
    bad, good = answer["data"]["comparison"]["columns"]
    assert (bad["prediction"], bad["error"]["code"], good["error"]) == (None, "NOT_FOUND", None)
