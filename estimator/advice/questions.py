"""Questions that people ask about a pairing, answered from the numbers of its fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from estimator import verdict
from estimator.advice.amounts import GIB, duration, gib, pace
from estimator.advice.breakdown import Terms
from estimator.advice.explain import WORDS, extended, extension_values, headline, shortfall, summary, whole_answer
from estimator.advice.search import Advice, AdviceCode
from estimator.fit_facts import FitFacts
from estimator.types import Evidence, Workload
from estimator.usability import Usability, comfortable_seconds

_EVIDENCE = {
    Evidence.MEASURED: "measured on this very setup",
    Evidence.CALIBRATED: "calibrated on the same hardware family",
    Evidence.EXTRAPOLATED: "extrapolated from other hardware",
}


class QuestionCode(StrEnum):
    DOES_IT_RUN = "DOES_IT_RUN"
    MEMORY_NEEDED = "MEMORY_NEEDED"
    BEST_QUANT = "BEST_QUANT"
    SPEED = "SPEED"
    GOOD_ENOUGH = "GOOD_ENOUGH"
    LONGEST_CONTEXT = "LONGEST_CONTEXT"
    FIRST_STEP = "FIRST_STEP"


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its answer in plain text; ``values`` is what the answer states, by names with their units."""

    code: QuestionCode
    question: str
    answer: str
    values: dict[str, Any]


def faq(
    facts: FitFacts, terms: Terms | None, best: FitFacts | None, changes: Sequence[Advice] = ()
) -> tuple[Question, ...]:
    """Questions about a pairing. ``best`` is the recommended quant's fit; ``changes`` is the advice."""
    questions = [_runs_question(facts, terms)]
    if terms is not None:
        questions.append(_memory_question(facts, terms))
    questions.append(_best_question(facts, best))
    questions += _speed_question(facts)
    if facts.workload is not None:
        questions.append(_workload_question(facts, facts.workload))
    questions.append(_context_question(facts))
    if changes:
        questions.append(_first_step_question(facts, changes))
    return tuple(questions)


def _first_step_question(facts: FitFacts, changes: Sequence[Advice]) -> Question:
    """The first change; of a setup that runs, the first with which it can be used."""
    step = changes[0]
    model, device = facts.model_name, facts.device_name
    if facts.runs:
        step = next((change for change in changes if change.standing.usable), step)
        question = f"What helps most when {model} feels slow on {device}?"
    elif step.code is AdviceCode.OTHER_MODEL:
        question = f"What runs on {device} instead of {model}?"
    else:
        question = f"What would make {model} run on {device}?"
    values = {"advice": step.code.value} | step.values
    return Question(QuestionCode.FIRST_STEP, question, _sentence(step.message), values)


def _runs_question(facts: FitFacts, terms: Terms | None) -> Question:
    estimate = facts.estimate
    return Question(
        QuestionCode.DOES_IT_RUN,
        f"Can {facts.device_name} run {facts.model_name}?",
        f"{headline(facts)}. {summary(facts, terms)}",
        {
            "status": estimate.status.name,
            "usability": verdict.word_of(estimate.score).name,
            "needed_bytes": None if terms is None else terms.full_bytes,
            "usable_bytes": estimate.memory.usable_bytes,
            "host_bytes": estimate.memory.host_bytes,
            "decode_tokens_per_second": None if estimate.decode is None else estimate.decode.value,
            "ttft_ms": estimate.ttft_ms,
        },
    )


def _memory_question(facts: FitFacts, terms: Terms) -> Question:
    estimate = facts.estimate
    return Question(
        QuestionCode.MEMORY_NEEDED,
        f"How much memory does {facts.model_name} need?",
        f"In {facts.quant.name} with {estimate.context_tokens:,} tokens of context: {gib(terms.full_bytes)}, of "
        f"which weights {gib(terms.full_weights_bytes)}, KV cache {gib(terms.full_kv_cache_bytes)}, compute "
        f"buffers {gib(terms.full_compute_bytes)} and runtime {gib(terms.full_overhead_bytes)}.",
        {
            "quant": facts.quant.name,
            "context_tokens": estimate.context_tokens,
            "needed_bytes": terms.full_bytes,
            "weights_bytes": terms.full_weights_bytes,
            "cache_bytes": terms.full_kv_cache_bytes,
            "compute_bytes": terms.full_compute_bytes,
            "overhead_bytes": terms.full_overhead_bytes,
        },
    )


