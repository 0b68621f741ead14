"""Whatever is sent, the answer is typed: no fault of the server, no trace, nothing unbounded."""

from __future__ import annotations

import json
import random
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from api.graphql.core.ids import encode_id
from tests.api.conftest import GPUS, MODELS
from tests.support.grammar import Grammar, names_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

CODES = {
    "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED",
    "NOT_FOUND", "BAD_USER_INPUT", "LIMIT_EXCEEDED", "UNAUTHENTICATED", "FORBIDDEN", "STALE_CURSOR", "UNAVAILABLE",
    "MISSING_FACT", "UNSUPPORTED",
}  # fmt: skip
SEEDS = (
    "query Q($n: Int = 3, $c: String) { models(first: $n, after: $c) { nodes { slug fits(first: 2) { nodes { score } } } } }",
    'query Q($s: String = "rtx 4090") { gpu(slug: $s) { name memoryBytes fits(first: 1) { edges { cursor } } } }',
    "query Q($f: FitFilter, $o: [FitOrder!]) { fits(filter: $f, orderBy: $o, first: 3) { totalCount nodes { id } } }",
    "query Q($e: [EstimateInput!] = []) { estimates(inputs: $e) { error { code } estimate { score } } }",
    'query Q($i: ID = "x") { node(id: $i) { id ... on Fit { score ...F } } } fragment F on Fit { grade headline }',
    'query Q($g: [String!] = ["rtx-4090"]) { comparison(input: {models: "llama-2-7b", gpus: $g}) { rows { values } } }',
    "mutation M($x: JSON) { upsertModel(input: {entry: $x}) { userErrors { message } } }",
    "{ catalog { fitCount lastRun { id } } runs(first: 2) { nodes { id } } quants { slug } }",
)
JUNK = (
    "", " ", "{", "}", "(", ")", "[", "]", ":", "!", "$", "@", "...", '"', '"""', "\\", "\x00", "\u202e", "💥", "null",
    "-1", "1e999", "999999999999999999999", "first: 5", "@skip(if: true)", "@include(if: $n)", "on", "fragment F on Query",
    "__schema", "__typename", "' OR 1=1 --", "; DROP TABLE run", "../../etc/passwd", "<script>alert(1)</script>", "%s", "{{7*7}}",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 2**31, 2**63, 1.5, 1e308, "", "x", "rtx-4090", "' OR 1=1 --", "\x00", "a" * 5000, [], [1],
    ["rtx-4090"], {}, {"min": 1}, {"in": ["x"]}, {"in": [None]}, {"score": {"min": 1e308}}, {"model": {"in": ["' OR '1'='1"]}},
    {"ttftMs": {"min": -1e308, "max": 1e308}}, [{"field": "SCORE"}], [{"field": "TTFT", "direction": "ASC"}], {"slug": "x"},
    {"slug": {"$gt": ""}}, [{"model": {"slug": "llama-2-7b"}, "machine": {"gpu": "rtx-4090"}, "depth": 2**31 - 1}],
)  # fmt: skip


def request(chance: random.Random) -> dict[str, Any]:
    """One request: a known document, mostly damaged, with odd variables."""
    text = chance.choice(SEEDS)
    for _ in range(chance.choice((0, 0, 1, 1, 2, 5))):
        place = chance.randrange(len(text) + 1)
        kind = chance.random()
        if kind < 0.4:
            text = text[:place] + chance.choice(JUNK) + text[place:]
        elif kind < 0.7:
            text = text[:place] + text[place + chance.randint(1, 8) :]
        else:
            other = chance.choice(SEEDS)
            start = chance.randrange(len(other))
            text = text[:place] + other[start : start + chance.randint(1, 60)] + text[place:]
    variables = {name: chance.choice(VALUES) for name in "nscfoeigx" if chance.random() < 0.5}
    return {"query": text, "variables": variables}


@pytest.mark.parametrize("seed", range(3))
async def test_damaged_requests_get_typed_errors(client: httpx.AsyncClient, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        body = request(chance)
        response = await client.post("/graphql", json=body)
        assert response.status_code in (200, 400), body
        for error in response.json().get("errors", []):
            assert error["extensions"]["code"] in CODES, (body, error)
            assert "Traceback" not in error["message"]


@pytest.mark.parametrize("seed", range(3))
async def test_requests_of_the_schema_get_typed_answers(app: Starlette, client: httpx.AsyncClient, seed: int) -> None:
    ids = [encode_id("Model", MODELS[0]), encode_id("Fit", MODELS[0], GPUS[0], "q4-k-m", "coding"), "bad"]
    names = names_of(MODELS, GPUS, ("q4-k-m", "Q8_0", "mxfp4"), ids)
    grammar = Grammar(app.state.schema._schema, seed, names)
    answered = 0
    for _ in range(100):
        body = grammar.request()
        response = await client.post("/graphql", content=json.dumps(body), headers={"content-type": "application/json"})
        assert response.status_code in (200, 400), body
        reply = response.json()
        answered += bool(reply.get("data"))
        for error in reply.get("errors", []):
            assert error["extensions"]["code"] in CODES, (body, error)
    assert answered > 8


@pytest.mark.parametrize("letter", ["\u0130", "\u0130\u0130rtx", "\ufb03"])
async def test_letters_whose_lower_case_is_longer(client: httpx.AsyncClient, letter: str) -> None:
    queries = (
        f'{{ gpus(filter: {{kind: {{in: "{letter}"}}}}) {{ totalCount }} }}',
        f'{{ gpu(slug: "{letter}") {{ slug }} }}',
        "query($k: [GpuKind!]!) { gpus(filter: {kind: {in: $k}}) { totalCount } }",
        f'{{ models(filter: {{search: "{letter}"}}) {{ totalCount }} }}',
    )
    for query in queries:
        reply = (await client.post("/graphql", json={"query": query, "variables": {"k": [letter]}})).json()
        assert {error["extensions"]["code"] for error in reply.get("errors", [])} <= {"BAD_USER_INPUT", "NOT_FOUND"}
