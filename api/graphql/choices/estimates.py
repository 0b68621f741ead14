"""Free estimates: any lengths, settings and counts, answered at once by the code behind the published fits."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from strawberry.utils.str_converters import to_camel_case

from api.answers.files.models import Fetched, sources_of_addresses
from api.answers.questions import answerer_of
from api.errors import ApiError, ErrorCode, LimitExceededError, NotFoundError, QuestionError
from api.graphql.catalog.faces import Faces
from api.graphql.choices.inputs import DraftInput, EstimateInput
from api.graphql.choices.types import EstimateResult
from api.graphql.context import RequestContext
from api.graphql.core.errors import UserError
from api.graphql.fits.figures import EstimateDevice, EstimateSpeculation
from api.graphql.fits.predictions import Estimate, estimate_of_plan

#: Batches above this size run in a thread, as a file does, so that other requests are served meanwhile.
_INLINE = 8


async def estimate_one(context: RequestContext, question: EstimateInput) -> Estimate:
    """Answer one question. Raises :class:`ApiError` for one that has no answer."""
    sources = await _fetched(context, [question])
    try:
        if question.model_config is None and question.model_gguf is None and question.model_index is None:
            return _answer(context.faces, question, sources)
        return await asyncio.to_thread(_answer, context.faces, question, sources)
    except QuestionError as error:
        if error.code is ErrorCode.NOT_FOUND and error.field:
            raise NotFoundError(error.field, _name_in(error, question), error.suggestions) from error
        details: dict[str, Any] = {"field": to_camel_case(error.field)} if error.field else {}
        raise ApiError(error.code, _spelled(str(error)), **details) from error


#: Keys of a question that the schema spells in another way.
_KEYS = re.compile(
    r"\b("
    + "|".join(key.name for kind in (EstimateInput, DraftInput) for key in fields(kind) if "_" in key.name)
    + r")\b"
)


def _spelled(message: str) -> str:
    """A message with the keys of a question as the schema spells them."""
    return _KEYS.sub(lambda key: to_camel_case(key[0]), message)


def _name_in(error: QuestionError, question: EstimateInput) -> str:
    """The unknown name: from its field of the question, else from the message."""
    named = getattr(question, str(error.field), None)
    return named if named is not None else str(error).partition("'")[2].partition("'")[0]


async def estimate_many(context: RequestContext, questions: Sequence[EstimateInput]) -> list[EstimateResult]:
    """Answer questions in order, each by an estimate or its own error."""
    maximum = context.services.settings.max_estimates
    if len(questions) > maximum:
        raise LimitExceededError("inputs", len(questions), maximum)
    faces, sources = context.faces, await _fetched(context, questions)
    if len(questions) <= _INLINE:
        return [_result(faces, question, sources) for question in questions]
    return await asyncio.to_thread(lambda: [_result(faces, question, sources) for question in questions])


async def _fetched(context: RequestContext, questions: Sequence[EstimateInput]) -> dict[str, Fetched]:
    addresses = [question.model_url for question in questions if question.model_url is not None]
    if addresses:
        # The file behind an address may change while the catalog does not.
        context.keep = False
    return await sources_of_addresses(addresses, context.services.remote)


def _result(faces: Faces, question: EstimateInput, sources: dict[str, Fetched]) -> EstimateResult:
    try:
        return EstimateResult(estimate=_answer(faces, question, sources), error=None)
    except QuestionError as error:
        return EstimateResult(
            estimate=None,
            error=UserError(
                code=error.code,
                message=_spelled(str(error)),
                field=[to_camel_case(error.field)] if error.field else None,
                suggestions=list(error.suggestions),
            ),
        )


def _answer(faces: Faces, question: EstimateInput, sources: dict[str, Fetched]) -> Estimate:
    asked = {key: value for key, value in vars(question).items() if value is not None}
    if question.draft is not None:
        asked["draft"] = {key: value for key, value in vars(question.draft).items() if value is not None}
    source = sources.get(question.model_url or "")
    if isinstance(source, QuestionError):
        raise source
    answer = faces.view.derived(answerer_of).answer(asked, source)
    estimate = estimate_of_plan(faces, answer.facts)
    estimate.model = faces.by_slug("model", answer.model_slug)
    estimate.gpu = faces.by_slug("gpu", answer.gpu_slug)
    estimate.devices = [EstimateDevice.of(load, faces.by_slug("gpu", load.accelerator.slug)) for load in answer.devices]
    estimate.speculation = None if answer.speculation is None else EstimateSpeculation.of(answer.speculation)
    estimate.notes = list(answer.notes)
    return estimate
