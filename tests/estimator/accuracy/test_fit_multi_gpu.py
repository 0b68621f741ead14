"""Rows on several GPUs: which count, what they state, and that the committed constants are what they give."""

from __future__ import annotations

import math
from typing import Any

import pytest

from db.entries.measurements import measured_rows, serving_rows
from estimator.accuracy.fit_multi_gpu import fit_kind, seconds_of, shared_rows, why_not
from estimator.accuracy.serving.rows import rows_of_one_stream
from estimator.calibration.coefficients import Calibration
from estimator.server_options import SplitMode
from estimator.types import CacheType
from tests.estimator.entities import ENTITIES

ROW: dict[str, Any] = {
    "gpu_slug": "rtx-3090", "model_slug": "llama-3.1-8b", "quant_slug": "q4-k-m", "engine": "llama.cpp", "gpu_count": 2,
    "kind": "decode", "tok_s": 50.0, "date": "2025-01", "n_gen": 128,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"engine": "vllm", "source_note": "kv auto; tp=2 pp=1"}, None),
        ({"date": "2023-12"}, "llama.cpp before 2024, which cut every matrix by rows"),
        ({"engine": "vllm", "date": "2023"}, None),
        ({"engine": "sglang"}, None),
        ({"split_mode": "layer"}, None),
        ({"split_mode": "tensor"}, None),
        ({"split_mode": "row"}, "matrices cut by a fork of llama.cpp, or by rows as it no longer does"),
        ({"split_mode": "graph (max-gpu 2)"}, "matrices cut by a fork of llama.cpp, or by rows as it no longer does"),
        ({"engine": "vllm", "split_mode": "tp8 dcp1"}, None),
        (
            {"engine": "vllm", "split_mode": "tp8 dcp8"},
            "vLLM asked to cut the cache by tokens, which is not its default",
        ),
        ({"backend": "CPU"}, "processors on several sockets"),
        ({"source_note": "tp=2 pp=1"}, "matrices cut by a fork of llama.cpp, or by rows as it no longer does"),
        ({"source_note": "kv turboquant_4bit_nc; x"}, "a KV cache type that the estimator does not know"),
        ({"kind": "prefill"}, "prefill of an unstated prompt"),
        ({"kind": "prefill", "n_prompt": 512}, None),
        ({"engine": "exllamav3"}, "an engine that the estimator does not know"),
        ({"offload": "ngl=20"}, "weights in system memory"),
        ({"offload": "unknown (not recorded)"}, None),
        ({"suspect": "power limit"}, "its table states a reason to doubt it"),
        ({"model_slug": None}, "no catalog entity for its model"),
    ],
)
def test_rows_are_left_out_by_what_they_state(change: dict[str, Any], reason: str | None) -> None:
    assert why_not({**ROW, **change}) == reason


def test_a_row_is_asked_about_over_its_link() -> None:
    links = ("NVLink NV4; 260 W limit", "PCIe 3.0 x8, no P2P", "separate NUMA nodes")
    bridged, narrow, plain = shared_rows(ENTITIES, [{**ROW, "pcie": link} for link in links])
    assert bridged.request.accelerator.bridged
    assert narrow.request.accelerator.pcie_bytes_s == pytest.approx(8 * 0.985e9)
    assert plain.request.accelerator == ENTITIES.accelerators["rtx-3090"]


def test_a_row_is_asked_about_as_it_ran() -> None:
    stated = {"source_note": "llama-bench log; n_ubatch=2048", "kind": "prefill", "n_prompt": 2048, "depth": 16384}
    swept = {"engine": "vllm", "quant_slug": "fp8", "source_note": "run_id kvsweep/Model/c8192/fp8; kv fp8; tp=2 pp=1"}
    first, second = shared_rows(ENTITIES, [{**ROW, **stated}, {**ROW, **swept}, {**ROW, "gpu_count": 1}])
    assert (first.mode, first.count, first.tokens) == ("layers", 2, 2048)
    assert (first.request.micro_batch_tokens, first.request.depth_tokens) == (2048, 16384)
    assert (second.mode, second.request.depth_tokens) == ("tensor", 8192)
    assert second.request.kv_cache_type is CacheType.FP8
    (cut,) = shared_rows(ENTITIES, [{**ROW, "split_mode": "tensor"}])
    assert (cut.mode, cut.request.split_mode) == ("cut", SplitMode.TENSOR)


def test_the_committed_constants_are_what_the_rows_give() -> None:
    """Decode alone; `fitgraph calibrate --check` fits all of them from the start."""
    committed = Calibration.load().data
    rows = list(measured_rows())
    rows += rows_of_one_stream(list(serving_rows()), rows)
    fitted = fit_kind(shared_rows(ENTITIES, rows), committed, "decode")
    assert fitted.constants == pytest.approx({name: committed["parallel"][name] for name in fitted.constants}, rel=1e-3)
    for name, median, p90 in (("decode layers", 0.1, 0.3), ("decode tensor", 0.12, 0.45), ("decode cut", 0.15, 0.3)):
        errors = committed["parallel"]["errors"][name]["source"]
        assert errors["median"] < median
        assert errors["p90"] < p90


def test_an_old_server_spends_its_scheduling_beside_what_the_gpus_do() -> None:
    calibration = Calibration.load()
    served = {**ROW, "engine": "vllm", "quant_slug": "awq-int4", "backend": "CUDA", "date": "2026-04"}
    old, new = shared_rows(ENTITIES, [{**served, "build": "0.7.3"}, {**served, "build": "0.20.1"}])
    before, now = seconds_of(calibration, old), seconds_of(calibration, new)
    assert before is not None
    assert now is not None
    assert 0.0005 < before - now < 0.005


@pytest.mark.parametrize("engine", ["tensorrt-llm", "sglang"])
def test_the_scheduling_of_old_vllm_is_of_no_other_engine(engine: str) -> None:
    calibration = Calibration.load()
    served = {**ROW, "engine": engine, "quant_slug": "awq-int4", "backend": "CUDA"}
    old, new = shared_rows(ENTITIES, [{**served, "date": "2024"}, {**served, "date": "2026-09"}])
    before, now = seconds_of(calibration, old), seconds_of(calibration, new)
    assert before is not None
    assert now is not None
    years = old.request.build_age_years - new.request.build_age_years
    # All that is left is what any engine of the backend has gained since.
    aged = math.exp(calibration.data["decode"]["effects"]["whole/age:CUDA"] * years)
    assert min(1.0, aged) - 1e-3 <= before / now <= max(1.0, aged) + 1e-3
