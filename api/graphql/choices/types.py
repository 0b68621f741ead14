"""Types of estimates, recommendations, rankings and setups."""

from __future__ import annotations

from enum import Enum

import strawberry

from api.answers.choices import rankings
from api.answers.choices import setups as answers
from api.answers.choices.judged import Judgement
from api.answers.choices.recommendations import Choice
from api.graphql.catalog.faces import Faces
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.models import Benchmark, Model
from api.graphql.catalog.quants import Quant
from api.graphql.core.connections import Connection
from api.graphql.core.described import describe
from api.graphql.core.enums import FitStatus
from api.graphql.core.errors import UserError
from api.graphql.core.sentences import Sentence, sentence_of
from api.graphql.fits.predictions import Estimate, estimate_of_plan
from api.graphql.fits.types import Fit, fit_of
from db.fits.cells import AnyCell
from db.fits.packing import shown
from estimator.fit_facts import FitFacts
from estimator.judgement.capability import CapabilityEvidence


@strawberry.type(description="Result of one input of a batch: an estimate or an error, never both.")
class EstimateResult:
    estimate: Estimate | None = strawberry.field(description="The estimate; null when there is an error.")
    error: UserError | None = strawberry.field(description="Why there is no estimate; null when there is one.")


@strawberry.type(
    description="How good a model's answers are for a kind of work, on one scale of points for all models."
)
class Capability:
    """About 0 to 100; nine points multiply the odds of a right answer by two."""

    value: float = strawberry.field(description="Best estimate, points.")
    low: float = strawberry.field(description="Lower end of the interval that holds 80 % of cases, points.")
    high: float = strawberry.field(description="Upper end of that interval, points.")
    evidence: CapabilityEvidence = strawberry.field(description="Where the estimate comes from.")
    results: int = strawberry.field(description="Published results of this kind of work that it rests on.")


@strawberry.type(description="Loss of a model by a quantization, in points of capability.")
class CapabilityLoss:
    points: float = strawberry.field(description="Best estimate, points.")
    low: float = strawberry.field(description="Lower end of the interval that holds 80 % of cases, points.")
    high: float = strawberry.field(description="Upper end of that interval, points.")


@strawberry.type(description="Worth of the answers of a setup: capability of the model less loss of the quantization.")
class Worth:
    value: float = strawberry.field(description="Best estimate, points.")
    low: float = strawberry.field(description="Lower end of the interval that holds 80 % of cases, points.")
    high: float = strawberry.field(description="Upper end of that interval, points.")
    capability: Capability = strawberry.field(description="The model's part.")
    loss: CapabilityLoss = strawberry.field(description="The quantization's part.")


@strawberry.type(description="One recommendation: a usable setup, and why it stands where it stands.")
class Recommendation:
    rank: int = strawberry.field(description="Place, from 1.")
    fit: Fit = strawberry.field(description="The fit, of one user at a time.")
    thinking: bool = strawberry.field(description="Whether the model is to think before it answers.")
    worth: Worth = strawberry.field(description="Worth of its answers.")
    rating: float = strawberry.field(
        description="Lower end of the worth less charges for time and for a full memory, points: the order of the list."
    )
    tokens_per_second: float = strawberry.field(
        description="Decode speed of each of the users that are answered at once, tokens per second."
    )
    answer_seconds: float = strawberry.field(
        description="Time to a whole answer of the workload, thinking included, seconds."
    )
    on_frontier: bool = strawberry.field(
        description="Whether no other setup of the list is as good in worth and time and better in one; of accelerators, in "
        "rating and price."
    )
    reason: Sentence = strawberry.field(description="Why it stands there.")
    slug: strawberry.Private[str]


@strawberry.type(description="One page of recommendations, best first.")
class RecommendationConnection(Connection[Recommendation]):
    pick: Recommendation | None = strawberry.field(
        description="The one to take, which is the first in order; null when nothing is usable."
    )


def recommendation_of(faces: Faces, choice: Choice, rank: int, judgement: Judgement, cell: AnyCell) -> Recommendation:
    """The GraphQL object of one entry."""
    capability, loss, worth = judgement.capability, judgement.loss, judgement.worth
    return Recommendation(
        rank=rank,
        fit=fit_of(faces, cell),
        thinking=judgement.thinks,
        worth=Worth(
            value=shown(worth.value),
            low=shown(worth.low),
            high=shown(worth.high),
            capability=Capability(
                value=capability.value,
                low=capability.low,
                high=capability.high,
                evidence=capability.evidence,
                results=capability.scores,
            ),
            loss=CapabilityLoss(points=shown(loss.points), low=shown(loss.low), high=shown(loss.high)),
        ),
        rating=shown(judgement.rating),
        tokens_per_second=shown(judgement.decode_tok_s),
        answer_seconds=shown(judgement.answer_s),
        on_frontier=judgement.on_frontier,
        reason=sentence_of(judgement.reason),
        slug=choice.slug,
    )


