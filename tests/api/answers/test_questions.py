"""Questions of public load reports: memory as their engines state it."""

from __future__ import annotations

from typing import Any

import pytest

from api.answers.questions import Answer, Answerer
from api.errors import QuestionError
from estimator.advice.commands import commands
from estimator.calibration.coefficients import Calibration
from estimator.sentences import SentenceCode
from estimator.types import Evidence
from tests.support.catalogs import CATALOG

MIB, GIB = 1024**2, 1024**3
ANSWERER = Answerer(CATALOG, Calibration.load())


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


@pytest.mark.parametrize(
    ("question", "pool_gib", "tokens"),
    [
        # vllm-project/vllm#40388.
        (
            {
                "model": "gemma-4-26b-a4b",
                "gpu": "l40s",
                "quant": "fp8",
                "context_tokens": 32_768,
                "kv_cache_type": "FP8",
            }
            | {"max_num_batched_tokens": 8192},
            15.18,
            417_022,
        ),
        # The start-up log of a recipe on an RTX 4090 at 0.92 of its memory.
        (
            {"model": "qwen3-8b", "gpu": "rtx-4090", "quant": "bf16-safetensors", "context_tokens": 32_768}
            | {"gpu_memory_utilization": 0.92},
            None,
            43_888,
        ),
    ],
)
def test_the_pool_of_a_server_is_that_of_its_log(question: dict[str, Any], pool_gib: float | None, tokens: int) -> None:
    pool = ask(**question).pool
    assert pool is not None
    assert pool_gib is None or pool.pool_bytes == pytest.approx(pool_gib * GIB, rel=0.01)
    assert pool.pool_tokens == pytest.approx(tokens, rel=0.01)
    assert pool.requests_at_once == pytest.approx(tokens / question["context_tokens"], rel=0.01)


def test_a_pool_holds_as_many_tokens_whatever_occupancy_is_planned() -> None:
    setup = {
        "model": "qwen3-8b",
        "gpu": "rtx-4090",
        "quant": "fp8",
        "context_tokens": 16_384,
        "batch": 8,
        "depth": 4096,
    }
    full, expected = ask(**setup), ask(**setup, is_occupancy_expected=True)
    assert expected.estimate.memory.kv_cache_bytes < full.estimate.memory.kv_cache_bytes
    assert expected.pool.pool_bytes == full.pool.pool_bytes
    assert expected.pool.pool_tokens == pytest.approx(full.pool.pool_tokens, rel=1e-3)
    # Fewer whole contexts than streams have room, but as many as are expected.
    assert expected.pool.requests_at_once < 8
    assert expected.pool.mend is None


def test_a_server_that_is_short_of_cache_says_how_long_a_context_it_starts_with() -> None:
    """vllm-project/vllm#44376: two GH200; a pool of 5.44 GiB a device is enough for 13,528 tokens, not for 30,000."""
    setup = {
        "model": "deepseek-v4-flash",
        "gpu": "gh200-96-gb",
        "gpu_count": 2,
        "quant": "nvfp4",
        "kv_cache_type": "FP8",
    }
    setup |= {"context_tokens": 30_000, "max_num_batched_tokens": 16_384}
    roomy = ask(**setup, gpu_memory_utilization=0.95)
    assert roomy.estimate.memory.kv_cache_bytes / 2 == pytest.approx(6.66 * GIB, rel=0.002)
    fraction = 0.95 - (roomy.pool.pool_bytes / 2 - 5.44 * GIB) / (roomy.estimate.memory.capacity_bytes / 2)
    short = ask(**setup, gpu_memory_utilization=fraction)
    assert short.estimate.status.value == "DOES_NOT_FIT"
    assert short.pool.longest_context_tokens == pytest.approx(13_528, rel=0.005)
    assert short.pool.requests_at_once < 1
    assert short.pool.mend.startswith("--gpu-memory-utilization")


