"""The facts that texts and commands are derived from, of a plan of a catalog model or of one that is described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from db.entries import specs
from estimator.fit_facts import FitFacts
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.context import context_extension
from estimator.types import Estimate, EstimateRequest, Workload

#: How a sentence names a model that a question brought along.
UNNAMED_MODEL = "Custom model"


def facts_of_plan(
    entry: Mapping[str, Any] | None,
    model: ModelArchitecture,
    request: EstimateRequest,
    estimate: Estimate,
    workload: Workload | None,
) -> FitFacts:
    """Facts of an answered request; names and repositories are those of the model's catalog entry, where it has one."""
    if entry is None:
        return FitFacts(model, UNNAMED_MODEL, request, estimate, workload)
    return FitFacts(
        model,
        entry["name"],
        request,
        estimate,
        workload,
        hf_repository=entry["hf_repo"],
        gguf_repository=specs.gguf_repository(entry, request.quant),
        ollama_tag=entry["ollama_tag"],
        checkpoint_repository=specs.checkpoint_repository(entry, request.quant.slug),
        reads_images="image" in entry["modalities"],
        context_extension=context_extension(entry),
    )
