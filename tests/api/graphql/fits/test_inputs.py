"""Filters of fits as queries of the store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api.catalog.view import CatalogView
from api.graphql.catalog.faces import Faces
from api.graphql.catalog.inputs import GpuFilter, ModelFilter
from api.graphql.core.inputs import FloatRange, Int64Range
from api.graphql.fits.inputs import FitFilter, FitGroup, FitOrder, FitOrderField, store_query
from api.graphql.fits.pages import Selection, selection_of
from db.entries.files import Catalog, load_catalog
from estimator.calibration.coefficients import Calibration


@pytest.mark.parametrize("known", [True, False])
def test_a_model_that_lacks_a_fact_has_no_weights_to_be_known(catalog: Catalog, known: bool) -> None:
    entry = catalog.models["llama-3.1-8b"]
    lacking = {**entry, "attention": {**entry["attention"], "layer_pattern": None}}
    models = {**catalog.models, "llama-3.1-8b": lacking}
    view = CatalogView(replace(catalog, models=models), None, Calibration.load())
    wanted = store_query(view.derived(Faces), FitFilter(weights_known=known)).model_quants
    assert wanted is not None
    assert wanted.among is not known
    named = {number for number, _ in wanted.pairs}
    assert named == {view.model_ids[slug] for slug in models if slug != "llama-3.1-8b"}


def test_a_condition_that_every_entity_passes_is_none() -> None:
    view = CatalogView(load_catalog(), None, Calibration.load())
    faces = view.derived(Faces)
    every = FitFilter(gpu_matches=GpuFilter(memory_bytes=Int64Range(include_unknown=True)), model_matches=ModelFilter())
    assert store_query(faces, every) == store_query(faces, None)


def test_equal_arguments_share_a_selection_and_others_do_not() -> None:
    view = CatalogView(load_catalog(), None, Calibration.load())
    faces = view.derived(Faces)

    def select(score_min: float, field: FitOrderField, group: FitGroup | None = None) -> Selection:
        return selection_of(faces, (FitFilter(score=FloatRange(min=score_min)), [FitOrder(field=field)], group))

    first = select(50, FitOrderField.SCORE)
    assert select(50, FitOrderField.SCORE) is first
    others = [
        select(51, FitOrderField.SCORE),
        select(50, FitOrderField.DECODE),
        select(50, FitOrderField.SCORE, FitGroup.MODEL),
    ]
    assert len({(selection.query, selection.order) for selection in (first, *others)}) == 4
