"""Loss of every quantization for every model: complete, ordered, monotone, and within the promised errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from db.entries import specs
from db.entries.traits import model_traits
from estimator.calibration.capability_prior import ModelTraits
from estimator.calibration.divergence import form_of
from estimator.calibration.loss import NO_LOSS, LossEvidence, LossTable, capability_loss
from estimator.calibration.scale import KINDS
from estimator.structure.training import REFERENCE_YEAR, SMALLEST_B
from estimator.structure.weights import weight_table
from estimator.types import CacheType, EstimatorError, Quant
from tests.support.catalogs import CATALOG


@pytest.fixture(scope="module")
def table() -> LossTable:
    return LossTable.load()


@pytest.fixture(scope="module")
def models() -> dict[str, ModelTraits]:
    return model_traits(CATALOG)


@pytest.fixture(scope="module")
def quants() -> dict[str, Quant]:
    return {slug: specs.quant(entry) for slug, entry in CATALOG.quants.items()}


def sized(total: float, active: float | None = None) -> ModelTraits:
    return ModelTraits("mine", total, active or total, REFERENCE_YEAR)


def test_the_laws_keep_their_promised_errors(table: LossTable) -> None:
    accuracy = table.accuracy
    for stratum, bar in (("model left out", 0.40), ("publisher left out", 0.65), ("one row as anchor", 0.22)):
        assert accuracy[stratum]["median_abs_ln"] <= bar
        assert 0.76 <= accuracy[stratum]["coverage"] <= 0.84


def test_every_quantization_has_a_loss_for_every_model(
    table: LossTable, models: dict[str, ModelTraits], quants: dict[str, Quant]
) -> None:
    asked = [(quant, None) for quant in quants.values()]
    for model in models.values():
        for (quant, _), loss in zip(asked, table.divergences(model, asked), strict=True):
            if form_of(quant) is None:
                assert loss == NO_LOSS
            elif loss != NO_LOSS or model.native_bits == 16.0:
                assert 0 < loss.low < loss.nats < loss.high < 60


def test_a_model_below_all_measured_ones_loses_as_the_smallest(table: LossTable, quants: dict[str, Quant]) -> None:
    tiny, smallest, larger = (
        table.divergence(sized(total), quants["q2-k"]) for total in (SMALLEST_B / 20, SMALLEST_B, SMALLEST_B * 2)
    )
    assert tiny == smallest
    assert larger.nats < smallest.nats


def test_a_narrower_type_of_one_family_never_loses_less(
    table: LossTable, models: dict[str, ModelTraits], quants: dict[str, Quant]
) -> None:
    catalog = CATALOG
    gguf = sorted((quant for quant in quants.values() if quant.file_type), key=table.typical_bits, reverse=True)
    for slug in list(models)[::12]:
        try:
            bits = weight_table(specs.architecture(catalog.models[slug]), gguf).bits_per_weight
        except EstimatorError:
            continue
        losses = table.divergences(models[slug], list(zip(gguf, bits.tolist(), strict=True)))
        by_family: dict[str, list[float]] = {}
        for quant, loss in zip(gguf, losses, strict=True):
            form = form_of(quant)
            if form is not None and catalog.quants[quant.slug]["precomputed"]:
                by_family.setdefault(form.family, []).append(loss.nats)
            assert table.divergence(models[slug], quant, bits[gguf.index(quant)]) == loss, "whatever it is asked with"
        for nats in by_family.values():
            # Files of recipes that fall back on the same wider types have the same bits, whatever their names promise.
            assert np.all(np.diff(np.log(np.maximum(nats, 1e-9))) >= -0.35), slug
        measured = [quant for quant in gguf if table.typical_bits(quant) != quant.nominal_bits]
        usual = table.divergences(models[slug], [(quant, None) for quant in measured])
        families = [form.family if (form := form_of(quant)) else "" for quant in measured]
        for family in set(families):
            nats = [loss.nats for loss, own in zip(usual, families, strict=True) if own == family]
            assert nats == sorted(nats), (slug, family)


def test_a_type_of_fewer_bits_than_the_weights_were_trained_in_loses(
    table: LossTable, models: dict[str, ModelTraits], quants: dict[str, Quant]
) -> None:
    trained = models["gpt-oss-20b"]
    file_bits = trained.native_bits + 0.2
    assert table.divergence(trained, quants["mxfp4"], file_bits) == NO_LOSS
    assert table.divergence(trained, quants["q4-k-m"], file_bits) == NO_LOSS
    assert table.divergence(trained, quants["iq2-xxs"], file_bits).nats > 0


@pytest.mark.parametrize("quant", ["q2-k", "q3-k-m", "q4-k-m", "q6-k", "q8-0", "iq2-xs", "mlx-4bit", "awq-int4"])
def test_larger_models_lose_less(table: LossTable, quants: dict[str, Quant], quant: str) -> None:
    losses = [table.divergence(sized(size), quants[quant]).nats for size in (0.5, 1, 4, 14, 70, 400)]
    assert losses == sorted(losses, reverse=True)
    dense, sparse = table.divergence(sized(30), quants[quant]), table.divergence(sized(30, 3), quants[quant])
    assert sparse.nats > dense.nats


def test_ruin_bearable_and_unnoticeable(table: LossTable, quants: dict[str, Quant]) -> None:
    def points(size: float, quant: str, kind: str) -> float:
        return capability_loss(kind, table.divergence(sized(size), quants[quant])).points

    assert points(1, "iq1-s", "reasoning") > 30
    assert points(200, "q2-k", "general") < 1.5
    assert points(8, "q8-0", "reasoning") < 0.3
    assert points(8, "q4-k-m", "general") < 0.7


@pytest.mark.parametrize("kind", KINDS)
def test_long_outputs_fall_faster_and_intervals_are_ordered(
    table: LossTable, quants: dict[str, Quant], kind: str
) -> None:
    loss = capability_loss(kind, table.divergence(sized(8), quants["q3-k-m"]))
    assert 0 < loss.low < loss.points < loss.high
    assert loss.points >= capability_loss("general", table.divergence(sized(8), quants["q3-k-m"])).points
    assert capability_loss(kind, NO_LOSS).points == 0


def test_a_measured_model_is_known_better(
    table: LossTable, models: dict[str, ModelTraits], quants: dict[str, Quant]
) -> None:
    measured = table.divergence(models["qwen3.5-9b"], quants["q4-k-m"])
    anchored = table.divergence(models["qwen3.5-9b"], quants["mlx-4bit"])
    foreign = table.divergence(sized(9), quants["q4-k-m"])
    assert measured.evidence is LossEvidence.MEASURED
    assert anchored.evidence is LossEvidence.ANCHORED
    assert foreign.evidence is LossEvidence.PREDICTED
    assert math.log(measured.high / measured.low) < math.log(foreign.high / foreign.low)


def test_cache_types(table: LossTable, models: dict[str, ModelTraits]) -> None:
    model = models["qwen3-8b"]
    assert table.cache_divergence(model, CacheType.F16) == NO_LOSS
    losses = [table.cache_divergence(model, cache).nats for cache in (CacheType.Q8_0, CacheType.Q5_1, CacheType.Q4_0)]
    assert losses == sorted(losses)
    fragile = table.cache_divergence(models["gemma-4-26b-a4b"], CacheType.Q8_0)
    assert fragile.nats > 5 * losses[0]
    assert fragile.evidence is LossEvidence.ANCHORED
    both = table.divergence(model, specs.quant(CATALOG.quants["q4-k-m"])).plus(fragile)
    assert both.nats > fragile.nats


def test_a_type_as_wide_as_the_native_one_loses_nothing(
    table: LossTable, models: dict[str, ModelTraits], quants: dict[str, Quant]
) -> None:
    assert table.divergence(models["gpt-oss-20b"], quants["mxfp4"]) == NO_LOSS
    assert table.divergence(models["deepseek-v3"], quants["fp8"]) == NO_LOSS
    assert table.divergence(models["deepseek-v3"], quants["q8-0"]) == NO_LOSS
    assert table.divergence(models["deepseek-v3"], quants["q4-k-m"]).nats > 0
    assert table.divergence(models["kimi-k2-thinking"], quants["q2-k"]).nats > 0
    assert table.divergence(models["qwen3-8b"], quants["q8-0"]).nats > 0
