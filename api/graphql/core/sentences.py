"""Sentences as clients get them: with a code and values, so that an app can say the same in another language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import strawberry
from strawberry.scalars import JSON
from strawberry.utils.str_converters import to_camel_case

from api.graphql.core.described import describe
from db.fits.packing import shown
from estimator import sentences as domain
from estimator.sentences import SentenceCode

describe(
    SentenceCode,
    "SentenceCode",
    "Meaning of a sentence, and its values.",
    {
        "NAME_TAKEN_AS": "`name` leaves something open or has a typing error: it is `takenAs`, and fits `others` too.",
        "BASE_OF_DERIVATIVE": "`repository` is estimated as `base`, by `knownBy`: `name`, `card`, `shape`, `text` or `recalled`.",
        "TUNING_NOT_JUDGED": "Abilities of `repository` are taken from `base`.",
        "GPU_OF_COMPUTER": "`name` is taken as the accelerator of `computer`.",
        "MEMORY_OF_PROCESSOR": "`name` is taken as `takenAs`, as the processor takes `memory`.",
        "PART_NOT_READ": "`parts` of `name` are not read: a field or an option states each.",
        "QUANT_UNKNOWN": "The `quant` that `name` states is not in the catalog; `nearest` are.",
        "QUANT_NOT_AS_NAMED": "The model's name states `stated`; `chosen` was asked for and is answered.",
        "KEYS_DEFAULTED": "The file does not state `keys`: they have the default of its class.",
        "CONTEXTS_DIFFER": "The file states `contextsTokens` by key; `usedTokens` are used.",
        "CONTEXT_NOT_AS_KNOWN": "The file states `usedTokens` of context, the catalog `knownTokens`.",
        "STRUCTURE_KNOWN": "The structure is that of `models` of the catalog.",
        "STRUCTURE_MEASURED": "The structure is that of `models`: the speeds carry what was measured of them.",
        "STRUCTURE_AMBIGUOUS": "The structure is that of `models`, whose measured speeds differ: none is carried over.",
        "LATENT_CACHE_WHOLE": "The file or the build is of before split KV projections: its cache holds every head.",
        "SIZE_ESTIMATED": "No size of the file in `quant` is published: 9 of 10 others were sized within `relativeError`.",
        "STREAMS_WAIT": "`engine` answers `streamsAtOnce` of `streams` at once; the others wait.",
        "PROJECTOR_UNKNOWN": "The size of the vision projector is unknown and not in the total.",
        "DRAFT_SLOWER": "Decoding is slower with the draft than without it.",
        "LAYERS_UNMEASURED": "No measurement has layers of this kind on such an accelerator with this engine.",
        "BEST_FOR_ITS_TIME": "The best answers for their time: `worthPoints` in `seconds`, `withoutThinking` or with it.",
        "BEATEN_AT_EQUAL_SPEED": "`model` in `quant`, `withoutThinking` or with it, answers as fast and better by `points`.",
        "BEATEN": "`model` in `quant`, `withoutThinking` or with it, answers `times` as fast, and better by `points`.",
        "BEATEN_LESS_SURELY": "`model` in `quant` answers `times` as fast, better by `points`; its worth is less certain, it "
        "fills the memory or needs that of the system, or its engine has no paged memory.",
        "BETTER_AND_SLOWER": "Better than `model` by `points`, for `times` the time.",
        "FASTER_AND_WORSE": "`times` as fast as `model`, for `points` less.",
        "DECODE_TOO_SLOW": "Decode speed `has` instead of `needed`, tokens per second.",
        "TTFT_TOO_LONG": "Time to the first token `has` instead of `needed`, milliseconds.",
        "ANSWER_TOO_LONG": "Time to a whole answer `has` instead of `needed`, seconds.",
        "LOSS_TOO_LARGE": "Loss of the quantization `has` instead of `needed`, points.",
        "ABOVE_BUDGET": "The price `has` is above the budget `needed`, US dollars; `withoutComputerUsd` where that is within it.",
        "NOT_A_CARD": "`gpu` is of the form `form`, no card.",
        "TOO_FEW_PLACES": "The computer has `places` for `cards`.",
        "TOO_FEW_SLOTS": "The cards cover `neededSlots` of `slots`.",
        "SUPPLY_TOO_SMALL": "The cards need `neededWatts`; the power supply has `supplyWatts`.",
        "NO_FAN": "`gpu` is cooled by the air that the computer blows through it; a fan for it is not in the price.",
        "BUDGET_LEFT": "No purchase within the budget is rated above the first by more than `points`: `purchase` at `usd` is.",
        "PRICE_UNKNOWN": "`part` has no price of today; the last known one is `lastUsd` of `lastKind` and `lastDate`, if any.",
    },
)


@strawberry.type(description="A sentence in English, with its code and values for other languages.")
class Sentence:
    code: SentenceCode = strawberry.field(description="Meaning of the sentence.")
    message: str = strawberry.field(description="The sentence, or a phrase of one.")
    values: JSON = strawberry.field(description="An object of the values in it, by the names that the code tells.")


def sentence_of(sentence: domain.Sentence) -> Sentence:
    """The GraphQL object of a sentence."""
    return Sentence(code=sentence.code, message=str(sentence), values=values_of(sentence.values))


def values_of(values: Mapping[str, Any]) -> JSON:
    """The values of a text as clients get them."""
    return JSON(
        {to_camel_case(name): shown(value) if isinstance(value, float) else value for name, value in values.items()}
    )


def sentences_of(sentences: Iterable[domain.Sentence]) -> list[Sentence]:
    """The GraphQL objects of several sentences."""
    return [sentence_of(sentence) for sentence in sentences]
