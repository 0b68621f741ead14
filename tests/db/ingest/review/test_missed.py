"""Names that were asked for and not found, on both databases."""

from __future__ import annotations

import pytest

from db.ingest.review import missed
from db.ingest.review.missed import Missed, add_missed, countable, missed_names
from db.session import make_engine, sync_engine, writing


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("  RTX   9090 ", "rtx 9090"),
        ("org/Some-Model-GGUF", "org/some-model-gguf"),
        ("me@example.com", None),
        ("https://example.com/model.gguf", None),
        ("/home/me/model.gguf", None),
        ("please tell me which of these cards can run it", None),
        ("a\x00b", None),
        ("x", None),
        ("x" * 1000, None),
    ],
)
def test_only_names_are_counted(text: str, name: str | None) -> None:
    assert countable(text) == name


def test_counts_add_up_and_days_widen(database_url: str) -> None:
    engine = sync_engine(database_url)
    with writing(engine) as connection:
        add_missed(connection, {("gpu", "rtx 9090"): 2, ("model", "no such"): 1}, "2026-11-28")
        add_missed(connection, {("gpu", "rtx 9090"): 3}, "2026-11-30")
        assert missed_names(connection) == [
            Missed("gpu", "rtx 9090", 5, "2026-11-28", "2026-11-30"),
            Missed("model", "no such", 1, "2026-11-28", "2026-11-28"),
        ]
        assert [name.name for name in missed_names(connection, least=2)] == ["rtx 9090"]


def test_the_rarest_and_oldest_go_first(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missed, "MAX_ROWS", 2)
    with writing(sync_engine(database_url)) as connection:
        add_missed(connection, {("gpu", "old"): 1, ("gpu", "wanted"): 9}, "2026-11-01")
        add_missed(connection, {("gpu", "new"): 1}, "2026-11-02")
        assert [name.name for name in missed_names(connection)] == ["wanted", "new"]


def test_a_database_without_the_table_has_none(empty_database_url: str) -> None:
    engine = make_engine(empty_database_url)
    with engine.connect() as connection:
        assert missed_names(connection) == []
    engine.dispose()
