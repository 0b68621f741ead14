"""Complete names among words that no name has: asked back, never taken from a name that may be another."""

from __future__ import annotations

import pytest

from db.entries.names.meanings import AmbiguousNameError, HeldNameError, UnknownNameError
from estimator.sentences import SentenceCode
from tests.support.catalogs import CATALOG


@pytest.mark.parametrize(
    ("text", "slugs"),
    [
        ("Qwen3 8B zorbly", ["qwen3-8b"]),
        ("Llama 3.1 8B Zorbmaid", ["llama-3.1-8b"]),
        ("how do i run Llama 3.1 8B Zorbmaid", ["llama-3.1-8b"]),
        ("foo/gemma-3-27b-superhuman-GGUF", ["gemma-3-27b"]),
        ("is Qwen3-8B worth downloading", ["qwen3-8b"]),
        ("just downloaded DeepSeek-R1-Distill-Qwen-14B-Q5_K_M.gguf", ["deepseek-r1-distill-qwen-14b"]),
        ("whats better gemma3 27b or mistral small 3.2", ["gemma-3-27b", "mistral-small-3.2-24b"]),
        ("¿cuál es mejor, mistral 7b o gemma 2 9b?", ["mistral-7b-v0.3", "gemma-2-9b"]),
        ("能跑qwen2.5 32b吗", ["qwen2.5-32b"]),
        ("GLM-4.6V-Flash gibberish output", ["glm-4-9b-0414"]),
        ("is deepseek v3 overrated", ["deepseek-v3"]),
        ("srv  load_model: loading model '/models/Qwen3-8B-Q8_0.gguf'", ["qwen3-8b"]),
        ("text-generation-webui exl2 qwen2.5 32b 4.65bpw", ["qwen2.5-32b"]),
    ],
)
def test_a_model_beside_words_that_no_name_has_is_asked_back(text: str, slugs: list[str]) -> None:
    with pytest.raises(HeldNameError) as caught:
        CATALOG.meaning("model", text)
    assert list(caught.value.suggestions) == slugs


def test_the_error_says_the_name_and_the_words_around_it() -> None:
    with pytest.raises(HeldNameError) as caught:
        CATALOG.meaning("model", "my Qwen3 8B zorbly")
    assert str(caught.value) == (
        "'my Qwen3 8B zorbly' holds the name of Qwen3 8B, and 'my', 'zorbly' may be a part of another name; "
        "name qwen3-8b by itself if it is meant"
    )


def test_a_text_that_is_asked_back_is_a_missed_name(monkeypatch: pytest.MonkeyPatch) -> None:
    missed: list[tuple[str, str]] = []
    monkeypatch.setattr(CATALOG.resolver, "on_unknown", lambda kind, text: missed.append((kind, text)))
    for text, error in (("my Qwen3 8B zorbly", HeldNameError), ("llama", AmbiguousNameError)):
        with pytest.raises(error):
            CATALOG.meaning("model", text)
    assert missed == [("model", "my Qwen3 8B zorbly")]


def test_a_family_beside_words_that_no_name_has_is_asked_back_by_its_models() -> None:
    with pytest.raises(HeldNameError) as caught:
        CATALOG.meaning("model", "is qwen3 overrated")
    assert "qwen3-8b" in caught.value.suggestions
    assert all(slug.startswith("qwen3-") for slug in caught.value.suggestions)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("model", "glm 4.6 air"),
        ("model", "qwen3 8b 2"),
        ("model", "Llama 5 70B"),
        ("model", "llama 5 8b or qwen 4"),
        ("model", "yi-lightning"),
        ("model", "hello world"),
        ("gpu", "RTX 5090 Ti"),
        ("gpu", "RTX 3060 10GB"),
        ("gpu", "M4 Ultra"),
        ("gpu", "Minisforum MS-A2"),
    ],
)
def test_a_number_or_a_word_of_other_names_beside_a_name_makes_it_an_unknown_one(kind: str, text: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        CATALOG.meaning(kind, text)
    assert not isinstance(caught.value, AmbiguousNameError)


@pytest.mark.parametrize(
    ("text", "slug", "quant", "around"),
    [
        ("Best settings for GLM 4.5 Air?", "glm-4.5-air", None, ["Best settings"]),
        ("vLLM crashes with Qwen3-30B-A3B-FP8", "qwen3-30b-a3b", "fp8", ["vLLM crashes"]),
        ("is qwen3 30b a3b any good", "qwen3-30b-a3b", None, ["good"]),
    ],
)
def test_a_model_set_off_by_words_of_grammar_is_taken_and_the_rest_is_stated(
    text: str, slug: str, quant: str | None, around: list[str]
) -> None:
    meaning = CATALOG.meaning("model", text)
    parts = [part for note in meaning.notes if note.code is SentenceCode.PART_NOT_READ for part in note.values["parts"]]
    assert (meaning.slug, meaning.quant, parts) == (slug, quant, around)


def test_an_accelerator_among_words_that_none_has_is_taken_and_the_words_are_stated() -> None:
    meaning = CATALOG.meaning("gpu", "M3 Max machine from work")
    assert meaning.slug == CATALOG.resolve("gpu", "M3 Max")
    assert [note.code for note in meaning.notes] == [SentenceCode.NAME_TAKEN_AS, SentenceCode.PART_NOT_READ]
    assert meaning.notes[1].values["parts"] == ["machine from work"]


@pytest.mark.parametrize("text", ["zorbcloud 8x H200", "zorbcloud 8xH200", "zorbcloud 8 x H200"])
def test_the_count_right_before_an_accelerator_among_other_words_is_kept(text: str) -> None:
    meaning = CATALOG.meaning("gpu", text)
    assert (meaning.slug, meaning.count) == (CATALOG.resolve("gpu", "H200"), 8)
    assert meaning.notes[-1].values["parts"] == ["zorbcloud"]


@pytest.mark.parametrize("text", ["zorbly A100 pcie x16", "2x zorbly 3x H100"])
def test_a_number_apart_from_an_accelerator_is_never_left_out(text: str) -> None:
    with pytest.raises(HeldNameError):
        CATALOG.meaning("gpu", text)


def test_an_accelerator_with_a_count_beside_another_machine_is_asked_back() -> None:
    with pytest.raises(HeldNameError) as caught:
        CATALOG.meaning("gpu", "n1-standard-4 + 1x T4")
    assert caught.value.suggestions == ("tesla-t4",)


@pytest.mark.parametrize("end", ["", " - 22994 MiB free", " (0000:01:00.0) - 22994 MiB free"])
def test_the_device_that_a_log_says_is_used_is_read(end: str) -> None:
    text = f"llama_model_load_from_file_impl: using device CUDA0 (NVIDIA GeForce RTX 4090){end}"
    assert CATALOG.resolve("gpu", text) == "rtx-4090"
