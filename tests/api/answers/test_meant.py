"""A text is split into the names that it has, in either order."""

from __future__ import annotations

import pytest

from api.answers.meant import half_meant, meant, near
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
        ("qwen3 8b 3060", "qwen3-8b", "rtx-3060-12-gb"),
        ("coding on 3060", None, "rtx-3060-12-gb"),
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


@pytest.mark.parametrize(
    ("text", "half"),
    [
        ("qwen3 32b on a RTX 9090", ("qwen3-32b", None, "RTX 9090")),
        ("deepseek on my rtx 5090", (None, "rtx-5090", "deepseek")),
        ("qwen3 32b on rtx 4090", None),
        ("rtx 4090 on linux", None),
        ("foo on bar", None),
        ("on", None),
    ],
)
def test_the_known_name_of_two_is_told_from_the_other(
    view: CatalogView, text: str, half: tuple[str | None, str | None, str] | None
) -> None:
    found = half_meant(view, text)
    if half is None:
        assert found is None
        return
    assert found is not None
    named, other = found
    assert (named.model and named.model.slug, named.gpu and named.gpu.slug, other) == half


def test_a_part_of_names_lists_those_that_have_it(view: CatalogView) -> None:
    related = near(view, "deepseek")
    assert len(related.models) == 12
    assert related.gpus == ()
    assert "apple-m4-10c-16gb" in near(view, "m4 16gb").gpus
