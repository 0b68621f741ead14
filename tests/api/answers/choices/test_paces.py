"""Speeds of all models on an accelerator at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from api.answers.choices.paces import Paces, loaded, surely_held_tokens
from api.catalog.view import CatalogView
from db.entries import specs
from db.entries.files import Catalog
from estimator.calibration.coefficients import Calibration
from estimator.placement.demand import UNKNOWN_CONTEXT_LIMIT, needs, situation_of
from estimator.structure.paged_cache import request_bytes
from estimator.types import CacheType
from tests.support.catalogs import CATALOG


def test_a_catalog_of_dense_models_alone_has_speeds(small_catalog: Catalog) -> None:
    models = {slug: entry for slug, entry in small_catalog.models.items() if entry["moe"] is None}
    assert 0 < len(models) < len(small_catalog.models)
    view = CatalogView(replace(small_catalog, models=models), None, Calibration.load())
    speeds = Paces(view).decode_tok_s(view.gpu("rtx-4090"), 0, 4)
    assert speeds.shape[0] == len(models)
    assert np.isfinite(speeds).any()


@pytest.mark.parametrize("users", [2, 8, 32])
def test_one_context_takes_no_more_memory_than_several_that_surely_are_longer(users: int) -> None:
    entries = [entry for entry in CATALOG.models.values() if not specs.missing_facts(entry)][::3]
    compared = 0
    for workload in map(specs.workload, CATALOG.workloads.values()):
        several = loaded(workload, users)
        for model in map(specs.architecture, entries):
            tokens = int(min(surely_held_tokens(several), model.context_tokens or UNKNOWN_CONTEXT_LIMIT))
            if tokens < workload.context_tokens:
                continue
            one = replace(situation_of(workload), context_tokens=tokens)
            need = needs(model, (several, one))
            taken = need.kv_last[:, -1] + need.compute
            assert taken[0] >= taken[1], (model.slug, workload.slug)
            request = request_bytes(model, CacheType.F16, 1)
            lengths = np.array([several.held_tokens, float(tokens)])
            paged = request(lengths, 8192) * [users, 1]
            assert paged[0] >= paged[1], (model.slug, workload.slug)
            compared += 1
    assert compared > 100
