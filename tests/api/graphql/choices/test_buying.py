"""Computers, prices and purchases through GraphQL."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

PURCHASE = """{ name gpu { slug } gpuCount computer { slug cardPlaces } priceUsd parts { name count price { usd date source }
  lastPrice { usd } } model { slug } quant { slug } decodeTokensPerSecond ttftMs lossPoints answerSeconds
  misses { code message values } unknownPrices { code message values } }"""
PURCHASES = (
    "query($for: PurchaseInput!, $buyer: BuyerInput, $first: Int) { purchases(input: $for, buyer: $buyer, first: $first) "
    f"{{ pricesUntil streams notEstimated {{ slug gpu {{ slug }} cardPlaces }} meeting {PURCHASE} nearMisses {PURCHASE} "
    f"unpriced {PURCHASE} "
    f"rentals {{ purchase {PURCHASE} usdPerHour usdPerMonth breakEvenMonths price {{ usd }} }} }} }}"
)


async def test_prices_and_board_of_an_accelerator(data: Any) -> None:
    gpu = (
        await data(
            """{ gpu(slug: "rtx-4090") { board { form slots powerSupplyWatts } prices { kind usd date source suspect }
            hours: prices(kinds: [CLOUD_HOUR]) { kind } currentPrice { kind usd }
            newPrice: currentPrice(used: false) { kind } } }"""
        )
    )["gpu"]
    assert gpu["board"] == {"form": "CARD", "slots": 3, "powerSupplyWatts": 850}
    assert all(price["source"] for price in gpu["prices"])
    assert any(price["suspect"] for price in gpu["prices"])
    assert {price["kind"] for price in gpu["hours"]} == {"CLOUD_HOUR"}
    assert gpu["newPrice"] == {"kind": "STREET_NEW"}
    sound = [price["usd"] for price in gpu["prices"] if not price["suspect"]]
    assert gpu["currentPrice"]["usd"] in sound
    dates = [price["date"] or "" for price in gpu["prices"]]
    assert dates == sorted(dates, reverse=True)


async def test_the_price_of_a_built_in_accelerator_is_that_of_its_computer(data: Any) -> None:
    query = """{ gpu(slug: "apple-m3-max-30c-36gb") { currentPrice { usd } prices { usd } }
      rentOrBuy(gpu: "rtx-4090") { asCard { soldAsCard } } }"""
    reply = await data(query)
    assert reply == {"gpu": {"currentPrice": None, "prices": []}, "rentOrBuy": {"asCard": None}}


async def test_computers_are_pages_and_nodes(data: Any) -> None:
    query = """query($a: String) { computers(first: 50, after: $a)
      { totalCount nodes { id slug } pageInfo { hasNextPage endCursor } } }"""
    page, slugs = (await data(query))["computers"], []
    while True:
        slugs += [node["slug"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        page = (await data(query, a=page["pageInfo"]["endCursor"]))["computers"]
    assert slugs == sorted(slugs)
    assert len(slugs) == page["totalCount"]
    computer = page["nodes"][0]
    again = await data("query($id: ID!) { node(id: $id) { ... on Computer { slug } } }", id=computer["id"])
    assert again["node"]["slug"] == computer["slug"]


async def test_a_computer_has_its_accelerator_or_its_host(data: Any) -> None:
    computers = await data(
        """{ studio: computer(slug: "mac-studio-m5-max-40c-128gb") { memoryBytes form host { slug } currentPrice { usd kind } }
        desktop: computer(slug: "desktop-2-cards-1500w-64gb") { gpu { slug } host { slug } cardPlaces powerSupplyWatts }
        gone: computer(slug: "mac-studio-m4-max-40c-128gb") { discontinued currentPrice { usd } prices { usd } }
        some: computers(gpu: "rtx-4090") { totalCount } }"""
    )
    assert computers["studio"]["currentPrice"] == {"usd": 5099, "kind": "SYSTEM"}
    assert computers["desktop"] == {
        "gpu": None, "host": {"slug": "desktop-ddr5-5600-64gb"}, "cardPlaces": 2, "powerSupplyWatts": 1500,
    }  # fmt: skip
    assert computers["gone"]["currentPrice"] is None
    assert computers["gone"]["prices"]
    assert computers["some"]["totalCount"] == 0


async def test_purchases_meet_the_need_at_dated_prices(data: Any) -> None:
    asked = {"models": ["llama-3.1-8b"], "workload": "CHAT", "decodeTokensPerSecond": 20}
    purchases = (await data(PURCHASES, **{"for": asked, "buyer": {"budgetUsd": 5000, "hoursPerMonth": 100}}))[
        "purchases"
    ]
    assert purchases["meeting"]
    for purchase in purchases["meeting"]:
        assert purchase["priceUsd"] <= 5000
        assert purchase["priceUsd"] == pytest.approx(
            sum(part["count"] * part["price"]["usd"] for part in purchase["parts"])
        )
        assert purchase["decodeTokensPerSecond"] >= 20
        assert purchase["lossPoints"] <= 1
        assert purchase["misses"] == purchase["unknownPrices"] == []
    assert purchases["streams"] == 1
    assert all(purchase["unknownPrices"] and purchase["priceUsd"] is None for purchase in purchases["unpriced"])
    assert all(purchase["misses"] for purchase in purchases["nearMisses"])
    assert all(computer["gpu"] is None and computer["cardPlaces"] == 0 for computer in purchases["notEstimated"])
    first = purchases["meeting"][0]["priceUsd"]
    for rental in purchases["rentals"]:
        assert rental["usdPerMonth"] == pytest.approx(100 * rental["usdPerHour"])
        assert rental["breakEvenMonths"] == pytest.approx(first / rental["usdPerMonth"])


@pytest.mark.parametrize(("kind", "is_mixture"), [("MIXTURE_OF_EXPERTS", True), ("DENSE", False)])
async def test_the_best_model_of_a_kind(data: Any, kind: str, is_mixture: bool) -> None:
    query = """query($kind: ModelKind) { purchases(input: {modelKind: $kind}, buyer: {budgetUsd: 5000}) {
        meeting { model { mixtureOfExperts { expertCount } } } } }"""
    meeting = (await data(query, kind=kind))["purchases"]["meeting"]
    assert {purchase["model"]["mixtureOfExperts"] is not None for purchase in meeting} == {is_mixture}


async def test_lists_are_shortened(data: Any) -> None:
    purchases = (await data(PURCHASES, **{"for": {"models": ["llama-3.1-8b"]}, "first": 1}))["purchases"]
    assert [len(purchases[name]) for name in ("meeting", "unpriced")] == [1, 1]


async def test_rent_or_buy(data: Any) -> None:
    query = """query($buyer: BuyerInput) { rentOrBuy(gpu: "rtx-4090", buyer: $buyer)
      { gpu { slug } soldAsCard price { usd } hour { usd } usdPerMonth breakEvenMonths } }"""
    answer = (await data(query, buyer={"hoursPerMonth": 50}))["rentOrBuy"]
    assert answer["usdPerMonth"] == pytest.approx(50 * answer["hour"]["usd"])
    assert answer["breakEvenMonths"] == pytest.approx(answer["price"]["usd"] / answer["usdPerMonth"])
    assert answer["soldAsCard"] is True


@pytest.mark.parametrize(
    ("asked", "buyer", "code"),
    [
        ({"models": ["nothing"]}, {}, "NOT_FOUND"),
        ({"models": ["llama-3.1-8b"], "modelKind": "CHAT"}, {}, "BAD_USER_INPUT"),
        ({"users": 0}, {}, "BAD_USER_INPUT"),
        ({"decodeTokensPerSecond": -1}, {}, "BAD_USER_INPUT"),
        ({"models": ["llama-3.1-8b"] * 21}, {}, "LIMIT_EXCEEDED"),
        ({}, {"computer": "nothing at all"}, "NOT_FOUND"),
        ({}, {"computer": "nvidia-dgx-spark"}, "BAD_USER_INPUT"),
        ({}, {"cards": 9}, "BAD_USER_INPUT"),
        ({}, {"hoursPerMonth": 800}, "BAD_USER_INPUT"),
        ({}, {"budgetUsd": 0}, "BAD_USER_INPUT"),
    ],
)
async def test_bad_questions_are_typed_errors(
    ask: Any, asked: dict[str, Any], buyer: dict[str, Any], code: str
) -> None:
    answer = await ask(PURCHASES, **{"for": asked, "buyer": buyer})
    assert answer["errors"][0]["extensions"]["code"] == code
