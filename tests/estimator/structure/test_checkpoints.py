"""Which quantizations lists of a model have: formats of own checkpoints only where the model's own checkpoint has them."""

from __future__ import annotations

import numpy as np
import pytest

from db.entries import specs
from estimator.quant_choice import native_quants
from estimator.structure.checkpoints import is_listed, is_offered
from tests.support import answers

LISTED = [specs.quant(entry) for entry in answers.CATALOG.quants.values() if specs.is_precomputed(entry)]
OWN = [quant for quant in LISTED if quant.own_only]


@pytest.mark.parametrize(
    ("model", "quants"),
    [
        ("gpt-oss-120b", {"mxfp4-checkpoint"}),
        ("kimi-k3", {"mxfp4-checkpoint"}),
        ("kimi-k2.5", {"int4-experts"}),
        ("deepseek-v4-flash", {"fp8-fp4-experts"}),
        ("deepseek-v3.1", set()),
        ("minimax-m2.5", set()),
        ("qwen3-32b", set()),
    ],
)
def test_formats_of_own_checkpoints_are_listed_for_models_that_are_published_in_them(
    model: str, quants: set[str]
) -> None:
    assert {quant.slug for quant in OWN if is_listed(quant, answers.architecture(model))} == quants


def test_formats_of_own_checkpoints_add_less_than_a_hundredth_to_all_fits() -> None:
    models = [answers.architecture(slug) for slug in answers.MODELS]
    added = sum(is_listed(quant, model) for model in models for quant in OWN)
    assert 0 < added < 0.01 * len(models) * (len(LISTED) - len(OWN))


def test_what_is_listed_of_own_checkpoints_is_to_be_had() -> None:
    for slug in answers.MODELS:
        model = answers.architecture(slug)
        assert [is_offered(quant, model) for quant in OWN] == [is_listed(quant, model) for quant in OWN]


def test_a_format_with_wider_parts_does_not_displace_the_one_that_weights_were_trained_in() -> None:
    nats = np.zeros(len(LISTED))
    native = {
        quant.slug for quant, is_native in zip(LISTED, native_quants(LISTED, 4.2, nats), strict=True) if is_native
    }
    assert {"mxfp4", "mxfp4-checkpoint", "fp8-fp4-experts", "int4-experts"} <= native
    assert not native & {"fp8", "q4-k-m", "q8-0"}
