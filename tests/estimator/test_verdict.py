"""Scores in their bands, and the bits per weight of 16-bit files."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from db.entries import specs
from estimator.placement.layer_sums import model_tables
from estimator.usability import USABILITIES, Usability
from estimator.verdict import banded, grade, word_of
from tests.support.catalogs import CATALOG

LETTERS = {Usability.YES: "SAB", Usability.SLOWLY: "C", Usability.BARELY: "D", Usability.NO: "F"}


@pytest.mark.parametrize("word", list(Usability))
def test_a_band_keeps_the_order_and_has_letters_of_its_own(word: Usability) -> None:
    totals = np.arange(0.0, 1.0001, 0.001)
    scores = banded(totals, USABILITIES.index(word)).round(2)
    assert (np.diff(scores) >= 0).all()
    assert {grade(score) for score in scores} == set(LETTERS[word])
    assert {word_of(score) for score in scores} == {word}


def test_a_better_word_never_scores_less() -> None:
    totals = np.arange(0.0, 1.0001, 0.01)
    bands = [banded(totals, code) for code in range(len(USABILITIES))]
    for better, worse in itertools.pairwise(bands):
        assert better.min() > worse.max()


def test_sixteen_bits_are_sixteen_bits_per_weight() -> None:
    """A tied table is loaded twice and counts once."""
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
        assert q8 < 8.8, slug
        tied += model.tied_embeddings
    assert tied > 50


def test_tables_that_are_looked_up_do_not_widen_a_quantization() -> None:
    """Two bits of a model whose tables stay wide lose as two bits do."""
    quants = tuple(specs.quant(CATALOG.quants[slug]) for slug in ("iq2-xxs", "q4-k-m"))
    for slug in ("gemma-3n-e2b", "gemma-4-e2b"):
        iq2, q4 = model_tables(specs.architecture(CATALOG.models[slug]), quants).bits_per_weight
        assert iq2 < 3.4, slug
        assert q4 < 5.7, slug
