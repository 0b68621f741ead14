"""The Celery application with a compute that takes its time, as on a slow core: `celery -A bench.support.slow_workers worker`.

The environment variable ``BENCH_CELLS_PER_S`` states the pace. The worker sleeps for the rest of a block's time, so that the
processes of several hosts do not wait for the cores of this machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from db.fits.layout import SLOT_COUNT
from db.fits.packing import PackedBlock
from estimator.structure.architecture import ModelArchitecture
from workers import blocks
from workers.app import app
from workers.compute import Setting, compute_rows

__all__ = ["app"]
_CELLS_PER_S = float(os.environ["BENCH_CELLS_PER_S"])


def compute_slowly(
    models: dict[int, ModelArchitecture], setting: Setting, generation: int, gpu_ids: Iterable[int] | None = None
) -> PackedBlock:
    """``compute_rows`` at the stated pace."""
    began = time.monotonic()
    packed = compute_rows(models, setting, generation, gpu_ids)
    time.sleep(max(0.0, len(packed.fits) * SLOT_COUNT / _CELLS_PER_S - (time.monotonic() - began)))
    return packed


blocks.compute_rows = compute_slowly
