"""Speeds of all models on an accelerator at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from api.answers.choices.paces import Paces
from api.catalog.view import CatalogView
from db.entries.files import Catalog
from estimator.calibration.coefficients import Calibration


def test_a_catalog_of_dense_models_alone_has_speeds(small_catalog: Catalog) -> None:
    models = {slug: entry for slug, entry in small_catalog.models.items() if entry["moe"] is None}
    assert 0 < len(models) < len(small_catalog.models)
    view = CatalogView(replace(small_catalog, models=models), None, Calibration.load())
    speeds = Paces(view).decode_tok_s(view.gpu("rtx-4090"), 0, 4)
    assert speeds.shape[0] == len(models)
    assert np.isfinite(speeds).any()
