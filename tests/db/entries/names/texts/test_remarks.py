"""Words around a name: remarks, other languages, and parts that a name does not state."""

from __future__ import annotations

import pytest

from db.entries.names.meanings import UnknownNameError
from db.entries.names.texts.remarks import without_remarks
from estimator.sentences import SentenceCode
from tests.support.catalogs import CATALOG

Read = tuple[str, int | None, list[str]]


def read(kind: str, text: str) -> Read:
    """Slug, count, and the parts that the answer says are not read."""
    meaning = CATALOG.meaning(kind, text)
    parts = [part for note in meaning.notes if note.code is SentenceCode.PART_NOT_READ for part in note.values["parts"]]
    return meaning.slug, meaning.count, parts


@pytest.mark.parametrize(
    ("text", "slug", "count"),
    [
        ("zwei RTX 3090", "rtx-3090", 2),
        ("Grafikkarte RTX 5060 Ti mit 16 GB", "rtx-5060-ti-16-gb", None),
        ("carte graphique RTX 4070 12 Go", "rtx-4070", None),
        ("deux RTX 3090", "rtx-3090", 2),
        ("tarjeta gráfica RTX 3060 de 12 GB", "rtx-3060-12-gb", None),
        ("PC portable RTX 4060", "rtx-4060-laptop", None),
        ("双卡4090", "rtx-4090", 2),
        ("4张3090", "rtx-3090", 4),
        ("笔记本RTX4060 8G", "rtx-4060-laptop", None),
        ("魔改2080Ti 22G", "rtx-2080-ti-22-gb-modded", None),
        ("ノートPC RTX 4060", "rtx-4060-laptop", None),
        ("видеокарта RTX 3060 12 ГБ", "rtx-3060-12-gb", None),
        ("2x 3090 nvlink", "rtx-3090", 2),
        ("my 3090 (used)", "rtx-3090", None),
    ],
)
def test_words_of_other_languages_and_remarks_around_a_card_are_read(text: str, slug: str, count: int | None) -> None:
    assert read("gpu", text) == (slug, count, [])


@pytest.mark.parametrize(
    ("text", "slug", "quant"),
    [
        ("通义千问3 32B", "qwen3-32b", None),
        ("Qwen3-8B 量化 Q4_K_M", "qwen3-8b", "q4-k-m"),
        ("Llama 3.1 8B quantisé en Q8_0", "llama-3.1-8b", "q8-0"),
        ("Qwen3-8B@q4_k_m", "qwen3-8b", "q4-k-m"),
        ("qwen3 8b 3.0bpw h6 exl2", "qwen3-8b", "exl2-3bpw"),
        ("qwen3 8b full precision", "qwen3-8b", "bf16"),
    ],
)
def test_words_around_a_model_are_read(text: str, slug: str, quant: str | None) -> None:
    meaning = CATALOG.meaning("model", text)
    assert (meaning.slug, meaning.quant) == (slug, quant)


@pytest.mark.parametrize(
    ("kind", "text", "read_as"),
    [
        ("gpu", "RTX 4060 8GB, 16GB RAM", ("rtx-4060", None, ["16GB RAM"])),
        ("gpu", "3090 24gb + 64gb ddr4", ("rtx-3090", None, ["64gb ddr4"])),
        ("gpu", "3090 @ 250w", ("rtx-3090", None, ["250w"])),
        ("gpu", "4x 3090 (96GB VRAM)", ("rtx-3090", 4, ["(96GB VRAM)"])),
        ("gpu", "2x 3090 (48GB)", ("rtx-3090", 2, ["(48GB)"])),
        ("gpu", "dual 4060 ti 32gb vram", ("rtx-4060-ti-16-gb", 2, ["32gb vram"])),
        ("gpu", "i7-12700k + 2x 3090", ("rtx-3090", 2, ["i7-12700k"])),
        ("gpu", "5090 with 9800x3d 64gb", ("rtx-5090", None, ["9800x3d 64gb"])),
        ("gpu", "Ryzen 9 7950X3D / RTX 4090 / 96GB", ("rtx-4090", None, ["Ryzen 9 7950X3D", "96GB"])),
        ("model", "qwen3 8b q4_k_m 32k context", ("qwen3-8b", None, ["32k context"])),
        ("model", "gemma 3 27b abliterated", ("gemma-3-27b", None, ["abliterated"])),
    ],
)
def test_parts_that_a_name_does_not_state_are_said_to_be_not_read(kind: str, text: str, read_as: Read) -> None:
    assert read(kind, text) == read_as


@pytest.mark.parametrize("text", ["2x 3090 96gb vram", "RTX 3060 (10GB VRAM)"])
def test_memory_that_the_accelerators_do_not_have_is_never_left_out(text: str) -> None:
    with pytest.raises(UnknownNameError):
        CATALOG.meaning("gpu", text)


@pytest.mark.parametrize("text", ["server with 2x RTX 3090 zorbly", "48GB VRAM (2x 3090)"])
def test_a_count_right_before_a_card_in_a_title_is_kept(text: str) -> None:
    assert read("gpu", text)[:2] == ("rtx-3090", 2)


