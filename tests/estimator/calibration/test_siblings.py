"""Parts of one chip: one that states at least as much of everything is never estimated to be the slower one."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from estimator.calibration.siblings import Siblings, families_of, is_at_least, is_better, of_parts, ordered, siblings_of
from estimator.estimate import sweep
from estimator.types import STATUSES, Accelerator, EstimateRequest, Status
from tests.estimator.entities import ENTITIES
from tests.support import answers

LINES = siblings_of(ENTITIES.accelerators.values())
WHOLE = [STATUSES.index(status) for status in (Status.FITS, Status.FITS_TIGHTLY)]
QUANTS = tuple(ENTITIES.quants[slug] for slug in ("q4-k-m", "q8-0", "iq4-xs", "f16", "awq-int4", "fp8"))


def pair(better: str, lesser: str) -> Siblings:
    return Siblings({slug: ENTITIES.accelerators[slug] for slug in (better, lesser)}, [(better, lesser)])


@pytest.mark.parametrize(
    ("better", "lesser", "has_order"),
    [
        ("rtx-4090", "rtx-4090-d", True),
        ("h200-sxm-141-gb", "h100-sxm5-80-gb", True),
        ("rtx-4090-d", "rtx-4090", False),
        ("rtx-3090", "rtx-3080-ti", True),
        ("rtx-3090", "rtx-4090", False),
        ("a100-pcie-40-gb", "a100-sxm4-80-gb", False),
    ],
)
def test_parts_of_one_chip_have_an_order_by_what_they_state(better: str, lesser: str, has_order: bool) -> None:
    assert any((better, lesser) in line.pairs for line in LINES) is has_order


def test_a_fact_that_one_part_states_alone_gives_no_order() -> None:
    part = ENTITIES.accelerators["rtx-4090"]
    assert is_at_least(part, part)
    assert not is_at_least(part, replace(part, boost_hz=None))
    assert not is_at_least(replace(part, boost_hz=None), part)


def test_contrary_parts_have_what_the_rows_of_both_show() -> None:
    siblings = pair("rtx-4090", "rtx-4090-d")
    contrary = {"rtx-4090": 0.06, "rtx-4090-d": -0.03}
    assert ordered(contrary, {"rtx-4090": 20, "rtx-4090-d": 10}, siblings) == {"rtx-4090": 0.03, "rtx-4090-d": 0.03}
    # A part without rows takes what those of the other one show.
    alone = ordered(contrary | {"rtx-4090-d": 0.0}, {"rtx-4090": 20}, siblings)
    assert alone["rtx-4090"] == alone["rtx-4090-d"] == pytest.approx(0.06, rel=1e-3)
    in_order = {"rtx-4090": -0.03, "rtx-4090-d": 0.06}
    assert ordered(in_order, {}, siblings) == in_order


def test_effects_in_order_stay_as_they_are() -> None:
    effects = answers.CALIBRATION.data["decode"]["effects"]
    assert of_parts(effects, ("layer", "whole"), {}, LINES) == effects


def test_the_better_sibling_is_never_the_slower_one() -> None:
    chance = random.Random(4)
    models = [model for model in ENTITIES.models.values() if model is not None]
    measured = [model for model in models if model.slug in answers.CALIBRATION.data["decode"]["measured"]]
    compared = 0
    for model in [*chance.sample(models, 4), *chance.sample(measured, 8)]:
        for line in LINES:
            parts = tuple(line.parts.values())
            place = {part.slug: g for g, part in enumerate(parts)}
            asked = EstimateRequest(
                quant=QUANTS[0], accelerator=parts[0], host=ENTITIES.default_host, prompt_tokens=512
            )
            block = sweep(model, asked, parts, QUANTS, answers.CALIBRATION, offloads=False)
            for better, lesser in line.pairs:
                g, h = place[better], place[lesser]
                whole = (block.status[[g, h], :, :1] == WHOLE).any(2).all(0) & (block.engine[g] == block.engine[h])
                whole &= block.backend[g] == block.backend[h]
                for kind in ("decode", "prefill"):
                    speed = getattr(block, f"{kind}_tok_s")[:, :, 0]
                    behind = whole & (speed[g] < speed[h] * (1 - 1e-6))
                    assert not behind.any(), (kind, model.slug, better, lesser)
                compared += int(whole.sum())
    assert compared > 1000


def test_a_family_orders_what_reads_and_computes_faster() -> None:
    parts = ENTITIES.accelerators
    assert is_better(parts["rtx-5090"], parts["rtx-5080"])
    assert is_better(parts["instinct-mi50-16-gb"], parts["rx-vega-64"])
    assert not is_better(parts["rtx-5080"], parts["rtx-5090"])
    assert not is_better(parts["rtx-4090"], parts["rtx-3090"])
    checked = replace(parts["rtx-5090"], inline_checks=True)
    assert not is_better(checked, parts["rtx-5080"])


def test_the_better_part_of_a_family_is_hardly_ever_the_slower_one() -> None:
    """Of the models that most devices have rows of, which may contradict what the devices state; at no lower a clock."""
    measured = answers.CALIBRATION.data["decode"]["measured"]
    compared = behind = 0
    for slug in sorted(measured, key=lambda slug: -len(measured[slug]))[:3]:
        model = ENTITIES.models[slug]
        assert model is not None
        for line in families_of(ENTITIES.accelerators.values()):
            parts = tuple(line.parts.values())
            place = {part.slug: g for g, part in enumerate(parts)}
            asked = EstimateRequest(
                quant=QUANTS[0], accelerator=parts[0], host=ENTITIES.default_host, prompt_tokens=512
            )
            block = sweep(model, asked, parts, QUANTS, answers.CALIBRATION, offloads=False)
            clocked = [pair for pair in line.pairs if not _is_slower_clocked(*(line.parts[part] for part in pair))]
            for better, lesser in clocked:
                g, h = place[better], place[lesser]
                whole = (block.status[[g, h], :, :1] == WHOLE).any(2).all(0)
                whole &= (block.engine[g] == block.engine[h]) & (block.backend[g] == block.backend[h])
                speed = block.decode_tok_s[:, :, 0]
                assert not (whole & (speed[g] < 0.8 * speed[h])).any(), (slug, better, lesser)
                compared += int(whole.sum())
                behind += int((whole & (speed[g] < 0.95 * speed[h])).sum())
    assert compared > 10_000
    assert behind < 0.005 * compared


def _is_slower_clocked(better: Accelerator, lesser: Accelerator) -> bool:
    return (better.boost_hz or 0.0) < (lesser.boost_hz or 0.0)
