"""Rows state a placement, and the verdict agrees where a row can contradict it."""

from __future__ import annotations

from typing import Any

import pytest

from db.entries.measurements import speed_rows
from estimator.accuracy.verdicts import PLACEMENTS, context_of, placement_of, verdicts
from estimator.calibration.coefficients import Calibration
from tests.estimator.entities import ENTITIES


@pytest.mark.parametrize(
    ("offload", "placement"),
    [
        (None, "all on the GPU"),
        ("llama.cpp fit: ngl=25, offloaded(moe) layers=19", "partly in system memory by the engine's own decision"),
        ("n_cpu_moe=4", "partly in system memory by flags that the user chose"),
        ("ngl=20", "partly in system memory by flags that the user chose"),
        ("ngl=99 (may be partial)", "surmised by the table to be partly in system memory"),
        ("probable partial offload", "surmised by the table to be partly in system memory"),
        ("unknown (not recorded by llmfit bench)", "placement not recorded"),
    ],
)
def test_placements(offload: str | None, placement: str) -> None:
    assert placement_of({"offload": offload}) == placement
    assert placement in PLACEMENTS


def test_a_stated_context_is_read() -> None:
    assert context_of({"source_note": "vision ctx=5k ubatch=512"}) == 5120
    assert context_of({"source_note": "llama-bench log"}) is None


def test_verdicts_agree_with_what_engines_did() -> None:
    counts = verdicts(ENTITIES, Calibration.load(), list(speed_rows()))

    def share(placement: str, *wanted: str) -> float:
        total: Any = sum(counts[placement, verdict] for verdict in ("fits", "margin", "not"))
        return sum(counts[placement, verdict] for verdict in wanted) / total

    assert share(PLACEMENTS[0], "fits", "margin") > 0.98
    assert share(PLACEMENTS[1], "not", "margin") > 0.9
