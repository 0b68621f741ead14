"""Fits of the bundled catalog, as the text and advice functions take them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache, partial

from db.entries import specs
from db.entries.traits import model_traits
from estimator.advice.options import Candidate, ModelPool, Options
from estimator.calibration.coefficients import Calibration
from estimator.estimate import estimate
from estimator.fit_facts import FitFacts, request_of
from estimator.judgement.capability import CapabilityTable
from estimator.placement.hosts import host_for
from estimator.structure.architecture import ModelArchitecture
from estimator.types import Accelerator, EstimatorError, Host, Quant, Workload
from tests.support.catalogs import CATALOG

CALIBRATION = Calibration.load()
HOST: Host = specs.host(CATALOG.hosts[CATALOG.default_host])
HOSTS: tuple[Host, ...] = tuple(specs.host(entry) for entry in CATALOG.hosts.values())
TRAITS = model_traits(CATALOG)
MODELS = sorted(slug for slug, entry in CATALOG.models.items() if not specs.missing_facts(entry))
GPUS = sorted(slug for slug, entry in CATALOG.gpus.items() if not specs.missing_facts(entry))
QUANTS = sorted(slug for slug, entry in CATALOG.quants.items() if specs.is_precomputed(entry))
WORKLOADS = sorted(CATALOG.workloads)


@cache
def architecture(slug: str) -> ModelArchitecture:
    """Architecture of a catalog model."""
    return specs.architecture(CATALOG.models[slug])


@cache
def accelerator(slug: str) -> Accelerator:
    """A catalog accelerator."""
    return specs.accelerator(CATALOG.gpus[slug])


@cache
def quant(slug: str) -> Quant:
    """A catalog quantization."""
    return specs.quant(CATALOG.quants[slug])


@cache
def workload(slug: str) -> Workload:
    """A catalog workload."""
    return specs.workload(CATALOG.workloads[slug])


def facts_of(model: str, gpu: str, quant_slug: str, use: str = "coding") -> FitFacts:
    """The fit of four slugs. Raises :class:`EstimatorError` where there is none."""
    entry = CATALOG.models[model]
    request = request_of(quant(quant_slug), accelerator(gpu), host_for(accelerator(gpu), HOSTS))
    answer = estimate(architecture(model), request, CALIBRATION, workload(use))
    return FitFacts(
        architecture(model),
        entry["name"],
        request,
        answer,
        workload(use),
        entry["hf_repo"],
        entry["gguf_repo"],
        entry["ollama_tag"],
    )


def random_facts(count: int, seed: int) -> Iterator[FitFacts]:
    """``count`` random fits of the whole catalog that an engine can be asked about."""
    pick = random.Random(seed)
    while count:
        try:
            facts = facts_of(pick.choice(MODELS), pick.choice(GPUS), pick.choice(QUANTS), pick.choice(WORKLOADS))
        except EstimatorError:
            continue
        count -= 1
        yield facts


@cache
def everything(model: str | None = None) -> Options:
    """All quants, models and accelerators of the catalog, for a present model that it describes or not."""
    quants = tuple(map(quant, QUANTS))
    own = candidate(model) if model is not None else None
    return Options(quants, tuple(map(accelerator, GPUS)), HOSTS, pool(), own)


@cache
def pool() -> ModelPool:
    """All models of the catalog in all precomputed quants."""
    return ModelPool(tuple(map(candidate, MODELS)), tuple(map(quant, QUANTS)))


@cache
def candidate(slug: str) -> Candidate:
    """A catalog model as one that may be advised."""
    capability = CapabilityTable.load().of(TRAITS[slug])
    return Candidate(CATALOG.models[slug]["name"], TRAITS[slug], capability, partial(architecture, slug))


#: The computers around the accelerators of :func:`everything`.
ALL_HOSTS = tuple(host_for(accelerator(slug), HOSTS) for slug in GPUS)
