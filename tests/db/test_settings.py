"""Addresses of database and broker: defaults in the state folder, and what operators may write."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from db.settings import Settings


def test_defaults_lie_in_the_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FITGRAPH_DATABASE_URL", raising=False)
    monkeypatch.delenv("FITGRAPH_REDIS_URL", raising=False)
    settings = Settings(state_dir=tmp_path)
    assert settings.resolved_database_url == f"sqlite:///{tmp_path / 'fitgraph.db'}"
    assert settings.resolved_redis_url == f"redis+socket://{settings.broker_socket}"
    assert str(settings.broker_socket).endswith("valkey.sock")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_is_taken(scheme: str) -> None:
    settings = Settings(database_url=f"{scheme}://user@host/name")
    assert settings.resolved_database_url == "postgresql+psycopg://user@host/name"


def test_an_outside_broker_is_taken() -> None:
    assert Settings(redis_url="redis://host:6379/0").resolved_redis_url == "redis://host:6379/0"
    assert Settings(redis_url="unix:///run/redis.sock").resolved_redis_url == "redis+socket:///run/redis.sock"


@pytest.mark.parametrize(("name", "value"), [("database_url", "mysql://host/name"), ("redis_url", "amqp://host")])
def test_other_servers_are_refused_with_what_is_allowed(name: str, value: str) -> None:
    with pytest.raises(ValidationError, match="must start with one of"):
        Settings(**{name: value})


@pytest.mark.parametrize(
    ("options", "message"),
    [({"precompute": "some"}, "'all', 'popular' or 'listed'"), ({"precompute": "listed"}, "FITGRAPH_PRECOMPUTE_LIST")],
)
def test_an_unknown_policy_is_refused_with_what_is_allowed(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Settings(**options)


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITGRAPH_WORKERS", "7")
    assert Settings().workers == 7


def test_every_setting_is_described() -> None:
    assert all(info.description for info in Settings.model_fields.values())