def _speed_question(facts: FitFacts) -> list[Question]:
    """How fast it is, where it runs."""
    estimate = facts.estimate
    if estimate.decode is None:
        return []
    wait = "" if estimate.ttft_ms is None else f"; the first token comes after about {duration(estimate.ttft_ms)}"
    return [
        Question(
            QuestionCode.SPEED,
            f"How fast is {facts.model_name} on {facts.device_name}?",
            f"In {facts.quant.name} about {pace(estimate.decode.value)} (between {pace(estimate.decode.low)} and "
            f"{pace(estimate.decode.high)}, {_EVIDENCE[estimate.decode.evidence]}){wait}.",
            {
                "quant": facts.quant.name,
                "decode_tokens_per_second": estimate.decode.value,
                "low": estimate.decode.low,
                "high": estimate.decode.high,
                "evidence": estimate.decode.evidence.name,
                "ttft_ms": estimate.ttft_ms,
            },
        )
    ]


def _best_question(facts: FitFacts, best: FitFacts | None) -> Question:
    question = f"What is the best quantization of {facts.model_name} for {facts.device_name}?"
    if best is None or not best.runs or best.estimate.decode is None:
        answer = f"None: no quantization of it is usable on {facts.device_name} for {facts.workload_name}."
        return Question(QuestionCode.BEST_QUANT, question, answer, {"quant": None})
    estimate, decode = best.estimate, best.estimate.decode
    return Question(
        QuestionCode.BEST_QUANT,
        question,
        f"{best.quant.name} for {best.workload_name}: grade {estimate.grade} with {pace(decode.value)}, "
        f"{gib(estimate.memory.total_bytes)} of {best.memory_name}{_with_host(estimate.memory.host_bytes)}.{_unpublished(best)}",
        {
            "quant": best.quant.name,
            "grade": estimate.grade,
            "decode_tokens_per_second": decode.value,
            "device_bytes": estimate.memory.total_bytes,
            "host_bytes": estimate.memory.host_bytes,
            "weights_known": best.has_weights,
        },
    )


def _unpublished(best: FitFacts) -> str:
    if best.has_weights:
        return ""
    return f" No published {best.quant.name} weights of {best.model_name} are known, nor any of a quantization that runs there."


def _with_host(host_bytes: int) -> str:
    return f" and {gib(host_bytes)} of system memory" if host_bytes >= GIB // 20 else ""


def _workload_question(facts: FitFacts, workload: Workload) -> Question:
    estimate = facts.estimate
    question = f"Is {facts.device_name} good enough to use {facts.model_name} for {facts.workload_name}?"
    values = {
        "usability": verdict.word_of(estimate.score).name,
        "grade": estimate.grade,
        "context_tokens": estimate.context_tokens,
    }
    if estimate.decode is None or not facts.runs:
        answer = f"No: {facts.quant.name} does not run there with {estimate.context_tokens:,} tokens."
        return Question(QuestionCode.GOOD_ENOUGH, question, answer, values)
    word = verdict.word_of(estimate.score)
    how = (
        f"{pace(estimate.decode.value)}, and {whole_answer(facts)}, where "
        f"{duration(float(comfortable_seconds(workload)) * 1e3)} is comfortable"
        if word is Usability.YES
        else shortfall(facts, word)
    )
    answer = f"{WORDS[word]}: {how}. Grade {estimate.grade} with {estimate.context_tokens:,} tokens of context."
    values |= {
        "decode_tokens_per_second": estimate.decode.value,
        "comfortable_tokens_per_second": workload.comfortable_decode_tok_s,
        "ttft_ms": estimate.ttft_ms,
        "comfortable_ms": workload.patience_ttft_ms,
    }
    return Question(QuestionCode.GOOD_ENOUGH, question, answer, values)


def _context_question(facts: FitFacts) -> Question:
    question = f"How long a context can {facts.model_name} have on {facts.device_name}?"
    limit, estimate = facts.model.context_tokens, facts.estimate
    trained = f" The model was trained for {limit:,}{extended(facts, limit)}." if limit else ""
    values = {"quant": facts.quant.name, "trained_tokens": limit} | (extension_values(facts, limit) if limit else {})
    if not facts.runs:
        answer = f"None in {facts.quant.name}: {estimate.context_tokens:,} tokens do not fit.{trained}"
        values |= {"safe_tokens": 0, "context_tokens": estimate.context_tokens}
    else:
        answer = f"Up to {estimate.safe_context_tokens:,} tokens in {facts.quant.name} with this placement.{trained}"
        values |= {"safe_tokens": estimate.safe_context_tokens}
    return Question(QuestionCode.LONGEST_CONTEXT, question, answer, values)


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else text + "."
