"""Caches, states and whole loads against public load logs of llama.cpp and vLLM."""

from __future__ import annotations

import numpy as np
import pytest

from db.entries.measurements import memory_rows
from estimator.accuracy.load_logs import CACHE, PARTLY, WHOLE, compare_llama, compare_vllm, section, why_not
from tests.estimator.entities import ENTITIES

COMPARED = [
    *compare_llama(ENTITIES, memory_rows("llama-logs")),
    *compare_vllm(ENTITIES, memory_rows("vllm-logs")),
]


@pytest.mark.parametrize(
    ("quantity", "logs", "median", "ninetieth"),
    [
        (CACHE, 24, 0.001, 0.01),
        (WHOLE, 9, 0.03, 0.08),
        (PARTLY, 5, 0.03, 0.08),
        ("vLLM: weights", 6, 0.003, 0.015),
        ("vLLM: pool, given its activations", 4, 0.01, 0.015),
        # One of two ranks holds less than the other there, which the pool of the first does not show.
        ("vLLM: tokens of a stated pool", 5, 0.002, 0.11),
    ],
)
def test_loads_take_what_their_logs_state(quantity: str, logs: int, median: float, ninetieth: float) -> None:
    errors = np.abs([load.error for load in COMPARED if load.quantity == quantity])
    assert len(errors) >= logs
    assert np.median(errors) < median
    assert np.quantile(errors, 0.9) < ninetieth


def test_rows_are_left_out_by_what_they_state_and_the_report_counts_them() -> None:
    rows = list(memory_rows("llama-logs"))
    reasons = [why_not(ENTITIES, row) for row in rows]
    assert sum(reason is not None for reason in reasons) == 10
    text = section(ENTITIES, rows, memory_rows("vllm-logs"))
    assert f"{len(rows)} llama.cpp logs" in text
    for reason in {reason for reason in reasons if reason}:
        assert f"- {reasons.count(reason)}: {reason}" in text


def test_a_wrong_length_would_show() -> None:
    row = next(row for row in memory_rows("llama-logs") if row["model"] == "Qwen3-32B")
    (cache, *_) = compare_llama(ENTITIES, [{**row, "n_ctx": 2 * row["n_ctx"]}])
    assert cache.error == pytest.approx(1.0, abs=1e-6)
