"""A storage of fits for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from db.reading import Reader
from tests.support.stored_fits import BLOCKS, opened, store


@pytest.fixture(scope="session")
def stored_url(session_database_url: str) -> str:
    """A database with every block, a dead row and a row of the next generation, which tests only read."""
    store(session_database_url, BLOCKS)
    return session_database_url


@pytest.fixture
async def reader(stored_url: str) -> AsyncIterator[Reader]:
    """Reader of the stored blocks."""
    async with opened(stored_url) as made:
        yield made
