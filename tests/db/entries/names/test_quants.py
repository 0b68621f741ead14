"""Names of quantizations: by engine, by file name, and never another type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from db.entries.names.meanings import UnknownNameError
from db.entries.names.quants import QuantNames
from tests.support.catalogs import CATALOG


@pytest.mark.parametrize(
    ("text", "engine", "slug"),
    [
        ("BF16", None, "bf16"),
        ("BF16", "llama.cpp", "bf16"),
        ("BF16", "vllm", "bf16-safetensors"),
        ("fp16", "vllm", "bf16-safetensors"),
        ("MXFP4", "vllm", "mxfp4-checkpoint"),
        ("BF16", "mlx", "bf16-safetensors"),
        ("MXFP4", "sglang", "mxfp4-checkpoint"),
        ("Q4_K_M", "vllm", "q4-k-m"),
        ("GGUF-Q6_K", None, "q6-k"),
        ("Q8_0 GGUF", None, "q8-0"),
        ("Qwen3-8B-UD-Q4_K_XL.gguf", None, "ud-q4-k-xl"),
        ("GLM-5-UD-IQ1_S-00001-of-00006.gguf", None, "ud-iq1-s"),
        ("Q4_K_XL", None, "ud-q4-k-xl"),
        ("q4_k_m.gguf", None, "q4-k-m"),
        ("i1-IQ3_XXS", None, "iq3-xxs"),
        ("imatrix Q4_K_M", None, "q4-k-m"),
        ("Q5_K_M-imat", None, "q5-k-m"),
        ("q4_0 qat", None, "q4-0"),
        ("unsloth Q4_K_XL", None, "ud-q4-k-xl"),
        ("Dynamic 2.0 Q2_K_XL", None, "ud-q2-k-xl"),
        ("unsloth dynamic IQ2_M", None, "ud-iq2-m"),
        ("unsloth Q4_K_M", None, "q4-k-m"),
        ("auto-round w4g128", "vllm", "gptq-int4"),
        ("fbgemm fp8", "vllm", "fp8"),
    ],
)
def test_the_engine_decides_what_a_shared_name_means(text: str, engine: str | None, slug: str) -> None:
    assert CATALOG.resolve("quant", text, engine) == slug


def test_the_names_that_people_use_most_have_entries_of_their_own() -> None:
    named = json.loads((Path(__file__).parents[3] / "data" / "quant_names.json").read_text())["names"]
    assert len(named) == 93
    assert {name: CATALOG.resolve("quant", name) for name in named} == named


def test_a_typed_name_is_its_own_recipe_or_is_refused() -> None:
    typed = json.loads((Path(__file__).parents[3] / "data" / "quant_names.json").read_text())["typed"]
    assert {name: slug_or_none(name) for name in typed} == typed


@pytest.mark.parametrize(
    ("text", "engine", "slug"),
    [
        ("q4", None, "q4-k-m"),
        ("Q3", None, "q3-k-m"),
        ("iq4", None, "iq4-xs"),
        ("4-bit", None, "q4-k-m"),
        ("8 bits", None, "q8-0"),
        ("4bit", "mlx", "mlx-4bit"),
        ("4-bit", "vllm", "awq-int4"),
    ],
)
def test_a_number_of_bits_is_the_usual_type_of_so_many_and_says_so(text: str, engine: str | None, slug: str) -> None:
    meaning = CATALOG.meaning("quant", text, engine)
    assert meaning.slug == slug
    assert (engine == "mlx") or (
        meaning.choices and slug not in meaning.choices and "is taken as" in (meaning.note or "")
    )


def test_bits_between_types_are_near_those_of_as_many() -> None:
    assert "EXL3 4.5bpw" in CATALOG.meaning("model", "qwen3 8b 4.6bpw").note.split("nearest to it are")[1]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "slug"),
    [("4bpw", "exl2-4bpw"), ("4.0bpw", "exl2-4bpw"), ("4.65 bpw", "exl2-4-65bpw"), ("4.5bpw", "exl3-4-5bpw")],
)
def test_bits_per_weight_are_those_of_exllama(text: str, slug: str) -> None:
    assert CATALOG.meaning("quant", text).slug == slug


def slug_or_none(name: str) -> str | None:
    try:
        return CATALOG.resolve("quant", name)
    except UnknownNameError:
        return None


def test_every_alias_resolves_to_its_entry_on_an_engine_that_loads_it() -> None:
    for slug, entry in CATALOG.quants.items():
        names = QuantNames(CATALOG.quants)
        for alias in entry["aliases"]:
            assert names.resolve(alias, {entry["format"]}) == slug, alias


def test_a_dynamic_type_is_never_the_plain_one() -> None:
    assert CATALOG.resolve("quant", "UD-IQ1_S") == "ud-iq1-s"
    with pytest.raises(UnknownNameError) as caught:
        CATALOG.resolve("quant", "UD-IQ1_XXS")
    assert any(name.startswith("UD-IQ1") for name in caught.value.suggestions)


@pytest.mark.parametrize(
    ("text", "near"), [("unsloth-bnb-4bit", "NF4 (bitsandbytes)"), ("AutoRound-INT2", "GPTQ INT4")]
)
def test_a_name_near_another_name_of_an_entry_is_answered_with_the_entry(text: str, near: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        CATALOG.resolve("quant", text)
    assert near in caught.value.suggestions


def test_a_name_may_be_shared_by_formats_and_not_within_one() -> None:
    entries: dict[str, dict[str, Any]] = {
        "a": {"slug": "a", "name": "A", "aliases": ["16-bit"], "format": "gguf"},
        "b": {"slug": "b", "name": "B", "aliases": ["16-bit"], "format": "mlx"},
    }
    assert QuantNames(entries).clashes == []
    entries["c"] = {"slug": "c", "name": "C", "aliases": ["16 bit"], "format": "mlx"}
    assert [(clash.winner, clash.loser) for clash in QuantNames(entries).clashes] == [("b", "c")]
