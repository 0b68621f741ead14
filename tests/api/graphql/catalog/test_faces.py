"""GraphQL objects of entities: one a record, kept while the entry stays."""

from __future__ import annotations

from dataclasses import replace

from api.catalog.view import CatalogView
from api.graphql.catalog.faces import Faces
from db.entries.files import Catalog
from estimator.calibration.coefficients import Calibration

CALIBRATION = Calibration.load()


def test_objects_of_unchanged_entries_are_kept(catalog: Catalog) -> None:
    before = CatalogView(catalog, None, CALIBRATION)
    entry = {**catalog.models["llama-3.1-8b"], "note": "changed"}
    changed = replace(catalog, models={**catalog.models, "llama-3.1-8b": entry})
    after = CatalogView(changed, None, CALIBRATION, previous=before)
    old, new = before.derived(Faces), after.derived(Faces)
    assert new.by_slug("model", "llama-3.1-8b").note == "changed"
    assert new.by_slug("model", "llama-3.1-8b") is not old.by_slug("model", "llama-3.1-8b")
    assert new.by_slug("model", "qwen3-8b") is old.by_slug("model", "qwen3-8b")
    assert new.by_slug("gpu", "rtx-4090") is old.by_slug("gpu", "rtx-4090")


def test_a_view_makes_its_objects_once(catalog: Catalog) -> None:
    view = CatalogView(catalog, None, CALIBRATION)
    faces = view.derived(Faces)
    assert view.derived(Faces) is faces
    assert faces.of(view.model("llama-3.1-8b")) is faces.by_slug("model", "llama-3.1-8b")
    assert faces.model_by_id[view.model_ids["llama-3.1-8b"]].name == "Llama 3.1 8B"
