"""The query string of a page: each value checked, and addresses that change one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import urlencode

from starlette.requests import Request

from api.errors import bad_input

#: Longest text that a field takes.
MAX_CHARACTERS = 200
V = TypeVar("V")


class Asked:
    """Values of a query string. An empty one counts as left out, as forms send every field."""

    def __init__(self, request: Request) -> None:
        self.path = request.url.path
        self._values = {name: text for name, text in request.query_params.multi_items() if text.strip()}
        self._lists = request.query_params

    @property
    def names(self) -> set[str]:
        """Names that have a value."""
        return set(self._values)

    def text(self, name: str, otherwise: str = "") -> str:
        """A text of at most ``MAX_CHARACTERS``. Raises ``BAD_USER_INPUT``."""
        text = self._values.get(name, otherwise).strip()
        if len(text) > MAX_CHARACTERS:
            raise bad_input(f"'{name}' may have {MAX_CHARACTERS} characters, not {len(text)}", field=name)
        return text

    def texts(self, name: str, most: int) -> list[str]:
        """All texts of a name, without empty ones and repetitions. Raises ``BAD_USER_INPUT``."""
        texts = list(dict.fromkeys(text.strip() for text in self._lists.getlist(name) if text.strip()))
        if len(texts) > most:
            raise bad_input(f"'{name}' may be given {most} times, not {len(texts)}", field=name)
        if any(len(text) > MAX_CHARACTERS for text in texts):
            raise bad_input(f"'{name}' may have {MAX_CHARACTERS} characters", field=name)
        return texts

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number within bounds; None when left out. Raises ``BAD_USER_INPUT``."""
        text = self._values.get(name)
        if text is None:
            return None
        try:
            value = float(text.replace(",", "").lstrip("$"))
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise bad_input(f"'{name}' must be a number from {low:,.10g} to {high:,.10g}", field=name)
        return value

    def whole(self, name: str, low: int, high: int) -> int | None:
        """A whole number within bounds; None when left out. Raises ``BAD_USER_INPUT``."""
        value = self.number(name, low, high)
        if value is not None and value != int(value):
            raise bad_input(f"'{name}' must be a whole number from {low:,} to {high:,}", field=name)
        return None if value is None else int(value)

    def choice(self, name: str, allowed: Mapping[str, V], otherwise: str) -> V:
        """The value of one of the ``allowed`` words. Raises ``BAD_USER_INPUT``."""
        text = self._values.get(name, otherwise)
        if text not in allowed:
            words = ", ".join(word for word in allowed if word)
            raise bad_input(f"'{name}' must be one of {words}", field=name)
        return allowed[text]

    def address_at(self, path: str, **changes: str | int | None) -> str:
        """Another path with these values, some of them changed; None or an empty text leaves one out."""
        values = {**self._values, **changes}
        kept = {name: value for name, value in values.items() if value not in (None, "")}
        return f"{path}?{urlencode(kept)}" if kept else path

    def address(self, **changes: str | int | None) -> str:
        """This address with some values changed."""
        return self.address_at(self.path, **changes)
