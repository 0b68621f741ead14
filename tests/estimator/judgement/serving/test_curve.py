"""A setup as a server: streams by memory and speed, expected occupancy of paging engines, people by the queue."""

from __future__ import annotations

from dataclasses import replace

import pytest

from estimator.calibration.loss import capability_loss
from estimator.calibration.scale import KIND_OF_WORKLOAD
from estimator.estimate import estimate
from estimator.fit_facts import FitFacts
from estimator.judgement.serving.curve import (
    MAX_STREAMS,
    MOST_LOSS_POINTS,
    Serving,
    by_engine,
    serving,
)
from estimator.placement.layer_sums import model_tables
from estimator.types import Engine, Estimate, EstimatorError, Status
from tests.support import answers as support


def with_streams(facts: FitFacts, server: Serving, streams: int) -> Estimate | None:
    """The estimate of so many streams with the context that the engine holds for each."""
    request = replace(facts.request, batch=streams, expected_occupancy=True)
    try:
        return estimate(facts.model, request, support.CALIBRATION, facts.workload)
    except EstimatorError:
        return None


def is_whole(answer: Estimate | None) -> bool:
    return answer is not None and answer.status in (Status.FITS, Status.FITS_TIGHTLY)


@pytest.fixture(scope="module")
def servers() -> list[tuple[FitFacts, Serving | None]]:
    return [(facts, serving(facts, support.CALIBRATION)) for facts in support.random_facts(60, seed=31)]


def test_one_more_stream_would_not_fit(servers: list[tuple[FitFacts, Serving | None]]) -> None:
    checked = 0
    for facts, server in servers:
        if server is None:
            continue
        most = server.pace.most_streams
        assert is_whole(with_streams(facts, server, most))
        assert most == MAX_STREAMS or not is_whole(with_streams(facts, server, most + 1))
        checked += 1
    assert checked > 10


def test_speeds_between_the_estimated_numbers_of_streams_are_close_to_their_own(
    servers: list[tuple[FitFacts, Serving | None]],
) -> None:
    for facts, server in servers:
        if server is None:
            continue
        for streams in (1, 5, 7, 20, 90):
            if streams <= server.pace.most_streams:
                answer = with_streams(facts, server, streams)
                assert answer is not None
                assert answer.decode is not None
                assert server.pace.decode_tok_s[streams - 1] == pytest.approx(answer.decode.value, rel=0.05)


def test_streams_and_people_have_what_the_workload_calls_comfortable(
    servers: list[tuple[FitFacts, Serving | None]],
) -> None:
    served = 0
    for facts, server in servers:
        assert facts.workload is not None
        if server is None:
            continue
        asked = facts.workload.comfortable_decode_tok_s
        assert (server.streams > 0) == bool(server.pace.decode_tok_s[0] >= asked)
        if server.people:
            load = server.load(server.people)
            assert load.busy_decode_tok_s >= asked
            assert load.busy_ttft_s * 1000 <= facts.workload.patience_ttft_ms
            # More people than streams: most of them think.
            assert server.people >= load.busy_active_streams
            served += 1
        numbers = [load.people for load in server.curve()]
        assert numbers == sorted(set(numbers))
        assert max(server.people, 1) in numbers
    assert served > 5


def test_a_free_question_and_an_offloaded_model_serve_nobody() -> None:
    facts = support.facts_of("qwen3-8b", "rtx-3090", "q4-k-m")
    assert serving(replace(facts, workload=None), support.CALIBRATION) is None
    assert by_engine(replace(facts, workload=None), support.CALIBRATION, ()) == []
    assert serving(support.facts_of("llama-3.3-70b", "rtx-4090", "q4-k-m"), support.CALIBRATION) is None


def test_paging_engines_hold_expected_contexts_and_others_whole_ones() -> None:
    facts = support.facts_of("llama-3.1-8b", "rtx-4090", "awq-int4", "chat")
    paged = serving(facts, support.CALIBRATION)
    assert paged is not None
    assert paged.engine is Engine.VLLM
    # The same memory with the whole context of each would hold fewer.
    full = replace(facts.request, batch=paged.pace.most_streams)
    assert not is_whole(estimate(facts.model, full, support.CALIBRATION, facts.workload))


def test_the_best_engine_comes_first_in_a_quantization_that_loses_little() -> None:
    quants = support.everything().quants
    for slugs in (("llama-3.1-8b", "rtx-4090", "q4-k-m", "chat"), ("qwen3-30b-a3b", "rtx-5090", "q4-k-m", "rag")):
        facts = support.facts_of(*slugs)
        ranked = by_engine(facts, support.CALIBRATION, quants)
        assert len({server.engine for server in ranked}) == len(ranked) >= 1
        assert [server.people for server in ranked] == sorted((server.people for server in ranked), reverse=True)
        assert facts.workload is not None
        for server in ranked:
            bits = float(model_tables(facts.model, (server.quant,)).bits_per_weight[0])
            divergence = support.CALIBRATION.losses.divergence(facts.model.training, server.quant, bits)
            kind = KIND_OF_WORKLOAD[facts.workload.kind]
            assert capability_loss(kind, divergence).points <= MOST_LOSS_POINTS
            alone = serving(replace(facts, request=replace(facts.request, quant=server.quant)), support.CALIBRATION)
            assert alone is not None
            assert (alone.people, alone.streams) == (server.people, server.streams)
        own = serving(facts, support.CALIBRATION)
        assert own is not None
        assert ranked[0].people >= own.people
