"""GGUF files of before split KV projections, whose latent attention llama.cpp runs as a plain one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from api.answers import keys
from api.answers.files.models import ModelSource
from api.errors import ErrorCode, QuestionError
from estimator.sentences import Sentence, SentenceCode

PLAIN = Sentence(
    SentenceCode.LATENT_CACHE_WHOLE,
    "This file is of before split KV projections (llama.cpp of April 2025): the cache holds the keys and values of every head. "
    "A file that was converted later keeps one latent row a token, which is many times less.",
)


def with_plain_attention(question: Mapping[str, Any], source: ModelSource) -> ModelSource:
    """The model with the cache that its file leads to: as the header says, or as ``latent_cache`` does.

    Raises:
        QuestionError: the model has no latent attention.
    """
    asked = keys.boolean(question, "latent_cache")
    if asked is False:
        if source.model.latent is None:
            raise QuestionError(ErrorCode.BAD_USER_INPUT, "the model has no latent attention", "latent_cache")
        source = replace(source, model=replace(source.model, cached_latent=None))
    if source.model.latent is None or source.model.cached_latent is not None:
        return source
    return replace(source, remarks=(*source.remarks, PLAIN))
