"""A block agrees with the same formulas written out for one cell after the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from db.entries import specs
from db.entries.files import load_catalog
from estimator.calibration.coefficients import Calibration
from estimator.grid import evaluate_block
from tests.support.plain_loop import FIGURES, Inputs, PlainLoop, require_agreement

CATALOG = load_catalog()
INPUTS = Inputs(
    tuple(specs.accelerator(entry) for entry in CATALOG.gpus.values() if not specs.missing_facts(entry)),
    tuple(specs.quant(entry) for entry in CATALOG.quants.values() if specs.is_precomputed(entry)),
    tuple(specs.workload(entry) for entry in CATALOG.workloads.values()),
    specs.host(CATALOG.hosts[CATALOG.default_host]),
    Calibration.load(),
)


@pytest.mark.parametrize("slug", ["llama-3.1-8b", "qwen3-30b-a3b", "gemma-3-12b", "llama-3.2-1b", "gpt-oss-20b"])
def test_a_block_agrees_with_the_plain_loop(slug: str) -> None:
    model = specs.architecture(CATALOG.models[slug])
    block = evaluate_block(model, INPUTS.gpus, INPUTS.quants, INPUTS.workloads, INPUTS.host, INPUTS.calibration)
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
