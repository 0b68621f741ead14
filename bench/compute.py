"""Compute alone, one process: whole blocks against a plain Python loop. `python -m bench.compute`.

The loop is that of the tests. It has to agree with the block on every figure, or the run stops. Prints the ratio of
their cells per second.
"""

from __future__ import annotations

import time

import numpy as np

from db.entries import specs
from db.entries.files import load_catalog
from estimator.calibration.coefficients import Calibration
from estimator.estimate import estimate
from estimator.grid import FitBlock, evaluate_block
from estimator.placement.hosts import host_for
from estimator.structure.architecture import ModelArchitecture
from estimator.types import EstimateRequest, UnsupportedError
from tests.support.plain_loop import Inputs, PlainLoop, require_agreement

#: Every n-th model goes through the loop, and every n-th GPU of the first one through single questions.
LOOP_STEP = 60
GPU_STEP = 8
#: The least ratio of the block to the loop.
BAR_RATIO = 15.0


def looped(model: ModelArchitecture, inputs: Inputs, block: FitBlock) -> tuple[int, float]:
    """Number of cells that the plain loop computed, and the seconds that it took.

    Raises AssertionError when a figure differs from the block's.
    """
    loop = PlainLoop(model, inputs, block)
    began = time.perf_counter()
    rows = loop.rows()
    seconds = time.perf_counter() - began
    require_agreement(block, loop, rows)
    return len(rows), seconds


def main() -> int:
    """Run both and print the ratio. Returns 1 when the bar was missed."""
    catalog = load_catalog()
    gpus = tuple(specs.accelerator(entry) for entry in catalog.gpus.values() if not specs.missing_facts(entry))
    profiles = [specs.host(entry) for entry in catalog.hosts.values()]
    inputs = Inputs(
        gpus,
        tuple(specs.quant(entry) for entry in catalog.quants.values() if specs.is_precomputed(entry)),
        tuple(specs.workload(entry) for entry in catalog.workloads.values()),
        tuple(host_for(gpu, profiles) for gpu in gpus),
        Calibration.load(),
    )
    entries = [entry for entry in catalog.models.values() if not specs.missing_facts(entry)]
    models = [specs.architecture(entry) for entry in entries]
    shared = (inputs.gpus, inputs.quants, inputs.workloads, inputs.hosts, inputs.calibration)
    blocks = {}
    began = time.perf_counter()
    cells = 0
    for index, model in enumerate(models):
        block = evaluate_block(model, *shared)
        cells += int(np.count_nonzero(block.available)) * len(inputs.workloads)
        if index % LOOP_STEP == 0:
            blocks[index] = block
    block_rate = cells / (time.perf_counter() - began)
    loops = [looped(models[index], inputs, block) for index, block in blocks.items()]
    loop_cells = sum(cells for cells, _ in loops)
    loop_rate = loop_cells / sum(seconds for _, seconds in loops)
    ratio = block_rate / loop_rate
    print(f"compute: {cells:,} cells by blocks and {loop_cells:,} of them by the loop, which agree")
    print(f"compute: ratio to the plain loop {ratio:.1f} (bar {BAR_RATIO:.0f})")
    print(f"compute: ratio to single questions {block_rate / _question_rate(models[0], inputs):,.0f}")
    return 1 if ratio < BAR_RATIO else 0


def _question_rate(model: ModelArchitecture, inputs: Inputs) -> float:
    """Cells per second when the same kernel is asked for one cell at a time, as a script would."""
    asked = 0
    began = time.perf_counter()
    for gpu, host in tuple(zip(inputs.gpus, inputs.hosts, strict=True))[::GPU_STEP]:
        for quant in inputs.quants:
            for workload in inputs.workloads:
                request = EstimateRequest(quant=quant, accelerator=gpu, host=host)
                try:
                    estimate(model, request, inputs.calibration, workload)
                except UnsupportedError:
                    continue
                asked += 1
    return asked / (time.perf_counter() - began)


if __name__ == "__main__":
    raise SystemExit(main())
