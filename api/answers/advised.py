"""Everything of a catalog that may be advised to change to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from api.catalog.view import CatalogView
from db.entries import specs
from db.entries.files import Catalog
from db.entries.traits import model_traits
from estimator.advice.options import Candidate, Options
from estimator.fit_facts import FitFacts
from estimator.judgement.capability import CapabilityTable
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.checkpoints import has_weights
from estimator.types import Quant


def options_of(view: CatalogView, facts: FitFacts) -> Options:
    """Those of a view for one setup."""
    catalog = view.derived(_of_view)
    return _for_model(catalog, facts, (quant.spec for quant in view.precomputed_quants))


def options_of_catalog(catalog: Catalog, facts: FitFacts, quants: Iterable[Quant]) -> Options:
    """Those of catalog files for one setup; ``quants`` may have the bytes of the model's own file."""
    return _for_model(_of_catalog(catalog, lambda slug: specs.architecture(catalog.models[slug])), facts, quants)


def _of_view(view: CatalogView) -> Options:
    records = {model.slug: model for model in view.models}
    return _of_catalog(view.catalog, lambda slug: view.architecture(records[slug]))


def _for_model(catalog: Options, facts: FitFacts, quants: Iterable[Quant]) -> Options:
    own = next((model for model in catalog.models if model.traits.slug == facts.model.slug), None)
    return Options(
        quants=tuple(quant for quant in quants if has_weights(quant, facts.model)),
        accelerators=catalog.accelerators,
        hosts=catalog.hosts,
        models=catalog.models,
        all_quants=catalog.all_quants,
        present=own,
    )


def _of_catalog(catalog: Catalog, architecture: Callable[[str], ModelArchitecture]) -> Options:
    """All that does not depend on the present model."""
    table = CapabilityTable.load()
    models = []
    for slug, traits in model_traits(catalog).items():
        entry = catalog.models[slug]
        if specs.missing_facts(entry):
            continue
        models.append(Candidate(entry["name"], traits, table.of(traits), partial(architecture, slug)))
    return Options(
        accelerators=tuple(
            specs.accelerator(entry) for entry in catalog.gpus.values() if not specs.missing_facts(entry)
        ),
        hosts=tuple(specs.host(entry) for entry in catalog.hosts.values()),
        models=tuple(models),
        all_quants=tuple(specs.quant(entry) for entry in catalog.quants.values() if specs.is_precomputed(entry)),
    )
