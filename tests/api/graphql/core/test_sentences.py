"""Sentences beside their codes: every code is said somewhere, and described with the names of its values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import api
from api.graphql.core.sentences import sentence_of
from api.graphql.schema import schema
from estimator.sentences import Sentence, SentenceCode

ROOT = Path(api.__file__).parent.parent
#: Values that some sentences of a code have, and others not.
OPTIONAL = {"withoutComputerUsd", "lastUsd", "lastKind", "lastDate"}
#: What every missed need has, whatever its code.
NEEDS = {"has", "needed", "unit"}
QUERY = """query($q: EstimateInput!) {
  estimate(input: $q) { notes { ...S } }
  nameMeaning(kind: GPU, text: "2x rxt 4090") { notes { ...S } }
  recommendations(input: {gpu: "rtx-4090"}) { nodes { reason { ...S } } }
  purchases(input: {models: ["llama-3.1-8b"]}, buyer: {budgetUsd: 300}, first: 20) {
    nearMisses { misses { ...S } } unpriced { unknownPrices { ...S } } }
}
fragment S on Sentence { code message values }"""


_NAME = re.compile(r"`([a-z]\w*)`")


def described(kind_name: str = "SentenceCode") -> dict[str, set[str]]:
    """Names of values in the description of each code, and of all of them."""
    kind: Any = schema._schema.type_map[kind_name]
    of_all = set(_NAME.findall(kind.description))
    return {name: of_all | set(_NAME.findall(value.description)) for name, value in kind.values.items()}


def test_every_code_is_said_somewhere() -> None:
    text = "\n".join(
        path.read_text() for room in ("estimator", "db", "api/answers") for path in (ROOT / room).rglob("*.py")
    )
    assert {code.name for code in SentenceCode} == set(re.findall(r"SentenceCode\.([A-Z_]+)", text))


def test_a_sentence_is_its_text() -> None:
    sentence = Sentence(SentenceCode.DRAFT_SLOWER, "It is slower.", has_ms=2)
    assert (sentence, sentence_of(sentence).values) == ("It is slower.", {"hasMs": 2})


@pytest.mark.asyncio(loop_scope="session")
async def test_texts_of_fits_have_the_values_that_their_codes_name(data: Any) -> None:
    answer = await data("""{
      worst: fits(first: 40, orderBy: [{field: SCORE, direction: ASC}]) { nodes { limits { code values } } }
      tight: fits(first: 20, filter: {status: {in: [FITS_TIGHTLY]}}) { nodes { limits { code values } } }
    }""")
    answer |= await data("""{
      over: fits(first: 1, filter: {status: {in: [DOES_NOT_FIT]}}) { nodes { faq { code values } advice { code values } } }
    }""")
    answer |= await data("""{
      offloaded: fits(first: 2, filter: {status: {in: [FITS_WITH_OFFLOAD]}}) {
        nodes { limits { code values } faq { code values } advice { code values } } }
    }""")
    codes = {"limits": "LimitCode", "faq": "QuestionCode", "advice": "AdviceCode"}
    codes_met: set[str] = set()
    for fit in [fit for page in answer.values() for fit in page["nodes"]]:
        for field, texts in fit.items():
            for text in texts:
                assert text["values"], text
                names = described(codes[field])
                if text["code"] == "FIRST_STEP":
                    assert set(text["values"]) - {"advice"} <= described("AdviceCode")[text["values"]["advice"]]
                else:
                    assert set(text["values"]) <= names[text["code"]], text
                codes_met.add(text["code"])
    assert len(codes_met) >= 14, codes_met


@pytest.mark.asyncio(loop_scope="session")
async def test_values_are_those_that_the_code_names(data: Any) -> None:
    question = {
        "model": {"slug": "llama 3.1 8b"},
        "machine": {"gpu": "rxt 4090"},
        "quant": "q4-k-m",
        "workload": "CHAT",
    }
    answer = await data(QUERY, q=question)
    sentences: list[dict[str, Any]] = []

    def collect(part: Any) -> None:
        if isinstance(part, list):
            for entry in part:
                collect(entry)
        elif isinstance(part, dict) and "message" in part:
            sentences.append(part)
        elif isinstance(part, dict):
            for entry in part.values():
                collect(entry)

    collect(answer)
    names = described()
    assert len({sentence["code"] for sentence in sentences}) >= 5
    for sentence in sentences:
        value_names = set(sentence["values"])
        assert value_names - NEEDS - OPTIONAL <= names[sentence["code"]], sentence
        assert names[sentence["code"]] - {"name", "card", "shape", "text"} - OPTIONAL <= value_names, sentence
        assert sentence["message"]
