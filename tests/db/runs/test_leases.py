"""Leases on a clock that jumps."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import Connection

from db.entries.files import Catalog
from db.runs import leases, store
from db.runs.leases import claim_block, claim_publication, free_blocks, hold_publication, is_worked_at
from db.runs.store import active_run, finish_block, moment_of
from db.session import sync_engine, writing
from db.settings import Settings
from workers.kernel import release_version
from workers.runs import start_run

LEASE_S, HOURS = 30.0, 3 * 3600.0


class Clock:
    """The clock that all workers share, set by the test."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self, _: Connection) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (leases, store):
        monkeypatch.setattr(module, "moment_of", made)
    return made


def test_all_workers_share_the_clock_of_the_database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with sync_engine(database_url).connect() as connection:
        assert abs(moment_of(connection) - time.time()) < 5
        if connection.dialect.name == "postgresql":
            # The clock of a worker's machine does not matter.
            monkeypatch.setattr(time, "time", lambda: 0.0)
            assert moment_of(connection) > HOURS


@pytest.mark.parametrize("jump_s", [HOURS, -HOURS])
def test_a_jump_of_the_clock_loses_and_doubles_nothing(
    settings: Settings, small_catalog: Catalog, clock: Clock, jump_s: float
) -> None:
    started = start_run(settings, small_catalog, enqueue=False).run
    assert started is not None
    release = release_version()
    with writing(sync_engine(settings.resolved_database_url)) as connection:
        first, *others = free_blocks(connection, started.id, LEASE_S)

        def claim(number: int, token: str) -> object:
            return claim_block(connection, number, token, LEASE_S, 5, release)

        before = claim_block(connection, first, "before", LEASE_S, 5, release)
        assert before is not None
        assert claim(first, "meanwhile") is None
        clock.now += LEASE_S - 1
        assert first not in free_blocks(connection, started.id, LEASE_S)
        clock.now += jump_s
        # Whether it jumped forward or back, the block is free at once, and the first holder stores nothing.
        assert first in free_blocks(connection, started.id, LEASE_S)
        after = claim_block(connection, first, "after", LEASE_S, 5, release)
        assert after is not None
        assert not finish_block(connection, before, "before", 1, 0)
        assert finish_block(connection, after, "after", 1, 0)
        for number in others:
            block = claim_block(connection, number, "rest", LEASE_S, 5, release)
            assert block is not None
            assert finish_block(connection, block, "rest", 1, 0)
        assert claim_publication(connection, started.id, "frozen", LEASE_S, release)
        assert not claim_publication(connection, started.id, "early", LEASE_S, release)
        run = active_run(connection)
        assert run is not None
        assert is_worked_at(connection, run, LEASE_S)
        clock.now -= jump_s
        assert claim_publication(connection, started.id, "thawed", LEASE_S, release)
        assert not hold_publication(connection, started.id, "frozen", LEASE_S)


def test_a_run_is_worked_at_between_two_blocks(settings: Settings, small_catalog: Catalog, clock: Clock) -> None:
    started = start_run(settings, small_catalog, enqueue=False).run
    assert started is not None
    with writing(sync_engine(settings.resolved_database_url)) as connection:
        clock.now += HOURS
        assert not is_worked_at(connection, started, LEASE_S)
        first = free_blocks(connection, started.id, LEASE_S)[0]
        block = claim_block(connection, first, "holder", LEASE_S, 5, release_version())
        assert block is not None
        assert finish_block(connection, block, "holder", 1, 0)
        assert is_worked_at(connection, started, LEASE_S)
        clock.now += LEASE_S + 1
        assert not is_worked_at(connection, started, LEASE_S)
