"""The search for the best models: it leaves out nothing that belongs among the first."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from api.answers.choices.machine import machine_of
from api.answers.choices.models import ModelKind, Question, Recommended, Wanted, recommended_models
from db.entries import specs
from db.entries.traits import model_traits
from estimator.calibration.coefficients import Calibration
from estimator.types import Engine, OperatingMode
from tests.support.catalogs import CATALOG

CALIBRATION = Calibration.load()


def choice(
    gpu: str, workload: str, mode: OperatingMode, first: int, wanted: Wanted = Wanted()
) -> tuple[Recommended, ...]:
    use = specs.workload(CATALOG.workloads[workload])
    return recommended_models(CATALOG, CALIBRATION, Question(machine_of(CATALOG, [gpu], 1), use, mode, wanted), first)


@pytest.mark.parametrize(
    ("gpu", "workload", "mode"),
    [
        ("RTX 4060 Ti 8GB", "chat", OperatingMode.BALANCED),
        ("M4 16GB", "reasoning", OperatingMode.INTERACTIVE),
        ("RTX 4090", "rag", OperatingMode.SCALE_OUT),
    ],
)
def test_the_first_are_those_of_all(gpu: str, workload: str, mode: OperatingMode) -> None:
    few, every = choice(gpu, workload, mode, 4), choice(gpu, workload, mode, 1000)
    assert len(every) > 20

    def essence(listed: Sequence[Recommended]) -> list[tuple[str, str, str]]:
        return [(entry.model["slug"], entry.quant.slug, entry.judgement.reason) for entry in listed[:4]]

    assert essence(few) == essence(every)


def test_filters_take_what_was_asked_for() -> None:
    traits = model_traits(CATALOG)
    gpu, mode = "RTX 4060 Ti 8GB", OperatingMode.BALANCED
    coders = choice(gpu, "coding", mode, 50, Wanted(kind=ModelKind.CODER))
    assert coders
    assert all(traits[entry.model["slug"]].specialty == "coder" for entry in coders)
    assert all(
        traits[entry.model["slug"]].base for entry in choice(gpu, "coding", mode, 5, Wanted(kind=ModelKind.BASE))
    )
    for kind, is_mixture in ((ModelKind.MIXTURE_OF_EXPERTS, True), (ModelKind.DENSE, False)):
        entries = choice(gpu, "coding", mode, 20, Wanted(kind=kind))
        assert {bool((entry.model.get("moe") or {}).get("n_experts")) for entry in entries} == {is_mixture}
    by_slug, by_name = (choice(gpu, "chat", mode, 3, Wanted(family=family)) for family in ("gemma-4", "Gemma 4"))
    assert by_slug == by_name
    assert {entry.model["family"] for entry in by_slug} == {"Gemma 4"}
    assert not choice(gpu, "chat", mode, 3, Wanted(family="Gemma 44"))
    new = choice(gpu, "chat", mode, 5, Wanted(license="apache-2.0", released_from="2026-01"))
    assert new
    for entry in new:
        assert entry.model["license"] == "apache-2.0"
        assert entry.model["release_date"] >= "2026-01"
    assert choice(gpu, "chat", mode, 5, Wanted(family="no such family")) == ()


def test_accelerators_that_differ_are_laid_out_together() -> None:
    """Two equal ones asked about as a list are the count; a smaller one beside a card is better than the card alone."""
    use = specs.workload(CATALOG.workloads["chat"])

    def best(*gpus: str) -> tuple[Recommended, ...]:
        machine = machine_of(CATALOG, gpus, 1)
        return recommended_models(CATALOG, CALIBRATION, Question(machine, use, OperatingMode.BALANCED), 1)

    (alone,), (mixed,) = best("RTX 3060 12GB"), best("RTX 3060 12GB", "RTX 4060 Ti 16GB")
    assert mixed.judgement.rating > alone.judgement.rating
    assert mixed.engine is Engine.LLAMA_CPP
