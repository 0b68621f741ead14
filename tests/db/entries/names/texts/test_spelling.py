"""Typing errors of words."""

from __future__ import annotations

import pytest

from db.entries.names.texts.spelling import corrections, distance, segments


@pytest.mark.parametrize(
    ("left", "right", "expected"), [("abcd", "abcd", 0), ("abcd", "abdc", 1), ("abcd", "abc", 1), ("abcd", "xbcd", 1)]
)
def test_distance(left: str, right: str, expected: int) -> None:
    assert distance(left, right, 2) == expected
    assert distance(right, left, 2) == expected


def test_distance_stops_at_the_limit() -> None:
    assert distance("abcdefgh", "stuvwxyz", 2) > 2
    assert distance("a", "abcdef", 2) > 2


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("qwn", ["qwen"]),
        ("qvq", []),
        ("lama", ["llama"]),
        ("lamma", ["llama"]),
        ("rxt", ["rtx"]),
        ("zq", []),
        ("gemini", []),
        ("instrcut", ["instruct"]),
    ],
)
def test_corrections_are_near_words(word: str, expected: list[str]) -> None:
    assert corrections(word, ("qwen", "llama", "rtx", "gemma", "instruct", "qwq")) == expected


def test_a_word_without_gaps_is_cut_into_known_words() -> None:
    known = frozenset({"gpt", "oss", "code", "coder"})
    assert segments("gptoss", known) == ["gpt", "oss"]
    assert segments("codergpt", known) == ["coder", "gpt"]
    assert segments("gptx", known) is None