@pytest.mark.parametrize(
    ("engine", "memory", "context"),
    [
        ("vLLM", "--gpu-memory-utilization", "--max-model-len"),
        ("SGLang", "--mem-fraction-static", "--context-length"),
        ("TensorRT-LLM", "--kv_cache_free_gpu_memory_fraction", "--max_seq_len"),
    ],
)
def test_a_shortage_is_mended_by_a_flag_of_the_server(engine: str, memory: str, context: str) -> None:
    setup = {"model": "llama-3.3-70b", "gpu": "h100-sxm5-80-gb", "quant": "fp8", "engine": engine}
    slightly, by_far = (ask(**setup, context_tokens=tokens).pool for tokens in (8192, 65_536))
    assert slightly.mend.split()[0] == memory
    assert by_far.mend.split()[0] == context


def test_replicas_have_a_cache_each() -> None:
    """vllm-project/recipes#12: 62.00 GiB a replica for 262,144 tokens, which eight replicas on 141 GB do not have."""
    setup = {
        "model": "qwen3-coder-480b-a35b",
        "gpu": "h20-141-gb",
        "gpu_count": 8,
        "quant": "fp8",
        "context_tokens": 262_144,
    }
    shared, replicas = ask(**setup), ask(**setup, data_parallel=8, expert_parallel=True)
    assert shared.estimate.status.value == "FITS"
    assert replicas.estimate.status.value == "DOES_NOT_FIT"
    assert replicas.pool.request_bytes == pytest.approx(62.0 * GIB, rel=1e-3)
    weights = [reply.estimate.memory.weights_bytes for reply in (shared, replicas, ask(**setup, data_parallel=2))]
    assert weights[0] < weights[1] < weights[2] == pytest.approx(2 * weights[0], rel=1e-6)
    text = next(
        iter(commands(ask(**setup | {"context_tokens": 32_768}, data_parallel=8, expert_parallel=True).facts))
    ).text
    assert "--data-parallel-size 8" in text
    assert "--enable-expert-parallel" in text
    assert "--tensor-parallel-size" not in text


def test_llama_cpp_cuts_matrices_where_it_is_asked_to() -> None:
    setup = {"model": "qwen3-32b", "gpu": "rtx-3090", "gpu_count": 2, "quant": "Q4_K_M", "engine": "llama.cpp"}
    layers, cut = ask(**setup), ask(**setup, split_mode="tensor")
    assert ask(**setup, split_mode="layer").estimate == layers.estimate
    one, many = layers.estimate.decode, cut.estimate.decode
    assert one is not None
    assert many is not None
    assert one.value < many.value < 2 * one.value
    assert many.evidence is Evidence.CALIBRATED
    # The devices hold the same weights and cache together, and each its own buffers.
    assert cut.estimate.memory.weights_bytes == layers.estimate.memory.weights_bytes
    assert cut.estimate.memory.kv_cache_bytes == layers.estimate.memory.kv_cache_bytes
    text = next(iter(commands(cut.facts))).text.replace("\\\n", " ")
    assert "-sm tensor -fit off" in " ".join(text.split())
    # More devices than KV heads keep copies of the cache.
    few = {**setup, "model": "qwen2.5-0.5b", "gpu_count": 4, "context_tokens": 32_768}
    kept = [ask(**few, split_mode=mode).estimate.memory.kv_cache_bytes for mode in ("layer", "tensor")]
    assert kept[1] == 2 * kept[0]


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"split_mode": "row"}, "no row split since June 2026"),
        ({"split_mode": "tensor", "model": "deepseek-v2-lite"}, "cannot cut the matrices of deepseek-v2-lite"),
        ({"split_mode": "tensor", "backend": "Vulkan"}, "on CUDA and ROCm only"),
        ({"split_mode": "tensor", "flash_attention": False}, "needs flash attention and the whole model"),
        ({"split_mode": "tensor", "gpu_layers": 10}, "needs flash attention and the whole model"),
        ({"split_mode": "tensor", "quant": "awq-int4"}, "is an option of llama.cpp, not of vLLM"),
        ({"split_mode": "graph"}, "must be one of layer, row, tensor"),
        ({"split_mode": "tensor", "gpu": None, "gpu_count": None, "gpus": ["rtx-3090", "rtx-4090"]}, "that differ"),
    ],
)
def test_splits_that_llama_cpp_lacks_are_refused(question: dict[str, Any], message: str) -> None:
    setup = {"model": "qwen3-8b", "gpu": "rtx-3090", "gpu_count": 2, "quant": "Q4_K_M"} | question
    with pytest.raises(QuestionError, match=message):
        ask(**{key: value for key, value in setup.items() if value is not None})


