"""Purchases from catalog names, and the phrases that explain them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api.answers.choices.purchases import purchases, rent_or_buy, terms_of, why_budget_is_left, why_missed, why_unpriced
from api.errors import QuestionError
from estimator.calibration.coefficients import Calibration
from estimator.judgement.needs import needs_of
from tests.support.answers import CATALOG, workload

CALIBRATION = Calibration.load()
APPLE = frozenset({"apple"})


def test_a_mac_for_a_large_mixture_of_experts() -> None:
    terms = replace(terms_of(CATALOG), vendors=APPLE)
    answer = purchases(CATALOG, CALIBRATION, ["gpt-oss 120B"], needs_of(workload("chat")), terms)
    first = answer.purchases.meeting[0]
    assert first.offer.computer is not None
    assert first.offer.computer.slug == "mac-studio-m5-max-40c-128gb"
    assert {p.offer.ware.accelerator.vendor for p in (*answer.purchases.meeting, *answer.purchases.unpriced)} == APPLE
    withdrawn = next(p for p in answer.purchases.unpriced if p.offer.computer and p.offer.computer.discontinued)
    assert "no price of today" in why_unpriced(withdrawn.offer)[0]


def test_the_best_model_within_a_budget() -> None:
    terms = replace(terms_of(CATALOG), budget_usd=2500.0, vendors=APPLE)
    answer = purchases(CATALOG, CALIBRATION, [], needs_of(workload("chat")), terms)
    assert len(answer.subjects) > 10
    assert all(p.offer.usd is not None and p.offer.usd <= 2500 for p in answer.purchases.meeting)
    over = next(p for p in answer.purchases.near if p.offer.usd is not None and p.offer.usd > 2500)
    assert "above the budget" in " ".join(why_missed(over))


def test_more_money_buys_something_better_or_the_answer_says_why_not() -> None:
    needs, terms = needs_of(workload("coding")), terms_of(CATALOG)
    answers = {
        budget: purchases(CATALOG, CALIBRATION, ["qwen3-32b"], needs, replace(terms, budget_usd=budget))
        for budget in (2_500.0, 10_000.0, 40_000.0)
    }
    firsts = {budget: answer.purchases.meeting[0] for budget, answer in answers.items()}
    assert firsts[10_000.0].setup.rating > firsts[2_500.0].setup.rating
    assert why_budget_is_left(answers[2_500.0]) is None
    left = why_budget_is_left(answers[40_000.0])
    assert left is not None
    best = answers[40_000.0].purchases.best_rated
    assert best is not None
    assert left.values["points"] == best.setup.rating - firsts[40_000.0].setup.rating


def test_a_card_without_a_fan_carries_a_caution() -> None:
    answer = purchases(CATALOG, CALIBRATION, ["qwen3-8b"], needs_of(workload("coding")), terms_of(CATALOG))
    cautions = {
        p.offer.ware.accelerator.slug: p.offer.cautions for p in (*answer.purchases.meeting, *answer.purchases.beaten)
    }
    assert "no fan" in cautions["tesla-p40"][0]
    assert cautions["rtx-3090"] == ()


def test_rent_or_buy_at_the_hours_stated() -> None:
    told = rent_or_buy(CATALOG, "H100 PCIe", replace(terms_of(CATALOG), hours_a_month=100.0))
    assert told.buy is not None
    assert told.rent is not None
    assert told.usd_a_month == pytest.approx(100 * told.rent.usd)
    assert told.months == pytest.approx(told.buy.usd / told.usd_a_month)
    module = rent_or_buy(CATALOG, "H100 SXM5", terms_of(CATALOG))
    assert (module.sold_as_card, module.usd_a_month, module.months) == (False, None, None)
    assert module.as_card is not None
    assert module.as_card.buy is not None
    assert module.as_card.sold_as_card
    assert told.as_card is None


@pytest.mark.parametrize(
    ("models", "owned", "field"),
    [(["no such model"], None, "model"), ([], "nvidia-dgx-spark", "computer"), ([], "no such", "computer")],
)
def test_bad_names_are_refused(models: list[str], owned: str | None, field: str) -> None:
    with pytest.raises(QuestionError) as error:
        purchases(CATALOG, CALIBRATION, models, needs_of(workload("chat")), terms_of(CATALOG, owned))
    assert error.value.field == field
