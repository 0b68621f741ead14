"""Clients that read from a pool of servers without pause and judge every answer."""

from __future__ import annotations

import hashlib
import http.client
import itertools
import json
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from bench.support.threads import Background

CLIENTS = 3
QUESTIONS = [
    "{ catalog { generation } a: fits(first: 20, orderBy: [{field: DECODE}]) { nodes { %s } } }",
    "{ catalog { generation } a: fits(first: 20, filter: {decodeTokensPerSecond: {min: 20, max: 40}}) { nodes { %s } } }",
    "{ catalog { generation } models(first: 10) { nodes { slug fits(first: 4) { nodes { %s } } } } }",
]
_FIT = "generation score model { slug } gpu { slug } quant { slug } decode { tokensPerSecond }"


class Member:
    """A server of the pool, on a loopback port."""

    def __init__(self, port: int) -> None:
        self.port = port
        #: Release of its code: servers of one release give equal answers from one generation.
        self.release = ""
        self.in_pool = False
        self.asked = 0

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        """Status and body of an answer. Raises OSError."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"content-type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


class Clients(Background):
    """Threads that ask the servers of the pool in turn, without pause, and judge every answer."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members
        self.answers, self.wrong = 0, list[str]()
        self._seconds: list[float] = []
        self._first: dict[tuple[str, int, str], str] = {}
        self._turns = itertools.count()
        self._lock = threading.Lock()
        super().__init__(*[self._ask_all] * CLIENTS)

    def _ask_all(self) -> None:
        while not self._stopping.wait(0.02):
            with self._lock:
                turn = next(self._turns)
                pool = [member for member in self.members if member.in_pool]
                member = pool[turn % len(pool)] if pool else None
                if member is not None:
                    member.asked += 1
            if member is None:
                self.wrong.append("no server was in the pool")
                continue
            try:
                self._ask(member, QUESTIONS[turn // 2 % len(QUESTIONS)] % _FIT)
            finally:
                with self._lock:
                    member.asked -= 1

    def _ask(self, member: Member, question: str) -> None:
        began = time.perf_counter()
        try:
            status, body = member.ask("POST", "/graphql", json.dumps({"query": question}))
            answer = json.loads(body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.wrong.append(repr(error))
            return
        with self._lock:
            self._seconds.append(time.perf_counter() - began)
            self.answers += 1
            self._judge(member, question, status, answer)

    def _judge(self, member: Member, question: str, status: int, answer: dict[str, Any]) -> None:
        if status != 200 or answer.get("errors"):
            self.wrong.append(f"{status}: {json.dumps(answer)[:300]}")
            return
        generations = set(generations_of(answer["data"]))
        if len(generations) != 1:
            self.wrong.append(f"one answer of generations {generations}")
            return
        # A stored generation never changes: all servers of a release answer alike from it.
        digest = hashlib.sha256(json.dumps(answer["data"]).encode()).hexdigest()
        key = (member.release, generations.pop(), question)
        if self._first.setdefault(key, digest) != digest:
            self.wrong.append(f"two answers from generation {key[1]} differ: {question}")

    def seen(self) -> dict[str, list[int]]:
        """Generations that the servers of each release answered from."""
        seen: dict[str, set[int]] = {}
        for name, generation, _ in list(self._first):
            seen.setdefault(name, set()).add(generation)
        return {name: sorted(generations) for name, generations in seen.items()}

    def taken(self) -> list[float]:
        """Seconds that the answers since the last call took."""
        with self._lock:
            seconds, self._seconds = self._seconds, []
        return seconds

    def p99_ms(self) -> float:
        """99th percentile of ``taken``."""
        return statistics.quantiles(self.taken(), n=100)[98] * 1e3


def generations_of(data: Any) -> Iterator[int]:
    if isinstance(data, dict):
        if data.get("generation") is not None:
            yield data["generation"]
        data = list(data.values())
    if isinstance(data, list):
        for value in data:
            yield from generations_of(value)