@strawberry.type(description="A model that runs on the accelerator, with what was published of its quality.")
class RankedModel:
    """Place by quality where it is known; models without a figure follow those with one, by score."""

    rank: int = strawberry.field(description="Place, from 1.")
    fit: Fit = strawberry.field(description="The model in its best setup there.")
    quality: Benchmark | None = strawberry.field(
        description="The published result, with its setting and source; null when none is known. Results of different "
        "settings, and of base and tuned models, do not compare well."
    )


@strawberry.type(description="Equal accelerators that hold a model whole and reach a target.")
class Setup:
    """The fewest of one accelerator, with the widest quantization that does it."""

    gpu: Gpu = strawberry.field(description="The accelerator.")
    quant: Quant = strawberry.field(
        description="The widest quantization that reaches the target, can be started, and is not needlessly wide."
    )
    gpu_count: int = strawberry.field(description="How many of them.")
    price_usd: float | None = strawberry.field(
        description="Price of all today, US dollars, or of the computer that has it built in; null when unknown."
    )
    power_watts: float | None = strawberry.field(description="Design power of all, watts; null when unknown.")
    users: int = strawberry.field(description="Users that are answered at once: those of the target, or 1.")
    decode_tokens_per_second: float = strawberry.field(description="Decode speed of each user, tokens per second.")
    ttft_ms: float | None = strawberry.field(
        description="Time to the first token of one prompt, milliseconds; null when unknown."
    )
    safe_context_tokens: int = strawberry.field(description="Longest context of each user that fits, tokens.")
    plan: strawberry.Private[FitFacts]
    faces: strawberry.Private[Faces]

    @strawberry.field(description="The setup as an estimate: its memory, limits, advice and commands.")
    def estimate(self) -> Estimate:
        return estimate_of_plan(self.faces, self.plan)


@strawberry.type(description="Gain of another accelerator for one model; each side in its best setup.")
class UpgradeGain:
    """Ratings are those of recommendations in the balanced mode."""

    model: Model = strawberry.field(description="The model.")
    rating_before: float | None = strawberry.field(
        description="Rating on the present accelerator, points; null where it is not usable."
    )
    rating_after: float = strawberry.field(description="Rating on the other one, points.")
    status_before: FitStatus | None = strawberry.field(description="Outcome before; null where it is not usable.")
    status_after: FitStatus = strawberry.field(description="Outcome after.")
    newly_usable: bool = strawberry.field(description="Whether the model was not usable before.")
    leaves_offload: bool = strawberry.field(description="Whether it needed host memory before and no longer does.")


class TierLetter(Enum):
    """Letters of tiers, best first."""

    S = "S"
    A = "A"
    B = "B"
    C = "C"
    D = "D"
    F = "F"


describe(
    TierLetter,
    "TierLetter",
    "Tier of a model on an accelerator, by points below the best rating there.",
    {"S": "Up to 3.", "A": "Up to 8.", "B": "Up to 14.", "C": "Up to 21.", "D": "Up to 30.", "F": "Beyond 30."},
)


@strawberry.type(description="Models of one tier on an accelerator.")
class Tier:
    letter: TierLetter = strawberry.field(description="The tier.")
    fits: list[Fit] = strawberry.field(description="Each model of this tier in its best setup, best first.")


def gain_of(faces: Faces, gain: rankings.UpgradeGain, before: AnyCell | None, after: AnyCell) -> UpgradeGain:
    """The GraphQL object of a gain."""
    return UpgradeGain(
        model=faces.model_by_id[after.model_id],
        rating_before=None if gain.rating_before is None else shown(gain.rating_before),
        rating_after=shown(gain.rating_after),
        status_before=None if before is None else before.status,
        status_after=after.status,
        newly_usable=gain.rating_before is None,
        leaves_offload=gain.leaves_offload,
    )


def setup_of(faces: Faces, setup: answers.Setup) -> Setup:
    """The GraphQL object of a setup."""
    estimate = setup.plan.estimate
    assert estimate.decode is not None
    return Setup(
        gpu=faces.of(setup.gpu),
        quant=faces.of(setup.quant),
        gpu_count=setup.choice.count,
        price_usd=setup.choice.price_usd,
        power_watts=setup.choice.power_w,
        users=setup.plan.request.batch,
        decode_tokens_per_second=shown(estimate.decode.value),
        ttft_ms=None if estimate.ttft_ms is None else shown(estimate.ttft_ms),
        safe_context_tokens=estimate.safe_context_tokens,
        plan=setup.plan,
        faces=faces,
    )
