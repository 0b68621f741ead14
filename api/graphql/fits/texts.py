"""Texts of a fit: verdict, limits, commands, questions. They are derived from its numbers and never stored."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import strawberry
from strawberry.scalars import JSON

from api.answers.story import Answers, PlanAnswers
from api.catalog.fits import FitRecord
from api.graphql.catalog.engines import Engine
from api.graphql.catalog.faces import Faces
from api.graphql.core.described import describe
from api.graphql.core.sentences import values_of
from db.fits.packing import shown
from estimator.advice.command import CommandGap
from estimator.advice.command import MissingCommand as NoCommand
from estimator.advice.explain import LimitCode
from estimator.advice.questions import QuestionCode
from estimator.calibration.loss import LossEvidence
from estimator.types import OperatingMode

describe(
    LimitCode,
    "LimitCode",
    "Limit of a setup, and its values. A value is absent where the message does not tell it. `tokenShare` is of the time per "
    "token; `promptShare` of the time that reads the prompt, which lasts `ttftMs` where `comfortableMs` is comfortable.",
    {
        "ENGINE_SUPPORT": "No engine runs `quant` on `device`.",
        "MEMORY_CAPACITY": "Device memory is too small by `overShare` (`neededBytes` of `usableBytes`), or `takenShare` of it "
        "is taken.",
        "MEMORY_BANDWIDTH": "Reading weights and cache from `memory` takes `tokenShare` (the cache `cacheShare`).",
        "COMPUTE": "Arithmetic takes `tokenShare`.",
        "HOST_LINK": "Host memory, or the link to it, takes `tokenShare`.",
        "KV_CACHE": "The KV cache of `contextTokens` is `memoryShare` of the memory (`cacheBytes`).",
        "CONTEXT": "The model was trained for `trainedTokens`, less than `contextTokens`; it takes `extendedTokens`.",
        "FIXED_COST": "Launches and synchronization take `tokenShare`.",
    },
)
describe(
    CommandGap,
    "CommandGap",
    "Why a tool has no command for a plan.",
    {
        "NOTHING_RUNS": "No engine runs the plan.",
        "NO_WEIGHTS": "No published weights in this quantization are recorded: a command would start nothing.",
        "MODEL": "The tool is not known to run this model, quantization and hardware together.",
        "PLATFORM": "The tool has no build or container for the backend.",
        "PLACEMENT": "The tool cannot be told which parts go to host memory.",
        "KV_CACHE_TYPE": "The tool cannot be told this KV cache type.",
        "STREAMS": "The tool cannot be started for several streams.",
        "DRAFT_OR_PROJECTOR": "The tool cannot be told of the draft model or the vision projector.",
        "MIXED_ACCELERATORS": "The tool cannot be told how accelerators that differ share the model.",
        "HEADS": "The engine does not split these attention heads over so many accelerators.",
        "ACCELERATORS": "The tool does not take so many accelerators.",
        "OPTIONS": "The tool cannot be told this micro-batch, or to do without flash attention.",
    },
)


describe(
    QuestionCode,
    "QuestionCode",
    "Question about a pairing, and the values of the answer.",
    {
        "DOES_IT_RUN": "Does it run? `status`, `usability`, `neededBytes`, `usableBytes`, `hostBytes`, "
        "`decodeTokensPerSecond`, `ttftMs`.",
        "MEMORY_NEEDED": "How much memory? `quant` with `contextTokens`: `neededBytes`, of which `weightsBytes`, `cacheBytes`, "
        "`computeBytes` and `overheadBytes`.",
        "BEST_QUANT": "Which quantization? `quant`, null for none; its `grade`, `decodeTokensPerSecond`, `deviceBytes`, "
        "`hostBytes`, `weightsKnown`.",
        "SPEED": "How fast? `quant`: `decodeTokensPerSecond` with `low`, `high` and `evidence`; `ttftMs`.",
        "GOOD_ENOUGH": "Enough for the workload? `usability`, `grade`, `contextTokens`; where it runs "
        "`decodeTokensPerSecond` and `ttftMs`, beside `comfortableTokensPerSecond` and `comfortableMs`.",
        "LONGEST_CONTEXT": "Which context? `safeTokens` in `quant`, 0 where the `contextTokens` do not fit; `trainedTokens`, "
        "`extendedTokens`.",
        "FIRST_STEP": "What helps most? The code of the `advice`, and its values.",
    },
)


class ScoreTerm(Enum):
    """Terms of a score; the values are the names of the parts."""

    DECODE = "decode"
    TTFT = "ttft"
    CONTEXT = "context"
    QUALITY = "quality"
    HEADROOM = "headroom"


describe(
    ScoreTerm,
    "ScoreTerm",
    "Term of a score.",
    {
        "DECODE": "Decode speed against the workload's comfortable one.",
        "TTFT": "Time to the first token against the workload's patience.",
        "CONTEXT": "Safe context against what the workload needs.",
        "QUALITY": "Share of the model's quality that the quantization keeps.",
        "HEADROOM": "Memory left after the load.",
    },
)


@strawberry.type(description="One term of a score.")
class FitScorePart:
    """The score is the sum of value times weight, times 100, bent under the cap of the status."""

    name: ScoreTerm = strawberry.field(description="The term.")
    value: float = strawberry.field(description="0 to 1.")
    weight: float = strawberry.field(description="Share of the score; weights add up to 1.")


describe(
    LossEvidence,
    "LossEvidence",
    "Evidence of a loss.",
    {
        "MEASURED": "Divergence of this model in this type was measured.",
        "ANCHORED": "This model was measured in another type.",
        "PREDICTED": "Only other models were measured.",
    },
)


@strawberry.type(description="Loss by the quantization and the KV cache type, in points of capability.")
class FitLoss:
    """Points are those of the workload's kind of work, or of coding without one."""

    points: float = strawberry.field(description="Best estimate, points.")
    low: float = strawberry.field(description="Lower end of the interval that holds 80 % of cases, points.")
    high: float = strawberry.field(description="Upper end of that interval, points.")
    evidence: LossEvidence = strawberry.field(description="Evidence of the loss.")
    divergence_nats: float = strawberry.field(
        description="Mean KL divergence from the original weights that the points follow from, nats a token."
    )


