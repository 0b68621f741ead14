"""However much is asked for, every query runs a constant number of statements."""

from __future__ import annotations

from typing import Any

import pytest

from api.answers.choices.paces import Paces
from api.graphql.core.ids import encode_id
from tests.api.conftest import GPUS, MODELS

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIT = "fragment F on Fit { score decode { tokensPerSecond } memory { totalBytes } model { slug } gpu { slug } quant { slug } }"
FIT_IDS = [encode_id("Fit", model, gpu, "q4-k-m", "coding") for model in MODELS for gpu in GPUS]
FEW_MODELS, ALL_MODELS, FEW_GPUS, ALL_GPUS = MODELS[:1], list(MODELS), GPUS[:1], list(GPUS)
#: Query, then its variables for little and for much.
QUERIES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "fits": (
        "query($n: Int) { fits(first: $n) { totalCount nodes { id ...F } pageInfo { endCursor } } }",
        {"n": 1},
        {"n": 100},
    ),
    "fits with siblings": (
        """query($n: Int) { fits(first: $n, orderBy: [{field: TTFT, direction: ASC}], filter: {recommended: true}) {
          nodes { ...F workloadOptions { ...F } quantOptions { ...F } } } }""",
        {"n": 1},
        {"n": 10},
    ),
    "models": (
        "query($n: Int) { models(first: $n) { nodes { quants { fileSizeBytes } fits(first: 5) { nodes { ...F } } } } }",
        {"n": 1},
        {"n": 4},
    ),
    "accelerators": (
        """query($n: Int) { gpus(first: $n) { nodes { slug fits(first: $n) { nodes {
          ...F model { fits(first: $n) { nodes { ...F } } } } } } } }""",
        {"n": 1},
        {"n": 5},
    ),
    "last of each accelerator": (
        "query($n: Int) { gpus(first: $n) { nodes { fits(last: $n) { nodes { ...F } } } } }",
        {"n": 1},
        {"n": 5},
    ),
    "by what is stored packed": (
        """query($n: Int) { fits(first: $n, orderBy: [{field: PRICE}], filter: {quant: {in: ["q4-k-m"]}, gpuMatches: {}}) {
          nodes { ...F } }
          gpus(first: $n) { nodes { fits(last: $n, orderBy: [{field: MEMORY}, {field: PREFILL}]) { nodes { ...F } } } } }""",
        {"n": 1},
        {"n": 5},
    ),
    "one model": (
        """query($n: Int) { model(slug: "llama-2-7b") { fits(first: $n) { nodes {
          ...F headline limits { code } measurements(first: $n) { nodes { tokensPerSecond } } } } } }""",
        {"n": 1},
        {"n": 20},
    ),
    "comparison of accelerators": (
        """query($g: [String!]!) { comparison(input: {models: ["llama-2-7b"], gpus: $g}) {
          winner rows { values } columns { prediction { ... on Fit { ...F quantOptions { ...F } } } } } }""",
        {"g": FEW_GPUS},
        {"g": ALL_GPUS},
    ),
    "comparison of models": (
        """query($m: [String!]!, $g: [String!]!) { comparison(input: {models: $m, gpus: $g}) {
          columns { prediction { ...F } } } }""",
        {"m": FEW_MODELS, "g": FEW_GPUS},
        {"m": ALL_MODELS, "g": ALL_GPUS},
    ),
    "recommendations": (
        "query($g: String!, $n: Int) { recommendations(input: {gpu: $g}, first: $n) { nodes { rating fit { ...F } } } }",
        {"g": "rx-7900-xtx", "n": 1},
        {"g": "apple-m3-max-30c-36gb", "n": 4},
    ),
    "tiers": (
        "query($g: String!) { tiers(gpu: $g) { letter fits { ...F } } }",
        {"g": "rx-7900-xtx"},
        {"g": "apple-m3-max-30c-36gb"},
    ),
    "nodes": ("query($i: [ID!]!) { nodes(ids: $i) { id ... on Fit { ...F } } }", {"i": FIT_IDS[:1]}, {"i": FIT_IDS}),
    "runs": (
        "query($n: Int) { runs(first: $n) { totalCount nodes { state } } catalog { fitCount } fits(first: 0) { nodes { ...F } } }",
        {"n": 1},
        {"n": 20},
    ),
}


@pytest.mark.parametrize("kind", ["quant", "workload", "engine", "host"])
@pytest.mark.parametrize("paging", ["first", "last"])
async def test_one_statement_for_the_fits_of_all_owners_of_a_kind(
    data: Any, statements: Any, kind: str, paging: str
) -> None:
    fits = f'fits({paging}: $n, filter: {{recommended: true, gpu: {{in: ["rtx-4090"]}}}}) {{ nodes {{ ...F }} }}'
    await data("{ __typename }")
    counts = []
    for size in (1, 5):
        with statements() as executed:
            await data(f"query($n: Int) {{ {kind}s {{ {fits} }} }} {FIT}", n=size)
        counts.append(len(executed))
    assert counts == [1, 1]


@pytest.mark.parametrize("name", QUERIES)
async def test_statements_do_not_grow_with_what_is_asked(data: Any, statements: Any, app: Any, name: str) -> None:
    query, little, much = QUERIES[name]
    view = await app.state.services.state.view()
    counts = []
    for variables in (little, much):
        # The reads of choices about an owner are kept: neither an earlier test nor the first query may have read it.
        view._derived.pop(Paces, None)
        with statements() as executed:
            await data(f"{query} {FIT}", **variables)
        counts.append(len(executed))
    assert counts[0] == counts[1], counts
    assert counts[1] <= 6
