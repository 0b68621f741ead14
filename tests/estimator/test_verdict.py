"""Scores under their caps, and the quality that they weigh."""

from __future__ import annotations

import numpy as np
import pytest

from db.entries import specs
from db.entries.files import load_catalog
from estimator.placement.layer_sums import model_tables
from estimator.types import STATUSES, Status
from estimator.verdict import GRADES, STATUS_CAPS, STATUS_KNEES, capped, grade

CATALOG = load_catalog()


@pytest.mark.parametrize("status", [Status.FITS, Status.FITS_TIGHTLY, Status.FITS_WITH_OFFLOAD])
def test_a_cap_keeps_the_order_and_the_grades_below_it(status: Status) -> None:
    code = STATUSES.index(status)
    totals = np.arange(0.0, 100.1, 0.1)
    scores = capped(totals, code)
    assert (np.diff(scores) > 0).all()
    assert scores[-1] == pytest.approx(STATUS_CAPS[code])
    assert (scores <= totals + 1e-9).all()
    best = next(letter for letter, least in GRADES if STATUS_CAPS[code] >= least)
    assert status is Status.FITS or dict(GRADES)[best] == STATUS_KNEES[code]
    for total, one in zip(totals, scores, strict=True):
        assert grade(one) == (best if total >= STATUS_KNEES[code] else grade(total))


@pytest.mark.parametrize("status", [Status.DOES_NOT_FIT, Status.UNSUPPORTED])
def test_what_does_not_run_scores_nothing(status: Status) -> None:
    assert (capped(np.array([0.0, 50.0, 100.0]), STATUSES.index(status)) == 0).all()


def test_sixteen_bits_are_sixteen_bits_per_weight() -> None:
    """Of models with a tied table, too: it is loaded twice and is one."""
    quants = tuple(specs.quant(CATALOG.quants[slug]) for slug in ("f16", "bf16-safetensors", "q8-0", "iq2-xxs"))
    tied = 0
    for slug, entry in CATALOG.models.items():
        if specs.missing_facts(entry):
            continue
        model = specs.architecture(entry)
        tables = model_tables(model, quants)
        f16, bf16, q8, iq2 = tables.bits_per_weight
        assert bf16 == pytest.approx(16.0, abs=0.01), slug
        # Few tensors stay in 32 bits, and experts that were trained in four stay in those.
        assert f16 < 16.5, slug
        assert iq2 < q8, slug
        assert q8 < 8.7, slug
        tied += model.tied_embeddings
    assert tied > 50
