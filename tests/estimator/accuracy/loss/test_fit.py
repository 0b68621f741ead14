"""The laws of divergence recover what made the rows, and the same rows give the same file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from db.entries.quality import cache_loss_rows, quant_loss_rows
from db.entries.traits import model_traits
from estimator.accuracy.loss.data import loss_data
from estimator.accuracy.loss.fit import fit_divergence
from estimator.accuracy.loss.rows import LossRow, TaskRow, cache_rows, loss_rows, task_rows
from estimator.accuracy.loss.tasks import fit_task_weights
from estimator.calibration.capability_prior import ModelTraits
from estimator.calibration.divergence import QuantForm
from estimator.calibration.scale import felt_nats
from tests.support.catalogs import CATALOG


@pytest.fixture(scope="module")
def models() -> dict[str, ModelTraits]:
    return model_traits(CATALOG)


def test_a_made_law_is_recovered() -> None:
    random = np.random.default_rng(3)
    rows = []
    for n in range(24):
        size = float(2.0 ** (n % 8))
        model = ModelTraits(f"m{n}", size, size, 2025.0, publisher=f"p{n % 4}")
        level = -2.5 + random.normal(0, 0.2) - 0.35 * math.log(size / 8)
        for bits in (2.5, 3.5, 4.5, 5.5, 6.5, 8.5):
            log = level - 1.1 * (bits - 4) + 0.08 * (bits - 4) ** 2 + random.normal(0, 0.05)
            rows.append(LossRow(model, QuantForm("k-quant", f"Q{bits}"), bits, False, False, "wikitext", False, log))
    law = fit_divergence(rows)
    assert law["bits"] + law["bits|family:k-quant"] == pytest.approx(-1.1, abs=0.15)
    assert law["size"] == pytest.approx(-0.35, abs=0.1)


def test_suspect_rows_do_not_enter(models: dict[str, ModelTraits]) -> None:
    raw = list(quant_loss_rows())
    rows = loss_rows(raw, models)
    assert 1200 < len(rows) < len(raw)
    assert {row.model.slug for row in rows} & {"gemma-4-31b", "kimi-k2-thinking"} == set()
    assert loss_rows([row for row in raw if row["suspect"] is not None], models) == []


def test_a_divergence_is_not_counted_again_from_its_perplexity(models: dict[str, ModelTraits]) -> None:
    row: dict[str, Any] = next(row for row in quant_loss_rows() if row["suspect"] is None and row["family"]
                               and row["metric"] == "kld_mean" and (row["bits_per_weight"] or 9) < 4)  # fmt: skip
    perplexity = row | {"metric": "ppl", "value": 7.0, "baseline_value": 6.0}
    assert len(loss_rows([row, perplexity], models)) == 1
    assert len(loss_rows([perplexity], models)) == 1


def test_the_same_rows_give_the_same_file(models: dict[str, ModelTraits]) -> None:
    kept = ("qwen3.5-4b", "llama-3-8b", "gemma-2-9b", "glm-4.5-air")
    raw = [row for row in quant_loss_rows() if row["model_slug"] in kept]
    cache = cache_rows(cache_loss_rows(), models)
    once = loss_data(loss_rows(raw, models), cache, task_rows(raw, models), "hash")
    assert once == loss_data(
        loss_rows(list(reversed(raw)), models), cache, task_rows(list(reversed(raw)), models), "hash"
    )


def test_a_family_whose_scores_fall_less_weighs_less() -> None:
    law = {"level": -3.0, "bits": -1.0}
    rows = []
    for n in range(6):
        model = ModelTraits(f"m{n}", 8.0 + n, 8.0 + n, 2025.0)
        for family, weight in (("fp8", 0.4), ("mxfp4", 2.0)):
            lost = 0.44 * felt_nats(math.exp(-3.0 - 1.0 * (4.5 - 4.0))) * weight
            rows += [TaskRow(model, QuantForm(family, ""), 4.5, lost + noise, 50.0) for noise in (-0.004, 0.004)]
    weights = fit_task_weights(rows, law)
    assert weights["fp8"] == pytest.approx(0.4, abs=0.2)
    assert weights["mxfp4"] == pytest.approx(2.0, abs=0.4)
    assert fit_task_weights(rows[:2], law)["fp8"] > weights["fp8"], "few files stay near the common weight"


def test_a_family_without_scores_weighs_as_the_one_that_rounds_alike() -> None:
    model = ModelTraits("m", 8.0, 8.0, 2025.0)
    weights = fit_task_weights([TaskRow(model, QuantForm("int4-group", ""), 4.5, 0.0, 50.0)], {"level": -3.0})
    assert weights["mlx"] == weights["int4-group"] < 1.0
    assert "ik-quant" not in weights
