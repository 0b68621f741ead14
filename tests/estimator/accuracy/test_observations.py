"""Measured rows: which count, and what their notes state."""

from __future__ import annotations

from typing import Any

import pytest

from db.entries.measurements import speed_rows
from estimator.accuracy.observations import (
    CLEARLY_FITS,
    is_old_vllm,
    is_unrecorded,
    micro_batch_of,
    observe,
    source_of,
    stated_of,
    why_left_out,
)
from estimator.types import Backend
from tests.estimator.entities import ENTITIES


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return list(speed_rows())


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("https://github.com/owner/name/blob/main/a.md", "name"),
        ("https://github.com/copier/name/blob/main/a.md", "name"),
        ("https://www.localscore.ai/result/7", "www.localscore.ai"),
        ("code index id 5", "code index id 5"),
    ],
)
def test_a_source_is_a_repository_with_its_copies_or_a_site(address: str, source: str) -> None:
    assert source_of({"source_url": address}) == source


def test_a_processor_without_a_known_peak_calibrates_decode_and_no_prompt() -> None:
    row = {
        "gpu_slug": "cpu-ddr5-5200-2ch", "model_slug": "llama-3.2-3b", "quant_slug": "q4-k-m", "engine": "llama.cpp",
        "backend": "CPU", "n_prompt": 512, "tok_s": 20.0,
    }  # fmt: skip
    (decode,) = observe(ENTITIES, [{**row, "kind": kind} for kind in ("decode", "prefill")])
    assert decode.kind == "decode"
    assert decode.observation.factors["family"] == "cpu"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"suspect": "power limit"}, "its table states a reason to doubt it"),
        ({"gpu_count": 2}, "several GPUs"),
        ({"gpu": "NVIDIA A100 (unspecified)"}, "which of the cards of its name it ran on is not stated"),
        ({"offload": "n_cpu_moe=2"}, "weights in system memory"),
        ({"offload": "unknown (not recorded)"}, None),
        ({"model_slug": None}, "no catalog entity for its model"),
        ({"host_cpu": "Raspberry Pi 5 (Cortex-A76)"}, "a card in a computer of an Arm or RISC-V processor"),
        ({"host_cpu": "Raspberry Pi 5 (Cortex-A76)", "backend": "CPU"}, None),
        ({"backend": "CPU", "threads": 1}, "too few threads of a processor to read its memory"),
        ({"backend": "CPU", "threads": 8}, None),
        ({"backend": "CUDA", "threads": 1}, None),
        ({"engine": "ik_llama.cpp", "backend": "Vulkan"}, "a backend that its engine is not offered with"),
    ],
)
def test_rows_are_left_out_by_what_they_state(change: dict[str, Any], reason: str | None) -> None:
    row = {"gpu_slug": "g", "model_slug": "m", "quant_slug": "q", "tok_s": 1.0, **change}
    assert why_left_out(row) == reason


def test_a_row_that_does_not_state_offload_counts_only_when_it_clearly_fits(rows: list[dict[str, Any]]) -> None:
    unstated = [row for row in rows if is_unrecorded(row)]
    assert {row["engine"] for row in unstated} >= {"ollama", "llama.cpp"}
    kept = observe(ENTITIES, unstated)
    assert 0 < len(kept) < len(unstated)
    for kept_row in kept:
        assert kept_row.accelerator.memory_bytes is not None
        stated = kept_row.row.get("weights_gib")
        if stated:
            assert stated * 1024**3 < (CLEARLY_FITS + 0.1) * kept_row.accelerator.memory_bytes


def test_no_row_counts_that_cannot_have_been_on_its_device(rows: list[dict[str, Any]]) -> None:
    row = next(row for row in rows if row.get("quant_slug") == "q8-0" and row.get("gpu_slug") == "rtx-4090")
    row = {**row, "model_slug": "llama-3-8b", "offload": None, "suspect": None, "depth": 0}
    assert len(observe(ENTITIES, [row])) == 1
    assert observe(ENTITIES, [{**row, "model_slug": "llama-3-70b"}]) == []
    assert observe(ENTITIES, [{**row, "depth": 200_000}]) == []


def test_no_decode_counts_that_its_memory_cannot_give(rows: list[dict[str, Any]]) -> None:
    row = next(
        row
        for row in rows
        if row["kind"] == "decode" and row.get("gpu_slug") == "rtx-4090" and row.get("gpu_count") == 1
    )
    # 8.0 GB at 1,008 GB/s are read 126 times a second at most, 139 with overclocked memory.
    row = {
        **row,
        "model_slug": "llama-3-8b",
        "quant_slug": "q8-0",
        "quant_match": "exact",
        "offload": None,
        "suspect": None,
    }
    row |= {"depth": 0, "n_gen": 128}
    assert len(observe(ENTITIES, [{**row, "tok_s": 130.0}])) == 1
    assert observe(ENTITIES, [{**row, "tok_s": 145.0}]) == []


