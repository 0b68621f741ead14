"""The best setup of each offer: asking about the roomiest computer first changes no answer."""

from __future__ import annotations

import pytest

from db.entries import market, specs
from db.entries.traits import model_traits
from estimator.calibration.coefficients import Calibration
from estimator.judgement.buying import Terms, Ware, offers
from estimator.judgement.needs import needs_of
from estimator.judgement.offer_setups import OfferJudge, Subject
from estimator.types import OperatingMode
from tests.support.answers import CATALOG, HOSTS, accelerator, architecture, workload

GPUS = ("rtx-3060-12-gb", "rtx-3090", "rtx-5090", "apple-m5-max-40c-64gb", "strix-halo-8060s-128gb")
QUANTS = [specs.quant(entry) for entry in CATALOG.quants.values() if specs.is_precomputed(entry)]


@pytest.mark.parametrize(("model", "users"), [("qwen3-8b", 1), ("qwen3-32b", 20), ("gpt-oss-120b", 1)])
def test_every_offer_has_the_setup_that_it_has_alone(model: str, users: int) -> None:
    wares = [Ware(accelerator(slug), market.board(CATALOG, slug), market.prices(CATALOG, slug)) for slug in GPUS]
    computers = [market.computer(CATALOG, slug) for slug in CATALOG.computers]
    options = offers(wares, computers, Terms(market.newest_date(CATALOG)), HOSTS)
    subject = Subject(model, model, architecture(model), model_traits(CATALOG)[model])
    judge = OfferJudge(
        [subject], QUANTS, needs_of(workload("coding"), users=users), Calibration.load(), OperatingMode.BALANCED
    )
    together = {id(offer): (setup, misses) for offer, setup, misses in judge.setups(options)}
    alone = {id(offer): judged[0][1:] for offer in options if (judged := judge.setups([offer]))}
    assert together.keys() == alone.keys()
    for key, (setup, misses) in together.items():
        other, _ = alone[key]
        assert (setup.quant, setup.thinks, setup.offloads) == (other.quant, other.thinks, other.offloads)
        assert setup.decode_tok_s == pytest.approx(other.decode_tok_s, rel=0.01)
        assert bool(misses) == bool(alone[key][1])
    assert any(setup.offloads for setup, _ in together.values()) == (model == "gpt-oss-120b")