def test_streams_that_a_server_has_no_room_for_wait() -> None:
    setup = {"model": "qwen3-8b", "gpu": "rtx-4090", "quant": "bf16-safetensors", "context_tokens": 16_384}
    answer = ask(**setup, batch=16)
    assert answer.estimate.decode is not None
    assert answer.facts.request.batch == 2
    assert answer.waiting_streams == 14
    assert ask(**setup, batch=2).waiting_streams == 0
    assert answer.notes == ("vLLM answers 2 of 16 streams at once and lets the others wait.",)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"quant": "Q4_K_M", "max_num_seqs": 4}, "options of vLLM, SGLang, TensorRT-LLM, not of llama.cpp"),
        ({"quant": "fp8", "gpu_count": 4, "data_parallel": 3}, "need a multiple of 3 accelerators, not 4"),
        ({"quant": "fp8", "gpu_memory_utilization": 1.2}, "must be a number from 0.05 to 1.0"),
    ],
)
def test_options_of_a_server_are_checked(question: dict[str, Any], message: str) -> None:
    with pytest.raises(QuestionError, match=message):
        ask(**{"model": "qwen3-8b", "gpu": "h100-sxm5-80-gb"} | question)


def test_kernels_of_a_server_pad_experts() -> None:
    """vllm-project/vllm#33155: 64.38 GiB of weights on an H100 for a checkpoint of 60.8 GiB."""
    memory = ask(model="gpt-oss-120b", gpu="h100-sxm5-80-gb", quant="mxfp4", engine="vLLM").estimate.memory
    assert memory.weights_bytes == pytest.approx(64.38 * GIB, rel=0.005)


def test_the_heads_of_a_model_draft_for_it() -> None:
    """Load logs of Qwen3.6 27B with MTP: 128 MiB of draft cache at 32,768 tokens, states 598.5 MiB with three drafted."""
    setup = {"model": "qwen3.6-27b", "gpu": "rtx-5090", "quant": "Q4_K_M", "context_tokens": 32_768}
    plain = ask(**setup)
    drafts = [{"model": "mtp", "tokens": tokens, "acceptance_rate": 0.8} for tokens in (1, 2, 3)]
    drafted = [ask(**setup, draft=draft) for draft in drafts]
    state, heads = 149.625 * MIB, 424_699_392
    taken = [reply.estimate.memory.draft_bytes for reply in drafted]
    assert taken[1] - taken[0] == pytest.approx(state, rel=0.01)
    buffers = plain.estimate.memory.compute_bytes
    weights = taken[0] - state - 128 * MIB - buffers
    assert 4 < weights * 8 / heads < 6
    assert all(reply.speculation is not None and 1.2 < reply.speculation.speedup < 4 for reply in drafted)
    text = commands(drafted[1].facts)[0].text
    assert "--spec-type draft-mtp" in text.replace("\\\n ", "")
    assert "--spec-draft-n-max 2" in text
    with pytest.raises(QuestionError, match="no heads for multi-token prediction"):
        ask(**setup | {"model": "llama-3.1-8b"}, draft=drafts[0])


def test_a_draft_that_slows_down_is_said_to() -> None:
    setup = {"model": "qwen3-8b", "gpu": "rtx-3090", "quant": "Q4_K_M", "context_tokens": 8192}
    draft = {"model": "qwen3-4b", "quant": "Q4_K_M", "tokens": 8}
    assert ask(**setup, draft=draft | {"acceptance_rate": 0.05}).notes == (
        "Decoding is slower with this draft than without it.",
    )
    small = {"model": "qwen3-0.6b", "quant": "Q4_K_M", "tokens": 3, "acceptance_rate": 0.9}
    assert ask(**setup, draft=small).notes == ()


