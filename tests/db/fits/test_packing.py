"""Figures as readers see them, and bounds that agree with them."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest

from db.entries import specs
from db.fits.layout import BAND_BYTES
from db.fits.packing import PackedBlock, bits_from, bits_to, pack_model, shown
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


@pytest.mark.parametrize("model", ["llama-3.1-8b", "gpt-oss-20b", "qwen3-30b-a3b"])
def test_the_bands_of_a_row_are_few_and_those_of_the_row_alone(model: str) -> None:
    gpus = [specs.accelerator(entry) for entry in CATALOG.gpus.values() if not specs.missing_facts(entry)]
    quants = [specs.quant(CATALOG.quants[slug]) for slug in ("q4-k-m", "iq2-xxs", "fp8", "awq-int4")]
    host = specs.host(next(entry for entry in CATALOG.hosts.values() if entry.get("default")))
    workloads = tuple(specs.workload(entry) for entry in CATALOG.workloads.values())

    def packed(numbers: list[int]) -> PackedBlock:
        block = evaluate_block(
            specs.architecture(CATALOG.models[model]), tuple(gpus[number] for number in numbers), tuple(quants),
            workloads, (host,) * len(numbers), Calibration.load(),
        )  # fmt: skip
        return pack_model(1, numbers, range(len(quants)), block, 1)

    def bands_of(block: PackedBlock) -> dict[tuple[int, int], bytes]:
        blobs = {quant: bands for _, quant, *_, bands in block.quants}
        rows = zip(*(block.fits[name].tolist() for name in ("gpu_id", "quant_id", "band")), strict=True)
        return {(gpu, quant): blobs[quant][band * BAND_BYTES :][:BAND_BYTES] for gpu, quant, band in rows}

    together = packed(list(range(len(gpus))))
    among_others = bands_of(together)
    assert len(set(among_others.values())) < len(among_others) / 5
    for number in range(0, len(gpus), 4):
        for (_, quant), band in bands_of(packed([number])).items():
            assert band == among_others[number, quant], (gpus[number].slug, quants[quant].slug)
