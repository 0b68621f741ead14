"""Models of an accelerator in other orders: by a published benchmark, by tiers, and by what another accelerator gains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from api.answers.choices.models import Wanted
from api.answers.choices.recommendations import Choice, Question, Recommendations, recommendations
from api.catalog.fit_reads import FitReads
from api.catalog.records import BenchmarkResult, GpuRecord, ModelRecord
from api.catalog.view import CatalogView
from api.errors import NotFoundError
from db.entries.names.texts.spelling import near_names
from estimator.judgement import choice as domain
from estimator.judgement import recommend
from estimator.types import OperatingMode, WorkloadKind


@dataclass(frozen=True, slots=True)
class UpgradeGain:
    """One model on both accelerators; ``before`` is None when it is not usable on the present one."""

    before: Choice | None
    after: Choice
    rating_before: float | None
    rating_after: float
    leaves_offload: bool


async def usable_models(reads: FitReads, gpu: GpuRecord, workload: WorkloadKind) -> Recommendations:
    """Every model that is usable on an accelerator, in its best setup of the balanced mode, best first."""
    question = Question(
        workload, recommend.Aim.SCORE, OperatingMode.BALANCED, recommend.Buyer(), recommend.Target(), Wanted()
    )
    return await recommendations(reads, None, gpu, question)


def tiers(listed: Recommendations) -> dict[str, list[Choice]]:
    """Models by how far they are rated below the best of the accelerator, best first."""
    ratings = np.array([listed.rating(choice) for choice in listed.choices])
    return {letter: [listed.choices[place] for place in places] for letter, places in domain.tiers(ratings).items()}


def by_benchmark(
    listed: Recommendations, view: CatalogView, benchmark: str, setting: str | None
) -> list[tuple[Choice, BenchmarkResult | None]]:
    """Models, best result first, then those without a result of the setting in the order of the list."""
    name = _benchmark_named(view, benchmark)
    pairs = [(choice, _result(view.model_by_id[choice.key.model_id], name, setting)) for choice in listed.choices]
    return sorted(pairs, key=lambda pair: float("inf") if pair[1] is None else -(pair[1].value or 0.0))


def upgrade_gains(before: Recommendations, after: Recommendations) -> list[UpgradeGain]:
    """Models that are rated higher on the other accelerator: those newly usable, then those that leave system memory,
    then by gain."""
    present = {choice.key.model_id: choice for choice in before.choices}
    gains = []
    for choice in after.choices:
        old = present.get(choice.key.model_id)
        was, now = None if old is None else before.rating(old), after.rating(choice)
        if was is None or now > was:
            leaves = old is not None and not before.is_whole(old) and after.is_whole(choice)
            gains.append(UpgradeGain(old, choice, was, now, leaves))
    return sorted(
        gains,
        key=lambda gain: (
            gain.rating_before is not None, not gain.leaves_offload, (gain.rating_before or 0.0) - gain.rating_after,
        ),
    )  # fmt: skip


def _benchmark_named(view: CatalogView, text: str) -> str:
    """A benchmark's name as the catalog has it. Raises :class:`NotFoundError`."""
    names = sorted({result.name for model in view.models for result in model.benchmarks})
    name = next((name for name in names if name.casefold() == text.strip().casefold()), None)
    if name is None:
        raise NotFoundError("benchmark", text, near_names("benchmark", text, names))
    return name


def _result(model: ModelRecord, name: str, setting: str | None) -> BenchmarkResult | None:
    """A model's result with a number and a source; None when it has none, or none of this setting."""
    for result in model.benchmarks:
        if result.name == name and result.value is not None and result.source and setting in (None, result.setting):
            return result
    return None
