"""Questions before a purchase, over the published fits and live sweeps."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import nested

pytestmark = pytest.mark.asyncio(loop_scope="session")

SETUPS = """query($model: String!, $target: RecommendationTarget!, $budget: Float, $watts: Float) {
  smallestSetups(model: $model, target: $target, budgetUsd: $budget, maxPowerWatts: $watts, workload: CHAT) {
    gpu { slug } quant { slug } gpuCount priceUsd powerWatts decodeTokensPerSecond safeContextTokens } }"""


async def test_the_smallest_setups_reach_the_target_cheapest_first(data: Any) -> None:
    target = {"decodeTokensPerSecond": 20, "safeContextTokens": 8000}
    found = (await data(SETUPS, model="qwen3-30b-a3b", target=target))["smallestSetups"]
    assert found
    prices = [one["priceUsd"] for one in found if one["priceUsd"] is not None]
    assert prices == sorted(prices)
    assert len({one["gpu"]["slug"] for one in found}) == len(found)
    assert all(one["decodeTokensPerSecond"] >= 20 and one["safeContextTokens"] >= 8000 for one in found)


async def test_a_desktop_takes_two_cards_unless_more_are_asked_for(data: Any) -> None:
    query = """query($cards: Int) { smallestSetups(model: "llama-3.1-8b", cards: $cards, first: 20,
      target: {users: 64, bitsPerWeight: 15}, workload: CHAT) { gpu { slug kind } gpuCount } }"""

    async def counts(cards: int | None) -> list[int]:
        found = (await data(query, cards=cards))["smallestSetups"]
        return [one["gpuCount"] for one in found if one["gpu"]["kind"] in ("CONSUMER", "WORKSTATION")]

    assert max(await counts(None), default=0) <= 2
    assert max(await counts(8)) > 2


async def test_a_buyers_limits_count_all_cards(data: Any) -> None:
    target = {"decodeTokensPerSecond": 1}
    found = await data(SETUPS, model="kimi-linear-48b-a3b", target=target, budget=3500.0, watts=900.0)
    for one in found["smallestSetups"]:
        assert one["priceUsd"] <= 3500
        assert one["powerWatts"] <= 900
    assert any(one["gpuCount"] > 1 for one in found["smallestSetups"]) or found["smallestSetups"]


async def test_an_upgrade_tells_what_becomes_usable(data: Any) -> None:
    query = """{ upgradeGains(from: "apple-m3-max-30c-36gb", to: "rtx-4090", first: 100) {
      model { slug } ratingBefore ratingAfter statusBefore statusAfter newlyUsable leavesOffload } }"""
    found = (await data(query))["upgradeGains"]
    assert found
    for one in found:
        assert one["newlyUsable"] == (one["ratingBefore"] is None) == (one["statusBefore"] is None)
        if not one["newlyUsable"]:
            assert one["ratingAfter"] > one["ratingBefore"]
        assert one["statusAfter"] in ("FITS", "FITS_TIGHTLY", "FITS_WITH_OFFLOAD")
    flags = [one["newlyUsable"] for one in found]
    assert flags == sorted(flags, reverse=True)


async def test_a_tier_list_has_every_letter_and_each_usable_model_once(data: Any) -> None:
    query = '{ tiers(gpu: "rtx-4090", workload: CHAT) { letter fits { model { slug } quant { slug } } } }'
    tiers = (await data(query))["tiers"]
    assert [tier["letter"] for tier in tiers] == list("SABCDF")
    query = """{ recommendations(input: {gpu: "rtx-4090", workload: CHAT}, first: 100) {
      nodes { rating fit { model { slug } quant { slug } } } } }"""
    nodes = (await data(query))["recommendations"]["nodes"]
    assert [fit for tier in tiers for fit in tier["fits"]] == [one["fit"] for one in nodes]
    assert [one["fit"] for one in nodes if nodes[0]["rating"] - one["rating"] <= 3] == tiers[0]["fits"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ('{ tiers(gpu: "nothing") { letter } }', "NOT_FOUND"),
        ('{ upgradeGains(from: "rtx-4090", to: "nothing") { newlyUsable } }', "NOT_FOUND"),
        ('{ upgradeGains(from: "rtx-4090", to: "rtx-3090", first: -1) { newlyUsable } }', "BAD_USER_INPUT"),
        ('{ smallestSetups(model: "nothing", target: {}) { gpuCount } }', "NOT_FOUND"),
        ('{ smallestSetups(model: "llama-2-7b", target: {}, first: 1000) { gpuCount } }', "LIMIT_EXCEEDED"),
        ('{ smallestSetups(model: "llama-2-7b", target: {}, cards: 9) { gpuCount } }', "BAD_USER_INPUT"),
        ('{ upgradeGains(from: "rtx-3090", to: "rtx-4090", first: 101) { newlyUsable } }', "LIMIT_EXCEEDED"),
    ],
)
async def test_mistakes_are_typed(ask: Any, query: str, code: str) -> None:
    answer = await ask(query)
    assert answer["errors"][0]["extensions"]["code"] == code


async def test_a_custom_model_and_card_are_estimated(data: Any, ask: Any) -> None:
    query = """query($q: EstimateInput!) { estimate(input: $q) {
      model { slug } gpu { slug } status decode { tokensPerSecond } contextTokens memory { totalBytes } } }"""
    config = {
        "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "intermediate_size": 14336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256,
        "tie_word_embeddings": False,
    }  # fmt: skip
    card = {"memory_gb": 24, "bandwidth_gbps": 900, "fp16_tensor_tflops": 100, "engines": ["cuda"]}
    asked = {"modelConfig": config, "gpuFacts": card, "quant": "Q4_K_M", "workload": "RAG"}
    found = (await data(query, q=nested(asked)))["estimate"]
    assert (found["model"], found["gpu"], found["contextTokens"]) == (None, None, 32_000)
    named = {**asked, "modelConfig": None, "model": "llama-3.1-8b"}
    assert (await data(query, q=nested(named)))["estimate"]["memory"] == found["memory"]
    wrong = await ask(query, q=nested({**asked, "gpuFacts": {"memory_gb": -1, "bandwidth_gbps": 1, "engines": []}}))
    assert wrong["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_fit_tells_how_many_it_serves_and_advises_within_a_budget(data: Any) -> None:
    query = """query($budget: Float) { fit(model: "qwen3-30b-a3b", gpu: "rtx-3090", quant: "f16", workload: RAG) {
      serving { streams } advice(budgetUsd: $budget) { code message } }
      served: fit(model: "llama-3.1-8b", gpu: "rtx-4090", quant: "q4-k-m", workload: CHAT) {
      serving { streams tokensPerSecondEach tokensPerSecondTotal joulesPerToken } } }"""
    found = await data(query, budget=1.0)
    assert found["fit"]["serving"] is None
    assert not {each["code"] for each in found["fit"]["advice"]} & {"GPU_UPGRADE", "SECOND_GPU"}
    assert {each["code"] for each in (await data(query))["fit"]["advice"]} & {"GPU_UPGRADE", "SECOND_GPU"}
    served = found["served"]["serving"]
    assert served["streams"] > 1
    assert served["tokensPerSecondTotal"] == pytest.approx(served["streams"] * served["tokensPerSecondEach"])


CROWDS = """query($model: String!, $target: RecommendationTarget!) {
  smallestSetups(model: $model, target: $target, workload: CHAT, first: 20) {
    gpu { slug } quant { slug } gpuCount users decodeTokensPerSecond ttftMs safeContextTokens
    estimate { status decode { tokensPerSecond } ttftMs safeContextTokens limits { code }
    server { requestsAtOnce } commands { text } } } }"""
ASKED = """query($q: EstimateInput!) { estimate(input: $q) { status decode { tokensPerSecond } ttftMs safeContextTokens
  limits { code } server { requestsAtOnce } commands { text } } }"""


async def test_setups_for_users_hold_them_all_at_the_comfortable_speed(data: Any) -> None:
    (chat,) = [
        one
        for one in (await data("{ workloads { kind comfortableTokensPerSecond contextTokens } }"))["workloads"]
        if one["kind"] == "CHAT"
    ]
    found = (await data(CROWDS, model="llama-3.1-8b", target={"users": 32, "bitsPerWeight": 4}))["smallestSetups"]
    assert found
    for one in found:
        assert one["users"] == 32
        assert one["decodeTokensPerSecond"] >= chat["comfortableTokensPerSecond"]
        assert one["safeContextTokens"] >= chat["contextTokens"]
        question = {
            "model": "llama-3.1-8b", "gpu": one["gpu"]["slug"], "gpuCount": one["gpuCount"],
            "quant": one["quant"]["slug"], "workload": "CHAT", "batch": 32, "isOccupancyExpected": True,
        }  # fmt: skip
        alone = (await data(ASKED, q=nested(question)))["estimate"]
        assert alone == one["estimate"]
        assert alone["status"] in ("FITS", "FITS_TIGHTLY")
        assert alone["commands"]
        assert alone["decode"]["tokensPerSecond"] == one["decodeTokensPerSecond"]
        fewer = {1: 0, 2: 1, 4: 2, 8: 4}[one["gpuCount"]]
        if fewer:
            less = (await data(ASKED, q=nested({**question, "gpuCount": fewer})))["estimate"]
            # A server without room for all of them lets some wait.
            at_once = less["server"]["requestsAtOnce"] if less["server"] else 32
            enough = less["status"] in ("FITS", "FITS_TIGHTLY") and at_once >= 32
            enough = enough and less["decode"]["tokensPerSecond"] >= chat["comfortableTokensPerSecond"]
            assert not enough
    one_user = (await data(CROWDS, model="llama-3.1-8b", target={"decodeTokensPerSecond": 10}))["smallestSetups"]
    assert {one["users"] for one in one_user} == {1}
