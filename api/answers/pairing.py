"""One model on one accelerator, every quant and workload: the block behind the card and live answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from api.answers.facts import facts_of_plan
from api.answers.files.models import (
    CUSTOM,
    PLAIN,
    ModelSource,
    is_model_file,
    quant_of_file,
    source_of_file,
    stored_quant,
)
from api.answers.files.recognition import recognised
from api.answers.output import commands_json, figures_json
from api.errors import ErrorCode, QuestionError
from db.entries import specs
from db.entries.files import Catalog
from db.entries.names.meanings import Meaning, UnknownNameError
from estimator.calibration.coefficients import Calibration
from estimator.estimate import cell_of, require_facts
from estimator.fit_facts import FitFacts, request_of
from estimator.grid import FitBlock, evaluate_block
from estimator.placement.hosts import host_for
from estimator.sentences import Sentence
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.checkpoints import is_listed
from estimator.types import Accelerator, Estimate, EstimatorError, Host, MissingFactError, Quant, Workload


@dataclass(frozen=True, slots=True)
class Pairing:
    """Fits of one (model, accelerator): ``block`` has the shape (1, quants, workloads).

    ``entry`` is the model's catalog entry, None for a model of a file.
    """

    model_slug: str
    model_name: str
    gpu_slug: str
    gpu_name: str
    model: ModelArchitecture
    accelerator: Accelerator
    entry: Mapping[str, Any] | None
    quants: tuple[Quant, ...]
    workloads: tuple[Workload, ...]
    host: Host
    block: FitBlock
    chosen_quant: int
    chosen_workload: int
    #: Facts that a file left open.
    notes: tuple[Sentence, ...]

    def estimate(self, quant: int, workload: int) -> Estimate:
        return cell_of(self.block, 0, quant, workload, self.workloads[workload].context_tokens)

    @property
    def chosen(self) -> Estimate:
        return self.estimate(self.chosen_quant, self.chosen_workload)

    @property
    def facts(self) -> FitFacts:
        """The facts that the commands of the chosen answer use."""
        request = request_of(self.quants[self.chosen_quant], self.accelerator, self.host)
        workload = self.workloads[self.chosen_workload]
        return facts_of_plan(self.entry, self.model, request, self.chosen, workload)

    def runnable(self) -> list[int]:
        """Indices of the quants that an engine can run here, widest first."""
        order = sorted(range(len(self.quants)), key=lambda q: -float(self.block.bits_per_weight[q]))
        return [q for q in order if bool(self.block.available[0, q])]

    def recommended(self, workload: int) -> int | None:
        """Index of the best quant for a workload, None when nothing runs."""
        return next((q for q in self.runnable() if bool(self.block.recommended[0, q, workload])), None)

    def to_json(self) -> dict[str, Any]:
        """The chosen answer with the tables of its workloads and quants."""
        answer = self._figures(self.chosen_quant, self.chosen_workload) | commands_json(self.facts)
        best = self.recommended(self.chosen_workload)
        answer["workload"] = self.workloads[self.chosen_workload].slug
        answer["recommended_quant"] = None if best is None else self.quants[best].slug
        answer["workloads"] = {
            workload.slug: self._figures(self.chosen_quant, w) for w, workload in enumerate(self.workloads)
        }
        answer["quants"] = {
            self.quants[q].slug: self._figures(q, self.chosen_workload)
            | {"weights_known": bool(self.block.has_weights[q])}
            for q in self.runnable()
        }
        if self.notes:
            answer["notes"] = list(self.notes)
        return answer

    def _figures(self, quant: int, workload: int) -> dict[str, Any]:
        return figures_json(self.model_slug, self.gpu_slug, self.quants[quant].slug, self.estimate(quant, workload))


def estimate_pairing(
    catalog: Catalog, calibration: Calibration, model: str, gpu: str, quant: str | None, workload: str
) -> Pairing:
    """Estimate a pairing for every quant and workload. ``model`` may be the path of a ``config.json`` or GGUF file.

    The answer is of one accelerator, whatever count ``gpu`` states.

    Raises:
        QuestionError: a name is unknown, a fact is missing, or no engine runs the quant there.
    """
    try:
        named = Meaning(CUSTOM) if is_model_file(model) else catalog.meaning("model", model)
        on = catalog.meaning("gpu", gpu)
        model_slug, gpu_slug = named.slug, on.slug
        quant_slug = catalog.resolve("quant", quant) if quant else named.quant
        workload_slug = catalog.resolve("workload", workload)
    except UnknownNameError as error:
        raise QuestionError.of(error) from error
    workloads = tuple(specs.workload(entry) for entry in catalog.workloads.values())
    accelerator = specs.accelerator(catalog.gpus[gpu_slug])
    host = host_for(accelerator, [specs.host(entry) for entry in catalog.hosts.values()])
    try:
        require_facts(accelerator)
        custom = model_slug == CUSTOM
        source = _source(catalog, calibration, model, model_slug)
        own = quant_of_file(source, catalog) if quant_slug is None else None
        quants = tuple(
            stored_quant(specs.quant(entry), source)
            for slug, entry in catalog.quants.items()
            if slug in (quant_slug, own)
            or (specs.is_precomputed(entry) and is_listed(specs.quant(entry), source.model))
        )
        block = evaluate_block(source.model, (accelerator,), quants, workloads, (host,), calibration)
    except MissingFactError as error:
        raise QuestionError(ErrorCode.MISSING_FACT, str(error), error.field_name) from error
    except EstimatorError as error:
        raise QuestionError(ErrorCode.BAD_USER_INPUT, str(error)) from error
    w = next(index for index, workload in enumerate(workloads) if workload.slug == workload_slug)
    pairing = Pairing(
        model_slug,
        Path(model).name if custom else str(catalog.models[model_slug]["name"]),
        gpu_slug,
        accelerator.name,
        source.model,
        accelerator,
        None if custom else catalog.models[model_slug],
        quants,
        workloads,
        host,
        block,
        0,
        w,
        (*named.notes, *on.notes, *source.notes),
    )
    if own is not None and (own != PLAIN or any(pairing.quants[q].slug == PLAIN for q in pairing.runnable())):
        quant_slug = own
    return _with_quant(pairing, quant_slug)


def _source(catalog: Catalog, calibration: Calibration, model: str, slug: str) -> ModelSource:
    def architecture(slug: str) -> ModelArchitecture:
        return specs.architecture(catalog.models[slug])

    if slug != CUSTOM:
        return ModelSource(architecture(slug))
    return recognised(source_of_file(Path(model)), catalog, calibration, architecture)


def _with_quant(pairing: Pairing, slug: str | None) -> Pairing:
    runnable = pairing.runnable()
    if not runnable:
        raise QuestionError(
            ErrorCode.UNSUPPORTED, f"no engine runs any quantization of {pairing.model_name} on {pairing.gpu_name}"
        )
    if slug is None:
        best = pairing.recommended(pairing.chosen_workload)
        chosen = (
            max(runnable, key=lambda q: pairing.estimate(q, pairing.chosen_workload).score) if best is None else best
        )
    else:
        chosen = next(index for index, quant in enumerate(pairing.quants) if quant.slug == slug)
        if chosen not in runnable:
            allowed = ", ".join(pairing.quants[q].slug for q in runnable)
            raise QuestionError(
                ErrorCode.UNSUPPORTED,
                f"no engine runs {pairing.quants[chosen].name} of {pairing.model_name} on {pairing.gpu_name}; "
                f"these run there: {allowed}",
                "quant",
            )
    return replace(pairing, chosen_quant=chosen)
