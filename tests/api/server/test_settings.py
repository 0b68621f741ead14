"""Settings: each described, documented, read from the environment and checked."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from api.settings import ApiSettings, QueryLimits, settings_markdown


def test_every_setting_is_described_and_in_the_reference() -> None:
    page = settings_markdown()
    for name, info in ApiSettings.model_fields.items():
        assert info.description, name
        assert info.description.endswith((".", ")")) or info.description[-1].isalnum() or info.description.endswith("`")
        assert f"`FITGRAPH_{name.upper()}`" in page


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITGRAPH_PORT", "9000")
    monkeypatch.setenv("FITGRAPH_CORS_ORIGINS", '["https://example.org"]')
    monkeypatch.setenv("FITGRAPH_MAX_DEPTH", "7")
    made = ApiSettings()
    assert (made.port, made.cors_origins, made.query_limits().depth) == (9000, ("https://example.org",), 7)


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "70000"), ("MAX_COST", "0"), ("LOG_LEVEL", "loud"), ("REQUEST_TIMEOUT_S", "-1")]
)
def test_a_senseless_setting_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"FITGRAPH_{name}", value)
    with pytest.raises(ValidationError):
        ApiSettings()


def test_default_limits_are_those_of_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ApiSettings().query_limits() == QueryLimits()
