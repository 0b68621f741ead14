"""Opaque global ids and cursors: URL-safe text with a checksum, to tell a changed one from an unknown one.

The checksum guards against mistakes, not against people: everything inside is validated again when it is used.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hashlib import blake2s
from typing import Any

import orjson

from api.errors import ApiError, ErrorCode, bad_input

_CHECK_BYTES = 6
_NODE, _CURSOR = b"fit.node", b"fit.cur"
#: Longest accepted id or cursor, characters.
MAX_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class NodeId:
    """Content of an id: the type's name and the parts of its key."""

    kind: str
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in an ordered list: the state it belongs to, the order's signature, the last item's sort key."""

    state: str
    order: str
    key: tuple[Any, ...]


def encode_id(kind: str, *key: str) -> str:
    """Id of one entity; the same entity has the same id for ever."""
    return _seal(_NODE, orjson.dumps([kind, *key]))


def decode_id(text: str) -> NodeId:
    """Read an id. Raises :class:`ApiError` ``BAD_USER_INPUT`` when it was changed or is no id."""
    parts = _open(_NODE, text, "id")
    if len(parts) < 2 or not all(isinstance(part, str) for part in parts):
        raise _damaged("id")
    return NodeId(parts[0], tuple(parts[1:]))


def encode_cursor(cursor: Cursor) -> str:
    """Cursor text; key values are numbers and strings."""
    return _seal(_CURSOR, orjson.dumps([cursor.state, cursor.order, *cursor.key]))


def decode_cursor(text: str, state: str, order: str) -> tuple[Any, ...]:
    """Sort key inside a cursor.

    Raises ``BAD_USER_INPUT`` when it was changed or belongs to another order or filter, ``STALE_CURSOR`` when its
    generation has passed.
    """
    parts = _open(_CURSOR, text, "cursor")
    if len(parts) < 3 or not isinstance(parts[0], str):
        raise _damaged("cursor")
    if parts[1] != order:
        raise bad_input("This cursor belongs to a list with another filter or order; start again from the first page.")
    if parts[0] != state:
        raise ApiError(
            ErrorCode.STALE_CURSOR,
            "This cursor belongs to an earlier generation; start again from the first page.",
            cursorState=parts[0],
            currentState=state,
        )
    return tuple(parts[2:])


def signature(*parts: Any) -> str:
    """Short signature of a filter and an order, to keep cursors of different lists apart."""
    return blake2s(orjson.dumps(parts, default=str, option=orjson.OPT_SORT_KEYS), digest_size=6).hexdigest()


def _seal(domain: bytes, payload: bytes) -> str:
    return base64.urlsafe_b64encode(_check(domain, payload) + payload).rstrip(b"=").decode()


def _open(domain: bytes, text: str, noun: str) -> list[Any]:
    if not text or len(text) > MAX_LENGTH:
        raise _damaged(noun)
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _damaged(noun) from error
    check, payload = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
    if check != _check(domain, payload) or _seal(domain, payload) != text:
        raise _damaged(noun)
    parts = orjson.loads(payload)
    return parts if isinstance(parts, list) else []


def _check(domain: bytes, payload: bytes) -> bytes:
    return blake2s(payload, digest_size=_CHECK_BYTES, person=domain).digest()


def _damaged(noun: str) -> ApiError:
    return bad_input(f"This {noun} is not one that this service gave out.")
