"""A text is split into the names that it has, in either order."""

from __future__ import annotations

import pytest

from api.answers.meant import meant, near
from api.catalog.view import CatalogView
from db.entries.files import Catalog
from estimator.calibration.coefficients import Calibration


@pytest.fixture(scope="module")
def view(bundled_catalog: Catalog) -> CatalogView:
    return CatalogView(bundled_catalog, None, Calibration.load())


@pytest.mark.parametrize(
    ("text", "model", "gpu"),
    [
        ("qwen3 32b", "qwen3-32b", None),
        ("rtx 4090", None, "rtx-4090"),
        ("qwen3 32b on rtx 4090", "qwen3-32b", "rtx-4090"),
        ("mi300x deepseek r1", "deepseek-r1", "instinct-mi300x-192-gb"),
        ("gpt-oss 120b mac studio m3 ultra 512gb", "gpt-oss-120b", "apple-m3-ultra-80c-512gb"),
        ("can I run llama 3.3 70b on a RTX 3090?", "llama-3.3-70b", "rtx-3090"),
        ("I have 2x 3090, will command a run?", "command-a-03-2025", "rtx-3090"),
        ("best model for my rtx 4090", None, "rtx-4090"),
        ("which gpu for qwen3 32b", "qwen3-32b", None),
        ("qwen3 32b on my macbook m4 max 64", "qwen3-32b", "apple-m4-max-40c-64gb"),
        ("foo bar baz", None, None),
        ("can I run it", None, None),
        ("", None, None),
        ("on", None, None),
        (" ".join(["rtx"] * 40), None, None),
    ],
)
def test_names_are_told_apart(view: CatalogView, text: str, model: str | None, gpu: str | None) -> None:
    named = meant(view, text)
    assert (named.model and named.model.slug, named.gpu and named.gpu.slug) == (model, gpu)


def test_a_part_of_names_lists_those_that_have_it(view: CatalogView) -> None:
    related = near(view, "deepseek")
    assert len(related.models) == 12
    assert related.gpus == ()
    assert "apple-m4-10c-16gb" in near(view, "m4 16gb").gpus
