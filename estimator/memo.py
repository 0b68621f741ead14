"""Results kept for a next call, the latest ones, within a budget of bytes.

Arrays of one model in one quant are a kilobyte; in every quant, or of every accelerator, they are hundreds. A count of
results bounds nothing then: it lets a process grow for as long as large ones take the places of small ones.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass
from threading import Lock
from typing import Any, Generic, TypeVar, cast

import numpy as np

T = TypeVar("T")
#: Approximate bytes of a result beside its arrays: objects, and the place where it is kept.
_OVERHEAD = 4096


class _Key:
    """Arguments of a call, hashed once: those of a model take longer than all the rest of a look-up."""

    __slots__ = ("arguments", "hashed")

    def __init__(self, arguments: tuple[Hashable, ...]) -> None:
        self.arguments = arguments
        self.hashed = hash(arguments)

    def __hash__(self) -> int:
        return self.hashed

    def __eq__(self, other: object) -> bool:
        return self.arguments == cast("_Key", other).arguments


class Kept(Generic[T]):
    """A function of hashable arguments that keeps what it returned. Safe for threads, which may compute the same twice."""

    def __init__(self, make: Callable[..., T], budget_bytes: int) -> None:
        self._make = make
        self._budget = budget_bytes
        self._lock = Lock()
        self._kept: OrderedDict[_Key, tuple[T, int]] = OrderedDict()
        self.used_bytes = 0

    def __call__(self, *arguments: Hashable) -> T:
        """The kept result, or a new one."""
        key = _Key(arguments)
        with self._lock:
            entry = self._kept.get(key)
            if entry is not None:
                self._kept.move_to_end(key)
                return entry[0]
        result = self._make(*arguments)
        size = bytes_of(result) + _OVERHEAD
        with self._lock:
            # One that has no room alone would take that of all others.
            if key not in self._kept and size <= self._budget:
                self._kept[key] = result, size
                self.used_bytes += size
                while self.used_bytes > self._budget:
                    self.used_bytes -= self._kept.popitem(last=False)[1][1]
        return result

    def __len__(self) -> int:
        """How many results are kept."""
        return len(self._kept)

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._kept.clear()
            self.used_bytes = 0


def kept_within(budget_bytes: int) -> Callable[[Callable[..., T]], Kept[T]]:
    """Decorator of a function whose results are kept within ``budget_bytes``."""
    return lambda make: Kept(make, budget_bytes)


def bytes_of(result: Any) -> int:
    """Bytes of the arrays of a result, views as what they keep alive."""
    seen: dict[int, int] = {}
    waiting = [result]
    while waiting:
        part = waiting.pop()
        if isinstance(part, np.ndarray):
            while isinstance(part.base, np.ndarray):
                part = part.base
            seen[id(part)] = part.nbytes
        elif isinstance(part, tuple):
            waiting += [inner for inner in part if isinstance(inner, np.ndarray)]
        elif is_dataclass(part) and not isinstance(part, type):
            waiting += [getattr(part, field.name) for field in fields(part)]
    return sum(seen.values())
