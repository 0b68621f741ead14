"""Tokens that an engine that pages holds for each of several streams."""

from __future__ import annotations

from dataclasses import replace

from estimator.placement.demand import Situation

WHOLE = Situation(prompt_tokens=8_000, output_tokens=1_000, context_tokens=16_000, depth_tokens=8_000.0)


def held(streams: int, depth: float = 8_000.0) -> int:
    return replace(WHOLE, batch=streams, depth_tokens=depth, expected_occupancy=True).held_tokens


def test_the_whole_context_is_held_unless_streams_are_at_all_depths() -> None:
    assert replace(WHOLE, batch=400).held_tokens == 16_000
    assert 8_000 < held(400) < held(4) < 16_000


def test_one_stream_may_grow_to_the_whole_context() -> None:
    assert all(streams * held(streams, depth=10.0) >= 16_000 for streams in range(1, 40))
