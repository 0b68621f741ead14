"""Names as people type them."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from db.entries.files import CATALOG_ROOT, Catalog
from db.entries.names.meanings import AmbiguousNameError, HeldNameError, UnknownNameError
from db.entries.names.products import products
from tests.db.entries.names.machines import MACHINES
from tests.db.entries.names.pairs import PAIRS
from tests.db.entries.names.typed_models import MODELS
from tests.support.catalogs import CATALOG


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return CATALOG


def answer(catalog: Catalog, kind: str, text: str) -> str:
    """The meaning of a text in the form of the table of pairs: "?" for an unknown name, with the slugs that a text holds."""
    try:
        meaning = catalog.meaning(kind, text)
    except HeldNameError as error:
        return f"?{','.join(error.suggestions)}"
    except UnknownNameError as error:
        return "!" if "is known, but not estimated" in str(error) else "?"
    quant = f"+{meaning.quant}" if meaning.quant else ""
    return f"{'~' if meaning.note else ''}{meaning.slug}{quant}{f'*{meaning.count}' if meaning.count else ''}"


@pytest.mark.parametrize("line", PAIRS.strip().splitlines())
def test_a_typed_pair_is_right_or_asked_back(catalog: Catalog, line: str) -> None:
    model, gpu, wanted_model, wanted_gpu = line.split(" | ")
    assert (answer(catalog, "model", model), answer(catalog, "gpu", gpu)) == (wanted_model, wanted_gpu)


@pytest.mark.parametrize(("kind", "table"), [("gpu", MACHINES), ("model", MODELS)], ids=("gpu", "model"))
def test_a_typed_name_is_right_asked_back_or_refused_as_what_it_is(catalog: Catalog, kind: str, table: str) -> None:
    wanted = dict(line.split(" | ") for line in table.strip().splitlines())
    assert {text: answer(catalog, kind, text) for text in wanted} == wanted


@pytest.mark.parametrize("text", ["3090+3090", "3090 + rtx 3090", "RTX 3090, RTX 3090", "2x 3090"])
def test_equal_accelerators_are_counted(catalog: Catalog, text: str) -> None:
    assert answer(catalog, "gpu", text) == "rtx-3090*2"


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
    assert meaning.note == (
        "The quantization UD-Q9_K_XL of 'Qwen3-8B-UD-Q9_K_XL.gguf' is not in the catalog; nearest to it are UD-Q2_K_XL, "
        "UD-Q3_K_XL, UD-Q4_K_XL."
    )


def test_thousands_of_names_of_models_resolve(catalog: Catalog) -> None:
    lines = sum(len(path.read_bytes().splitlines()) for path in (CATALOG_ROOT / "derivatives").glob("*.jsonl"))
    assert lines + len(catalog.models) > 7_500


def test_a_vision_model_is_not_the_version_that_it_is_written_like(catalog: Catalog) -> None:
    with pytest.raises(UnknownNameError):
        catalog.meaning("model", "openbmb/MiniCPM-V-4")
    meaning = catalog.meaning("model", "MiniCPM-V 4.5")
    assert meaning.slug == "qwen3-8b"
    assert meaning.note == (
        "'MiniCPM-V 4.5' is taken as openbmb/MiniCPM-V-4_5. openbmb/MiniCPM-V-4_5 is estimated as Qwen3 8B, whose shape its "
        "text model has; its towers are not counted. That shape is also that of deepseek-r1-0528-qwen3-8b. "
        "Its abilities are taken from there, too: its own tuning is not judged."
    )
    assert catalog.resolve("model", "GLM 4.6V Flash") == "glm-4-9b-0414"
    assert catalog.resolve("model", "deepseekv3.2") == "deepseek-v3.2"


@pytest.mark.parametrize(
    ("text", "slug", "count"),
    [
        ("DGX H100", "h100-sxm5-80-gb", 8),
        ("p5.48xlarge", "h100-sxm5-80-gb", 8),
        ("Standard_ND96isr_MI300X_v5", "instinct-mi300x-192-gb", 8),
        ("GB200 NVL72", "gb200", 72),
        ("dgx station", "gb300-desktop", None),
        ("ROG Ally X", "radeon-780m", None),
        ("Asus Ascent GX10", "dgx-spark", None),
    ],
)
def test_a_product_is_its_accelerators(catalog: Catalog, text: str, slug: str, count: int | None) -> None:
    meaning = catalog.meaning("gpu", text)
    assert (meaning.slug, meaning.count) == (slug, count)
    assert meaning.note is not None
    assert meaning.note.startswith(f"{text!r} is taken as ")


def test_a_product_of_several_versions_names_the_others(catalog: Catalog) -> None:
    meaning = catalog.meaning("gpu", "ROG Ally")
    assert (meaning.slug, meaning.choices) == ("radeon-780m", ("radeon-740m",))
    assert meaning.note is not None
    assert meaning.note.endswith("it also fits radeon-740m.")


def test_every_product_has_accelerators_of_the_catalog(catalog: Catalog) -> None:
    known = products(CATALOG_ROOT / "products.jsonl").values()
    assert {slug for product in known for slug in (product.gpu, *product.also)} <= catalog.gpus.keys()
    assert min(product.count for product in known) >= 1


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("AMD Radeon Graphics (RADV RAPHAEL_MENDOCINO)", "radeon-610m"),
        ("Intel(R) Iris(R) Xe Graphics (TGL GT2)", "iris-xe-96eu"),
        ("Intel(R) UHD Graphics 770 (ADL-S GT1)", "uhd-770"),
        ("Mesa Intel(R) Arc(tm) A770 Graphics (DG2)", "arc-a770-16-gb"),
    ],
)
def test_a_code_name_of_a_driver_is_read(catalog: Catalog, text: str, slug: str) -> None:
    assert catalog.resolve("gpu", text) == slug


def test_a_number_of_an_architecture_is_no_model_number(catalog: Catalog) -> None:
    assert not any(slug.startswith("r") for slug in catalog.meaning("gpu", "M2").choices)
    assert catalog.resolve("gpu", "RX 6600 RDNA2") == "rx-6600"


def test_a_line_states_the_format_of_its_repository(catalog: Catalog) -> None:
    meaning = catalog.meaning("model", "mlx-community/gpt-oss-20b-MXFP4-Q8")
    assert (meaning.slug, meaning.quant, meaning.note) == ("gpt-oss-20b", "mlx-mxfp4", None)
    meaning = catalog.meaning("model", "GLM-4.7-4bit")
    assert (meaning.slug, meaning.quant, meaning.note) == ("glm-4.7", "mlx-4bit", None)


def test_a_measured_mix_says_its_bits_and_the_nearest_type(catalog: Catalog) -> None:
    with pytest.raises(
        UnknownNameError, match=r"no recipe of 'smol-IQ2_KS' is known: files of GLM-4.6.* bits a weight"
    ):
        catalog.meaning("quant", "smol-IQ2_KS")


@pytest.mark.parametrize("text", ["m10", "laptop", "rtx 4090 ti"])
def test_letters_far_apart_and_grades_name_no_accelerator(catalog: Catalog, text: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        catalog.meaning("gpu", text)
    assert not isinstance(caught.value, AmbiguousNameError)


@pytest.mark.parametrize("text", ["grok-3", "arctic", "llama 5", "qwen4", "coding", "rag agents"])
def test_a_word_within_the_name_of_a_derivative_does_not_name_it(catalog: Catalog, text: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        catalog.meaning("model", text)
    assert not isinstance(caught.value, AmbiguousNameError)


def test_the_name_of_another_release_says_which_one_stands_for_it(catalog: Catalog) -> None:
    for text in ("devstral small 2507", "mistralai/Devstral-Small-2507"):
        meaning = catalog.meaning("model", text)
        assert (meaning.slug, meaning.note) == (
            "devstral-small-2505",
            f"{text!r} is taken as Devstral Small 1.0 24B (2505).",
        )


def test_several_accelerators_are_named_each_by_itself(catalog: Catalog) -> None:
    with pytest.raises(
        UnknownNameError, match="names several accelerators: rtx-5090, rtx-3060-12-gb; name each by itself"
    ):
        catalog.meaning("gpu", "5090 + 2x 3060")


def test_a_device_of_which_a_list_prints_the_alternatives_is_asked_back(catalog: Catalog) -> None:
    listed = (
        "03:00.0 VGA compatible controller: Advanced Micro Devices, Inc. [AMD/ATI] Navi 31 "
        "[Radeon RX 7900 XT/7900 XTX/7900 GRE/7900M] (rev c8)"
    )
    with pytest.raises(AmbiguousNameError) as caught:
        catalog.meaning("gpu", listed)
    assert caught.value.choices == ("rx-7900-xt", "rx-7900-xtx", "rx-7900-gre", "rx-7900m")


def test_an_amount_beside_a_processor_or_board_is_not_its_own(catalog: Catalog) -> None:
    assert catalog.meaning("gpu", "i5 13600k 64gb ddr5").slug == "cpu-ddr5-5600-2ch"
    processor, board = catalog.meaning("gpu", "epyc 9355 768gb"), catalog.meaning("gpu", "raspberry pi 5 8gb")
    assert (processor.note or "").endswith("The amount of memory is not read from the name.")
    assert (board.note or "").endswith("is taken as Raspberry Pi 5 (LPDDR4X-4267), without its amount of memory.")


@pytest.mark.parametrize("maker", ["nvidia", "AMD", "hp", "GMKtec"])
def test_a_maker_alone_is_none_of_its_computers(catalog: Catalog, maker: str) -> None:
    with pytest.raises(UnknownNameError):
        catalog.meaning("gpu", maker)


def test_a_computer_without_its_chip_is_asked_back_with_what_tells_it(catalog: Catalog) -> None:
    with pytest.raises(AmbiguousNameError, match="name one of them, or its chip and memory") as caught:
        catalog.resolve("gpu", "macbook pro 64gb")
    assert all(catalog.gpus[catalog.resolve("gpu", choice)] for choice in caught.value.choices)


def test_a_computer_whose_accelerator_a_catalog_lacks_is_unknown(catalog: Catalog) -> None:
    slug = "jetson-orin-nano-super-8-gb"
    part = replace(catalog, gpus={gpu: entry for gpu, entry in catalog.gpus.items() if gpu != slug})
    with pytest.raises(UnknownNameError, match="the catalog has no accelerator of"):
        part.meaning("gpu", "Jetson Orin Nano Super developer kit")
    assert catalog.meaning("gpu", "Jetson Orin Nano Super developer kit").slug == slug


def test_the_name_of_a_family_is_no_derivative(catalog: Catalog) -> None:
    with pytest.raises(AmbiguousNameError, match="'llama' fits several entries"):
        catalog.meaning("model", "llama")
    assert catalog.meaning("model", "Resilient-Coders/llama").slug == "llama-3-8b"


@pytest.mark.parametrize("text", ["internvl 2.5 8b", "step3", "glm-4.7v", "llava 9b", "pixtral 8x7b"])
def test_a_family_is_no_typing_error_of_another_and_no_variant_of_itself(catalog: Catalog, text: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        catalog.meaning("model", text)
    assert not isinstance(caught.value, AmbiguousNameError)


def test_every_accelerator_of_the_independent_list_resolves(catalog: Catalog) -> None:
    rows = orjson.loads((CATALOG_ROOT / "crosscheck" / "hardware.json").read_bytes())["rows"]
    assert len(rows) > 190
    assert all(catalog.gpus[catalog.resolve("gpu", row["name"])] for row in rows)


def test_choices_of_derivatives_name_the_repository_of_each(catalog: Catalog) -> None:
    with pytest.raises(AmbiguousNameError, match=r"mistral-7b-v0.1 \(for openchat/openchat_3.5\)") as caught:
        catalog.meaning("model", "openchat:7b")
    assert caught.value.choices == ("gemma-7b", "mistral-7b-v0.1")
