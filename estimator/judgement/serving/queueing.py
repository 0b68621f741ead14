"""People in front of one server: each thinks, asks, waits and reads, and those that are answered share the machine.

A closed queue (the machine-repair model) with a service rate that depends on the number of streams: its stationary
distribution needs only the mean of the think time and of the work. See L. Kleinrock, Queueing Systems 1, sections 3.8 to 3.10.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from estimator.structure.arrays import Floats

#: Share of requests that find no more others than in a busy moment.
BUSY_QUANTILE = 0.9
#: No server is asked about more people than this.
MAX_PEOPLE = 100_000


@dataclass(frozen=True, slots=True)
class ServerPace:
    """Speeds of a server: seconds to read one prompt, and decode speed of each of 1, 2, ... streams, tok/s.

    ``shared_prefill_s`` is how long a prompt holds the streams up: less than it takes where its steps are filled up with
    other prompts. ``decode_tok_s`` has as many entries as streams may be active; more requests wait.
    """

    prefill_s: float
    shared_prefill_s: float
    decode_tok_s: Floats
    output_tokens: int

    @property
    def most_streams(self) -> int:
        """Streams that may be active at once."""
        return len(self.decode_tok_s)

    def request_seconds(self) -> Floats:
        """Seconds in which each of k streams is answered once: k prompts one after the other, all answers together."""
        streams = np.arange(1, self.most_streams + 1)
        return streams * self.shared_prefill_s + self.output_tokens / self.decode_tok_s

    def seen_tok_s(self) -> Floats:
        """Speed that each of k streams sees, while the prompts of the others interrupt it."""
        others = np.arange(self.most_streams)
        return self.output_tokens / (self.output_tokens / self.decode_tok_s + others * self.shared_prefill_s)

    def first_token_s(self) -> Floats:
        """Seconds until the first token of each of k streams: its prompt, and the wait for those of others before it.

        The wait is that of the M/D/1 queue, and at most all of the others.
        """
        others = np.arange(self.most_streams)
        load = np.minimum(others * self.shared_prefill_s / self.request_seconds(), 1.0 - 1e-9)
        waiting = np.minimum(load / (2.0 * (1.0 - load)), others)
        return self.prefill_s + self.shared_prefill_s * waiting


@dataclass(frozen=True, slots=True)
class Load:
    """A server with ``people`` in front of it: means over requests, and ``busy_*`` as nine of ten requests have it or better.

    ``active_streams`` are those present on average, waiting ones included. Speeds in tok/s of one person, ``total_tok_s`` of
    all together; ``working_share`` is that of the time in which anybody is answered.
    """

    people: int
    active_streams: float
    busy_active_streams: int
    decode_tok_s: float
    busy_decode_tok_s: float
    ttft_s: float
    busy_ttft_s: float
    total_tok_s: float
    working_share: float


def load_of(people: int, think_s: float, pace: ServerPace) -> Load:
    """The stationary state with ``people``, who think ``think_s`` seconds between an answer and the next request.

    Raises:
        ValueError: fewer than one person, or more than :data:`MAX_PEOPLE`.
    """
    if not 1 <= people <= MAX_PEOPLE:
        raise ValueError(f"people must be 1 to {MAX_PEOPLE:,}, not {people:,}")
    share = _shares(people, think_s, pace)
    present = np.arange(1, people + 1)
    streams = np.minimum(present, pace.most_streams) - 1
    rate = _rates(pace)[streams]
    # A request finds the others as they are with so many people thinking, and makes one more.
    arrivals = share[:-1] * (people - present + 1)
    arrivals /= arrivals.sum()
    first = pace.first_token_s()[streams] + np.maximum(present - pace.most_streams, 0) / rate
    seen_tok_s = pace.seen_tok_s()[streams]
    busy = min(int(np.searchsorted(np.cumsum(arrivals), BUSY_QUANTILE)), people - 1)
    return Load(
        people=people,
        active_streams=float((share[1:] * present).sum()),
        busy_active_streams=busy + 1,
        decode_tok_s=float(1.0 / (arrivals / seen_tok_s).sum()),
        busy_decode_tok_s=float(seen_tok_s[busy]),
        ttft_s=float((arrivals * first).sum()),
        busy_ttft_s=float(first[busy]),
        total_tok_s=float((share[1:] * rate).sum()) * pace.output_tokens,
        working_share=float(1.0 - share[0]),
    )


def people_served(think_s: float, pace: ServerPace, least_tok_s: float, most_ttft_s: float) -> int:
    """The most people of whom each has the speed and the first token in time, in a busy moment; 0 when not even one has.

    More people never make one of them faster, so the number is bisected.
    """

    def served(people: int) -> bool:
        load = load_of(people, think_s, pace)
        return load.busy_decode_tok_s >= least_tok_s and load.busy_ttft_s <= most_ttft_s

    if not served(1):
        return 0
    low, high = 1, 2
    while high <= MAX_PEOPLE and served(high):
        low, high = high, high * 2
    high = min(high, MAX_PEOPLE + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if served(middle) else (low, middle)
    return low


def _rates(pace: ServerPace) -> Floats:
    """Requests answered a second by 1, 2, ... streams."""
    return np.arange(1, pace.most_streams + 1) / pace.request_seconds()


def _shares(people: int, think_s: float, pace: ServerPace) -> Floats:
    """Share of the time with 0, 1, ... ``people`` requests present."""
    present = np.arange(1, people + 1)
    arriving = (people - present + 1) / max(think_s, 1e-9)
    leaving = _rates(pace)[np.minimum(present, pace.most_streams) - 1]
    logs = np.concatenate(([0.0], np.cumsum(np.log(arriving) - np.log(leaving))))
    share: Floats = np.exp(logs - logs.max())
    return np.asarray(share / share.sum())
