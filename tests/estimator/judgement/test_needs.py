"""Needs: those of the workload where nothing else is asked."""

from __future__ import annotations

import numpy as np
import pytest

from estimator.judgement.needs import NOTICEABLE_POINTS, Miss, Need, needs_of
from estimator.judgement.serving.queueing import ServerPace, load_of
from tests.support.answers import workload


def test_defaults_are_those_of_the_workload() -> None:
    use = workload("coding")
    plain = needs_of(use)
    assert (plain.workload, plain.users, plain.loss_points) == (use, 1, NOTICEABLE_POINTS)
    asked = needs_of(use, decode_tok_s=20.0, ttft_ms=1000.0, context_tokens=4000, loss_points=0.5, users=3)
    assert (asked.workload.minimum_decode_tok_s, asked.workload.usable_ttft_ms, asked.workload.context_tokens) == (
        20.0,
        1000.0,
        4000,
    )
    assert (asked.users, asked.loss_points) == (3, 0.5)


def test_several_users_get_the_comfortable_speed() -> None:
    use = workload("chat")
    assert needs_of(use, users=20).workload.minimum_decode_tok_s == use.comfortable_decode_tok_s
    assert needs_of(use, users=20, decode_tok_s=8.0).workload.minimum_decode_tok_s == 8.0


def test_everyone_waits_at_next_to_no_speed() -> None:
    assert needs_of(workload("rag"), users=19, decode_tok_s=1e-320).streams(0.0) == 19


def test_busy_moments_are_those_of_the_queue() -> None:
    """A server that is exactly as fast as the need asks for holds, in its busy moments, about the streams of the need."""
    use = workload("chat")
    for users in (2, 20, 200):
        needs = needs_of(use, users=users)
        streams = needs.streams(0.0)
        speed = np.full(streams, use.comfortable_decode_tok_s)
        prefill_s = use.patience_ttft_ms / 1000 / streams
        pace = ServerPace(prefill_s, prefill_s, speed, use.answer_tokens)
        busy = load_of(users, use.think_s, pace).busy_active_streams
        assert streams == pytest.approx(busy, abs=1 + 0.1 * users)
        assert streams <= users
        assert needs.streams(1.0) > streams or users == 2
    assert needs_of(use).streams(1.0) == 1


@pytest.mark.parametrize(("needed", "has", "factor"), [(20.0, 10.0, 2.0), (2500.0, 5000.0, 2.0), (1.0, 1.0, 1.0)])
def test_the_factor_of_a_miss_is_above_one_either_way(needed: float, has: float, factor: float) -> None:
    assert Miss(Need.DECODE, needed, has).factor == factor
