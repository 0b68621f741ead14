"""How many streams are open, in all and for each client: websockets and server-sent events alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from api.errors import LimitExceededError


class OpenStreams:
    """Counts of one server process."""

    def __init__(self, maximum: int, maximum_per_client: int) -> None:
        self._maximum = maximum
        self._maximum_per_client = maximum_per_client
        self._by_client: Counter[str] = Counter()
        self.count = 0

    def check(self, client: str) -> None:
        """Raise :class:`LimitExceededError` when ``client`` may not open one more."""
        if self.count >= self._maximum:
            raise LimitExceededError("open streams", self.count + 1, self._maximum)
        if self._by_client[client] >= self._maximum_per_client:
            raise LimitExceededError("open streams per client", self._by_client[client] + 1, self._maximum_per_client)

    @contextmanager
    def one_more(self, client: str) -> Iterator[None]:
        """Count one while it is open. Raises as :meth:`check` does."""
        self.check(client)
        self.count += 1
        self._by_client[client] += 1
        try:
            yield
        finally:
            self.count -= 1
            self._by_client[client] -= 1
            if not self._by_client[client]:
                del self._by_client[client]
