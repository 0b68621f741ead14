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
    setups = (await data(SETUPS, model="qwen3-30b-a3b", target=target))["smallestSetups"]
    assert setups
    prices = [setup["priceUsd"] for setup in setups if setup["priceUsd"] is not None]
    assert prices == sorted(prices)
    assert len({setup["gpu"]["slug"] for setup in setups}) == len(setups)
    assert all(setup["decodeTokensPerSecond"] >= 20 and setup["safeContextTokens"] >= 8000 for setup in setups)


async def test_a_desktop_takes_two_cards_unless_more_are_asked_for(data: Any) -> None:
    query = """query($cards: Int) { smallestSetups(model: "llama-3.1-8b", cards: $cards, first: 20,
      target: {users: 64, bitsPerWeight: 15}, workload: CHAT) { gpu { slug kind } gpuCount } }"""

    async def counts(cards: int | None) -> list[int]:
        setups = (await data(query, cards=cards))["smallestSetups"]
        return [setup["gpuCount"] for setup in setups if setup["gpu"]["kind"] in ("CONSUMER", "WORKSTATION")]

    assert max(await counts(None), default=0) <= 2
    assert max(await counts(8)) > 2


async def test_a_buyers_limits_count_all_cards(data: Any) -> None:
    target = {"decodeTokensPerSecond": 1}
    setups = await data(SETUPS, model="kimi-linear-48b-a3b", target=target, budget=3500.0, watts=900.0)
    for setup in setups["smallestSetups"]:
        assert setup["priceUsd"] <= 3500
        assert setup["powerWatts"] <= 900
    assert any(setup["gpuCount"] > 1 for setup in setups["smallestSetups"]) or setups["smallestSetups"]


async def test_an_upgrade_tells_what_becomes_usable(data: Any) -> None:
    query = """{ upgradeGains(from: "apple-m3-max-30c-36gb", to: "rtx-4090", first: 100) {
      model { slug } ratingBefore ratingAfter statusBefore statusAfter newlyUsable leavesOffload } }"""
    upgrades = (await data(query))["upgradeGains"]
    assert upgrades
    for upgrade in upgrades:
        assert upgrade["newlyUsable"] == (upgrade["ratingBefore"] is None) == (upgrade["statusBefore"] is None)
        if not upgrade["newlyUsable"]:
            assert upgrade["ratingAfter"] > upgrade["ratingBefore"]
        assert upgrade["statusAfter"] in ("FITS", "FITS_TIGHTLY", "FITS_WITH_OFFLOAD")
    flags = [upgrade["newlyUsable"] for upgrade in upgrades]
    assert flags == sorted(flags, reverse=True)


async def test_a_tier_list_has_every_letter_and_each_usable_model_once(data: Any) -> None:
    query = '{ tiers(gpu: "rtx-4090", workload: CHAT) { letter fits { model { slug } quant { slug } } } }'
    tiers = (await data(query))["tiers"]
    assert [tier["letter"] for tier in tiers] == list("SABCDF")
    query = """{ recommendations(input: {gpu: "rtx-4090", workload: CHAT}, first: 100) {
      nodes { rating fit { model { slug } quant { slug } } } } }"""
    nodes = (await data(query))["recommendations"]["nodes"]
    assert [fit for tier in tiers for fit in tier["fits"]] == [node["fit"] for node in nodes]
    assert [node["fit"] for node in nodes if nodes[0]["rating"] - node["rating"] <= 3] == tiers[0]["fits"]


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
    estimate = (await data(query, q=nested(asked)))["estimate"]
    assert (estimate["model"], estimate["gpu"], estimate["contextTokens"]) == (None, None, 32_000)
    named = {**asked, "modelConfig": None, "model": "llama-3.1-8b"}
    assert (await data(query, q=nested(named)))["estimate"]["memory"] == estimate["memory"]
    wrong = await ask(query, q=nested({**asked, "gpuFacts": {"memory_gb": -1, "bandwidth_gbps": 1, "engines": []}}))
    assert wrong["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_fit_tells_how_many_it_serves_and_advises_within_a_budget(data: Any) -> None:
    query = """query($budget: Float) { fit(model: "qwen3-30b-a3b", gpu: "rtx-3090", quant: "f16", workload: RAG) {
      serving { streams } advice(budgetUsd: $budget) { code message } }
      served: fit(model: "llama-3.1-8b", gpu: "rtx-4090", quant: "q4-k-m", workload: CHAT) {
      serving { streams tokensPerSecondEach tokensPerSecondTotal joulesPerToken } } }"""
    fields = await data(query, budget=1.0)
    assert fields["fit"]["serving"] is None
    assert not {item["code"] for item in fields["fit"]["advice"]} & {"GPU_UPGRADE", "SECOND_GPU"}
    assert {item["code"] for item in (await data(query))["fit"]["advice"]} & {"GPU_UPGRADE", "SECOND_GPU"}
    served = fields["served"]["serving"]
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
        workload
        for workload in (await data("{ workloads { kind comfortableTokensPerSecond contextTokens } }"))["workloads"]
        if workload["kind"] == "CHAT"
    ]
    setups = (await data(CROWDS, model="llama-3.1-8b", target={"users": 32, "bitsPerWeight": 4}))["smallestSetups"]
    assert setups
    for setup in setups:
        assert setup["users"] == 32
        assert setup["decodeTokensPerSecond"] >= chat["comfortableTokensPerSecond"]
        assert setup["safeContextTokens"] >= chat["contextTokens"]
        question = {
            "model": "llama-3.1-8b", "gpu": setup["gpu"]["slug"], "gpuCount": setup["gpuCount"],
            "quant": setup["quant"]["slug"], "workload": "CHAT", "batch": 32, "isOccupancyExpected": True,
        }  # fmt: skip
        alone = (await data(ASKED, q=nested(question)))["estimate"]
        assert alone == setup["estimate"]
        assert alone["status"] in ("FITS", "FITS_TIGHTLY")
        assert alone["commands"]
        assert alone["decode"]["tokensPerSecond"] == setup["decodeTokensPerSecond"]
        fewer = {1: 0, 2: 1, 4: 2, 8: 4}[setup["gpuCount"]]
        if fewer:
            less = (await data(ASKED, q=nested({**question, "gpuCount": fewer})))["estimate"]
            # A server without room for all of them lets some wait.
            at_once = less["server"]["requestsAtOnce"] if less["server"] else 32
            enough = less["status"] in ("FITS", "FITS_TIGHTLY") and at_once >= 32
            enough = enough and less["decode"]["tokensPerSecond"] >= chat["comfortableTokensPerSecond"]
            assert not enough
    one_user = (await data(CROWDS, model="llama-3.1-8b", target={"decodeTokensPerSecond": 10}))["smallestSetups"]
    assert {setup["users"] for setup in one_user} == {1}
