"""Speeds of all models on an accelerator at once."""

from __future__ import annotations

from dataclasses import fields, replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from api.answers.choices.paces import Loads, Paces, loaded, surely_held_tokens
from api.catalog.fit_reads import FitReads
from api.catalog.view import CatalogView
from db.entries import specs
from db.entries.files import Catalog
from estimator.calibration.coefficients import Calibration
from estimator.judgement.setups import Pace
from estimator.placement.demand import UNKNOWN_CONTEXT_LIMIT, needs, situation_of
from estimator.structure.paged_cache import request_bytes
from estimator.types import CacheType
from tests.support.catalogs import CATALOG


def reads_of(view: CatalogView) -> FitReads:
    """Reads that compute all."""
    return cast(FitReads, SimpleNamespace(view=view))


async def test_a_catalog_of_dense_models_alone_has_speeds(small_catalog: Catalog) -> None:
    models = {slug: entry for slug, entry in small_catalog.models.items() if entry["moe"] is None}
    assert 0 < len(models) < len(small_catalog.models)
    view = CatalogView(replace(small_catalog, models=models), None, Calibration.load())
    paces, gpu = Paces(view), view.gpu("rtx-4090")
    alone = await paces.of(reads_of(view), gpu, 0, 1)
    situation = loaded(view.workloads[0].spec, 4)
    most = paces.at_most(gpu, alone, situation, paces.stacks.beside_others(gpu, 0, situation))
    assert most.pace.decode_tok_s.shape[0] == len(models)
    assert (most.pace.decode_tok_s < alone.pace.decode_tok_s).any()


@pytest.mark.parametrize(
    ("slug", "users"), [("h100-sxm5-80-gb", 32), ("rtx-4090", 8), ("apple-m4-pro-20c-48gb", 2), ("uhd-770", 4)]
)
async def test_several_users_have_no_more_than_is_known_before_they_are_laid_out(slug: str, users: int) -> None:
    entries = dict(list(CATALOG.models.items())[::3])
    view = CatalogView(replace(CATALOG, models=entries), None, Calibration.load())
    paces, gpu, reads = Paces(view), view.gpu(slug), reads_of(view)
    alone, own = await paces.of(reads, gpu, 1, 1), await paces.of(reads, gpu, 1, users)
    situation = loaded(view.workloads[1].spec, users)
    beside = paces.stacks.beside_others(gpu, 1, situation)
    most = paces.at_most(gpu, alone, situation, beside)
    holds = own.holds
    assert not (holds & ~most.pace.runs).any()
    # The limits are close: what may hold a model mostly does.
    assert most.pace.runs.sum() < 1.2 * holds.sum()
    assert (own.pace.decode_tok_s[holds] <= 1.00001 * most.pace.decode_tok_s[holds]).all()
    assert (own.pace.ttft_ms[holds] >= 0.99999 * most.pace.ttft_ms[holds]).all()
    assert (own.pace.drawback_points[holds] >= most.pace.drawback_points[holds]).all()


@pytest.mark.parametrize("slug", ["h100-sxm5-80-gb", "rtx-4090", "apple-m4-pro-20c-48gb", "cpu-ddr5-4800-2ch"])
def test_what_is_computed_in_one_go_is_what_each_model_is_alone(slug: str) -> None:
    entries = dict(list(CATALOG.models.items())[::4])
    view = CatalogView(replace(CATALOG, models=entries), None, Calibration.load())
    paces, gpu, workload = Paces(view), view.gpu(slug), view.workloads[1].spec
    beside = paces.stacks.beside_others(gpu, 1, loaded(workload, 8))
    assert beside.known.mean() > 0.8
    held, outlined = Loads(paces, view, gpu, workload, 8, beside), Loads(paces, view, gpu, workload, 8)
    for loads in (held, outlined):
        loads.lay_out(range(len(view.models)))
    for field in fields(Pace):
        got, expected = (getattr(loads.pace().pace, field.name) for loads in (held, outlined))
        np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert outlined.pace().whole.any()
    assert (held.pace().whole == outlined.pace().whole).all()


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
