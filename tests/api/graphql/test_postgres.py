"""PostgreSQL answers what SQLite answers."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.postgres]

FIT = "status score recommended ttftMs safeContextTokens decode { tokensPerSecond low high evidence } memory { totalBytes } "
NAMES = "model { slug } gpu { slug } quant { slug } workload { kind }"
QUERIES = (
    f'{{ fit(model: "Kimi Linear 48B A3B", gpu: "V100 32GB", quant: "Q4_K_M") {{ {FIT} {NAMES} workloadOptions {{ {FIT} }} '
    f"quantOptions {{ {FIT} {NAMES} }} headline summary }} }}",
    f"{{ fits(first: 100) {{ totalCount edges {{ cursor node {{ {FIT} {NAMES} }} }} pageInfo {{ hasNextPage }} }} }}",
    f"{{ fits(first: 50, orderBy: [{{field: DECODE}}], filter: {{recommended: true, workload: {{in: [RAG, CHAT]}}}}) "
    f"{{ totalCount nodes {{ {FIT} {NAMES} }} }} }}",
    f"{{ fits(first: 50, orderBy: [{{field: TTFT, direction: ASC}}], filter: {{status: {{in: [FITS]}}, "
    f"decodeTokensPerSecond: {{min: 20, max: 200}}, safeContextTokens: {{min: 1000}}}}) "
    f"{{ totalCount nodes {{ {FIT} {NAMES} }} }} }}",
    f"{{ models {{ nodes {{ slug quants {{ fileSizeBytes weightsBytes quant {{ slug }} }} fits(first: 5) {{ nodes {{ {FIT} {NAMES} "
    f"gpu {{ fits(first: 2) {{ nodes {{ {NAMES} }} }} }} }} }} }} }} }}",
    '{ comparison(input: {models: ["qwen3-30b-a3b"], gpus: ["rtx-4090", "rtx-3090"]}) { winner rows { measure values deltas } } }',
    '{ recommendations(input: {gpu: "rtx-3090"}) { nodes { rating fit { model { slug } quant { slug } } } } }',
    '{ quants { fits(first: 2, filter: {model: {in: ["llama-2-7b"]}}) { totalCount nodes { id score } } } '
    "workloads { fits(last: 2) { nodes { id score } } } "
    'engines { fits(first: 2, orderBy: [{field: DECODE}], filter: {gpu: {in: ["rtx-4090"]}}) { nodes { id } } } '
    "hosts { fits(first: 2) { nodes { id } } } }",
    '{ fits(first: 60, orderBy: [{field: PREFILL}, {field: PRICE, direction: ASC}], filter: {model: {in: ["llama-2-7b"]}}) '
    f"{{ edges {{ cursor node {{ {FIT} {NAMES} prefill {{ tokensPerSecond }} }} }} }} "
    "gpus { nodes { slug fits(last: 5, orderBy: [{field: MEMORY, direction: ASC}]) { edges { cursor node { id } } } } } }",
    "{ fits(last: 5, filter: {minimumGrade: A, engine: {in: [VLLM]}}) { totalCount pageInfo { hasPreviousPage } nodes { id } } }",
    "{ catalog { revision generation fitCount unsupportedCount lastRun { state cellCount } } runs { totalCount } }",
)


@pytest.mark.parametrize("query", QUERIES)
async def test_both_databases_answer_the_same(data: Any, other: httpx.AsyncClient, query: str) -> None:
    reply = (await other.post("/graphql", json={"query": query})).json()
    assert "errors" not in reply
    assert reply["data"] == await data(query)
