"""A fit as a server: points of a curve, engines in order, and costs that follow from them."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIT = 'fit(model: "llama-3.1-8b", gpu: "rtx-4090", quant: "Q4_K_M", workload: CHAT)'
POINTS = f"""query($people: [Int!], $price: Float, $power: Float, $tariff: Float!, $years: Float!, $share: Float!) {{ {FIT} {{
  gpu {{ powerWatts }} serving {{ people streams mostStreams joulesPerToken tokensPerSecondTotal
  points(people: $people) {{ people activeStreams busyActiveStreams tokensPerSecond busyTokensPerSecond ttftMs busyTtftMs
    tokensPerSecondTotal workingShare
    cost(electricityUsdPerKwh: $tariff, systemPriceUsd: $price, systemPowerWatts: $power, years: $years, utilisation: $share)
      {{ purchaseUsd energyUsd totalUsd }} }} }} }} }}"""
GIVEN = {"tariff": 0.3, "years": 4.0, "share": 0.5}


async def test_a_curve_goes_beyond_those_that_are_served(data: Any) -> None:
    serving = (await data(POINTS, **GIVEN))["fit"]["serving"]
    people = [point["people"] for point in serving["points"]]
    assert people == sorted(set(people))
    assert people[0] == 1
    assert people[-1] > serving["people"] > serving["streams"] > 1
    at = next(point for point in serving["points"] if point["people"] == serving["people"])
    assert at["busyTokensPerSecond"] >= 15
    assert at["busyTtftMs"] <= 3000
    totals = [point["tokensPerSecondTotal"] for point in serving["points"]]
    assert totals == sorted(totals)


async def test_costs_follow_from_price_power_and_load(data: Any) -> None:
    fit = (await data(POINTS, people=[20, 5, 20], price=3000.0, **GIVEN))["fit"]
    points = fit["serving"]["points"]
    assert [point["people"] for point in points] == [5, 20]
    for point in points:
        hours = 1e6 / point["tokensPerSecondTotal"] / 3600
        energy = fit["gpu"]["powerWatts"] / 1000 * point["workingShare"] * hours * 0.3
        assert point["cost"]["purchaseUsd"] == pytest.approx(3000 * hours / (4 * 365.25 * 24 * 0.5))
        assert point["cost"]["energyUsd"] == pytest.approx(energy)
        assert point["cost"]["totalUsd"] == pytest.approx(point["cost"]["purchaseUsd"] + energy)
    stronger = (await data(POINTS, people=[5], power=1000.0, **GIVEN))["fit"]["serving"]["points"][0]
    assert stronger["cost"]["purchaseUsd"] is stronger["cost"]["totalUsd"] is None
    watts = fit["gpu"]["powerWatts"]
    assert stronger["cost"]["energyUsd"] == pytest.approx(points[0]["cost"]["energyUsd"] * 1000 / watts)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tariff": -1.0},
        {"years": 0.0},
        {"share": 1.5},
        {"price": -1.0},
        {"power": -1.0},
        {"people": [0]},
        {"people": [1] * 51},
    ],
)
async def test_nonsense_is_refused(ask: Any, wrong: dict[str, Any]) -> None:
    (error, *_) = (await ask(POINTS, **{**GIVEN, "people": [1], **wrong}))["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["extensions"]["field"] in (
        "electricityUsdPerKwh", "years", "utilisation", "systemPriceUsd", "systemPowerWatts", "people",
    )  # fmt: skip


async def test_engines_are_in_the_order_of_people_served(data: Any) -> None:
    query = f"{{ {FIT} {{ serving {{ people engines {{ engine {{ kind }} quant {{ slug }} people streams mostStreams }} }} }} }}"
    serving = (await data(query))["fit"]["serving"]
    served = [engine["people"] for engine in serving["engines"]]
    assert len({engine["engine"]["kind"] for engine in serving["engines"]}) == len(served) > 1
    assert served == sorted(served, reverse=True)
    assert served[0] >= serving["people"]
