"""Factors by part from published sizes."""

from __future__ import annotations

import numpy as np
import pytest

from estimator.accuracy.dynamic_files import DynamicFile, fit_factors
from estimator.structure.weights import PARTS


def test_factors_that_made_the_sizes_are_found_again() -> None:
    """Sixty files of four families, sizes made with known factors and one of them off by a third."""
    random = np.random.default_rng(7)
    factors = random.uniform(0.8, 1.3, len(PARTS))
    late = [part.startswith("late") for part in PARTS]
    early = ["expert" in part and not part.startswith("late") for part in PARTS]
    dense = ["expert" not in part for part in PARTS]
    files = []
    for number in range(60):
        recipe = random.uniform(1e9, 9e9, len(PARTS)) * (dense, early, late)[number % 3]
        size = float(recipe @ factors) + 1e7
        files.append(DynamicFile(f"family-{number % 4}", size * (1.33 if number == 5 else 1.0), 0.0, recipe, 1e7))
    fit = fit_factors(files)
    assert list(fit.factors.values()) == pytest.approx(factors, rel=0.02)
    assert fit.files == len(fit.left_out_errors) == 60
    assert float(np.median(np.abs(fit.left_out_errors))) < 0.01
