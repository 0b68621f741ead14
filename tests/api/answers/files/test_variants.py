"""Broken files: an answer or a typed error for each, within bounded memory."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from itertools import islice

from api.answers.questions import Answerer
from estimator.calibration.coefficients import Calibration
from tests.support.catalogs import CATALOG
from tests.support.file_variants import outcome, variants


def test_each_broken_file_gets_an_answer_or_a_typed_error() -> None:
    answerer = Answerer(CATALOG, Calibration.load())
    outcome(answerer, {"model": "llama-3.1-8b", "quant": "q4-k-m"})
    tracemalloc.start()
    counts = Counter(outcome(answerer, question) for question in islice(variants(11), 600))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert min(counts["answered"], counts["refused"]) > 50
    assert peak < 256 * 1024 * 1024
