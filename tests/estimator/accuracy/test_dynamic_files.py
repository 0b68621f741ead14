"""Bits by part from published sizes."""

from __future__ import annotations

import numpy as np
import pytest

from estimator.accuracy.dynamic_files import DynamicFile, fit_part_bits


def test_bits_that_made_the_sizes_are_found_again() -> None:
    """Forty files of four families, sizes made with known bits and one of them off by a third."""
    random = np.random.default_rng(7)
    bits = np.array([6.0, 4.8, 8.5, 4.4])
    files = []
    for number in range(40):
        dense = number % 2 == 0
        weights = random.uniform(1e9, 9e9, 4) * ([1, 4, 0, 0] if dense else [1, 0, 2, 20]) / 8.0
        size = float(weights @ bits) + 1e7
        files.append(DynamicFile(f"family-{number % 4}", size * (1.33 if number == 5 else 1.0), 0.0, weights, 1e7))
    fit = fit_part_bits(files)
    found = fit.bits
    assert [found.embedding, found.dense, found.beside_experts, found.experts] == pytest.approx(bits, rel=0.02)
    assert found.output == found.embedding
    assert fit.files == len(fit.left_out_errors) == 40
    assert float(np.median(np.abs(fit.left_out_errors))) < 0.01
