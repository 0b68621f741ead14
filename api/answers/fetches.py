"""Models of questions that name a file on another server: fetched before anything is estimated."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TypeAlias

from api.answers.model_files import ModelSource, source_of_address
from api.answers.remote import FIELD, RemoteFiles
from api.errors import ErrorCode, LimitExceededError, QuestionError
from db.imports.errors import ImportFactsError
from estimator.types import EstimatorError

#: Different addresses of one request.
MAX_ADDRESSES = 8
#: The model of an address, or the reason for none.
Fetched: TypeAlias = ModelSource | QuestionError


async def sources_of_addresses(addresses: Iterable[str], files: RemoteFiles) -> dict[str, Fetched]:
    """The model of each address. Raises :class:`LimitExceededError` for more than ``MAX_ADDRESSES`` of them."""
    wanted = list(dict.fromkeys(addresses))
    if len(wanted) > MAX_ADDRESSES:
        raise LimitExceededError("addresses", len(wanted), MAX_ADDRESSES)
    return dict(zip(wanted, await asyncio.gather(*(_source(address, files) for address in wanted)), strict=True))


async def _source(address: str, files: RemoteFiles) -> Fetched:
    try:
        return await source_of_address(address, files)
    except QuestionError as error:
        return error
    except ImportFactsError as error:
        return QuestionError(ErrorCode.BAD_USER_INPUT, str(error), error.field)
    except EstimatorError as error:
        return QuestionError(ErrorCode.BAD_USER_INPUT, str(error), FIELD)