def test_an_old_file_runs_latent_attention_as_a_plain_one() -> None:
    """ollama/ollama#5136: 8640 MiB of cache for 32,768 tokens of DeepSeek V2 Lite from a file of 2024."""
    setup = {"model": "deepseek-v2-lite", "gpu": "rtx-3090", "quant": "Q4_0", "context_tokens": 32_768}
    old, new = ask(**setup, latent_cache=False), ask(**setup)
    assert old.estimate.memory.kv_cache_bytes == 8640 * MIB
    assert old.estimate.memory.weights_bytes == new.estimate.memory.weights_bytes
    assert new.estimate.memory.kv_cache_bytes * 8 < old.estimate.memory.kv_cache_bytes
    assert "converted later" in old.notes[0]
    assert not new.notes
    with pytest.raises(QuestionError, match="no latent attention"):
        ask(**setup | {"model": "qwen3-8b"}, latent_cache=False)


def test_an_old_build_keeps_every_head_of_latent_attention() -> None:
    setup = {"model": "deepseek-v2-lite", "gpu": "rtx-3090", "quant": "Q4_0", "context_tokens": 32_768}
    before, since = ask(**setup, build_date="2025-03"), ask(**setup, build_date="2025-04")
    assert before.estimate.memory.kv_cache_bytes == 8640 * MIB
    assert "before April 2025" in before.notes[0]
    assert since.estimate.memory.kv_cache_bytes == ask(**setup).estimate.memory.kv_cache_bytes
    assert not since.notes
    served = {**setup, "quant": "BF16", "gpu": "h100-sxm5-80-gb", "engine": "vllm"}
    assert ask(**served, build_date="2025-03").estimate.memory.kv_cache_bytes < 8640 * MIB


@pytest.mark.parametrize(
    ("name", "engine"),
    [
        ("LM Studio", "lm-studio"),
        ("llamafile", "llamafile"),
        ("TensorRT-LLM", "tensorrt-llm"),
        ("TabbyAPI", "exllamav3"),
    ],
)
def test_an_engine_that_is_accepted_is_listed(name: str, engine: str) -> None:
    quants = {"tensorrt-llm": "bf16-safetensors", "exllamav3": "exl3-4bpw"}
    answer = ask(model="qwen3-8b", gpu="rtx-4090", quant=quants.get(engine, "Q4_K_M"), engine=name)
    assert answer.estimate.engine is not None
    assert answer.estimate.engine.value == engine
    assert answer.estimate.decode is not None
    assert engine in CATALOG.engines
    with pytest.raises(QuestionError, match=engine):
        ask(model="qwen3-8b", gpu="rtx-4090", quant="Q4_K_M", engine="no-such-engine")


def test_keys_and_values_are_kept_in_types_of_their_own() -> None:
    setup = {"model": "gemma-3-27b", "gpu": "rtx-3090", "gpu_count": 2, "quant": "Q4_0", "context_tokens": 85_000}
    both, plain = ask(**setup, kv_cache_type="Q8_0"), ask(**setup)
    keys, values = ask(**setup, k_cache_type="Q8_0"), ask(**setup, v_cache_type="Q8_0")
    held = [reply.estimate.memory.kv_cache_bytes for reply in (both, keys, values, plain)]
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
        # ggml-org/llama.cpp#25871: the values of DeepSeek V4 are read as its keys are kept.
        ({"model": "deepseek-v4-flash", "quant": "Q4_0", "k_cache_type": "Q8_0"}, "both need one cache type"),
    ],
)
def test_a_cache_type_that_the_engine_cannot_keep_is_refused_with_those_it_can(
    question: dict[str, Any], message: str
) -> None:
    with pytest.raises(QuestionError, match=message):
        ask(**{"model": "qwen3-8b", "gpu": "h100-sxm5-80-gb"} | question)


def test_a_size_of_a_publishers_choice_says_how_far_off_it_may_be() -> None:
    (note,) = ask(model="k2-horizon-7b", gpu="rtx-4090", quant="UD-Q4_K_XL").notes
    assert note.code is SentenceCode.SIZE_ESTIMATED
    assert 0.01 < note.values["relative_error"] < 0.1
    (alike,) = ask(model="granite-4.2-8b", gpu="rtx-4090", quant="UD-Q4_K_XL").notes
    assert "taken from a model with the same tensors" in alike
    assert alike.values["relative_error"] is None
    assert ask(model="granite-4.1-8b", gpu="rtx-4090", quant="UD-Q4_K_XL").notes == ()
    assert ask(model="granite-4.2-8b", gpu="rtx-4090", quant="Q4_K_M").notes == ()


