"""Models of estimates that name a file on another server: fetched before anything is estimated."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from api.answers.model_files import ModelSource, source_of_address
from api.answers.remote import FIELD
from api.errors import ErrorCode, LimitExceededError, QuestionError
from db.imports.errors import ImportFactsError
from estimator.types import EstimatorError

if TYPE_CHECKING:
    from api.graphql.context import RequestContext

#: Different addresses of one field.
MAX_ADDRESSES = 8
#: What an address led to: a model, or why there is none.
Fetched = ModelSource | QuestionError


async def fetch(context: RequestContext, addresses: Iterable[str | None]) -> dict[str, Fetched]:
    """What each address leads to. Raises :class:`LimitExceededError` for more than ``MAX_ADDRESSES`` of them."""
    wanted = list(dict.fromkeys(each for each in addresses if each is not None))
    if len(wanted) > MAX_ADDRESSES:
        raise LimitExceededError("addresses", len(wanted), MAX_ADDRESSES)
    if wanted:
        # The file behind an address may change while the catalog does not.
        context.keep = False
    return dict(zip(wanted, await asyncio.gather(*(_one(context, each) for each in wanted)), strict=True))


async def _one(context: RequestContext, address: str) -> Fetched:
    try:
        return await source_of_address(address, context.services.remote)
    except QuestionError as error:
        return error
    except ImportFactsError as error:
        return QuestionError(ErrorCode.BAD_USER_INPUT, str(error), error.field)
    except EstimatorError as error:
        return QuestionError(ErrorCode.BAD_USER_INPUT, str(error), FIELD)
