"""Advice as data: the change put into the question is answered with the gain, for fits and for free estimates."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import nested

pytestmark = pytest.mark.asyncio(loop_scope="session")

NUMBERS = "status score ttftMs safeContextTokens decode { tokensPerSecond } memory { headroomBytes }"
ADVICE = f"""advice {{ code message
  gain {{ statusAfter score decodeTokensPerSecond ttftMs safeContextTokens headroomBytes }}
  change {{ model {{ slug }} quant {{ slug }} gpu {{ slug }} gpuCount hostMemoryGb kvCacheType contextTokens microBatch
    wiredLimitMb gpuLayers cpuMoeLayers leftOut }}
  estimate {{ {NUMBERS} commands {{ text }} }} }}"""
FIT = f"""query($model: String!, $gpu: String!, $quant: String, $workload: WorkloadKind!) {{
  fit(model: $model, gpu: $gpu, quant: $quant, workload: $workload) {{ {NUMBERS} quant {{ slug }} {ADVICE} }} }}"""
ESTIMATE = f"query($q: EstimateInput!) {{ estimate(input: $q) {{ {NUMBERS} {ADVICE} commands {{ text }} }} }}"
PAIRS = [
    ("qwen3-30b-a3b", "tesla-v100-sxm2-32-gb", "Q8_0", "RAG"),
    ("qwen3-30b-a3b", "rtx-3090", "Q6_K", "AGENTIC_CODING"),
    ("kimi-linear-48b-a3b", "rtx-4090", "Q4_K_M", "CODING"),
    ("kimi-linear-48b-a3b", "apple-m3-max-30c-36gb", "Q5_K_M", "CODING"),
    ("llama-3.1-8b", "rtx-3090", "F16", "REASONING"),
    ("llama-2-7b", "rx-7900-xtx", "Q2_K", "CHAT"),
]


def put_in(question: dict[str, Any], change: dict[str, Any] | None) -> dict[str, Any]:
    """The question with a change put in, as its description says."""
    changed = {name: value for name, value in (change or {}).items() if value is not None}
    left_out = changed.pop("leftOut", [])
    asked = {name: value for name, value in question.items() if name not in left_out}
    for name in ("gpus", "gpuFacts") if "gpu" in changed else ():
        asked.pop(name, None)
    for name, value in changed.items():
        asked[name] = value["slug"] if isinstance(value, dict) else value
    return asked


def check(before: dict[str, Any], after: dict[str, Any], gain: dict[str, Any]) -> None:
    assert after["status"] == gain["statusAfter"]
    assert after["score"] - before["score"] == pytest.approx(gain["score"], abs=1e-3)
    assert after["memory"]["headroomBytes"] - before["memory"]["headroomBytes"] == gain["headroomBytes"]
    if gain["decodeTokensPerSecond"] is not None:
        change = after["decode"]["tokensPerSecond"] - before["decode"]["tokensPerSecond"]
        assert change == pytest.approx(gain["decodeTokensPerSecond"], abs=1e-3)
        assert after["safeContextTokens"] - before["safeContextTokens"] == gain["safeContextTokens"]
    if gain["ttftMs"] is not None:
        assert after["ttftMs"] - before["ttftMs"] == pytest.approx(gain["ttftMs"], rel=1e-4, abs=0.5)


@pytest.mark.parametrize(("model", "gpu", "quant", "workload"), PAIRS)
async def test_each_change_put_into_the_question_yields_its_gain(
    data: Any, model: str, gpu: str, quant: str, workload: str
) -> None:
    fit = (await data(FIT, model=model, gpu=gpu, quant=quant, workload=workload))["fit"]
    assert fit["advice"]
    question = {"model": model, "gpu": gpu, "quant": fit["quant"]["slug"], "workload": workload}
    for item in fit["advice"]:
        assert (item["change"] is None) == (item["code"] == "NOTHING_NEEDED")
        after = (await data(ESTIMATE, q=nested(put_in(question, item["change"]))))["estimate"]
        check(fit, after, item["gain"])
        for name in ("status", "score", "safeContextTokens", "decode", "commands"):
            assert after[name] == item["estimate"][name], (item["message"], name)


async def test_a_computer_and_an_accelerator_of_ones_own_are_replaced(data: Any) -> None:
    facts = {"memory_gb": 12, "bandwidth_gbps": 360, "engines": ["cuda"], "fp16_tensor_tflops": 51.2}
    for quant in ("F16", "Q8_0"):
        question = {
            "model": "llama-3.1-8b", "gpuFacts": facts, "hostMemoryGb": 20, "hostBandwidthGbps": 40, "quant": quant,
            "workload": "RAG",
        }  # fmt: skip
        before = (await data(ESTIMATE, q=nested(question)))["estimate"]
        for item in before["advice"]:
            assert item["change"]["leftOut"] == []
            check(before, (await data(ESTIMATE, q=nested(put_in(question, item["change"]))))["estimate"], item["gain"])


async def test_a_list_of_accelerators_gives_way_to_a_count(data: Any) -> None:
    question = {"model": "qwen3-30b-a3b", "gpus": ["rtx-3090"], "quant": "F16", "workload": "RAG"}
    before = (await data(ESTIMATE, q=nested(question)))["estimate"]
    second = next(item for item in before["advice"] if item["code"] == "SECOND_GPU")
    assert (second["change"]["gpu"]["slug"], second["change"]["gpuCount"]) == ("rtx-3090", 2)
    for item in before["advice"]:
        if item["change"]["gpu"] is not None:
            check(before, (await data(ESTIMATE, q=nested(put_in(question, item["change"]))))["estimate"], item["gain"])


async def test_a_split_fixed_by_hand_is_told_the_better_one(data: Any) -> None:
    question = {
        "model": "qwen3-30b-a3b", "gpu": "rtx-4090", "quant": "Q8_0", "workload": "CODING", "gpuLayers": 4,
    }  # fmt: skip
    before = (await data(ESTIMATE, q=nested(question)))["estimate"]
    split = next(item for item in before["advice"] if item["code"] == "PLANNED_OFFLOAD")
    assert split["change"]["gpuLayers"] is not None
    after = (await data(ESTIMATE, q=nested(put_in(question, split["change"]))))["estimate"]
    check(before, after, split["gain"])
    for item in before["advice"]:
        check(before, (await data(ESTIMATE, q=nested(put_in(question, item["change"]))))["estimate"], item["gain"])


TEXTS = """query($q: EstimateInput!) { estimate(input: $q) { status score headline summary capacityMessage
  limits { code share message } scoreParts { name value weight } workload { slug } advice { code }
  serving { streams tokensPerSecondEach } } }"""


async def test_a_question_without_extras_is_explained_as_its_fit_is(data: Any) -> None:
    explained = """headline summary capacityMessage limits { code share message } scoreParts { name value weight }
      advice { code message } serving { streams tokensPerSecondEach tokensPerSecondTotal joulesPerToken }"""
    for model, gpu, quant, workload in PAIRS:
        names = {"model": model, "gpu": gpu, "quant": quant, "workload": workload}
        fit = (await data(FIT.replace(NUMBERS + " quant", explained + " quant").replace(ADVICE, ""), **names))["fit"]
        estimate = (
            await data(f"query($q: EstimateInput!) {{ estimate(input: $q) {{ {explained} }} }}", q=nested(names))
        )["estimate"]
        for name, text in estimate.items():
            assert text == fit[name], (names, name)


async def test_a_model_of_ones_own_is_explained_too(data: Any) -> None:
    config = {
        "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256, "model_type": "llama",
        "max_position_embeddings": 131072,
    }  # fmt: skip
    estimate = (
        await data(TEXTS, q=nested({"modelConfig": config, "gpu": "rtx-3090", "quant": "Q4_K_M", "workload": "CHAT"}))
    )["estimate"]
    assert estimate["headline"].startswith("Yes")
    assert estimate["summary"].startswith("Custom model in Q4_K_M takes ")
    assert estimate["limits"]
    assert estimate["serving"]["streams"] >= 1
    total = 100 * sum(part["value"] * part["weight"] for part in estimate["scoreParts"])
    assert total == pytest.approx(estimate["score"], abs=0.02)


async def test_accelerators_that_differ_are_named_and_their_terms_are_not_told(data: Any) -> None:
    mixed = {
        "model": "qwen3-30b-a3b",
        "gpus": ["rtx-3090", "rtx-4090", "rtx-3090"],
        "quant": "Q8_0",
        "workload": "CHAT",
    }
    estimate = (await data(TEXTS, q=nested(mixed)))["estimate"]
    assert "2 x GeForce RTX 3090 + GeForce RTX 4090" in estimate["summary"]
    assert estimate["capacityMessage"] is estimate["serving"] is None
    assert estimate["limits"] == estimate["advice"] == []
    assert estimate["scoreParts"]
    equal = (await data(TEXTS, q=nested({**mixed, "gpus": ["rtx-3090", "rtx-3090"]})))["estimate"]
    assert "2 x GeForce RTX 3090" in equal["summary"]
    assert equal["limits"]
