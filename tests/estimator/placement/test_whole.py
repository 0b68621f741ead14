"""Loads that sit whole on the devices: input tables that the computer's memory must hold beside them."""

from __future__ import annotations

import pytest

from db.entries import specs
from estimator.calibration.coefficients import Calibration
from estimator.estimate import estimate
from estimator.fit_facts import request_of
from estimator.placement.hosts import host_for
from estimator.types import Status
from tests.support.catalogs import CATALOG

HOSTS = [specs.host(entry) for entry in CATALOG.hosts.values()]
GIB = 2**30


@pytest.mark.parametrize("gpu", ["dgx-spark", "strix-halo-8060s-128gb", "rtx-4090"])
def test_tables_and_weights_are_not_given_the_same_memory(gpu: str) -> None:
    model = specs.architecture(CATALOG.models["qwen3.8-flash-next"])
    device = specs.accelerator(CATALOG.gpus[gpu])
    host = host_for(device, HOSTS)
    statuses = set()
    for slug in ("q6-k", "q5-k-m", "q4-k-m", "iq2-xxs"):
        request = request_of(specs.quant(CATALOG.quants[slug]), device, host)
        memory = (answer := estimate(model, request, Calibration.load())).memory
        statuses.add(answer.status)
        if answer.status is not Status.DOES_NOT_FIT and device.unified_memory:
            assert memory.total_bytes + memory.host_bytes <= max(memory.usable_bytes, host.memory_bytes - 4 * GIB)
        elif answer.status is not Status.DOES_NOT_FIT:
            assert memory.host_bytes <= host.memory_bytes
    if device.unified_memory:
        assert len(statuses) > 1
