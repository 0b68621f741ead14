"""Everything of a catalog that may be advised to change to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from api.catalog.view import CatalogView
from db.entries import specs
from db.entries.files import Catalog
from db.entries.traits import model_traits
from estimator.advice.options import Candidate, ModelPool, Options
from estimator.fit_facts import FitFacts
from estimator.judgement.capability import CapabilityTable
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.checkpoints import is_offered
from estimator.types import Quant


def options_of(view: CatalogView, facts: FitFacts) -> Options:
    """Those of a view for one setup."""
    return _for_model(view.derived(_of_view), facts, (quant.spec for quant in view.precomputed_quants))


def options_of_catalog(catalog: Catalog, facts: FitFacts, quants: Iterable[Quant]) -> Options:
    """Those of catalog files for one setup; ``quants`` may have the bytes of the model's own file."""
    return _for_model(_of_catalog(catalog, lambda slug: specs.architecture(catalog.models[slug])), facts, quants)


def _of_view(view: CatalogView) -> _Choices:
    records = {model.slug: model for model in view.models}
    return _of_catalog(view.catalog, lambda slug: view.architecture(records[slug]))


@dataclass(frozen=True, slots=True)
class _Choices:
    """All that does not depend on the present model."""

    options: Options
    by_slug: Mapping[str, Candidate]


def _for_model(choices: _Choices, facts: FitFacts, quants: Iterable[Quant]) -> Options:
    return replace(
        choices.options,
        quants=tuple(quant for quant in quants if is_offered(quant, facts.model)),
        present=choices.by_slug.get(facts.model.slug),
    )


def _of_catalog(catalog: Catalog, architecture: Callable[[str], ModelArchitecture]) -> _Choices:
    table = CapabilityTable.load()
    models = {
        slug: Candidate(catalog.models[slug]["name"], traits, table.of(traits), partial(architecture, slug))
        for slug, traits in model_traits(catalog).items()
        if not specs.missing_facts(catalog.models[slug])
    }
    quants = tuple(specs.quant(entry) for entry in catalog.quants.values() if specs.is_precomputed(entry))
    options = Options(
        accelerators=tuple(
            specs.accelerator(entry) for entry in catalog.gpus.values() if not specs.missing_facts(entry)
        ),
        hosts=tuple(specs.host(entry) for entry in catalog.hosts.values()),
        models=ModelPool(tuple(models.values()), quants),
    )
    return _Choices(options, models)
