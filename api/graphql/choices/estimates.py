"""Free estimates: any lengths, settings and counts, answered at once by the code behind the published fits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import strawberry
from strawberry.utils.str_converters import to_camel_case

from api.answers.files.models import Fetched, sources_of_addresses
from api.answers.questions import answerer_of
from api.answers.searches import search
from api.errors import ApiError, LimitExceededError, NotFoundError, QuestionError
from api.graphql.catalog.faces import Faces
from api.graphql.choices.inputs import REFERENCES, DraftInput, EstimateInput
from api.graphql.choices.types import EstimateResult
from api.graphql.context import RequestContext
from api.graphql.core.errors import UserError
from api.graphql.core.sentences import sentences_of
from api.graphql.fits.figures import EstimateDevice, EstimateSpeculation
from api.graphql.fits.predictions import Estimate, estimate_of_plan
from db.entries.names.meanings import UnknownNameError

#: Keys whose values take long to read.
_LARGE = frozenset(("model_config", "model_gguf", "model_index"))
#: Batches above this size run in a thread, as a file does, so that other requests are served meanwhile.
_INLINE = 8


async def estimate_one(context: RequestContext, question: EstimateInput) -> Estimate:
    """Answer one question. Raises :class:`ApiError` for one that has no answer."""
    stated_keys = asked_by(question)
    sources = await _fetched(context, [stated_keys])
    try:
        if _LARGE.isdisjoint(stated_keys):
            return _answer(context.faces, stated_keys, sources)
        return await search(_answer, context.faces, stated_keys, sources)
    except QuestionError as error:
        if isinstance(error.__cause__, UnknownNameError):
            raise NotFoundError.of(error.__cause__) from error
        details: dict[str, Any] = {"field": ".".join(path_of(error.field))} if error.field else {}
        raise ApiError(error.code, _spelled(str(error)), **details) from error


#: Keys of a question that the schema spells in another way.
_KEYS = frozenset((*REFERENCES, *(key.name for kind in (EstimateInput, DraftInput) for key in fields(kind))))
_QUOTED = re.compile(r"'([a-z_]+(?:\.[a-z_]+)*)'")


def asked_by(question: EstimateInput) -> dict[str, Any]:
    """The question by the keys that all faces share."""
    stated_keys = {key: value for key, value in vars(question).items() if value is not None}
    parts = {"model": vars(stated_keys.pop("model")), "machine": vars(stated_keys.pop("machine"))}
    for key, (reference, part) in REFERENCES.items():
        value = parts[reference][part]
        if value is not None and value is not strawberry.UNSET:
            stated_keys[key] = value
    if question.draft is not None:
        stated_keys["draft"] = {key: value for key, value in vars(question.draft).items() if value is not None}
    return stated_keys


def path_of(key: str) -> list[str]:
    """Path of the input field that a key of a question is."""
    first, *rest = key.split(".")
    return [*REFERENCES.get(first, (to_camel_case(first),)), *map(to_camel_case, rest)]


def _spelled(message: str) -> str:
    """A message with the keys of a question as the schema spells them."""

    def spelled(quoted: re.Match[str]) -> str:
        key = quoted[1]
        return f"'{'.'.join(path_of(key))}'" if key.partition(".")[0] in _KEYS else quoted[0]

    return _QUOTED.sub(spelled, message)


async def estimate_many(context: RequestContext, questions: Sequence[EstimateInput]) -> list[EstimateResult]:
    """Answer questions in order, each by an estimate or its own error."""
    maximum = context.services.settings.max_estimates
    if len(questions) > maximum:
        raise LimitExceededError("inputs", len(questions), maximum)
    every = [asked_by(question) for question in questions]
    faces, sources = context.faces, await _fetched(context, every)
    if len(every) <= _INLINE:
        return [_result(faces, asked, sources) for asked in every]
    return await search(lambda: [_result(faces, asked, sources) for asked in every])


async def _fetched(context: RequestContext, questions: Sequence[Mapping[str, Any]]) -> dict[str, Fetched]:
    addresses = [asked["model_url"] for asked in questions if "model_url" in asked]
    if addresses:
        # The file behind an address may change while the catalog does not.
        context.keep = False
    return await sources_of_addresses(addresses, context.services.remote)


def _result(faces: Faces, asked: Mapping[str, Any], sources: dict[str, Fetched]) -> EstimateResult:
    try:
        return EstimateResult(estimate=_answer(faces, asked, sources), error=None)
    except QuestionError as error:
        return EstimateResult(
            estimate=None,
            error=UserError(
                code=error.code,
                message=_spelled(str(error)),
                field=path_of(error.field) if error.field else None,
                suggestions=list(error.suggestions),
            ),
        )


def _answer(faces: Faces, asked: Mapping[str, Any], sources: dict[str, Fetched]) -> Estimate:
    source = sources.get(asked.get("model_url", ""))
    if isinstance(source, QuestionError):
        raise source
    answer = faces.view.derived(answerer_of).answer(asked, source)
    estimate = estimate_of_plan(faces, answer.facts)
    estimate.model = faces.by_slug("model", answer.model_slug)
    estimate.gpu = faces.by_slug("gpu", answer.gpu_slug)
    estimate.devices = [EstimateDevice.of(load, faces.by_slug("gpu", load.accelerator.slug)) for load in answer.devices]
    estimate.speculation = None if answer.speculation is None else EstimateSpeculation.of(answer.speculation)
    estimate.notes = sentences_of(answer.notes)
    return estimate
