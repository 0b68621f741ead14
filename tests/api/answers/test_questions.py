"""Questions of public load reports: memory as their engines state it."""

from __future__ import annotations

from typing import Any

import pytest

from api.answers.questions import Answer, Answerer
from api.errors import QuestionError
from db.entries.files import load_catalog
from estimator.advice.commands import commands
from estimator.calibration.coefficients import Calibration

MIB, GIB = 1024**2, 1024**3
ANSWERER = Answerer(load_catalog(), Calibration.load())


def ask(**question: Any) -> Answer:
    return ANSWERER.answer(question)


@pytest.mark.parametrize(
    ("micro_batch", "few_mib", "all_mib"),
    [(512, 132, 505), (2048, 568, 2054)],
)
def test_a_server_reserves_logits_of_its_slots_alone(micro_batch: int, few_mib: float, all_mib: float) -> None:
    """GenerelSchwerz/llama.cpp#62: device compute buffers with few outputs, and with all."""
    question = {"model": "qwen3.8-27b", "gpu": "rtx-5090", "quant": "Q4_K_M", "context_tokens": 4096}
    few = ask(**question, micro_batch=micro_batch).estimate.memory
    every = ask(**question, micro_batch=micro_batch, build_date="2026-01").estimate.memory
    assert few.compute_bytes == pytest.approx(few_mib * MIB, rel=0.05)
    assert every.compute_bytes == pytest.approx(all_mib * MIB, rel=0.05)


def test_a_server_of_one_slot_takes_what_it_projects() -> None:
    """HilbertraumAI/HilbertRaum#391: 14,943 MiB projected by llama-server with `-np 1 -c 8192 -ub 2048`."""
    answer = ask(model="gemma-4-26b-a4b", gpu="rtx-3090", quant="Q4_0", context_tokens=8192, micro_batch=2048)
    memory = answer.estimate.memory
    assert memory.total_bytes - memory.overhead_bytes == pytest.approx(14_943 * MIB, rel=0.01)
    assert "-np 1" in commands(answer.facts)[0].text


def test_keys_and_values_are_kept_in_types_of_their_own() -> None:
    setup = {"model": "gemma-3-27b", "gpu": "rtx-3090", "gpu_count": 2, "quant": "Q4_0", "context_tokens": 85_000}
    both, plain = ask(**setup, kv_cache_type="Q8_0"), ask(**setup)
    keys, values = ask(**setup, k_cache_type="Q8_0"), ask(**setup, v_cache_type="Q8_0")
    held = [one.estimate.memory.kv_cache_bytes for one in (both, keys, values, plain)]
    assert held[0] < held[1] == held[2] < held[3]
    assert held[1] == pytest.approx((held[0] + held[3]) / 2, rel=1e-6)
    for answer, flag, other in (
        (keys, "--cache-type-k", "--cache-type-v"),
        (values, "--cache-type-v", "--cache-type-k"),
    ):
        text = commands(answer.facts)[0].text
        assert f"{flag} q8_0" in text
        assert other not in text
    # Flash attention is needed by quantized values alone.
    assert ask(**setup, k_cache_type="Q8_0", flash_attention=False).estimate.decode is not None
    with pytest.raises(QuestionError, match="flash attention"):
        ask(**setup, v_cache_type="Q8_0", flash_attention=False)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"quant": "Q4_K_M", "kv_cache_type": "FP8"}, "llama.cpp cannot keep a fp8 KV cache; it can keep f32, f16"),
        ({"quant": "fp8", "kv_cache_type": "Q8_0"}, "vLLM cannot keep a q8_0 KV cache; it can keep f16, bf16, fp8"),
        ({"quant": "Q4_K_M", "engine": "Ollama", "kv_cache_type": "Q5_1"}, "Ollama cannot keep a q5_1 KV cache"),
        ({"quant": "Q4_K_M", "engine": "Ollama", "k_cache_type": "Q8_0"}, "Ollama keeps keys and values in one type"),
        ({"quant": "fp8", "v_cache_type": "FP8"}, "vLLM keeps keys and values in one type"),
        ({"quant": "Q4_K_M", "kv_cache_type": "Q8_0", "k_cache_type": "Q8_0"}, "for both, or"),
        ({"model": "deepseek-v2-lite", "quant": "Q4_0", "k_cache_type": "Q8_0"}, "both need one cache type"),
    ],
)
def test_a_cache_type_that_the_engine_cannot_keep_is_refused_with_those_it_can(
    question: dict[str, Any], message: str
) -> None:
    with pytest.raises(QuestionError, match=message):
        ask(**{"model": "qwen3-8b", "gpu": "h100-sxm5-80-gb"} | question)
