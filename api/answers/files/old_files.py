"""Files and builds of before split KV projections, whose latent attention llama.cpp runs as a plain one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from api.answers import keys
from api.answers.files.models import ModelSource
from api.errors import ErrorCode, QuestionError
from estimator.calibration.build_age import lacks_latent_cache
from estimator.sentences import Sentence, SentenceCode
from estimator.types import GGUF_FORMATS, Quant

PLAIN = Sentence(
    SentenceCode.LATENT_CACHE_WHOLE,
    "This file is of before split KV projections (llama.cpp of April 2025): the cache holds the keys and values of every head. "
    "A file that was converted later keeps one latent row a token, which is many times less.",
)


OLD_BUILD = Sentence(
    SentenceCode.LATENT_CACHE_WHOLE,
    "llama.cpp before April 2025 keeps the keys and values of every head. A later build keeps one latent row a token of a file "
    "that was converted since, which is many times less.",
)


def with_plain_attention(question: Mapping[str, Any], source: ModelSource, quant: Quant) -> ModelSource:
    """The model with the cache that its file and build lead to: as the header, ``latent_cache`` or ``build_date`` says.

    Raises:
        QuestionError: the model has no latent attention.
    """
    has_latent_cache = keys.boolean(question, "latent_cache")
    if has_latent_cache is False:
        if source.model.latent is None:
            raise QuestionError(ErrorCode.BAD_USER_INPUT, "the model has no latent attention", "latent_cache")
        source = replace(source, model=replace(source.model, cached_latent=None))
    if source.model.latent is None:
        return source
    if source.model.cached_latent is None:
        return replace(source, remarks=(*source.remarks, PLAIN))
    if quant.format in GGUF_FORMATS and lacks_latent_cache(keys.age(question)):
        model = replace(source.model, cached_latent=None)
        return replace(source, model=model, remarks=(*source.remarks, OLD_BUILD))
    return source
