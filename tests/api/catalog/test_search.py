"""Search forgives typing errors, but not wrong numbers."""

from __future__ import annotations

import pytest

from api.catalog.search import relevance, tokens


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("rtx 4090", "GeForce RTX 4090"),
        ("RTX-4090", "GeForce RTX 4090"),
        ("rtx 4090 lapotp", "GeForce RTX 4090 Laptop"),
        ("kimi linaer", "Kimi Linear 48B-A3B Instruct"),
        ("qwen3 codr", "Qwen3 Coder 30B-A3B"),
        ("lama 3.1", "Llama 3.1 8B"),
        ("mistrl", "Mistral Small 3.2"),
    ],
)
def test_near_names_match(query: str, name: str) -> None:
    assert relevance(query, [name]) > 0


@pytest.mark.parametrize(
    ("query", "name"),
    [("rtx 4080", "GeForce RTX 4090"), ("gemma", "Llama 3.1 8B"), ("3.2", "Llama 3.1 8B"), ("...", "X")],
)
def test_other_names_do_not(query: str, name: str) -> None:
    assert relevance(query, [name]) == 0


def test_the_closest_name_comes_first() -> None:
    names = ["GeForce RTX 4090 D", "GeForce RTX 4090 Laptop", "RTX 4090"]
    assert max(names, key=lambda name: relevance("rtx 4090", [name])) == "RTX 4090"


def test_tokens_split_letters_from_numbers() -> None:
    assert tokens("RTX4090-24GB v1.5") == ("rtx", "4090", "24", "gb", "v", "1.5")
