"""Sentences for people that programs can read too: the text, the code of what it says, and the values in it."""

from __future__ import annotations

from enum import Enum
from typing import Any


class SentenceCode(Enum):
    # Meaning of a name.
    NAME_TAKEN_AS = "NAME_TAKEN_AS"
    BASE_OF_DERIVATIVE = "BASE_OF_DERIVATIVE"
    TUNING_NOT_JUDGED = "TUNING_NOT_JUDGED"
    GPU_OF_COMPUTER = "GPU_OF_COMPUTER"
    MEMORY_OF_PROCESSOR = "MEMORY_OF_PROCESSOR"
    PART_NOT_READ = "PART_NOT_READ"
    QUANT_UNKNOWN = "QUANT_UNKNOWN"
    QUANT_NOT_AS_NAMED = "QUANT_NOT_AS_NAMED"
    # Facts read of a file, and those that it lacks.
    KEYS_DEFAULTED = "KEYS_DEFAULTED"
    CONTEXTS_DIFFER = "CONTEXTS_DIFFER"
    CONTEXT_NOT_AS_KNOWN = "CONTEXT_NOT_AS_KNOWN"
    STRUCTURE_KNOWN = "STRUCTURE_KNOWN"
    STRUCTURE_MEASURED = "STRUCTURE_MEASURED"
    STRUCTURE_AMBIGUOUS = "STRUCTURE_AMBIGUOUS"
    LATENT_CACHE_WHOLE = "LATENT_CACHE_WHOLE"
    # Parts that an estimate leaves out or changes.
    SIZE_ESTIMATED = "SIZE_ESTIMATED"
    STREAMS_WAIT = "STREAMS_WAIT"
    PROJECTOR_UNKNOWN = "PROJECTOR_UNKNOWN"
    DRAFT_SLOWER = "DRAFT_SLOWER"
    LAYERS_UNMEASURED = "LAYERS_UNMEASURED"
    # Why a setup stands where it stands.
    BEST_FOR_ITS_TIME = "BEST_FOR_ITS_TIME"
    BEATEN_AT_EQUAL_SPEED = "BEATEN_AT_EQUAL_SPEED"
    BEATEN = "BEATEN"
    BEATEN_LESS_SURELY = "BEATEN_LESS_SURELY"
    BETTER_AND_SLOWER = "BETTER_AND_SLOWER"
    FASTER_AND_WORSE = "FASTER_AND_WORSE"
    # Needs that a purchase misses, and obstacles to cards in a computer.
    DECODE_TOO_SLOW = "DECODE_TOO_SLOW"
    TTFT_TOO_LONG = "TTFT_TOO_LONG"
    ANSWER_TOO_LONG = "ANSWER_TOO_LONG"
    LOSS_TOO_LARGE = "LOSS_TOO_LARGE"
    ABOVE_BUDGET = "ABOVE_BUDGET"
    NOT_A_CARD = "NOT_A_CARD"
    TOO_FEW_PLACES = "TOO_FEW_PLACES"
    TOO_FEW_SLOTS = "TOO_FEW_SLOTS"
    SUPPLY_TOO_SMALL = "SUPPLY_TOO_SMALL"
    NO_FAN = "NO_FAN"
    PRICE_UNKNOWN = "PRICE_UNKNOWN"
    BUDGET_LEFT = "BUDGET_LEFT"


class Sentence(str):
    """A text with its code and its values, which are named with their units."""

    __slots__ = ("code", "values")

    code: SentenceCode
    values: dict[str, Any]

    def __new__(cls, code: SentenceCode, text: str, **values: Any) -> Sentence:
        sentence = super().__new__(cls, text)
        sentence.code, sentence.values = code, values
        return sentence
