"""Fixtures of the workers' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from db.session import sync_engine
from db.settings import Settings


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    with sync_engine(settings.resolved_database_url).connect() as opened:
        yield opened
