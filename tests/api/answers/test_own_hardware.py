"""What-if questions: custom models, accelerators and hosts, checked as strictly as the catalog."""

from __future__ import annotations

from typing import Any

import pytest

from api.answers.output import as_json
from api.answers.own_hardware import accelerator_of_facts
from api.answers.questions import Answerer
from api.errors import QuestionError
from db.entries import specs
from estimator.calibration.coefficients import Calibration
from estimator.fit_facts import request_of
from estimator.grid import evaluate_block
from tests.support.catalogs import CATALOG

ANSWERER = Answerer(CATALOG, Calibration.load())
LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
CARD: dict[str, Any] = {
    "memory_gb": 24,
    "bandwidth_gbps": 936.0,
    "fp16_tensor_tflops": 71.0,
    "engines": ["cuda", "vulkan"],
    "vendor": "nvidia",
    "compute_capability": "8.6",
}


def answer(**question: Any) -> dict[str, Any]:
    return as_json(ANSWERER.answer({"quant": "Q4_K_M", **question}))


def test_a_configuration_gives_the_numbers_of_its_catalog_entry() -> None:
    own, named = answer(model_config=LLAMA, gpu="rtx-3090"), answer(model="llama-3.1-8b", gpu="rtx-3090")
    assert own["model"] == "custom"
    for name in ("memory", "status", "file_size_bytes", "safe_context_tokens"):
        assert own[name] == named[name]


def test_an_entrys_facts_give_its_numbers() -> None:
    entry = {key: value for key, value in CATALOG.gpus["rtx-3090"].items() if value is not None}
    own, named = answer(model="llama-3.1-8b", gpu_facts=entry), answer(model="llama-3.1-8b", gpu="rtx-3090")
    assert own["memory"] == named["memory"]
    assert own["prefill_tok_s"]["value"] == pytest.approx(named["prefill_tok_s"]["value"], rel=0.5)


def test_both_may_be_custom_and_a_bigger_card_is_not_worse() -> None:
    small = answer(model_config=LLAMA, gpu_facts=CARD)
    large = answer(model_config=LLAMA, gpu_facts={**CARD, "memory_gb": 48, "bandwidth_gbps": 1800.0})
    assert small["status"] == "FITS"
    assert large["decode_tok_s"]["value"] > small["decode_tok_s"]["value"]
    assert large["safe_context_tokens"] >= small["safe_context_tokens"]


def test_a_workload_gives_its_lengths_and_is_the_published_cell() -> None:
    model, gpu, quant = (
        specs.architecture(CATALOG.models["qwen3-30b-a3b"]),
        specs.accelerator(CATALOG.gpus["rtx-4060"]),
        specs.quant(CATALOG.quants["q4-k-m"]),
    )
    host = specs.host(CATALOG.hosts[CATALOG.default_host])
    assert request_of(quant, gpu, host).context_tokens is None
    for slug, entry in CATALOG.workloads.items():
        block = evaluate_block(model, (gpu,), (quant,), (specs.workload(entry),), (host,), Calibration.load())
        estimate = answer(model="qwen3-30b-a3b", gpu="rtx-4060", workload=slug)
        assert estimate["context_tokens"] == entry["context_tokens"]
        assert estimate["decode_tok_s"]["value"] == pytest.approx(float(block.decode_tok_s[0, 0, 0]), abs=1e-3)
        assert estimate["ttft_ms"] == pytest.approx(float(block.ttft_ms[0, 0, 0]), rel=1e-5)
        assert estimate["score"] == pytest.approx(float(block.score[0, 0, 0]), abs=0.01)
        assert estimate["safe_context_tokens"] == int(block.safe_context_tokens[0, 0, 0])


def test_more_host_memory_lets_a_large_model_run() -> None:
    asked = {"model": "deepseek-r1", "gpu": "rtx-4090", "context_tokens": 4096}
    assert answer(**asked)["status"] == "DOES_NOT_FIT"
    faster = answer(**asked, host_memory_gb=512, host_bandwidth_gbps=400)
    assert faster["status"] == "FITS_WITH_OFFLOAD"
    slower = answer(**asked, host_memory_gb=512, host_bandwidth_gbps=50)
    assert slower["decode_tok_s"]["value"] < faster["decode_tok_s"]["value"]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"model_config": LLAMA}, "not both"),
        ({"gpu_facts": CARD}, "not both"),
        ({"model": None, "model_config": []}, "JSON object"),
        ({"model": None, "model_config": {}}, "architectures"),
        ({"model": None, "model_config": {**LLAMA, "hidden_size": 10**40}}, "hidden_size"),
        ({"gpu": None, "gpu_facts": {}}, "memory_gb"),
        ({"gpu": None, "gpu_facts": {**CARD, "memory_gb": 1e9}}, "memory_gb"),
        ({"gpu": None, "gpu_facts": {**CARD, "bandwidth_gbps": "fast"}}, "bandwidth_gbps"),
        ({"gpu": None, "gpu_facts": {**CARD, "warp": 9}}, "warp"),
        ({"gpu": None, "gpu_facts": {**CARD, "engines": ["magic"]}}, "engines"),
        ({"gpu": None, "gpu_facts": {**CARD, "engines": ["opencl"]}}, "engines"),
        ({"gpu": None, "gpu_facts": {**CARD, "name": "x" * 500}}, "name"),
        ({"host_memory_gb": 0}, "host_memory_gb"),
        ({"host_memory_gb": True}, "host_memory_gb"),
        ({"host_bandwidth_gbps": float("nan")}, "host_bandwidth_gbps"),
        ({"workload": "sleeping"}, "workload"),
        ({"model": None}, "model"),
    ],
)
def test_a_mistake_is_a_typed_error(change: dict[str, Any], match: str) -> None:
    question = {"model": "llama-3.1-8b", "gpu": "rtx-3090", **change}
    with pytest.raises(QuestionError, match=match):
        answer(**{key: value for key, value in question.items() if value is not None})


def test_a_card_without_a_known_compute_figure_has_no_first_token_time() -> None:
    facts = {key: value for key, value in CARD.items() if "tflops" not in key}
    estimate = answer(model="llama-3.1-8b", gpu_facts=facts)
    assert estimate["decode_tok_s"]["value"] > 0
    assert estimate["ttft_ms"] is None


@pytest.mark.parametrize("fact", ["int8_tops", "fp16_tensor_fp16acc_tflops", "fp32_tflops", "fp8_tflops"])
@pytest.mark.parametrize("quant", ["Q4_K_M", "F16"])
def test_any_one_compute_figure_gives_a_whole_answer(fact: str, quant: str) -> None:
    facts = {key: value for key, value in CARD.items() if "tflops" not in key} | {fact: 142.0}
    estimate = answer(model="llama-3.1-8b", quant=quant, gpu_facts=facts)
    assert estimate["decode_tok_s"]["value"] > 0
    assert 0 < estimate["score"] <= 100
    # An FP8 peak alone says nothing of what engines multiply in.
    assert (estimate["ttft_ms"] is None) == (fact == "fp8_tflops")


def test_an_accelerator_of_facts_has_base_units() -> None:
    accelerator = accelerator_of_facts(CARD)
    assert accelerator.memory_bytes == 24 * 2**30
    assert accelerator.bandwidth_bytes_s == 936e9
    assert accelerator.matrix_flops == 71e12
