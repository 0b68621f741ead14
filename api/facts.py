"""The facts that texts and commands are derived from, of a plan of a catalog model or of one that is described."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from db import specs
from estimator.architecture import ModelArchitecture
from estimator.commands import has_weights
from estimator.fit_facts import FitFacts
from estimator.types import Estimate, EstimateRequest, Quant, Workload

#: How a sentence names a model that a question brought along.
UNNAMED_MODEL = "Custom model"


def facts_of_plan(
    entry: Mapping[str, Any] | None,
    slug: str,
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
        gguf_repository=entry["gguf_repo"],
        ollama_tag=entry["ollama_tag"],
        checkpoint_repository=specs.checkpoint_repository(entry, request.quant.slug),
        reads_images="image" in entry["modalities"],
    )


def quants_to_advise(
    entry: Mapping[str, Any] | None, model: ModelArchitecture, quants: Iterable[Quant]
) -> tuple[Quant, ...]:
    """Those of ``quants`` in which weights of a model are known to be had."""

    def known(quant: Quant) -> bool:
        checkpoint = None if entry is None else specs.checkpoint_repository(entry, quant.slug)
        return has_weights(quant, model, checkpoint, None if entry is None else entry["hf_repo"])

    return tuple(quant for quant in quants if known(quant))
