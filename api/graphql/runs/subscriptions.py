"""Streams: the progress of a run, and tokens at the pace that a fit is estimated to have."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator
from typing import Annotated

import strawberry

from api.errors import ApiError, ErrorCode, NotFoundError
from api.graphql.context import RequestContext
from api.graphql.fits.queries import find_fit
from api.graphql.runs.catalog_state import Catalog, catalog_state
from api.graphql.runs.pages import find_run, newest_run
from api.graphql.runs.types import FINAL, Run, run_number
from estimator.types import WorkloadKind

#: Seconds between looks at a run, and tokens that one stream sends at most.
POLL_S = 0.25
MAX_TOKENS = 500

_TEXT = [
    "A",
    "transformer",
    "reads",
    "the",
    "whole",
    "prompt",
    "at",
    "once,",
    "which",
    "is",
    "limited",
    "by",
    "arithmetic",
    ",",
    "and",
    "then",
    "writes",
    "one",
    "token",
    "after",
    "the",
    "other",
    ",",
    "which",
    "is",
    "limited",
    "by",
    "how",
    "fast",
    "its",
    "active",
    "weights",
    "can",
    "be",
    "read",
    "from",
    "memory",
    ".",
    "That",
    "is",
    "why",
    "a",
    "wide",
    "memory",
    "bus",
    "makes",
    "the",
    "answer",
    "flow",
    ",",
    "why",
    "a",
    "quantized",
    "model",
    "is",
    "quicker",
    "than",
    "a",
    "plain",
    "one",
    ",",
    "and",
    "why",
    "a",
    "mixture",
    "of",
    "experts",
    ",",
    "which",
    "reads",
    "only",
    "some",
    "of",
    "its",
    "experts",
    "for",
    "each",
    "token",
    ",",
    "keeps",
    "pace",
    "with",
    "far",
    "smaller",
    "models",
    ".",
]


@strawberry.type(description="One token of a demonstration stream.")
class Token:
    index: int = strawberry.field(description="Place in the stream, from 0.")
    text: str = strawberry.field(description="Text of the token, with its leading space.")
    at_ms: float = strawberry.field(description="Estimated time since the prompt was sent, milliseconds.")


@strawberry.type(description="Everything that can be followed, over graphql-transport-ws or server-sent events.")
class Subscription:
    @strawberry.subscription(description="A run whenever its progress changes; ends with the run.")
    async def run_progress(
        self,
        info: strawberry.Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Global id of the run.")],
    ) -> AsyncGenerator[Run, None]:
        number = run_number(str(id))
        last: tuple[object, ...] | None = None
        while True:
            run = await find_run(info.context, number)
            if run is None:
                raise NotFoundError("run", str(id))
            progress = _progress(run)
            if progress != last:
                last = progress
                yield run
            if run.state in FINAL:
                return
            await asyncio.sleep(POLL_S)

    @strawberry.subscription(
        description="The newest run whenever its progress changes, and each run that follows it; never ends by itself."
    )
    async def newest_run(self, info: strawberry.Info) -> AsyncGenerator[Run, None]:
        last: tuple[object, ...] | None = None
        while True:
            run = await newest_run(info.context)
            progress = None if run is None else (run.id, *_progress(run))
            if run is not None and progress != last:
                last = progress
                yield run
            await asyncio.sleep(POLL_S)

    @strawberry.subscription(
        description="The catalog's state now, and again with each generation that is published; never ends by itself."
    )
    async def publications(self, info: strawberry.Info) -> AsyncGenerator[Catalog, None]:
        last: str | None = None
        while True:
            context: RequestContext = await info.context.renewed()
            if context.view.state != last:
                last = context.view.state
                yield catalog_state(context)
            await asyncio.sleep(POLL_S)

    @strawberry.subscription(
        description="A text at the estimated pace of a pairing, after its estimated time to the first token: what the "
        "speed feels like. At most 500 tokens."
    )
    async def decode_stream(
        self,
        info: strawberry.Info,
        model: Annotated[str, strawberry.argument(description="Model, by slug or alias.")],
        gpu: Annotated[str, strawberry.argument(description="Accelerator, by slug or alias.")],
        quant: Annotated[
            str | None,
            strawberry.argument(
                description="Quantization, by slug or alias; the recommended one when left out.",
            ),
        ] = None,
    ) -> AsyncGenerator[Token, None]:
        first_ms, step_ms = await _pace(info.context, model, gpu, quant)
        started = asyncio.get_running_loop().time()
        words = itertools.islice(itertools.cycle(_TEXT), MAX_TOKENS)
        for index, word in enumerate(words):
            at_ms = first_ms + index * step_ms
            delay = started + at_ms / 1000 - asyncio.get_running_loop().time()
            await _wait(max(0.0, delay))
            yield Token(index=index, text=word if word in ",." else f" {word}", at_ms=at_ms)


def _progress(run: Run) -> tuple[object, ...]:
    return run.state, run.done_block_count, run.failed_block_count, run.done_cell_count


async def _wait(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def _pace(context: RequestContext, model: str, gpu: str, quant: str | None) -> tuple[float, float]:
    """Milliseconds to the first token and per token.

    Raises ``UNSUPPORTED`` for a pairing that cannot run, ``MISSING_FACT`` for one whose first token nobody can tell.
    """
    fit = await find_fit(context, model, gpu, quant, WorkloadKind.CODING)
    if fit is None or fit.decode is None:
        raise ApiError(ErrorCode.UNSUPPORTED, "This pairing cannot run, so that it has no pace.")
    if fit.ttft_ms is None:
        raise ApiError(
            ErrorCode.MISSING_FACT,
            f"The catalog does not know the arithmetic peak of {fit.gpu.name}, so that the time to its first token is unknown.",
            name=fit.gpu.slug,
            field="matrixFlopsPerSecond",
        )
    return fit.ttft_ms, 1000 / fit.decode.tokens_per_second
