"""The number of streams is the largest that fits and keeps its speed: one more does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from estimator.estimate import estimate
from estimator.fit_facts import FitFacts
from estimator.judgement.serving import MAX_STREAMS, serving
from estimator.types import Status
from tests.support import answers as support


def comfortable(facts: FitFacts, streams: int) -> bool:
    assert facts.workload is not None
    one = estimate(facts.model, replace(facts.request, batch=streams), support.CALIBRATION, facts.workload)
    whole = one.status in (Status.FITS, Status.FITS_TIGHTLY)
    return whole and one.decode is not None and one.decode.value >= facts.workload.comfortable_decode_tok_s


def test_one_more_stream_would_be_too_many() -> None:
    seen = 0
    for one in support.random_facts(120, seed=31):
        found = serving(one, support.CALIBRATION)
        if found is None:
            assert not comfortable(one, 1)
            continue
        seen += 1
        assert comfortable(one, found.streams)
        assert found.streams == MAX_STREAMS or not comfortable(one, found.streams + 1)
        assert found.tok_s_total == pytest.approx(found.tok_s_each * found.streams)
        if found.joules_per_token is not None:
            assert found.joules_per_token > 0
    assert seen > 20


def test_a_free_question_serves_nobody() -> None:
    one = replace(support.facts_of("qwen3-8b", "rtx-3090", "q4-k-m"), workload=None)
    assert serving(one, support.CALIBRATION) is None


def test_cost_is_energy_and_the_purchase_spread_over_its_use() -> None:
    for one in support.random_facts(60, seed=32):
        found = serving(one, support.CALIBRATION)
        if found is None:
            continue
        device = one.accelerator
        if device.tdp_w is None:
            assert found.usd_per_million_tokens(0.3) is None
            continue
        hours = 1e6 / found.tok_s_total / 3600
        energy = device.tdp_w / 1000 * hours * 0.3
        assert found.usd_per_million_tokens(0.3) == pytest.approx(energy)
        if device.msrp_usd is None:
            assert found.usd_per_million_tokens(0.3, 3) is None
        else:
            bought = device.msrp_usd * hours / (3 * 365.25 * 24)
            assert found.usd_per_million_tokens(0.3, 3) == pytest.approx(energy + bought)
