"""Figures as readers see them, and bounds that agree with them."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest

from db.fits.packing import bits_from, bits_to, shown


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
