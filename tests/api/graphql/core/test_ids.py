"""Ids and cursors: what goes in comes out, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import ApiError, ErrorCode
from api.graphql.core.ids import Cursor, NodeId, decode_cursor, decode_id, encode_cursor, encode_id

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(st.text(min_size=1, max_size=20), st.lists(st.text(max_size=40), min_size=1, max_size=4))
def test_an_id_reads_back(kind: str, key: list[str]) -> None:
    assert decode_id(encode_id(kind, *key)) == NodeId(kind, tuple(key))


def test_an_id_is_the_same_for_ever() -> None:
    assert encode_id("Gpu", "rtx-4090") == encode_id("Gpu", "rtx-4090")
    assert encode_id("Gpu", "rtx-4090") != encode_id("Model", "rtx-4090")


@given(st.data())
def test_a_changed_id_is_refused(data: st.DataObject) -> None:
    good = encode_id("Model", "llama-3.1-8b")
    place = data.draw(st.integers(0, len(good) - 1))
    letter = data.draw(st.sampled_from(_ALPHABET.replace(good[place], "")))
    with pytest.raises(ApiError) as caught:
        decode_id(good[:place] + letter + good[place + 1 :])
    assert caught.value.code is ErrorCode.BAD_USER_INPUT


@given(st.text(max_size=60))
def test_any_other_text_is_refused_as_id_and_cursor(text: str) -> None:
    for read in (decode_id, lambda value: decode_cursor(value, "g1", "o")):
        with pytest.raises(ApiError) as caught:
            read(text)
        assert caught.value.code is ErrorCode.BAD_USER_INPUT


@given(st.lists(st.integers(-(2**62), 2**62) | st.text(max_size=20), min_size=1, max_size=6))
def test_a_cursor_reads_back_in_its_own_list_and_generation(key: list[int | str]) -> None:
    text = encode_cursor(Cursor("g7", "order", tuple(key)))
    assert decode_cursor(text, "g7", "order") == tuple(key)


def test_a_cursor_of_a_passed_generation_says_so() -> None:
    text = encode_cursor(Cursor("g7", "order", (1,)))
    with pytest.raises(ApiError) as caught:
        decode_cursor(text, "g8", "order")
    assert caught.value.code is ErrorCode.STALE_CURSOR


def test_a_cursor_of_another_list_is_bad_input() -> None:
    text = encode_cursor(Cursor("g7", "order", (1,)))
    with pytest.raises(ApiError) as caught:
        decode_cursor(text, "g7", "another order")
    assert caught.value.code is ErrorCode.BAD_USER_INPUT


def test_an_id_is_no_cursor() -> None:
    with pytest.raises(ApiError):
        decode_cursor(encode_id("g7", "order", "x"), "g7", "order")
