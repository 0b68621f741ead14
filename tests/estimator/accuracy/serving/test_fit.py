"""Constants of several streams: recovered from speeds that they made, and the committed ones keep what is promised."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from api.cli.calibrate import data_hash
from db.entries.measurements import serving_rows
from estimator.accuracy.serving.fit import FIRST, OF_SERVERS, Law, cases, solve
from estimator.calibration.coefficients import Calibration
from estimator.calibration.stream_constants import OTHER_ENGINES
from estimator.speed.coefficients import REGIMES
from estimator.speed.streams import CONSTANTS
from tests.estimator.entities import ENTITIES

CALIBRATION = Calibration.load()


def row(gpu: str, streams: int, tok_s: float) -> dict[str, Any]:
    return {
        "gpu_slug": gpu, "model_slug": "llama-3.1-8b", "quant_slug": "bf16-safetensors", "engine": "vLLM", "gpu_count": 1,
        "tensor_parallel": 1, "concurrency": streams, "input_tokens": 256, "output_tokens": 256,
        "decode_tok_s_per_user": tok_s, "source": "made", "date": "2026-09",
    }  # fmt: skip


def test_constants_are_recovered_from_speeds_that_they_made() -> None:
    asked = [row(gpu, streams, 1.0) for gpu in ("h100-sxm5-80-gb", "rtx-3090", "l4") for streams in (2, 4, 8, 16, 24)]
    law_cases = cases(ENTITIES, asked, CALIBRATION)
    true = {
        "cache": 0.5,
        "arithmetic": 5.0,
        "unpack": 1.0,
        "four_bits": 1.0,
        "sample_s": 0.0,
        "s": 3e-4,
        "step_s": 4e-3,
        "prompt": 2.0,
    }
    law = Law(law_cases)
    law.measured = law.log_seconds({name: np.full(len(law_cases), true[name]) for name in CONSTANTS})
    speeds = np.exp(-law.measured)
    made = cases(
        ENTITIES,
        [{**asked_row, "decode_tok_s_per_user": tok_s} for asked_row, tok_s in zip(asked, speeds, strict=True)],
        CALIBRATION,
    )
    start = {name: first for name, (first, _) in FIRST.items()}
    solved = solve(Law(made), np.ones(len(made), dtype=np.bool_), OF_SERVERS, start, 10.0)
    again = Law(made)
    predicted = again.log_seconds({name: np.full(len(made), solved.get(name, true[name])) for name in CONSTANTS})
    assert np.abs(predicted - law.measured).max() < 0.1


def test_the_committed_constants_belong_to_the_committed_rows() -> None:
    data = CALIBRATION.data
    assert data["serving_hash"] == data_hash(list(serving_rows()))
    assert {"llama.cpp", "vllm", "sglang", OTHER_ENGINES} <= data["streams"]["engines"].keys()
    for engine in data["streams"]["engines"].values():
        assert all(engine["ranges"][regime][0] < 1.0 < engine["ranges"][regime][1] for regime in REGIMES)


@pytest.mark.parametrize(
    ("group", "median", "p90"),
    [
        ("decode of each, 2 to 32 streams", 0.11, 0.36),
        ("total, stated streams", 0.2, 1.0),
        ("total at saturation", 0.22, 0.54),
    ],
)
def test_errors_of_left_out_sources_stay_within_what_is_promised(group: str, median: float, p90: float) -> None:
    error = CALIBRATION.data["streams"]["errors"][group]
    assert error["median"] < median
    assert error["p90"] < p90
