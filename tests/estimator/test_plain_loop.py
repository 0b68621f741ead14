"""A block agrees with the same formulas written out for one cell after the other."""

from __future__ import annotations

import pytest

from bench.compute import Inputs, whole_cells
from db.entries import specs
from db.entries.files import load_catalog
from estimator.calibration.coefficients import Calibration
from estimator.grid import evaluate_block

GPUS = ("rtx-4090", "rx-7900-xtx", "apple-m3-max-40c-64gb", "h100-sxm5-80-gb", "tesla-p40")


@pytest.mark.parametrize("slug", ["llama-3.1-8b", "qwen3-30b-a3b", "gemma-3-12b"])
def test_a_block_agrees_with_the_plain_loop(slug: str) -> None:
    catalog = load_catalog()
    inputs = Inputs(
        tuple(specs.accelerator(catalog.gpus[gpu]) for gpu in GPUS),
        tuple(specs.quant(entry) for entry in catalog.quants.values() if specs.is_precomputed(entry)),
        tuple(specs.workload(entry) for entry in catalog.workloads.values()),
        specs.host(catalog.hosts[catalog.default_host]),
        Calibration.load(),
    )
    model = specs.architecture(catalog.models[slug])
    block = evaluate_block(model, inputs.gpus, inputs.quants, inputs.workloads, inputs.host, inputs.calibration)
    cells, _ = whole_cells(model, inputs, block)
    assert cells > 100
    block.decode_tok_s[0, 0, 0] *= 1.01
    with pytest.raises(RuntimeError, match="decode_tok_s"):
        whole_cells(model, inputs, block)
