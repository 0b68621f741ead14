"""Rows on several GPUs: which count, what they state, and that the committed constants are what they give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from db.entries.measurements import speed_rows
from estimator.accuracy.fit_multi_gpu import FIRST, fit_parallel, range_of, shared_rows, why_not
from estimator.calibration.coefficients import Calibration
from estimator.types import CacheType
from tests.support.entities import ENTITIES

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
        ({"source_note": "tp=2 pp=1"}, "llama.cpp asked to cut every matrix, which is not its default"),
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


def test_a_row_is_asked_about_as_it_ran() -> None:
    stated = {"source_note": "llama-bench log; n_ubatch=2048", "kind": "prefill", "n_prompt": 2048, "depth": 16384}
    swept = {"engine": "vllm", "quant_slug": "fp8", "source_note": "run_id kvsweep/Model/c8192/fp8; kv fp8; tp=2 pp=1"}
    first, second = shared_rows(ENTITIES, [{**ROW, **stated}, {**ROW, **swept}, {**ROW, "gpu_count": 1}])
    assert (first.mode, first.count, first.tokens) == ("layers", 2, 2048)
    assert (first.request.micro_batch_tokens, first.request.depth_tokens) == (2048, 16384)
    assert (second.mode, second.request.depth_tokens) == ("tensor", 8192)
    assert second.request.kv_cache_type is CacheType.FP8


def test_the_committed_constants_are_what_the_rows_give() -> None:
    committed = Calibration.load().data
    found = fit_parallel(ENTITIES, list(speed_rows()), {**committed, "parallel": FIRST}, lambda _: None)
    assert {**found, "ranges": {name: list(ends) for name, ends in found["ranges"].items()}} == committed["parallel"]
    for name in ("decode layers", "decode tensor"):
        assert found["errors"][name]["model"]["median"] < 0.15
        assert found["errors"][name]["model"]["p90"] < 0.4


def test_a_range_is_chosen_by_the_models_that_were_left_out() -> None:
    rows = shared_rows(ENTITIES, [{**ROW, "model_slug": slug} for slug in ("llama-3.1-8b", "qwen3-8b", "qwen3-14b")])
    rng = np.random.default_rng(5)
    many = [rows[index % 3] for index in range(600)]
    residual = rng.normal(0.0, 0.1, 600)
    (low, high), inside = range_of(many, residual)
    assert inside == pytest.approx(0.8, abs=0.03)
    assert low == pytest.approx(np.exp(-0.128), abs=0.02)
    assert high == pytest.approx(np.exp(0.128), abs=0.02)
    assert range_of(rows[:1] * 9, residual[:9])[1] is None
