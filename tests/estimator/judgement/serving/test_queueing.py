"""The queue of people against a simulation and known limits."""

from __future__ import annotations

import random

import numpy as np
import pytest

from estimator.judgement.serving.queueing import MAX_PEOPLE, ServerPace, load_of, people_served


def pace(prefill_s: float = 0.5, most: int = 8, alone: float = 40.0, together: float = 120.0) -> ServerPace:
    """A server whose streams share a total speed that saturates."""
    streams = np.arange(1, most + 1)
    return ServerPace(prefill_s, prefill_s, np.minimum(alone, together / streams), 400)


def simulated(people: int, think_s: float, server: ServerPace, seconds: float, seed: int) -> tuple[float, float]:
    """Requests present on average and answered a second, with exponential thinking and work."""
    draw = random.Random(seed)
    rates = np.arange(1, server.most_streams + 1) / server.request_seconds()
    now = weighted = 0.0
    present = answered = 0
    while now < seconds:
        leaving = rates[min(present, server.most_streams) - 1] if present else 0.0
        arriving = (people - present) / think_s
        step = draw.expovariate(leaving + arriving)
        weighted, now = weighted + step * present, now + step
        if draw.random() * (leaving + arriving) < leaving:
            present, answered = present - 1, answered + 1
        else:
            present += 1
    return weighted / now, answered / now


@pytest.mark.parametrize("people", [1, 5, 20, 60])
def test_the_stationary_state_is_that_of_a_simulation(people: int) -> None:
    server = pace()
    load = load_of(people, 60.0, server)
    present, rate = simulated(people, 60.0, server, 200_000, people)
    assert load.active_streams == pytest.approx(present, rel=0.1)
    assert load.total_tok_s == pytest.approx(rate * server.output_tokens, rel=0.05)


def test_one_person_has_the_server_alone() -> None:
    server = pace()
    load = load_of(1, 60.0, server)
    answer_s = server.prefill_s + server.output_tokens / server.decode_tok_s[0]
    assert load.working_share == pytest.approx(answer_s / (answer_s + 60.0))
    assert (load.decode_tok_s, load.ttft_s) == pytest.approx((40.0, 0.5))
    assert (load.busy_active_streams, load.busy_decode_tok_s) == (1, pytest.approx(40.0))


def test_more_people_are_never_better_for_one_of_them() -> None:
    loads = [load_of(people, 60.0, pace()) for people in (1, 2, 5, 10, 30, 100, 400)]
    for name in ("busy_ttft_s", "ttft_s", "active_streams", "total_tok_s", "working_share"):
        values = [getattr(load, name) for load in loads]
        assert values == pytest.approx(sorted(values)), name
    speeds = [load.busy_decode_tok_s for load in loads]
    assert speeds == sorted(speeds, reverse=True)
    full = pace()
    most = full.most_streams * full.output_tokens / full.request_seconds()[-1]
    assert loads[-1].total_tok_s == pytest.approx(most, rel=0.01)


def test_a_request_beyond_the_last_place_waits_for_it() -> None:
    server = pace(most=1)
    alone, two = load_of(1, 0.001, server), load_of(2, 0.001, server)
    answer_s = server.prefill_s + server.output_tokens / server.decode_tok_s[0]
    assert alone.ttft_s == pytest.approx(server.prefill_s)
    assert two.ttft_s == pytest.approx(server.prefill_s + answer_s, rel=0.01)


def test_one_more_person_would_be_too_many() -> None:
    for server in (pace(), pace(prefill_s=3.0), pace(most=2)):
        people = people_served(60.0, server, 15.0, 5.0)
        assert people > 0
        for number, served in ((people, True), (people + 1, False)):
            load = load_of(number, 60.0, server)
            assert (load.busy_decode_tok_s >= 15.0 and load.busy_ttft_s <= 5.0) is served
    assert people_served(60.0, pace(), 41.0, 5.0) == 0
    assert people_served(60.0, pace(), 15.0, 0.4) == 0


@pytest.mark.parametrize("people", [0, MAX_PEOPLE + 1])
def test_a_number_out_of_range_is_named(people: int) -> None:
    with pytest.raises(ValueError, match="people must be 1 to"):
        load_of(people, 60.0, pace())
