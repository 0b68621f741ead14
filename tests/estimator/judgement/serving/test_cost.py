"""Cost of tokens: purchase by the hours of use, energy by the hours of work."""

from __future__ import annotations

from dataclasses import replace

import pytest

from estimator.judgement.serving.cost import System, cost_of
from estimator.judgement.serving.queueing import Load

LOAD = Load(
    people=10, active_streams=2.0, busy_active_streams=4, decode_tok_s=30.0, busy_decode_tok_s=20.0, ttft_s=0.5,
    busy_ttft_s=1.0, total_tok_s=100.0, working_share=0.8,
)  # fmt: skip
HOURS = 1e6 / 100.0 / 3600


def test_purchase_and_energy_follow_from_hours() -> None:
    cost = cost_of(LOAD, System(8766.0, 500.0, 0.3, years=1.0, utilisation=0.5))
    # 8,766 hours a year: a dollar an hour, two at half use.
    assert cost.purchase_usd == pytest.approx(2.0 * HOURS)
    assert cost.energy_usd == pytest.approx(0.5 * 0.8 * HOURS * 0.3)
    assert cost.total_usd == pytest.approx(2.0 * HOURS + 0.5 * 0.8 * HOURS * 0.3)


def test_what_is_unknown_stays_unknown() -> None:
    system = System(None, 500.0, 0.3)
    assert cost_of(LOAD, system).purchase_usd is None
    assert cost_of(LOAD, system).total_usd is None
    without_power = cost_of(LOAD, replace(system, price_usd=1000.0, power_w=None))
    assert without_power.energy_usd is without_power.total_usd is None
    assert without_power.purchase_usd is not None


def test_energy_of_a_token_does_not_depend_on_idle_hours() -> None:
    often, seldom = (cost_of(LOAD, System(1000.0, 500.0, 0.3, utilisation=share)) for share in (1.0, 0.1))
    assert often.energy_usd == seldom.energy_usd
    assert seldom.purchase_usd == pytest.approx(10 * (often.purchase_usd or 0))
