"""Names as people type them."""

from __future__ import annotations

import pytest

from db.entries.files import CATALOG_ROOT, Catalog, load_catalog
from db.entries.names.meanings import UnknownNameError
from tests.db.entries.names.pairs import PAIRS


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def answer(catalog: Catalog, kind: str, text: str) -> str:
    """The meaning of a text in the form of the table of pairs."""
    try:
        meaning = catalog.meaning(kind, text)
    except UnknownNameError:
        return "?"
    quant = f"+{meaning.quant}" if meaning.quant else ""
    return f"{'~' if meaning.note else ''}{meaning.slug}{quant}{f'*{meaning.count}' if meaning.count else ''}"


@pytest.mark.parametrize("line", PAIRS.strip().splitlines())
def test_a_typed_pair_is_right_or_asked_back(catalog: Catalog, line: str) -> None:
    model, gpu, wanted_model, wanted_gpu = line.split(" | ")
    assert (answer(catalog, "model", model), answer(catalog, "gpu", gpu)) == (wanted_model, wanted_gpu)


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("RTX 4090 24GB", "rtx-4090"),
        ("rtx 4060 ti 16 gb", "rtx-4060-ti-16-gb"),
        ("NVIDIA A100 80GB PCIe", "a100-pcie-80-gb"),
        ("AMD Radeon(TM) RX 7900 XTX", "rx-7900-xtx"),
        ("Apple M1 Max (24-core GPU) 32GB", "apple-m1-max-24c-32gb"),
        ("M2 Ultra", "apple-m2-ultra-76c-192gb"),
        ("Intel Arc A770", "arc-a770-16-gb"),
    ],
)
def test_accelerator_names_resolve(catalog: Catalog, text: str, slug: str) -> None:
    assert catalog.resolve("gpu", text) == slug


def test_a_choice_is_stated_with_the_others(catalog: Catalog) -> None:
    meaning = catalog.meaning("gpu", "M4 Max")
    assert meaning.choices == ("apple-m4-max-32c-36gb", "apple-m4-max-40c-48gb", "apple-m4-max-40c-64gb")
    assert meaning.note == (
        "'M4 Max' is taken as Apple M4 Max 40-core GPU 128 GB; it also fits apple-m4-max-32c-36gb, "
        "apple-m4-max-40c-48gb, apple-m4-max-40c-64gb."
    )


def test_one_accelerator_is_not_several(catalog: Catalog) -> None:
    with pytest.raises(UnknownNameError, match="'2x 3090' names 2 accelerators, and one is expected here"):
        catalog.resolve("gpu", "2x 3090")
    assert catalog.resolve("gpu", "1x 3090") == "rtx-3090"


def test_an_unknown_quantization_of_a_file_is_stated(catalog: Catalog) -> None:
    meaning = catalog.meaning("model", "Qwen3-8B-UD-Q9_K_XL.gguf")
    assert (meaning.slug, meaning.quant) == ("qwen3-8b", None)
    assert meaning.note == "The quantization UD-Q9_K_XL of 'Qwen3-8B-UD-Q9_K_XL.gguf' is not in the catalog."


def test_thousands_of_names_of_models_resolve(catalog: Catalog) -> None:
    lines = sum(len(path.read_bytes().splitlines()) for path in (CATALOG_ROOT / "derivatives").glob("*.jsonl"))
    assert lines + len(catalog.models) > 7_500


@pytest.mark.parametrize("text", ["GLM 4.6V", "MiniCPM-V 4.5", "openbmb/MiniCPM-V-4"])
def test_a_vision_model_is_not_the_version_that_it_is_written_like(catalog: Catalog, text: str) -> None:
    with pytest.raises(UnknownNameError):
        catalog.meaning("model", text)
    assert catalog.resolve("model", "deepseekv3.2") == "deepseek-v3.2"
