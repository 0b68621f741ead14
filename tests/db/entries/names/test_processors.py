"""Processors by name: the memory of their series, asked back where it is of either kind."""

from __future__ import annotations

import pytest

from db.entries.files import CATALOG_ROOT, Catalog
from db.entries.names.meanings import UnknownNameError
from db.entries.names.processors import series
from tests.support.catalogs import CATALOG


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return CATALOG


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("ryzen 7 7800x3d", "cpu-ddr5-5200-2ch"),
        ("AMD Ryzen 9 7950X 16-Core Processor", "cpu-ddr5-5200-2ch"),
        ("Ryzen 9 9950X3D", "cpu-ddr5-5600-2ch"),
        ("Ryzen 5 5600X", "cpu-ddr4-3200-2ch"),
        ("AMD EPYC 9654 96-Core Processor", "cpu-epyc-ddr5-4800-12ch"),
        ("EPYC 7763", "cpu-epyc-ddr4-3200-8ch"),
        ("threadripper pro 7995wx", "cpu-ddr5-4800-8ch"),
        ("Threadripper 7970X", "cpu-tr-ddr5-5200-4ch"),
        ("Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz", "cpu-ddr4-2666-6ch"),
        ("Xeon E5-2680 v3", "cpu-ddr4-2133-4ch"),
        ("Ryzen 5 3400G", "cpu-ddr4-2666-2ch"),
        ("Core i5-10400F", "cpu-ddr4-2666-2ch"),
        ("Xeon E5-2680 v4", "cpu-ddr4-2400-4ch"),
        ("Core Ultra 9 285K", "cpu-ddr5-6400-2ch"),
    ],
)
def test_a_processor_is_its_memory(catalog: Catalog, text: str, slug: str) -> None:
    meaning = catalog.meaning("gpu", text)
    assert meaning.slug == slug
    assert meaning.note is not None
    assert "the processor takes" in meaning.note


def test_memory_of_either_kind_is_taken_as_the_faster_and_the_other_is_stated(catalog: Catalog) -> None:
    meaning = catalog.meaning("gpu", "i9-14900K")
    assert (meaning.slug, meaning.choices) == ("cpu-ddr5-5600-2ch", ("cpu-ddr4-3200-2ch",))
    assert meaning.note is not None
    assert "with its slower memory it is cpu-ddr4-3200-2ch" in meaning.note


@pytest.mark.parametrize("text", ["ryzen", "ryzen 7", "core i9", "epyc 1234", "i7-990x3"])
def test_a_series_is_no_processor(catalog: Catalog, text: str) -> None:
    with pytest.raises(UnknownNameError):
        catalog.resolve("gpu", text)


def test_every_series_names_an_entry(catalog: Catalog) -> None:
    assert {line.gpu for line in series(CATALOG_ROOT / "processors.jsonl")} <= catalog.gpus.keys()
