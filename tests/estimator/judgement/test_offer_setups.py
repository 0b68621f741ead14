"""The best setup of each offer: asking about the roomiest computer or the best model first changes no answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from db.entries import market, specs
from db.entries.traits import model_traits
from estimator.calibration.coefficients import Calibration
from estimator.grid import Outline, outline
from estimator.judgement import offer_setups
from estimator.judgement.buying import Offer, Terms, Ware, offers
from estimator.judgement.needs import Miss, Needs, needs_of
from estimator.judgement.offer_setups import OfferJudge, Subject
from estimator.structure.architecture import ModelArchitecture
from estimator.types import Accelerator, OperatingMode
from tests.support.answers import CATALOG, HOSTS, accelerator, architecture, workload

GPUS = ("rtx-3060-12-gb", "rtx-3090", "rtx-5090", "apple-m5-max-40c-64gb", "strix-halo-8060s-128gb")
QUANTS = [specs.quant(entry) for entry in CATALOG.quants.values() if specs.is_precomputed(entry)]


def offered() -> list[Offer]:
    wares = [Ware(accelerator(slug), market.board(CATALOG, slug), market.prices(CATALOG, slug)) for slug in GPUS]
    computers = [market.computer(CATALOG, slug) for slug in CATALOG.computers]
    return offers(wares, computers, Terms(market.newest_date(CATALOG)), HOSTS)


def judge_of(models: Sequence[str], needs: Needs, mode: OperatingMode = OperatingMode.BALANCED) -> OfferJudge:
    traits = model_traits(CATALOG)
    subjects = [Subject(model, model, architecture(model), traits[model]) for model in models]
    return OfferJudge(subjects, QUANTS, needs, Calibration.load(), mode)


@pytest.mark.parametrize(("model", "users"), [("qwen3-8b", 1), ("qwen3-32b", 20), ("gpt-oss-120b", 1)])
def test_every_offer_has_the_setup_that_it_has_alone(model: str, users: int) -> None:
    options = offered()
    needs = needs_of(workload("coding"), users=users)
    together = {id(offer): (setup, misses) for offer, setup, misses in judge_of([model], needs).setups(options)}
    alone = {id(offer): judged[0][1:] for offer in options if (judged := judge_of([model], needs).setups([offer]))}
    assert together.keys() == alone.keys()
    for key, (setup, misses) in together.items():
        other, _ = alone[key]
        assert (setup.quant, setup.thinks, setup.offloads) == (other.quant, other.thinks, other.offloads)
        assert setup.decode_tok_s == pytest.approx(other.decode_tok_s, rel=0.01)
        assert bool(misses) == bool(alone[key][1])
    assert any(setup.offloads for setup, _ in together.values()) == (model == "gpt-oss-120b")


def test_what_a_judge_was_asked_about_is_not_estimated_again(monkeypatch: pytest.MonkeyPatch) -> None:
    options, judge = offered(), judge_of(["qwen3-8b", "gpt-oss-120b"], needs_of(workload("coding")))
    half = judge.setups(options[::2])
    estimated: list[int] = []

    def counted(model: ModelArchitecture, gpus: tuple[Accelerator, ...], *rest: Any) -> Outline:
        estimated.append(len(gpus))
        return outline(model, gpus, *rest)

    monkeypatch.setattr(offer_setups, "outline", counted)
    assert judge.setups(options[::2]) == half
    assert estimated == []
    assert len(judge.setups(options)) > len(half)
    assert estimated


@pytest.mark.parametrize(
    ("kind", "mode", "decode_tok_s", "loss_points"),
    [
        ("coding", OperatingMode.BALANCED, 80.0, None),
        ("reasoning", OperatingMode.INTERACTIVE, 60.0, 0.2),
        ("chat", OperatingMode.SCALE_OUT, 150.0, 0.0),
    ],
)
def test_of_several_models_each_offer_has_the_best_that_one_has_alone(
    kind: str, mode: OperatingMode, decode_tok_s: float | None, loss_points: float | None
) -> None:
    models = ("qwen3-8b", "gpt-oss-20b", "qwen3.5-35b-a3b", "llama-3.3-70b", "gpt-oss-120b", "gemma-3-4b")
    needs, options = needs_of(workload(kind), decode_tok_s=decode_tok_s, loss_points=loss_points), offered()
    best: dict[int, tuple[tuple[float, ...], str]] = {}
    for model in models:
        for offer, setup, misses in judge_of([model], needs, mode).setups(options):
            rank = distance(misses), -setup.rating, -setup.worth, setup.answer_s
            best[id(offer)] = min(best.get(id(offer), ((math.inf,), "")), (rank, model))
    together = judge_of(models, needs, mode).setups(options)
    assert {id(offer): models[setup.subject] for offer, setup, _ in together} == {
        key: model for key, (_, model) in best.items()
    }
    assert len({model for _, model in best.values()}) > 1


def distance(misses: Sequence[Miss]) -> float:
    """As offers are judged: the sum of the logarithms of what is missed."""
    return sum(math.log(miss.factor) for miss in misses)
