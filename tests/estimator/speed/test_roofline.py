"""Parts of the speed model that a closed form gives."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from estimator.speed.roofline import USED_EXPERTS, expert_spread
from estimator.speed.work import DecodeWork
from estimator.structure.arrays import Floats

STREAMS = np.array([1.0, 2.0, 8.0, 64.0, 4096.0])


def spread(count: float, per_token: float) -> Floats:
    sizes = {"expert_count": np.full(len(STREAMS), count), "experts_per_token": np.full(len(STREAMS), per_token)}
    return np.asarray(expert_spread(cast(DecodeWork, SimpleNamespace(batch=STREAMS, **sizes))))


@pytest.mark.parametrize(("count", "per_token"), [(8.0, 2.0), (32.0, 4.0), (256.0, 8.0)])
def test_streams_share_the_experts_that_routers_favour(count: float, per_token: float) -> None:
    times = spread(count, per_token)
    assert times[0] == pytest.approx(1.0)
    assert (np.diff(times) > 0).all()
    assert times[1] < 2.0
    assert times[-1] == pytest.approx(USED_EXPERTS * count / per_token)


@pytest.mark.parametrize(("count", "per_token"), [(0.0, 0.0), (2.0, 2.0)])
def test_a_step_that_reads_everything_reads_no_more_for_further_streams(count: float, per_token: float) -> None:
    assert spread(count, per_token) == pytest.approx(1.0)
