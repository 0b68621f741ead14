"""The installed rooms are the ones of this checkout, and each is a real package."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("room", ["api", "workers", "db", "estimator"])
def test_room_is_imported_from_this_checkout(room: str) -> None:
    module = importlib.import_module(room)
    assert module.__file__ == str(ROOT / room / "__init__.py")
    assert module.__doc__
