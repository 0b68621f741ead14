"""Purchases from catalog names, and the phrases that explain them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api.answers.choices.purchases import Judges, purchases, rent_or_buy, terms_of, why_missed, why_unpriced
from api.errors import QuestionError
from estimator.calibration.coefficients import Calibration
from estimator.judgement.needs import needs_of
from tests.support.answers import CATALOG, workload

JUDGES = Judges(CATALOG, Calibration.load())
APPLE = frozenset({"apple"})
#: Model, workload and budget in US dollars; what a knowledgeable user buys for it, and what not, each number by accelerator.
BUYERS = [
    ("gpt-oss-120b", "coding", 3000, (1, "strix-halo-8060s-128gb"), (1, "rtx-3090")),  # all of it in one memory
    ("gpt-oss-120b", "coding", 5000, (1, "strix-halo-8060s-128gb"), (1, "dgx-spark")),  # as good, for less
    ("gpt-oss-20b", "chat", 2000, (1, "rtx-5060-ti-16-gb"), (1, "tesla-p40")),  # no server part of 2016
    ("qwen3-coder-next", "coding", 4500, (1, "strix-halo-8060s-128gb"), (1, "rtx-4060-ti-16-gb")),  # fits whole
    ("glm-4.5-air", "chat", 4000, (1, "strix-halo-8060s-128gb"), (1, "rtx-5060-ti-16-gb")),  # fits whole
    ("qwen3.8-27b", "coding", 3000, (1, "rtx-3090"), (1, "strix-halo-8060s-64gb")),  # a dense model wants bandwidth
    ("llama-3.3-70b", "chat", 6000, (2, "rtx-3090"), (1, "dgx-spark")),  # the same
    ("qwen3.5-4b", "chat", 1000, (1, "rtx-3060-12-gb"), (1, "tesla-m40-24-gb")),  # no server part of 2015
]


def test_a_mac_for_a_large_mixture_of_experts() -> None:
    terms = replace(terms_of(CATALOG), vendors=APPLE)
    answer = purchases(JUDGES, ["gpt-oss 120B"], needs_of(workload("chat")), terms)
    first = answer.purchases.meeting[0]
    assert first.offer.computer is not None
    assert first.offer.computer.slug == "mac-studio-m5-max-40c-128gb"
    assert {p.offer.ware.accelerator.vendor for p in (*answer.purchases.meeting, *answer.purchases.unpriced)} == APPLE
    withdrawn = next(p for p in answer.purchases.unpriced if p.offer.computer and p.offer.computer.discontinued)
    assert "no price of today" in why_unpriced(withdrawn.offer)[0]


def test_the_best_model_within_a_budget() -> None:
    terms = replace(terms_of(CATALOG), budget_usd=2500.0, vendors=APPLE)
    answer = purchases(JUDGES, [], needs_of(workload("chat")), terms)
    assert len(answer.subjects) > 10
    assert all(p.offer.usd is not None and p.offer.usd <= 2500 for p in answer.purchases.meeting)
    over = next(p for p in answer.purchases.near if p.offer.usd is not None and p.offer.usd > 2500)
    assert "above the budget" in " ".join(why_missed(over))


@pytest.mark.parametrize(("model", "use", "budget_usd", "bought", "left"), BUYERS)
def test_machines_for_a_model_are_in_the_order_of_a_knowledgeable_user(
    model: str, use: str, budget_usd: float, bought: tuple[int, str], left: tuple[int, str]
) -> None:
    answer = purchases(JUDGES, [model], needs_of(workload(use)), replace(terms_of(CATALOG), budget_usd=budget_usd))
    value = {
        (purchase.offer.count, purchase.offer.ware.accelerator.slug): purchase.value
        for purchase in (*answer.purchases.beaten, *answer.purchases.meeting)
    }
    assert value[bought] > value[left]


def test_rent_or_buy_at_the_hours_stated() -> None:
    card = rent_or_buy(CATALOG, "H100 PCIe", replace(terms_of(CATALOG), hours_a_month=100.0))
    assert card.buy is not None
    assert card.rent is not None
    assert card.usd_a_month == pytest.approx(100 * card.rent.usd)
    assert card.months == pytest.approx(card.buy.usd / card.usd_a_month)
    module = rent_or_buy(CATALOG, "H100 SXM5", terms_of(CATALOG))
    assert (module.sold_as_card, module.usd_a_month, module.months) == (False, None, None)
    assert module.as_card is not None
    assert module.as_card.buy is not None
    assert module.as_card.sold_as_card
    assert card.as_card is None


@pytest.mark.parametrize(
    ("models", "owned", "field"),
    [(["no such model"], None, "model"), ([], "nvidia-dgx-spark", "computer"), ([], "no such", "computer")],
)
def test_bad_names_are_refused(models: list[str], owned: str | None, field: str) -> None:
    with pytest.raises(QuestionError) as error:
        purchases(JUDGES, models, needs_of(workload("chat")), terms_of(CATALOG, owned))
    assert error.value.field == field
