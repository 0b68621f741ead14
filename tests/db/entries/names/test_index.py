"""Names of one kind: exact ones, clashes, and what a name that no entity has is answered with."""

from __future__ import annotations

from typing import Any

import pytest

from db.entries.files import DIRECTORIES, Catalog
from db.entries.names.index import NameIndex
from db.entries.names.meanings import AmbiguousNameError, UnknownNameError
from tests.support.catalogs import CATALOG


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return CATALOG


@pytest.mark.parametrize(
    ("text", "slug"),
    [("Q4_K_M", "q4-k-m"), ("q4_k_m", "q4-k-m"), ("Q4KM", "q4-k-m"), ("IQ4_XS", "iq4-xs"), ("AWQ", "awq-int4"),
     ("MXFP4_MOE", "mxfp4"), ("fp16", "f16"), ("MLX Q4", "mlx-4bit")],
)  # fmt: skip
def test_quant_names_resolve(catalog: Catalog, text: str, slug: str) -> None:
    assert catalog.resolve("quant", text) == slug


def test_every_own_name_resolves_to_its_entry(catalog: Catalog) -> None:
    for kind in DIRECTORIES:
        for slug, entry in catalog.entries(kind).items():
            for name in (slug, slug.upper(), entry["name"], *(entry["aliases"] if kind != "quant" else ())):
                assert catalog.resolve(kind, name) == slug, name


def test_an_unknown_name_suggests_the_nearest(catalog: Catalog) -> None:
    with pytest.raises(UnknownNameError, match="no gpu is called 'RTX 4091'") as caught:
        catalog.resolve("gpu", "RTX 4091")
    assert "rtx-4090" in caught.value.suggestions
    assert 1 <= len(caught.value.suggestions) <= 5


@pytest.mark.parametrize("text", ["", " ", "-it" * 50_000, "\x00", "🙂", "é" * 300])
def test_odd_names_are_refused_quickly(catalog: Catalog, text: str) -> None:
    for kind in DIRECTORIES:
        with pytest.raises(UnknownNameError) as caught:
            catalog.resolve(kind, text)
        assert len(str(caught.value)) < 1500


def test_a_shared_name_is_a_clash_unless_one_file_lists_it() -> None:
    entries: dict[str, dict[str, Any]] = {
        "card-8-gb": {"slug": "card-8-gb", "name": "Card", "aliases": [], "memory_gb": 8.0, "vendor": "amd"},
        "card-16-gb": {"slug": "card-16-gb", "name": "Card", "aliases": [], "memory_gb": 16.0, "vendor": "amd"},
    }
    assert [clash.name for clash in NameIndex("gpu", entries).clashes] == ["Card"]
    entries["card-16-gb"]["aliases"] = ["Card"]
    index = NameIndex("gpu", entries)
    assert index.clashes == []
    assert index.resolve("AMD card").slug == "card-16-gb"
    entries["card-8-gb"]["aliases"] = ["card"]
    assert len(NameIndex("gpu", entries).clashes) == 1


def test_a_name_that_leaves_words_out_fits_all_that_have_the_others() -> None:
    entries: dict[str, dict[str, Any]] = {
        f"{size}-gb": {"slug": f"{size}-gb", "name": f"Card 700 {size} GB", "aliases": [], "memory_gb": float(size)}
        for size in (8, 16)
    }
    index = NameIndex("gpu", entries)
    with pytest.raises(AmbiguousNameError, match="'card 700' fits several entries: 16-gb, 8-gb; name one of them"):
        index.resolve("card 700")
    entries["16-gb"]["aliases"] = ["Card 700"]
    meaning = NameIndex("gpu", entries).resolve("card 700")
    assert (meaning.slug, meaning.choices) == ("16-gb", ("8-gb",))
    assert meaning.note == "'card 700' is taken as Card 700 16 GB; it also fits 8-gb."
    assert NameIndex("gpu", entries).resolve("8 gb 700 card").note is None


@pytest.mark.parametrize("text", ["card 701", "card 700 32 GB", "card 700 super", "16 GB", "card"])
def test_a_number_or_a_further_word_is_never_passed_over(text: str) -> None:
    entry = {"slug": "card-700", "name": "Card 700 16 GB", "aliases": ["Card 700"], "memory_gb": 16.0}
    other = {"slug": "card-800", "name": "Card 800 16 GB", "aliases": [], "memory_gb": 16.0}
    with pytest.raises(UnknownNameError):
        NameIndex("gpu", {"card-700": entry, "card-800": other}).resolve(text)


def test_the_choices_of_most_downloads_come_first() -> None:
    with pytest.raises(AmbiguousNameError) as caught:
        CATALOG.meaning("model", "gemma")
    counts = [(CATALOG.models[slug].get("downloads") or {"count": 0})["count"] for slug in caught.value.choices]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 0
