"""Fits of models outside the precompute policy: computed for the request by the code of the runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from api.server.app import create_app
from api.settings import ApiSettings
from db.entries.files import Catalog
from db.session import upgrade_database
from db.settings import Precompute
from tests.api.conftest import MODELS, asker, client_of
from tests.support.runs import run_in_process

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIVE, PUBLISHED = sorted(MODELS)[0], sorted(MODELS)[1:]
_FIGURES = (
    "quant { slug } workload { kind } status decode { tokensPerSecond } ttftMs safeContextTokens memory { totalBytes }"
)
_FIT = f'query F($model: String!) {{ fit(model: $model, gpu: "rtx-4090") {{ source generation {_FIGURES} }} }}'
_CHOICES = f"""query R($model: String!) {{ recommendations(input: {{model: $model}}, first: 5) {{
  totalCount nodes {{ fit {{ source gpu {{ slug }} {_FIGURES} }} }} }} }}"""
_MODELS = '{ recommendations(input: {gpu: "rtx-4090"}, first: 100) { nodes { fit { model { slug } } } } }'


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def partly(tmp_path_factory: pytest.TempPathFactory, catalog: Catalog) -> AsyncIterator[Any]:
    """Asks an application in which all models but one are precomputed."""
    folder: Path = tmp_path_factory.mktemp("partly")
    (folder / "models.txt").write_text("\n".join(PUBLISHED))
    settings = ApiSettings(
        state_dir=folder, precompute=Precompute.LISTED, precompute_list=folder / "models.txt", database_url=""
    )
    upgrade_database(settings.resolved_database_url)
    assert run_in_process(settings, catalog) is not None
    app = create_app(settings, catalog)
    async with client_of(app) as client:
        yield asker(client)
    await app.state.services.close()


async def test_a_model_outside_the_policy_is_answered_live_with_the_same_figures(partly: Any, data: Any) -> None:
    live, published = (await partly(_FIT, model=LIVE))["data"]["fit"], (await data(_FIT, model=LIVE))["fit"]
    assert (live.pop("source"), live.pop("generation")) == ("LIVE", None)
    assert published.pop("source") == "PUBLISHED"
    del published["generation"]
    assert same(live, published)
    state = (await partly("{ catalog { modelCount precomputedModelCount } }"))["data"]["catalog"]
    assert state == {"modelCount": len(MODELS), "precomputedModelCount": len(PUBLISHED)}


async def test_its_machines_are_those_that_a_run_would_give(partly: Any, data: Any) -> None:
    live, published = (await partly(_CHOICES, model=LIVE))["data"], await data(_CHOICES, model=LIVE)
    assert {row["fit"].pop("source") for row in live["recommendations"]["nodes"]} == {"LIVE"}
    assert {row["fit"].pop("source") for row in published["recommendations"]["nodes"]} == {"PUBLISHED"}
    assert same(live, published)


async def test_lists_over_models_hold_the_precomputed_ones(partly: Any) -> None:
    nodes = (await partly(_MODELS))["data"]["recommendations"]["nodes"]
    assert nodes
    assert {row["fit"]["model"]["slug"] for row in nodes} <= set(PUBLISHED)


def same(value: Any, other: Any) -> bool:
    """Equal up to the rounding of stored figures."""
    if isinstance(value, dict):
        return value.keys() == other.keys() and all(same(value[key], other[key]) for key in value)
    if isinstance(value, list):
        return len(value) == len(other) and all(map(same, value, other))
    return bool(value == (pytest.approx(other, rel=2e-3) if isinstance(value, float) else other))
