"""Conditions are taken out of a question, whatever words are around them; names stay."""

from __future__ import annotations

import pytest

from api.answers.choices.models import ModelKind
from api.answers.wishes import Wish, wish_of
from estimator.types import WorkloadKind

_NAMES = {"qwen3 32b", "16 gb m4 mac", "macbook air m4 16 gb", "qwen3-coder 30b", "h100"}


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("qwen3 32b", Wish("qwen3 32b")),
        ("16 GB M4 Mac for coding", Wish("16 GB M4 Mac", use=WorkloadKind.CODING)),
        ("Best coding model for a MacBook Air M4 with 16 GB?", Wish("MacBook Air M4 16 GB", use=WorkloadKind.CODING)),
        ("$2,500 for a 70B at 20 tok/s", Wish("", budget_usd=2500, decode_tok_s=20, size_b=70)),
        ("a 70b model under 2.5k dollars, 20 tokens per second", Wish("", budget_usd=2500, decode_tok_s=20, size_b=70)),
        ("twenty users of a 32B model", Wish("", people=20, size_b=32)),
        ("team of 20 developers, qwen3-coder 30b", Wish("qwen3-coder 30b", people=20)),
        ("qwen3 32b to 20 concurrent users with 32k context", Wish("qwen3 32b", people=20, context_tokens=32768)),
        (
            "$2,500 for a 70B or the best MoE at 20 tok/s",
            Wish("", budget_usd=2500, decode_tok_s=20, size_b=70, best_of=ModelKind.MIXTURE_OF_EXPERTS),
        ),
        ("the best dense model under $1,000", Wish("", budget_usd=1000, best_of=ModelKind.DENSE)),
        ("coding on a MacBook Air M4 with 16 GB", Wish("MacBook Air M4 16 GB", use=WorkloadKind.CODING)),
        ("H100 for agents", Wish("H100", use=WorkloadKind.AGENTIC_CODING)),
    ],
)
def test_conditions_are_taken_out_of_a_question(text: str, wish: Wish) -> None:
    assert wish_of(text, lambda part: part.casefold() in _NAMES) == wish
