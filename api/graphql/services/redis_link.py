"""Talking to Redis without depending on it: short waits, no repeats, and a pause after a failure."""

from __future__ import annotations

import logging
import time

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

logger = logging.getLogger("fitgraph.api")

#: Exceptions of a Redis client.
REDIS_FAULTS = (RedisError, OSError, TimeoutError)
#: Longest wait for an answer, and how long Redis is left alone after it failed, seconds.
ANSWER_WITHIN_S = 0.5
PAUSE_S = 5.0


def redis_client(url: str) -> Redis:
    """A client of the server at ``url``; Celery writes a socket's address in its own way."""
    return Redis.from_url(
        "unix://" + url.removeprefix("redis+socket://") if url.startswith("redis+socket") else url,
        socket_timeout=ANSWER_WITHIN_S,
        socket_connect_timeout=ANSWER_WITHIN_S,
        retry=Retry(NoBackoff(), 0),
    )


class Breaker:
    """Open for some seconds after a failure, so that a Redis that hangs does not slow every request."""

    def __init__(self, message: str) -> None:
        self._message = message
        self._until = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether Redis is to be left alone now."""
        return time.monotonic() < self._until

    def trip(self, error: Exception) -> None:
        """Note a failure."""
        logger.warning("%s (%s)", self._message, type(error).__name__)
        self._until = time.monotonic() + PAUSE_S