def test_system_memory_is_never_left_out_of_the_name_of_a_chip_that_shares_it() -> None:
    with pytest.raises(UnknownNameError, match="no gpu is called 'm4 pro 128gb ram'"):
        CATALOG.meaning("gpu", "m4 pro 128gb ram")
    assert read("gpu", "RTX 3090 128gb ram") == ("rtx-3090", None, ["128gb ram"])


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("MacBook Pro M4 16G 内存", "apple-m4-10c-16gb"),
        ("Mac mini mit M4 Pro und 48 GB", "apple-m4-pro-20c-48gb"),
        ("2020 MacBook Pro M1 16GB", "apple-m1-8c-16gb"),
        ("Intel Core i5-1235U with 16GB RAM", "cpu-ddr5-4800-2ch"),
    ],
)
def test_system_memory_is_the_memory_of_a_chip_that_shares_it(text: str, slug: str) -> None:
    assert read("gpu", text)[0] == slug


def test_the_memory_of_a_processor_changes_not_what_it_is() -> None:
    for name in ("Ryzen AI 9 HX 370", "Ryzen 7 8845HS", "Core Ultra 7 155H", "i5-13600k"):
        assert read("gpu", f"{name} 64GB")[0] == read("gpu", name)[0]


@pytest.mark.parametrize(
    ("text", "slug", "count"),
    [
        ("Sapphire Nitro+ RX 7900 XTX Vapor-X 24GB", "rx-7900-xtx", None),
        ("MSI GeForce RTX 4090 SUPRIM LIQUID X 24G", "rtx-4090", None),
        ("ASUS Dual GeForce RTX 3060 V2 OC Edition 12GB GDDR6", "rtx-3060-12-gb", None),
        ("XFX Speedster MERC310 RX 7900XT 20GB", "rx-7900-xt", None),
        ("2x EVGA GeForce RTX 3090 FTW3 ULTRA", "rtx-3090", 2),
        ("七彩虹 RTX 4060Ti 16G", "rtx-4060-ti-16-gb", None),
        ("Framework Laptop 16 RX 7700S", "rx-7700s", None),
        ("Lenovo Legion 5 Pro RTX 3070", "rtx-3070-laptop", None),
        ("Acer Nitro 5 RTX 3060", "rtx-3060-laptop", None),
        ("ASUS TUF Gaming A15 RTX 4060", "rtx-4060-laptop", None),
        ("CUDA0: NVIDIA GeForce RTX 3090, compute capability 8.6, VMM: yes", "rtx-3090", None),
        ("GPU 0: NVIDIA GeForce RTX 3090 (UUID: GPU-1c2)", "rtx-3090", None),
        ("Device 0: AMD Radeon RX 7900 XTX, gfx1100 (0x1100), VMM: no, Wave Size: 32", "rx-7900-xtx", None),
        ("ggml_vulkan: 0 = NVIDIA GeForce GTX 1660 SUPER (NVIDIA) | uma: 0 | fp16: 1", "gtx-1660-super", None),
        ("Palit GeForce RTX 4060 Dual 8GB", "rtx-4060", None),
        ("Acer Aspire 5 with Intel Iris Xe", "iris-xe-96eu", None),
        ("imac 24 m3 24gb", "apple-m3-10c-24gb", None),
        ("Apple M1 Ultra (64 GPU cores)", "apple-m1-ultra-64c-128gb", None),
    ],
)
def test_the_card_in_a_title_of_a_shop_or_a_line_of_a_log_is_read(text: str, slug: str, count: int | None) -> None:
    assert read("gpu", text) == (slug, count, [])


@pytest.mark.parametrize("text", ["MSI RTX 3099 Gaming X", "Legion 5 Pro", "Gigabyte AORUS", "EVGA RTX 4090 Ti FTW3"])
def test_a_title_without_a_known_card_is_none(text: str) -> None:
    with pytest.raises(UnknownNameError):
        CATALOG.meaning("gpu", text)


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("google/gemma-3-27b-it:free", "gemma-3-27b"),
        ("meta-llama/Llama-3.3-70B-Instruct-Turbo", "llama-3.3-70b"),
        ("mixtral-8x7b-32768", "mixtral-8x7b"),
        ("gpt-oss:120b-cloud", "gpt-oss-120b"),
        ("llama-2-7b-chat.ggmlv3.q4_0.bin", "llama-2-7b"),
        ("athene-v2:72b", "qwen2-72b"),
    ],
)
def test_names_of_services_and_registries_are_read(text: str, slug: str) -> None:
    assert CATALOG.meaning("model", text).slug == slug


def test_a_text_of_remarks_alone_is_no_name() -> None:
    assert list(without_remarks("gpu", "Grafikkarte mit 16 GB")) == [("16 GB", ())]
    with pytest.raises(UnknownNameError):
        CATALOG.meaning("gpu", "Grafikkarte mit 16 GB")
