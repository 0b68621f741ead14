"""Rows of servers: which count, and what they are asked as."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from estimator.accuracy.serving.fit import cases
from estimator.accuracy.serving.rows import rows_of_one_stream, served_rows, why_left_out
from estimator.calibration.coefficients import Calibration
from estimator.estimate import situation_of_request
from estimator.types import CacheType, Engine
from tests.estimator.entities import ENTITIES

ROW: dict[str, Any] = {
    "gpu_slug": "rtx-3090", "model_slug": "llama-3.1-8b", "quant_slug": "bf16-safetensors", "engine": "vLLM", "gpu_count": 1,
    "tensor_parallel": 1, "concurrency": 8, "input_tokens": 512, "output_tokens": 256, "tpot_ms": 40.0, "source": "a",
    "output_tok_s_total": 180.0, "date": "20260601",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"suspect": "zero throughput"}, "its table states a reason to doubt it"),
        ({"engine": "sambaflow"}, "an engine that the estimator does not know"),
        ({"engine": "vLLM 0.23 (AEON)"}, "a fork or plugin of its engine with kernels of its own"),
        ({"engine": "vllm-tpu"}, "a fork or plugin of its engine with kernels of its own"),
        ({"engine": "vLLM (nightly image)"}, None),
        ({"speculative": True}, "speculative decoding"),
        ({"kv_cache_type": "turboquant_3bit_nc"}, "a KV cache type that the estimator does not know"),
        ({"gpu_count": 8}, "how the accelerators share the model is not stated, or in several ways"),
        ({"parallelism": "TEP8"}, "how the accelerators share the model is not stated, or in several ways"),
        (
            {"source_note": "parallelism PP; a"},
            "how the accelerators share the model is not stated, or in several ways",
        ),
        (
            {"source_note": "x; parallelism Hybrid Tensor (2) and Pipeline (2) Parallelism; y"},
            "how the accelerators share the model is not stated, or in several ways",
        ),
        ({"source_note": "parallelism Tensor Parallelism; precision FP16, no PP"}, None),
        ({"output_tokens": None}, "lengths are not stated"),
        ({"concurrency": None, "request_rate": 4.0}, "the number of streams is not stated: requests arrive at a rate"),
        ({"concurrency": None, "request_rate": "inf"}, None),
        ({"prefix_cache": True}, "prompts were in the cache"),
        ({"ttft_ms": 1100.0}, None),
        ({"ttft_ms": 200.0, "output_tok_s_total": 130.0}, "requests at once that its own times contradict"),
        ({"ttft_ms": 200.0, "output_tok_s_total": 240.0}, "requests at once that its own times contradict"),
        ({"source_note": "context shared/prefix cached across requests"}, "all requests share one context"),
        ({"quant_slug": None}, "no catalog entity for its quant"),
    ],
)
def test_rows_are_left_out_by_what_they_state(change: dict[str, Any], reason: str | None) -> None:
    assert why_left_out({**ROW, **change}) == reason


def test_a_row_is_asked_about_as_it_ran() -> None:
    stream, total = served_rows(ENTITIES, [{**ROW, "kv_cache_type": "fp8"}])
    assert (stream.kind, stream.tok_s, stream.prompts) == ("stream", 25.0, 7.0)
    assert (total.kind, total.tok_s, total.prompts) == ("total", 180.0, 8.0)
    assert (stream.request.engine, stream.request.kv_cache_type) == (Engine.VLLM, CacheType.FP8)
    assert (stream.request.prompt_tokens, stream.request.output_tokens, stream.streams) == (512, 256, 8)
    situation = situation_of_request(stream.request)
    assert (situation.depth_before_tokens, situation.depth_tokens) == (0.0, 512 + 256 / 2)
    assert situation.context_tokens == 512 + 256


@pytest.mark.parametrize(
    ("engine", "quant", "cache"),
    [
        ("TensorRT-LLM (PyTorch backend)", "nvfp4", CacheType.FP8),
        ("TensorRT-LLM", "bf16-safetensors", CacheType.F16),
        ("vLLM", "fp8", CacheType.F16),
    ],
)
def test_a_checkpoint_tells_the_cache_that_its_engine_takes(engine: str, quant: str, cache: CacheType) -> None:
    speeds = served_rows(ENTITIES, [{**ROW, "engine": engine, "quant_slug": quant}])
    assert {speed.request.kv_cache_type for speed in speeds} == {cache}


def test_streams_that_decode_alone_wait_for_no_prompts() -> None:
    static = {**ROW, "source_note": "static batch: T_PP 1.3s", "engine": "llama.cpp", "quant_slug": "q8-0"}
    assert [speed.prompts for speed in served_rows(ENTITIES, [static])] == [0.0, 0.0]
    burst = {**ROW, "source_note": "all requests start together", "output_tok_s_total": None}
    assert [speed.prompts for speed in served_rows(ENTITIES, [burst])] == [3.5]


def test_a_server_without_a_limit_has_the_streams_of_its_engine() -> None:
    offline = {**ROW, "concurrency": None, "request_rate": "inf", "num_prompts": 1000, "tpot_ms": None}
    (total,) = served_rows(ENTITIES, [offline])
    assert total.unlimited
    assert total.streams == 256
    stated = {**offline, "source_note": "offline; max_num_seqs 64"}
    assert [speed.streams for speed in served_rows(ENTITIES, [stated])] == [64]
    large = {**offline, "gpu_slug": "h100-sxm5-80-gb", "num_prompts": 5000}
    assert [speed.streams for speed in served_rows(ENTITIES, [large])] == [1024]
    assert [speed.streams for speed in served_rows(ENTITIES, [{**large, "engine_version": "0.7.3"}])] == [256]
    sglang = {**large, "engine": "SGLang"}
    assert [speed.streams for speed in served_rows(ENTITIES, [sglang])] == [2048]
    tensorrt = {**offline, "engine": "TensorRT-LLM", "num_prompts": 30_000}
    assert [speed.streams for speed in served_rows(ENTITIES, [tensorrt])] == [2048]


def test_a_static_batch_reads_every_prompt_once() -> None:
    batch = {**ROW, "tpot_ms": None, "source_note": "static offline batch (all 8 start together, all generate 256)"}
    assert [(speed.kind, speed.prompts) for speed in served_rows(ENTITIES, [batch])] == [("total", 8.0)]


def test_the_cache_of_tensorrt_takes_its_share_of_what_weights_leave() -> None:
    tensorrt = {**ROW, "engine": "TensorRT-LLM", "gpu_slug": "h100-sxm5-80-gb", "quant_slug": "fp8"}
    (small, _), (large, _) = (
        served_rows(ENTITIES, [{**tensorrt, "model_slug": slug}]) for slug in ("llama-3.1-8b", "llama-3.1-70b")
    )
    assert 0.9 < (small.request.server.memory_fraction or 0) < 0.92
    assert 0.97 < (large.request.server.memory_fraction or 0) < 1.0


def test_a_server_that_unpacks_its_weights_multiplies_in_16_bits() -> None:
    served = {**ROW, "gpu_slug": "dgx-spark", "quant_slug": "fp8", "output_tok_s_total": None}
    marlin = {**served, "source_note": "extra args: --linear-backend marlin"}
    unpacked, plain = cases(ENTITIES, [marlin, served], Calibration.load())
    assert (
        np.ravel(plain.coefficients.stream_peak_flops)[0] > 1.9 * np.ravel(unpacked.coefficients.stream_peak_flops)[0]
    )


#: A server with one request at a time.
ALONE: dict[str, Any] = {
    "gpu_slug": "h100-sxm5-80-gb", "model_slug": "llama-3-8b", "quant_slug": "bf16-safetensors", "quant_match": "exact",
    "engine": "vLLM", "date": "2024 (a paper)", "gpu_count": 2, "tensor_parallel": 2, "input_tokens": 1024,
    "output_tokens": 1024, "concurrency": 1, "output_tok_s_total": 160.0, "source": "paper", "source_url": "https://a.org/x",
}  # fmt: skip


def test_a_long_answer_alone_is_a_decode_speed() -> None:
    (row,) = rows_of_one_stream([ALONE], [])
    expected = {
        "kind": "decode",
        "tok_s": 160.0,
        "engine": "vllm",
        "date": "2024",
        "gpu_count": 2,
        "depth": 1024,
        "n_gen": 1024,
    }
    assert expected.items() <= row.items()


def test_the_time_of_a_token_comes_before_a_total() -> None:
    (row,) = rows_of_one_stream([{**ALONE, "tpot_ms": 5.0}], [])
    assert row["tok_s"] == pytest.approx(200.0)


@pytest.mark.parametrize(
    "change",
    [
        {"concurrency": 2},
        {"output_tokens": 512},
        {"input_tokens": 4096},
        {"suspect": "the definition is unclear"},
        {"engine": "an engine of its own"},
        {"kv_cache_type": "fp8"},
    ],
)
def test_other_rows_do_not_count(change: dict[str, Any]) -> None:
    assert rows_of_one_stream([{**ALONE, **change}], []) == []


def test_a_source_counts_once() -> None:
    assert rows_of_one_stream([ALONE], [{"source_url": "https://a.org/y"}]) == []
    assert len(rows_of_one_stream([ALONE], [{"source_url": "https://b.org/x"}])) == 1


def test_a_source_that_is_mostly_doubted_about_an_engine_does_not_count() -> None:
    doubted = {**ALONE, "suspect": "the definition is unclear"}
    assert rows_of_one_stream([ALONE, doubted, doubted], []) == []
    other = {**ALONE, "engine": "SGLang"}
    assert [row["engine"] for row in rows_of_one_stream([ALONE, doubted, doubted, other], [])] == ["sglang"]
