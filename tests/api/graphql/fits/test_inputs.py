"""Filters of fits as queries of the store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api.catalog.view import CatalogView
from api.graphql.catalog.faces import Faces
from api.graphql.fits.inputs import FitFilter, store_query
from db.entries.files import Catalog
from estimator.calibration.coefficients import Calibration


@pytest.mark.parametrize("known", [True, False])
def test_a_model_that_lacks_a_fact_has_no_weights_to_be_known(catalog: Catalog, known: bool) -> None:
    entry = catalog.models["llama-3.1-8b"]
    lacking = {**entry, "attention": {**entry["attention"], "layer_pattern": None}}
    models = {**catalog.models, "llama-3.1-8b": lacking}
    view = CatalogView(replace(catalog, models=models), None, Calibration.load())
    (alternatives,) = store_query(view.derived(Faces), FitFilter(weights_known=known)).any_of
    named = {number for query in alternatives for number in query.model_ids or ()}
    assert named == {view.model_ids[slug] for slug in models if slug != "llama-3.1-8b"}
