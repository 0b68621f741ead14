"""Capability of every model: complete, ordered intervals, within the promised errors, and sensible to who knows them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from db.entries.traits import model_traits
from estimator.calibration.capability_prior import ModelTraits
from estimator.calibration.scale import KINDS
from estimator.judgement.capability import Capability, CapabilityEvidence, CapabilityTable
from tests.support.catalogs import CATALOG


@pytest.fixture(scope="module")
def table() -> CapabilityTable:
    return CapabilityTable.load()


@pytest.fixture(scope="module")
def models() -> dict[str, ModelTraits]:
    return model_traits(CATALOG)


@pytest.fixture(scope="module")
def known(table: CapabilityTable, models: dict[str, ModelTraits]) -> dict[str, dict[str, Capability]]:
    return {slug: table.of(model) for slug, model in models.items()}


def test_every_model_has_every_kind_with_an_interval(known: dict[str, dict[str, Capability]]) -> None:
    assert known.keys() == CATALOG.models.keys()
    for kinds in known.values():
        assert tuple(kinds) == KINDS
        for capability in kinds.values():
            assert 0 <= capability.low <= capability.value <= capability.high < 100
            # A model below the scale's end has its end; any other has an interval around its value.
            assert capability.low == 0 or capability.low < capability.value < capability.high
            assert (capability.evidence is CapabilityEvidence.MEASURED) == (capability.scores > 0)


def test_the_fit_keeps_its_promised_errors(table: CapabilityTable) -> None:
    accuracy = table.accuracy
    for kind in KINDS:
        assert accuracy["other benchmarks"][kind]["spearman"] >= 0.90
        assert accuracy["model left out"][kind]["spearman"] >= 0.80
        assert accuracy["family left out"][kind]["spearman"] >= 0.80
    for stratum in ("model left out", "release left out", "other benchmarks"):
        rows = accuracy[stratum].values()
        models = sum(row["models"] for row in rows)
        assert 0.76 <= sum(row["coverage"] * row["models"] for row in rows) / models <= 0.84


@pytest.mark.parametrize(
    ("kind", "better", "worse"),
    [
        ("general", "qwen3-32b", "qwen3-8b"),
        ("general", "qwen3-8b", "qwen3-1.7b"),
        ("general", "llama-3.3-70b", "llama-3.1-8b"),
        ("general", "gemma-3-27b", "gemma-3-4b"),
        ("general", "deepseek-v3.2", "deepseek-v3"),
        ("general", "qwen3.6-27b", "qwen2.5-72b"),
        ("general", "mistral-small-3.2-24b", "mistral-7b-v0.3"),
        ("general", "qwen3.5-9b", "nanbeige4-3b"),
        ("general", "qwen3-30b-a3b", "qwen2.5-7b"),
        ("coding", "qwen2.5-coder-32b", "qwen2.5-32b"),
        ("coding", "qwen3-coder-30b-a3b", "codellama-34b"),
        ("agentic", "qwen3-coder-480b-a35b", "qwen3-coder-30b-a3b"),
        ("agentic", "devstral-small-2-24b", "mistral-small-3-24b"),
        ("reasoning", "qwq-32b", "qwen2.5-32b"),
        ("reasoning", "gpt-oss-20b", "gemma-3-27b"),
        ("long_context", "qwen3-235b-a22b", "llama-3.1-8b"),
    ],
)
def test_what_nobody_doubts_holds(known: dict[str, dict[str, Capability]], kind: str, better: str, worse: str) -> None:
    assert known[better][kind].value > known[worse][kind].value


def test_few_vendor_results_do_not_lift_a_small_model_above_a_far_larger_one(
    known: dict[str, dict[str, Capability]],
) -> None:
    assert known["granite-4.2-8b"]["general"].value < known["qwen3-32b"]["general"].value
    assert known["nanbeige4-3b"]["general"].value < known["qwen3-32b"]["general"].value


def test_coding_is_a_trait_of_its_own(known: dict[str, dict[str, Capability]]) -> None:
    gap = {slug: kinds["coding"].value - kinds["general"].value for slug, kinds in known.items()}
    assert gap["qwen2.5-coder-7b"] > gap["qwen2.5-7b"] + 1
    assert gap["codellama-7b"] > gap["llama-2-7b"] + 1


def test_thinking_is_kept_apart(known: dict[str, dict[str, Capability]]) -> None:
    hybrid = known["qwen3-32b"]["reasoning"]
    assert hybrid.plain is not None
    assert hybrid.plain < hybrid.value - 3
    assert known["qwen2.5-7b"]["reasoning"].plain is None


def test_an_own_configuration_is_predicted_with_a_wider_interval(
    table: CapabilityTable, models: dict[str, ModelTraits]
) -> None:
    own = replace(models["qwen3-32b"], slug="mine", family="mine", publisher="me")
    predicted, measured = table.of(own)["general"], table.of(models["qwen3-32b"])["general"]
    assert predicted.evidence is CapabilityEvidence.PREDICTED
    assert predicted.high - predicted.low > measured.high - measured.low
    larger = replace(own, total_b=own.total_b * 4, active_b=own.active_b * 4)
    assert table.of(larger)["general"].value > predicted.value
    newer = replace(own, released=own.released + 0.5)
    assert table.of(newer)["general"].value > predicted.value