@strawberry.type(description="One thing that binds a setup.")
class FitLimit:
    code: LimitCode = strawberry.field(description="Kind of the limit.")
    share: float = strawberry.field(description="Share of the memory or the time that the message names, 0 to 1.")
    message: str = strawberry.field(description="One sentence with the numbers.")
    values: JSON = strawberry.field(description="An object of the values in it, by the names that the code tells.")


@strawberry.type(description="How to start this very plan.")
class FitCommand:
    engine: Engine = strawberry.field(description="The engine that it starts.")
    tool: str = strawberry.field(description="Tool that starts the engine, such as `llama-server`.")
    text: str = strawberry.field(description="The command.")


@strawberry.type(description="A way to start an engine that cannot be told this plan.")
class MissingCommand:
    tool: str | None = strawberry.field(
        description="Tool without a command, such as `LM Studio`; null when no tool has one."
    )
    code: CommandGap = strawberry.field(description="Why.")
    message: str = strawberry.field(description="One sentence that says why.")


@strawberry.type(description="A question that people ask about a pairing.")
class FitQuestion:
    code: QuestionCode = strawberry.field(description="Kind of the question.")
    question: str = strawberry.field(description="The question.")
    answer: str = strawberry.field(description="The answer, from the numbers.")
    values: JSON = strawberry.field(
        description="An object of the values in the answer, by the names that the code tells."
    )


@strawberry.type(description="A live card to put into another page.")
class FitEmbed:
    url: str = strawberry.field(description="Address of the card.")
    html: str = strawberry.field(description="Snippet to paste into a page.")


def limits_of(answers: PlanAnswers) -> list[FitLimit]:
    """Limits, largest share first."""
    return [
        FitLimit(code=limit.code, share=limit.share, message=limit.message, values=values_of(limit.values))
        for limit in answers.limits
    ]


def score_parts_of(answers: PlanAnswers, mode: OperatingMode) -> list[FitScorePart]:
    return [
        FitScorePart(name=ScoreTerm(part.name), value=part.value, weight=part.weight)
        for part in answers.score_parts(mode)
    ]


def loss_of(answers: PlanAnswers) -> FitLoss:
    """The loss of a plan, whether it runs or not."""
    loss, divergence = answers.loss, answers.divergence
    return FitLoss(
        points=shown(loss.points),
        low=shown(loss.low),
        high=shown(loss.high),
        evidence=divergence.evidence,
        divergence_nats=shown(divergence.nats),
    )


def commands_of(answers: PlanAnswers, faces: Faces) -> list[FitCommand]:
    """Commands that start the plan; none when nothing runs."""
    engines = faces.engine_by_kind
    return [
        FitCommand(engine=engines[command.engine], tool=command.tool.value, text=command.text)
        for command in answers.commands
    ]


def missing_from(commands: Sequence[NoCommand]) -> list[MissingCommand]:
    """The GraphQL objects of missing commands."""
    return [
        MissingCommand(
            tool=None if command.tool is None else command.tool.value, code=command.gap, message=command.message
        )
        for command in commands
    ]


def faq_of(answers: Answers, best: FitRecord | None) -> list[FitQuestion]:
    """Questions about the pairing; ``best`` is the recommended quantization's fit."""
    return [
        FitQuestion(code=entry.code, question=entry.question, answer=entry.answer, values=values_of(entry.values))
        for entry in answers.faq(best)
    ]


def embed_of(answers: Answers, base_url: str) -> FitEmbed:
    """The card of the pairing."""
    return FitEmbed(url=base_url + answers.embed_path(), html=answers.embed_html(base_url))
