"""A storage of fits for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from db.reading import Reader
from tests.support.stored_fits import (
    BLOCKS,
    opened,
)


@pytest.fixture
async def reader(empty_database_url: str) -> AsyncIterator[Reader]:
    """A storage with every block, a dead row and a row of the next generation."""
    async with opened(empty_database_url, BLOCKS) as made:
        yield made
