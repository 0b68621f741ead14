"""Names that are known and not estimated."""

from __future__ import annotations

import orjson
import pytest

from db.entries.files import CATALOG_ROOT, Catalog
from db.entries.names.meanings import UnknownNameError
from db.entries.names.refusals import WHY
from tests.support.catalogs import CATALOG

FILE = CATALOG_ROOT / "refusals.jsonl"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return CATALOG


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        ("model", "openai/whisper-large-v3", "speech"),
        ("model", "whisper large v3 turbo", "speech"),
        ("model", "google/flan-t5-xl", "encoder-decoder"),
        ("model", "bert-base-uncased", "encoder"),
        ("model", "Dream-org/Dream-v0-Instruct-7B", "diffusion"),
        ("model", "huginn-0125", "unread"),
        ("model", "Maykeye/TinyLLama-v0", "tiny"),
        ("model", "gpt-4o", "closed"),
        ("model", "Qwen/Qwen3-TTS-12Hz-1.7B-Base", "speech"),
        ("model", "RadixArk/Kimi-K3-DSpark", "draft"),
        ("model", "intfloat/multilingual-e5-large", "encoder"),
        ("model", "WizardLM 70B", "unread"),
        ("model", "Qwen3 Embedding 8B", "embedding"),
        ("model", "someone/Qwen3-Reranker-4B-AWQ", "embedding"),
        ("model", "nvidia/gpt-oss-120b-Eagle3-v3", "draft"),
        ("gpu", "Surface Laptop 7", "configurations"),
        ("gpu", "iphone 16 pro", "phone"),
        ("gpu", "Intel Arc B770", "unconfirmed"),
        ("gpu", "iPad Pro M4", "phone"),
        ("gpu", "Tenstorrent Blackhole p150a", "no-backend"),
        ("gpu", "Hailo", "camera"),
        ("gpu", "Cerebras CS-3", "on-chip"),
    ],
)
def test_a_name_of_another_kind_is_refused_as_what_it_is(catalog: Catalog, kind: str, text: str, why: str) -> None:
    with pytest.raises(UnknownNameError, match="is known, but not estimated") as caught:
        catalog.resolve(kind, text)
    assert WHY[why] in str(caught.value)
    assert caught.value.suggestions == ()


def test_every_refusal_has_a_reason_and_a_source_and_refuses(catalog: Catalog) -> None:
    for row in map(orjson.loads, FILE.read_bytes().splitlines()):
        assert row.keys() - {"nearest"} == {"kind", "names", "why", "source"}
        assert all(slug in catalog.quants for slug in row.get("nearest", ()))
        assert row["why"] in WHY
        assert row["source"]
        for name in row["names"]:
            with pytest.raises(UnknownNameError, match="is known, but not estimated"):
                catalog.resolve(row["kind"], name.replace("...", "some 7b "))


@pytest.mark.parametrize(
    ("text", "nearest"), [("HQQ", "gptq-int4"), ("hqq-4bit", "gptq-int4"), ("F32", "f16"), ("q4f16_1", "q4-0")]
)
def test_a_format_without_a_recipe_says_what_is_nearest(catalog: Catalog, text: str, nearest: str) -> None:
    with pytest.raises(UnknownNameError, match="nearest to it are") as caught:
        catalog.resolve("quant", text)
    assert caught.value.suggestions[0] == nearest
