"""Cache of several streams at all depths, on a server with pages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from estimator.estimate import estimate
from estimator.placement.demand import situation_of
from estimator.placement.hardware import server_step_tokens
from estimator.structure.paged_cache import request_bytes
from estimator.types import CacheType
from tests.support import answers


@pytest.mark.parametrize("streams", [1, 4, 20])
@pytest.mark.parametrize(
    ("model", "quant"), [("gpt-oss-120b", "mxfp4-checkpoint"), ("gemma-4-31b", "fp8"), ("qwen3-32b", "fp8")]
)
def test_the_tokens_of_a_step_are_held_once_by_all_streams(model: str, quant: str, streams: int) -> None:
    facts = answers.facts_of(model, "h100-sxm5-80-gb", quant, "chat")
    request = replace(facts.request, batch=streams, expected_occupancy=True)
    answer = estimate(facts.model, request, answers.CALIBRATION, facts.workload)
    held_tokens = replace(situation_of(facts.workload), batch=streams, expected_occupancy=True).held_tokens
    reserved, contexts = request_bytes(facts.model, CacheType.F16, 1), np.array([float(held_tokens)])
    in_step = float(reserved(contexts, server_step_tokens(facts.request.accelerator))[0])
    waiting = float(reserved(contexts, 1)[0])
    assert answer.memory.kv_cache_bytes == pytest.approx(in_step + (streams - 1) * waiting, rel=1e-6)
    # A window lets go of all but its own tokens.
    assert (waiting < 0.7 * in_step) == (model != "qwen3-32b")


def test_an_accelerator_of_80_gb_serves_twenty_people_with_gpt_oss_120b() -> None:
    facts = answers.facts_of("gpt-oss-120b", "h100-sxm5-80-gb", "mxfp4-checkpoint", "chat")
    request = replace(facts.request, batch=20, expected_occupancy=True)
    assert estimate(facts.model, request, answers.CALIBRATION, facts.workload).decode is not None