def test_many_drafted_tokens_are_checked_in_tiles() -> None:
    """ggml-org/llama.cpp#10455: 16 drafted tokens a step, of which 34.3 % are accepted, on an M4 Pro: 10.78 tok/s."""
    draft = {"model": "qwen2.5-coder-3b", "quant": "Q4_0", "tokens": 16, "acceptance_rate": 0.3432}
    setup = {"model": "qwen2.5-coder-32b", "gpu": "apple-m4-pro-20c-64gb", "quant": "Q4_K_M", "engine": "llama.cpp"}
    answer = ask(**setup, context_tokens=4096, draft=draft)
    speed, prefill = answer.estimate.decode, answer.estimate.prefill
    assert speed is not None
    assert prefill is not None
    assert answer.speculation is not None
    assert speed.low <= 10.78 <= speed.high
    # A tile of 32 columns takes as long as a prompt of so many tokens, full or not.
    assert answer.speculation.check_s > 0.9 * 32 / prefill.value
    few = ask(**setup, context_tokens=4096, draft=draft | {"tokens": 7}).speculation
    assert few is not None
    assert few.check_s < 0.8 * answer.speculation.check_s


def test_linear_layers_of_old_builds_take_a_processor_longer() -> None:
    """ggml-org/llama.cpp#19480 of February 2026, DDR5-5600: 7.74 tok/s, and 3.54 of a model without such layers."""
    processor = {"gpu": "cpu-ddr5-5600-2ch", "quant": "Q4_K_M", "engine": "Ollama"}
    old, now = (
        ask(model="qwen3-coder-next", **processor, **build).estimate.decode for build in ({"build_date": "2026-02"}, {})
    )
    assert old is not None
    assert now is not None
    assert old.low <= 7.74 <= old.high
    assert now.value > 1.5 * old.value
    plain = [
        ask(model="qwen2.5-coder-32b", **processor, **build).estimate.decode
        for build in ({"build_date": "2026-02"}, {})
    ]
    assert plain[0] is not None
    assert plain[1] is not None
    assert plain[0].low <= 3.54 <= plain[0].high
    assert plain[0].value == pytest.approx(plain[1].value, rel=0.1)


@pytest.mark.parametrize(
    ("question", "layers"),
    [
        # vllm-project/vllm#30832: 30 tok/s.
        (
            {"model": "deepseek-v3.2", "gpu": "h20", "gpu_count": 8, "quant": "fp8", "engine": "vLLM"},
            "sparse attention",
        ),
        ({"model": "qwen3-coder-next", "gpu": "cpu-ddr5-5600-2ch", "quant": "Q4_K_M"}, "linear attention"),
        ({"model": "qwen3.6-27b", "gpu": "rtx-3090", "quant": "Q4_K_M"}, None),
        ({"model": "qwen3-30b-a3b", "gpu": "cpu-ddr5-5600-2ch", "quant": "Q4_K_M"}, None),
    ],
)
def test_layers_that_nobody_measured_are_said_so(question: dict[str, Any], layers: str | None) -> None:
    answer = ask(**question)
    notes = [note for note in answer.notes if note.code is SentenceCode.LAYERS_UNMEASURED]
    assert [note.values["layers"] for note in notes] == ([layers] if layers else [])
    assert answer.estimate.decode is not None
    assert (answer.estimate.decode.evidence is Evidence.EXTRAPOLATED) is bool(layers)


def test_a_link_and_a_power_limit_are_those_of_the_rig() -> None:
    setup = {"model": "qwen3-8b", "gpu": "rtx-3090", "gpu_count": 2, "quant": "awq-int4", "engine": "vLLM"}
    speeds = {link: ask(**setup, link=link).estimate.prefill for link in ("NVLink", "PCIe 4.0 x16", "PCIe 3.0 x4")}
    values = [speed.value for speed in speeds.values() if speed is not None]
    assert len(values) == 3
    assert values == sorted(values, reverse=True)
    limited, free = (
        ask(**{**setup, "gpu_count": 1}, **limit).estimate.prefill for limit in ({"power_limit_w": 220}, {})
    )
    assert limited is not None
    assert free is not None
    assert limited.value < free.value
    with pytest.raises(QuestionError, match="joins 2"):
        ask(**{**setup, "gpu_count": 4}, link="NVLink")
