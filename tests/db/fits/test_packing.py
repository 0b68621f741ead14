"""Figures as readers see them, and bounds that agree with them."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest

from db.entries import specs
from db.fits.packing import BAND, bits_from, bits_to, pack_model, shown
from estimator.calibration.coefficients import Calibration
from estimator.grid import evaluate_block
from tests.support.catalogs import CATALOG


def as_float(bits: int) -> float:
    value: float = struct.unpack("<f", struct.pack("<i", bits))[0]
    return value


def test_no_digit_of_a_float32_is_left() -> None:
    assert shown(float(np.float32(96.64))) == 96.64
    assert shown(float(np.float32(0.1))) == 0.1
    assert shown(0.0) == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_a_bound_splits_what_is_shown(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(200):
        bound = shown(float(np.float32(10 ** rng.uniform(-3, 6))))
        least, most = as_float(bits_from(bound)), as_float(bits_to(bound))
        assert shown(least) == shown(most) == bound
        assert shown(float(np.nextafter(np.float32(least), np.float32(-1)))) < bound
        assert shown(float(np.nextafter(np.float32(most), np.float32(np.inf)))) > bound


@pytest.mark.parametrize("bound", [0.0, -1.0, -1e15])
def test_bounds_that_nothing_lies_below(bound: float) -> None:
    assert bits_from(bound) == 0
    assert bits_to(bound) == 0


def test_far_bounds_are_met_by_nothing_and_by_everything() -> None:
    assert as_float(bits_from(1e15)) >= 0.999e15
    assert as_float(bits_to(1e15)) >= 0.999e15


@pytest.mark.parametrize("model", ["llama-3.1-8b", "gpt-oss-20b", "gemma-3-27b"])
def test_one_calibrated_factor_is_one_entry(model: str) -> None:
    gpus = [specs.accelerator(entry) for entry in CATALOG.gpus.values() if not specs.missing_facts(entry)]
    quants = [specs.quant(CATALOG.quants[slug]) for slug in ("q4-k-m", "q8-0", "fp8", "awq-int4")]
    host = specs.host(next(entry for entry in CATALOG.hosts.values() if entry.get("default")))
    block = evaluate_block(
        specs.architecture(CATALOG.models[model]), tuple(gpus), tuple(quants),
        tuple(specs.workload(entry) for entry in CATALOG.workloads.values()), (host,) * len(gpus), Calibration.load(),
    )  # fmt: skip
    packed = pack_model(1, range(len(gpus)), range(len(quants)), block, 1)
    compared = 0
    for *_, bands in packed.quants:
        entries = np.frombuffer(bands, dtype=BAND)
        for speed in ("decode", "prefill"):
            for end in ("low", "high"):
                factors = np.unique(entries["cells"][f"{speed}_{end}"].astype(np.float64))
                # Ranges of different depths or devices differ by far more.
                assert (np.diff(factors) > 1.1e-6 + 2e-7 * factors[1:]).all(), (speed, end, factors)
                compared += len(factors)
    assert compared > 100
