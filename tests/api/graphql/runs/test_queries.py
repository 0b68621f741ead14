"""The history of runs: filtered by state, cause and time, in either order, paged from both ends, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlmodel import Session

from api.server.app import create_app
from api.settings import ApiSettings
from db.entries.files import Catalog
from db.session import sync_engine
from db.tables import Run
from tests.api.conftest import Ask, asker, client_of

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
STATES = ("published", "failed", "cancelled", "partial")
COUNT = 13
LIST = """query($filter: RunFilter, $orderBy: [RunOrder!], $first: Int, $after: String, $last: Int, $before: String) {
  runs(filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
    totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } nodes { id state cause createdAt } } }"""


@pytest_asyncio.fixture
async def runs(database_url: str, tmp_path: Path, catalog: Catalog) -> AsyncIterator[Ask]:
    """Asks an application whose database knows runs of thirteen days."""
    with Session(sync_engine(database_url)) as session:
        for number in range(COUNT):
            planned = FIRST + timedelta(days=number)
            session.add(
                Run(
                    revision="r", generation=number, cause="timer" if number % 3 else "cli", rebuild=False,
                    state=STATES[number % 4], created_at=planned, started_at=planned, finished_at=planned,
                )
            )  # fmt: skip
        session.commit()
    app = create_app(ApiSettings(state_dir=tmp_path / "state", database_url=database_url), catalog)
    async with client_of(app) as client:
        yield asker(client)
    await app.state.services.close()


async def listed(runs: Ask, **variables: Any) -> Any:
    answer = await runs(LIST, **variables)
    assert "errors" not in answer, answer
    return answer["data"]["runs"]


def day(number: int) -> str:
    return (FIRST + timedelta(days=number)).isoformat()


async def test_filters(runs: Ask) -> None:
    every = (await listed(runs))["nodes"]
    assert [datetime.fromisoformat(run["createdAt"]) for run in every] == [
        FIRST + timedelta(days=number) for number in reversed(range(COUNT))
    ]
    cases: tuple[tuple[dict[str, Any], Callable[[Any], bool]], ...] = (
        ({"state": {"in": ["FAILED", "PARTIAL"]}}, lambda run: run["state"] in ("FAILED", "PARTIAL")),
        ({"cause": {"in": ["CLI"]}}, lambda run: run["cause"] == "cli"),
        ({"createdAt": {"min": day(4)}}, lambda run: run["createdAt"] >= every[-5]["createdAt"]),
        ({"createdAt": {"max": day(4)}}, lambda run: run["createdAt"] <= every[-5]["createdAt"]),
        # The fourth day, told without a zone and with another one.
        ({"createdAt": {"min": "2026-01-04T00:00:00", "max": "2026-01-04T02:00:00+02:00"}}, lambda run: run is every[-4]),
        ({"createdAt": {"min": day(4)}, "state": {"in": ["FAILED"]}, "cause": {"in": ["timer"]}}, lambda run: (
            run["createdAt"] >= every[-5]["createdAt"] and run["state"] == "FAILED" and run["cause"] == "timer"
        )),
    )  # fmt: skip
    for wanted, holds in cases:
        page = await listed(runs, filter=wanted)
        assert page["nodes"] == [run for run in every if holds(run)], wanted
        assert page["totalCount"] == len(page["nodes"]) > 0
    assert (await listed(runs, filter={"createdAt": {"min": "2027-01-01T00:00:00"}}))["totalCount"] == 0


@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_pages_from_both_ends_are_the_same_list(runs: Ask, direction: str) -> None:
    asked = {"orderBy": [{"field": "CREATED_AT", "direction": direction}]}
    every = (await listed(runs, **asked))["nodes"]
    times = [run["createdAt"] for run in every]
    assert times == sorted(times, reverse=direction == "DESC")
    forward: list[Any] = []
    backward: list[Any] = []
    after = before = None
    for _ in range(0, COUNT, 5):
        page = await listed(runs, first=5, after=after, **asked)
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        forward, after = forward + page["nodes"], page["pageInfo"]["endCursor"]
        assert page["pageInfo"]["hasNextPage"] is (len(forward) < COUNT)
        page = await listed(runs, last=5, before=before, **asked)
        assert page["pageInfo"]["hasNextPage"] is (before is not None)
        backward, before = page["nodes"] + backward, page["pageInfo"]["startCursor"]
        assert page["pageInfo"]["hasPreviousPage"] is (len(backward) < COUNT)
    assert forward == backward == every


async def test_what_is_asked_wrongly_is_said(runs: Ask) -> None:
    cursor = (await listed(runs, first=1))["pageInfo"]["endCursor"]
    for variables in (
        {"filter": {"createdAt": {"min": day(2), "max": day(1)}}},
        {"filter": {"createdAt": {"min": "0001-01-01T00:00:00+10:00"}}},
        {"filter": {"createdAt": {"min": "yesterday"}}},
        {"orderBy": [{"field": "CREATED_AT"}, {"field": "CREATED_AT"}]},
        {"last": 1, "after": cursor},
        {"first": 1, "before": cursor},
        # A cursor of the same runs in another order, and one of others.
        {"after": cursor, "orderBy": [{"field": "CREATED_AT", "direction": "ASC"}]},
        {"after": cursor, "filter": {"createdAt": {"min": day(1)}}},
    ):
        answer = await runs(LIST, **variables)
        assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT", variables
