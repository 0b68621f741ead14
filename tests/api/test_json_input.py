"""JSON of clients: strict, with the numbers that Python's writer leaves."""

from __future__ import annotations

import json

import pytest

from api.json_input import parse_json


def test_numbers_of_pythons_writer_are_texts() -> None:
    text = json.dumps({"limit": [0.0, float("inf"), float("-inf"), float("nan")], "large": 10**30}).encode()
    assert parse_json(text) == {"limit": [0.0, "Infinity", "-Infinity", "NaN"], "large": 1e30}


@pytest.mark.parametrize("text", [b"", b"{", b"Infinity}", b"[Inf]", b"[" * 100_000 + b"NaN", b"\xffNaN", b'{"a": 01}'])
def test_anything_else_is_an_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_json(text)
