"""Time to a whole answer, and whether it is in time."""

from __future__ import annotations

import numpy as np
import pytest

from db.entries import specs
from estimator.types import Workload
from estimator.usability import (
    SLOWLY,
    YES,
    answer_seconds,
    comfortable_seconds,
    is_usable,
    usability,
    wait_ms,
    written_tokens,
)
from tests.support.catalogs import CATALOG

WORKLOADS = {slug: specs.workload(entry) for slug, entry in CATALOG.workloads.items()}


def test_an_answer_is_the_first_token_and_all_that_follow() -> None:
    assert answer_seconds(2000.0, 20.0, 1000) == pytest.approx(52.0)


def test_what_does_not_run_never_answers() -> None:
    assert answer_seconds(100.0, np.array([0.0, 20.0]), 10).tolist() == [np.inf, 0.6]


def test_an_unknown_wait_counts_as_the_longest_usable_one() -> None:
    chat = WORKLOADS["chat"]
    assert wait_ms(chat, np.array([0.0, 100.0])).tolist() == [chat.usable_ttft_ms, 100.0]


def test_thinking_comes_on_top_of_the_answer() -> None:
    coding = WORKLOADS["coding"]
    assert written_tokens(coding, 0.5) - written_tokens(coding, 0.0) == coding.thinking_tokens / 2 > 0


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)
def test_the_comfortable_answer_is_usable_and_more_of_anything_bad_ends_that(workload: Workload) -> None:
    seconds = comfortable_seconds(workload)
    assert seconds < workload.usable_answer_s
    good = workload.patience_ttft_ms, workload.comfortable_decode_tok_s, seconds
    assert is_usable(workload, *good)
    assert not is_usable(workload, workload.usable_ttft_ms * 1.01, *good[1:])
    assert not is_usable(workload, good[0], workload.minimum_decode_tok_s * 0.99, seconds)
    assert not is_usable(workload, *good[:2], workload.usable_answer_s * 1.01)


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)
def test_yes_is_a_whole_answer_in_the_comfortable_time(workload: Workload) -> None:
    wait, speed = workload.patience_ttft_ms * 1.1, workload.comfortable_decode_tok_s * 1.5
    seconds = answer_seconds(wait, speed, workload.output_tokens)
    assert seconds < comfortable_seconds(workload)
    assert usability(workload, wait, speed, seconds) == YES
    assert usability(workload, wait, speed, comfortable_seconds(workload) * 1.01) == SLOWLY