@pytest.mark.parametrize(
    ("host", "wide", "windows"),
    [
        ("AMD EPYC 9354 32-Core Processor (znver4), 755.6 GB, Linux", True, False),
        ("AMD Ryzen 9 9950X3D 16-Core Processor, 60.4 GB, Linux", True, False),
        ("AMD Ryzen 9 5900X 12-Core Processor (znver3), 127.9 GB, Windows", False, True),
        ("Intel Xeon Platinum 8352Y CPU @ 2.20GHz (icelake-server), 2015.5 GB, Linux", False, False),
    ],
)
def test_what_a_localscore_row_states_of_its_host(host: str, wide: bool, windows: bool) -> None:
    row = {"source_note": f"LocalScore run 1 via a table; average over 9 prompt/gen mixes; host {host}"}
    expected = {name for name, applies in (("wide-host", wide), ("windows", windows)) if applies}
    assert stated_of(row, "llamafile (LocalScore)", Backend.CUDA) == expected
    assert stated_of(row, "llama.cpp", Backend.CUDA) == frozenset()


@pytest.mark.parametrize(
    ("note", "backend", "kind", "without"),
    [
        ("sweep build=llama.cpp-hip fa= hipblaslt= b=; file a.gguf; ub=512", "ROCm", "prefill", True),
        ("sweep build=llama.cpp-hip fa= hipblaslt=1 b=; file a.gguf; ub=512", "ROCm", "prefill", False),
        ("llama-bench log; rocm-7-nightly__hblt0__fa1__single", "ROCm", "prefill", True),
        ("llama-bench log; rocm-7-nightly__hblt0__fa1__single", "ROCm", "decode", False),
        ("sweep build=llama.cpp-vulkan fa= hipblaslt= b=; file a.gguf", "Vulkan", "prefill", False),
    ],
)
def test_a_prompt_without_hipblaslt_is_left_out(note: str, backend: str, kind: str, without: bool) -> None:
    row = {"gpu_slug": "a", "model_slug": "b", "quant_slug": "c", "tok_s": 1.0}
    reason = why_left_out({**row, "kind": kind, "backend": backend, "source_note": note})
    assert ("hipBLASLt" in (reason or "")) is without


@pytest.mark.parametrize(
    ("note", "backend", "driver"),
    [
        ("llama-bench log; toolbox vulkan_amdvlk; mmap=0", Backend.VULKAN, True),
        ("llama-bench log; vulkan_amdvlk__fa1__single", Backend.VULKAN, True),
        ("llama-bench log; toolbox vulkan_radv; mmap=0", Backend.VULKAN, False),
    ],
)
def test_a_row_states_the_driver_that_slowed_it(note: str, backend: Backend, driver: bool) -> None:
    assert stated_of({"source_note": note}, "llama.cpp", backend) == ({"amdvlk"} if driver else frozenset())


@pytest.mark.parametrize(
    ("note", "tokens"),
    [
        ("llama-bench log; toolbox rocm6_4_4; n_ubatch=2048, mmap=0", 2048),
        ("llama-bench curve; rocm-7.14; file a.gguf; ub=1024", 1024),
        ("perplexity sweep, ubatch=4096", 4096),
        ("sweep build=llama.cpp-vulkan fa= hipblaslt= b=-b 256; file a.gguf; ub=512", 256),
        ("README; threads=12, n_batch=1024, type_k=q8_0", 512),
        ("README; threads=12", None),
    ],
)
def test_a_rows_micro_batch_is_read_from_its_note(note: str, tokens: int | None) -> None:
    assert micro_batch_of({"source_note": note}) == tokens


@pytest.mark.parametrize(
    ("stated", "is_old"),
    [
        ({"build": "0.7.3", "date": "2026-04-15"}, True),
        ({"engine": "vLLM 0.6.4", "date": "2026-04-15"}, True),
        ({"engine_version": "0.20.1+transformers-5.8.1"}, False),
        ({"engine": "vLLM v0.11.0", "date": "2024-01"}, False),
        ({"date": "2024 (a paper)"}, True),
        ({"date": "2025-03-18"}, False),
        ({}, False),
    ],
)
def test_builds_of_vllm_before_its_engine_v1(stated: dict[str, Any], is_old: bool) -> None:
    assert is_old_vllm(stated) is is_old
