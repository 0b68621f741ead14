"""A view replaces another one, and leaves nothing of it."""

from __future__ import annotations

import gc
from weakref import ref

import pytest

from api.server.app import create_app
from api.settings import ApiSettings
from db.entries.files import Catalog
from tests.api.conftest import asker, client_of

QUERIES = (
    '{ fits(first: 3, filter: {weightsKnown: true, gpu: {in: ["4090"]}}) { nodes { advice { message } faq { answer } '
    "serving { people } limits { message } } } }",
    '{ recommendations(input: {gpu: "rtx-4090"}) { nodes { fit { score } } } }',
    "{ purchases(input: {}) { streams } }",
    '{ comparison(input: {models: ["llama-3.1-8b"], gpus: ["4090", "3090"], contextTokens: [9000]}) { winner } }',
    '{ estimate(input: {model: {slug: "llama-3.1-8b"}, machine: {gpu: "4090"}}) { score } }',
    '{ models(first: 2, search: "llama") { nodes { slug fits(first: 2) { totalCount } } } }',
    '{ gpu(slug: "no such name") { slug } }',
)
PAGES = (
    "/", "/models", "/gpus", "/model/llama-3.1-8b", "/gpu/rtx-4090", "/can/llama-3.1-8b-on-rtx-4090",
    "/search?q=llama", "/buy?model=llama-3.1-8b", "/here?gpu=rtx-4090", "/serve?model=llama-3.1-8b&gpu=rtx-4090",
    "/compare?model=llama-3.1-8b&gpu=rtx-4090",
)  # fmt: skip


@pytest.mark.asyncio(loop_scope="session")
async def test_a_replaced_view_does_not_wait_for_the_garbage_collector(settings: ApiSettings, catalog: Catalog) -> None:
    app = create_app(settings, catalog)
    state = app.state.services.state
    async with client_of(app) as client:
        for query in QUERIES:
            await asker(client)(query)
        statuses = {page: (await client.get(page)).status_code for page in PAGES}
    view = state.fresh_view or await state.view()
    replaced, names = ref(view), ref(view.catalog.resolver)
    del view
    gc.collect()
    gc.disable()
    try:
        state._view = None
        assert replaced() is None
        assert names() is None
    finally:
        gc.enable()
    await app.state.services.close()
    assert {page: status for page, status in statuses.items() if status != 200} == {}


@pytest.mark.asyncio(loop_scope="session")
async def test_a_new_view_frees_the_plans_of_the_one_before(
    settings: ApiSettings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = create_app(settings, catalog).state.services
    state, freed = services.state, []
    monkeypatch.setattr(state._reader, "forget_plans", lambda: freed.append(state._view))
    first = await state.view()
    state._checked_at = float("-inf")
    assert await state.view() is first
    state._view = None
    second = await state.view()
    await services.close()
    assert freed == [first, second]
