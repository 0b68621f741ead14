"""Compute alone, one process: whole blocks against the same kernel asked pair by pair. `python -m bench.compute`.

The pair-by-pair loop is what a script over the scalar interface does; it runs over a sample, since the whole table would
take minutes. Prints cells per second of both and their ratio.
"""

from __future__ import annotations

import time

from db import specs
from db.catalog_files import load_catalog
from estimator.calibration import Calibration
from estimator.estimate import estimate
from estimator.grid import evaluate_block
from estimator.tables import model_tables
from estimator.types import EstimateRequest, UnsupportedError

#: Every n-th model is evaluated as a block; the loop takes every n-th GPU of the first of them.
MODEL_STEP = 4
GPU_STEP = 8


def main() -> None:
    """Run both and print the ratio."""
    catalog, calibration = load_catalog(), Calibration.load()
    gpus = tuple(specs.accelerator(entry) for entry in catalog.gpus.values() if not specs.missing_facts(entry))
    quants = tuple(specs.quant(entry) for entry in catalog.quants.values() if specs.is_precomputed(entry))
    workloads = tuple(specs.workload(entry) for entry in catalog.workloads.values())
    host = specs.host(catalog.hosts[catalog.default_host])
    entries = [entry for entry in catalog.models.values() if not specs.missing_facts(entry)]
    models = [specs.architecture(entry) for entry in entries[::MODEL_STEP]]
    evaluate_block(models[0], gpus, quants, workloads, host, calibration)
    began = time.perf_counter()
    blocks = sum(
        int(evaluate_block(model, gpus, quants, workloads, host, calibration).available.sum()) * len(workloads)
        for model in models
    )
    block_rate = blocks / (time.perf_counter() - began)

    model, asked = models[0], 0
    model_tables(model, quants)
    began = time.perf_counter()
    for gpu in gpus[::GPU_STEP]:
        for quant in quants:
            for workload in workloads:
                request = EstimateRequest(quant=quant, accelerator=gpu, host=host)
                try:
                    estimate(model, request, calibration, workload)
                except UnsupportedError:
                    continue
                asked += 1
    loop_rate = asked / (time.perf_counter() - began)
    print(f"compute: blocks {block_rate:,.0f} cells/s, pair by pair {loop_rate:,.0f} cells/s")
    print(f"compute: ratio {block_rate / loop_rate:.1f}")


if __name__ == "__main__":
    main()
