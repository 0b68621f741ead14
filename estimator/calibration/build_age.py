"""Age of an engine build: the date of a measurement against the month that an estimate is for."""

from __future__ import annotations

#: Builds are dated in years before this month; an estimate is for a build of this date.
REFERENCE_YEAR = 2026 + 9 / 12
#: llama.cpp reserves logits of one token a slot from this month on (build 9000); before, of a whole micro-batch.
FEW_LOGITS_YEAR = 2026 + 3 / 12
#: llama.cpp keeps the latent rows of DeepSeek V2 and V3 from this month on (pull request 12801); before, every head.
LATENT_CACHE_YEAR = 2025 + 3 / 12
#: vLLM's engine V1 is the default from this month on (0.8).
VLLM_V1_YEAR = 2025 + 2 / 12
#: Age of a build of vLLM from the month before, which one that states a version alone has at least.
BEFORE_V1_AGE_YEARS = round(REFERENCE_YEAR - VLLM_V1_YEAR + 1 / 12, 4)
#: llama.cpp goes through the state of a linear layer in one operation from this month on (pull request 19504); Ollama had it
#: with its runner of this month (ollama/ollama#16149 of May 2026 asks for it).
FUSED_STATE_YEAR, FUSED_STATE_YEAR_OF_OLLAMA = 2026 + 2 / 12, 2026 + 6 / 12
#: Age given to a row that states no date.
UNDATED_AGE_YEARS = 0.5


def reserves_all_logits(age_years: float) -> bool:
    """Whether a build of llama.cpp of this age reserves logits of every token of a micro-batch."""
    return REFERENCE_YEAR - age_years < FEW_LOGITS_YEAR - 1e-6


def lacks_latent_cache(age_years: float) -> bool:
    """Whether a build of llama.cpp of this age keeps keys and values of every head of latent attention."""
    return REFERENCE_YEAR - age_years < LATENT_CACHE_YEAR - 1e-6


def is_before_v1(age_years: float) -> bool:
    """Whether a build of vLLM of this age schedules each step on one processor core, between the steps of the device."""
    return REFERENCE_YEAR - age_years < VLLM_V1_YEAR - 1e-6


def lacks_fused_state(age_years: float, *, is_ollama: bool) -> bool:
    """Whether a build of this age goes through the state of a linear layer in many operations."""
    fused = FUSED_STATE_YEAR_OF_OLLAMA if is_ollama else FUSED_STATE_YEAR
    return REFERENCE_YEAR - age_years < fused - 1e-6


def age_years(date: str | None) -> float:
    """Years between a row's date (``YYYY``, ``YYYY-MM`` or longer) and the reference month, at least 0."""
    if not date:
        return UNDATED_AGE_YEARS
    month = int(date[5:7]) if len(date) >= 7 else 6
    return round(max(0.0, REFERENCE_YEAR - (int(date[:4]) + (month - 1) / 12)), 4)
