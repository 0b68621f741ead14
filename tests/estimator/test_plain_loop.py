"""A block agrees with the same formulas written out for one cell after the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from estimator.grid import evaluate_block
from tests.support import answers as support
from tests.support.plain_loop import FIGURES, Inputs, PlainLoop, require_agreement

INPUTS = Inputs(
    tuple(map(support.accelerator, support.GPUS)),
    tuple(map(support.quant, support.QUANTS)),
    tuple(map(support.workload, support.WORKLOADS)),
    support.ALL_HOSTS,
    support.CALIBRATION,
)


@pytest.mark.parametrize(
    "slug", ["llama-3.1-8b", "qwen3-30b-a3b", "gemma-3-12b", "llama-3.2-1b", "gpt-oss-20b", "qwen3.5-9b"]
)
def test_a_block_agrees_with_the_plain_loop(slug: str) -> None:
    model = support.architecture(slug)
    block = evaluate_block(model, INPUTS.gpus, INPUTS.quants, INPUTS.workloads, INPUTS.hosts, INPUTS.calibration)
    loop = PlainLoop(model, INPUTS, block)
    rows = loop.rows()
    assert len(rows) > 5_000
    require_agreement(block, loop, rows)
    cell = tuple(loop.cells[-1])
    for figure in FIGURES:
        values = np.array(getattr(block, figure))
        values[cell] += 1
        with pytest.raises(AssertionError, match=f"^{figure} "):
            require_agreement(replace(block, **{figure: values}), loop, rows)
