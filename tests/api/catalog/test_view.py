"""A name means the same in the API, on the pages, in a batch and on the command line."""

from __future__ import annotations

import random
from typing import Any

import httpx
import orjson
import pytest

import api.cli.estimate
from api.answers.questions import Answerer
from api.cli.batch import answer_line
from db.entries.files import Catalog
from db.entries.names.meanings import Meaning, UnknownNameError
from estimator.calibration.coefficients import Calibration
from tests.db.entries.names.pairs import PAIRS

pytestmark = pytest.mark.asyncio(loop_scope="session")

_QUERY = """query($model: String!, $gpu: String!) {
    model: nameMeaning(kind: MODEL, text: $model) { slug count quantSlug }
    gpu: nameMeaning(kind: GPU, text: $gpu) { slug count quantSlug } }"""


def meant(catalog: Catalog, kind: str, text: str) -> Meaning | None:
    try:
        return catalog.meaning(kind, text)
    except UnknownNameError:
        return None


def sampled(catalog: Catalog, number: int) -> list[tuple[str, str]]:
    """Pairs of names as people type them: half of each kind are of models and accelerators with fits."""
    lines = [line.split(" | ") for line in PAIRS.strip().splitlines()]
    chosen = random.Random(40)
    columns = []
    for at, (kind, held) in enumerate((("model", catalog.models), ("gpu", catalog.gpus))):
        texts = dict.fromkeys(line[at] for line in lines)
        known = [text for text in texts if (meaning := meant(catalog, kind, text)) is not None and meaning.slug in held]
        other = [text for text in texts if text not in known]
        columns.append(chosen.sample(known, number // 2) + chosen.sample(other, number - number // 2))
    return list(zip(*columns, strict=True))


async def test_forty_names_mean_the_same_on_every_face(
    catalog: Catalog,
    client: httpx.AsyncClient,
    ask: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answerer = Answerer(catalog, Calibration.load())
    monkeypatch.setattr(api.cli.estimate, "load_catalog", lambda: catalog)
    pairs = sampled(catalog, 20)
    compared = 0
    for model, gpu in pairs:
        named, on = meant(catalog, "model", model), meant(catalog, "gpu", gpu)
        answer = (await ask(_QUERY, model=model, gpu=gpu))["data"]
        for meaning, field in ((named, answer["model"]), (on, answer["gpu"])):
            assert field == (
                None if meaning is None else {"slug": meaning.slug, "count": meaning.count, "quantSlug": meaning.quant}
            )
        page = await client.get("/can", params={"model": model, "gpu": gpu})
        assert page.status_code == (404 if named is None or on is None else 303)
        if named is None or on is None or named.slug not in catalog.models or on.slug not in catalog.gpus:
            continue
        line = answer_line(answerer, orjson.dumps({"model": model, "gpu": gpu, "quant": "q4-k-m"}))
        assert (line["model"], line["gpu"]) == (named.slug, on.slug)
        compared += 1
        if compared < 3:
            assert api.cli.estimate.run_one(model, gpu, "q4-k-m", "coding", as_json=True) == 0
            printed = orjson.loads(capsys.readouterr().out)
            assert (printed["model"], printed["gpu"]) == (named.slug, on.slug)
    assert compared > 4


async def test_a_name_beside_unknown_words_is_asked_back_alike_on_every_face(
    catalog: Catalog,
    client: httpx.AsyncClient,
    ask: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api.cli.estimate, "load_catalog", lambda: catalog)
    text, gpu = "Llama 3.1 8B Zorbmaid", "rtx-4090"
    with pytest.raises(UnknownNameError) as caught:
        catalog.meaning("model", text)
    told, suggestions = str(caught.value), list(caught.value.suggestions)
    assert suggestions == ["llama-3.1-8b"]
    error = (await ask("query($text: String!) { model(slug: $text) { slug } }", text=text))["errors"][0]
    assert error["message"] == told
    assert error["extensions"] == {
        "code": "AMBIGUOUS_NAME", "kind": "model", "name": text, "suggestions": suggestions
    }  # fmt: skip
    line = answer_line(Answerer(catalog, Calibration.load()), orjson.dumps({"model": text, "gpu": gpu}))
    assert line["error"] == {
        "code": "AMBIGUOUS_NAME", "message": told, "field": "model", "suggestions": suggestions
    }  # fmt: skip
    assert api.cli.estimate.run_one(text, gpu, "q4-k-m", "coding", as_json=False) != 0
    assert told in capsys.readouterr().err
    page = await client.get(f"/model/{text}")
    assert page.status_code == 404
    assert "holds the name of Llama 3.1 8B" in page.text
    assert 'href="/model/llama-3.1-8b"' in page.text
