"""How many people one setup serves: the streams that its memory holds, their speeds, and the queue in front of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from estimator.calibration.coefficients import Calibration
from estimator.calibration.loss import capability_loss
from estimator.calibration.scale import KIND_OF_WORKLOAD
from estimator.estimate import situation_of_request, sweep
from estimator.fit_facts import FitFacts
from estimator.grid import FitBlock
from estimator.judgement.serving.queueing import Load, ServerPace, load_of, people_served
from estimator.placement.layer_sums import model_tables
from estimator.structure.architecture import ModelArchitecture
from estimator.types import ENGINES, STATUSES, Engine, EstimateRequest, EstimatorError, Quant, Status, Workload

#: No setup is asked about more streams than this.
MAX_STREAMS = 1024
#: Points of capability that a quantization may lose on a server, whose users did not choose it.
MOST_LOSS_POINTS = 2.0
#: Numbers of streams whose speed is estimated; those between are interpolated.
_GRID = tuple(sorted({2**n for n in range(11)} | {3 * 2**n for n in range(9)}))
_WHOLE = STATUSES.index(Status.FITS_TIGHTLY)


@dataclass(frozen=True, slots=True)
class Serving:
    """One setup as a server for one workload.

    ``streams`` are the most that are answered at once at the comfortable speed while no prompt is read, ``people`` the most
    that are served in busy moments, too; 0 when not even one is.
    """

    engine: Engine
    quant: Quant
    workload: Workload
    pace: ServerPace
    streams: int
    people: int

    @property
    def tok_s_each(self) -> float:
        """Decode speed of each of ``streams``, or of one."""
        return float(self.pace.decode_tok_s[max(self.streams, 1) - 1])

    @property
    def tok_s_total(self) -> float:
        """Decode speed of all ``streams`` together, or of one."""
        return self.tok_s_each * max(self.streams, 1)

    def load(self, people: int) -> Load:
        """The state with ``people`` in front of the server.

        Raises:
            ValueError: a number out of range.
        """
        return load_of(people, self.workload.think_s, self.pace)

    def curve(self) -> tuple[Load, ...]:
        """Loads from one person to twice those that are served and beyond, in steps of 1, 2 and 5."""
        last = 2 * max(self.people, 1)
        steps = [step * 10**power for power in range(5) for step in (1, 2, 5)]
        people_counts = [step for step in steps if step <= last] + [step for step in steps if step > last][:1]
        return tuple(self.load(number) for number in sorted({*people_counts, max(self.people, 1)}))


def serving(facts: FitFacts, calibration: Calibration, output_tokens: int | None = None) -> Serving | None:
    """The setup as a server; None without a workload, or when not even one stream is whole on the device.

    ``output_tokens`` of an answer, thinking included; those of the workload when left out.
    """
    if facts.workload is None:
        return None
    search = _Search(facts, calibration, facts.workload, (facts.quant,))
    columns = search.columns()
    if not columns:
        return None
    column = search.exact(columns[0])
    return _serving(column, facts.workload, output_tokens)


def by_engine(
    facts: FitFacts,
    calibration: Calibration,
    quants: Sequence[Quant],
    output_tokens: int | None = None,
) -> list[Serving]:
    """The server of each engine that runs the model here, in the quantization that serves most people; best first.

    Only those of ``quants`` count that lose at most :data:`MOST_LOSS_POINTS`.
    """
    if facts.workload is None or not quants:
        return []
    bits = model_tables(facts.model, tuple(quants)).bits_per_weight
    quant_bits = list(zip(quants, map(float, bits), strict=True))
    divergences = calibration.losses.divergences(facts.model.training, quant_bits)
    kind = KIND_OF_WORKLOAD[facts.workload.kind]
    kept = tuple(
        quant
        for quant, divergence in zip(quants, divergences, strict=True)
        if capability_loss(kind, divergence).points <= MOST_LOSS_POINTS
    )
    if not kept:
        return []
    search = _Search(facts, calibration, facts.workload, kept)
    best: dict[Engine, tuple[Serving, _Column]] = {}
    for column in search.columns():
        server = _serving(column, facts.workload, output_tokens)
        known = best.get(column.engine)
        if known is None or _rank(server) < _rank(known[0]):
            best[column.engine] = server, column
    exact = [_serving(search.exact(column), facts.workload, output_tokens) for _, column in best.values()]
    return sorted(exact, key=_rank)


def _rank(server: Serving) -> tuple[int, int, float]:
    return -server.people, -server.streams, -server.tok_s_total


@dataclass(frozen=True, slots=True)
class _Column:
    """Decode speeds of one quant at growing numbers of streams, as long as everything is on the device."""

    engine: Engine
    quant: Quant
    prefill_s: float
    shared_prefill_s: float
    streams: tuple[int, ...]
    decode_tok_s: tuple[float, ...]


def _serving(column: _Column, workload: Workload, output_tokens: int | None) -> Serving:
    most = np.arange(1, column.streams[-1] + 1)
    speeds = np.exp(np.interp(np.log(most), np.log(column.streams), np.log(column.decode_tok_s)))
    tokens = workload.output_tokens if output_tokens is None else output_tokens
    pace = ServerPace(column.prefill_s, column.shared_prefill_s, speeds, tokens)
    asked, patience_s = workload.comfortable_decode_tok_s, workload.patience_ttft_ms / 1000.0
    comfortable = np.flatnonzero(speeds >= asked)
    streams = int(comfortable[-1]) + 1 if len(comfortable) else 0
    people = people_served(workload.think_s, pace, asked, patience_s)
    return Serving(column.engine, column.quant, workload, pace, streams, people)


class _Search:
    """Estimates of one setup at growing numbers of streams, of several quants at once."""

    def __init__(
        self, facts: FitFacts, calibration: Calibration, workload: Workload, quants: tuple[Quant, ...]
    ) -> None:
        self.model: ModelArchitecture = facts.model
        self.request: EstimateRequest = facts.request
        self.calibration, self.workload, self.quants = calibration, workload, quants
        self.situation = situation_of_request(facts.request, workload)

    def columns(self) -> list[_Column]:
        """Those of the quants of which one stream is whole on the device with a known wait for its first token."""
        alone = self._block(self.quants, 1)
        if alone is None:
            return []
        running = [q for q in range(len(self.quants)) if _is_whole(alone, q) and alone.ttft_ms[0, q, 0] > 0]
        if not running:
            return []
        columns = []
        for q, row in zip(running, self._speeds(tuple(self.quants[q] for q in running)), strict=True):
            prefill_s = float(alone.ttft_ms[0, q, 0]) / 1000.0
            counts, decode, shared = zip(*row, strict=True)
            shared_s = min(prefill_s, shared[-1] if len(row) > 1 else prefill_s)
            engine = ENGINES[int(alone.engine[0, q])]
            columns.append(_Column(engine, self.quants[q], prefill_s, shared_s, counts, decode))
        return columns

    def exact(self, column: _Column) -> _Column:
        """The column up to the very last number of streams that fits, which is bisected."""
        low, high = column.streams[-1], next((n for n in _GRID if n > column.streams[-1]), MAX_STREAMS + 1)
        last = column.decode_tok_s[-1]
        while high - low > 1:
            middle = (low + high) // 2
            block = self._block((column.quant,), middle)
            if block is not None and _is_whole(block, 0):
                low, last = middle, float(block.decode_tok_s[0, 0, 0])
            else:
                high = middle
        if low == column.streams[-1]:
            return column
        return replace(column, streams=(*column.streams, low), decode_tok_s=(*column.decode_tok_s, last))

    def _speeds(self, quants: tuple[Quant, ...]) -> list[list[tuple[int, float, float]]]:
        """Streams, speed and seconds of a prompt among them of each quant, until it is no longer whole on the device."""
        rows: list[list[tuple[int, float, float]]] = [[] for _ in quants]
        growing = set(range(len(quants)))
        for streams in _GRID:
            block = self._block(quants, streams)
            growing = {q for q in growing if block is not None and _is_whole(block, q)}
            if block is None or not growing:
                break
            for q in growing:
                prompt_s = self.situation.prompt_tokens / float(block.prefill_tok_s[0, q, 0])
                rows[q].append((streams, float(block.decode_tok_s[0, q, 0]), prompt_s))
        return rows

    def _block(self, quants: tuple[Quant, ...], streams: int) -> FitBlock | None:
        """All quants with so many streams; None for settings that no engine has."""
        request = replace(self.request, batch=streams, expected_occupancy=True)
        try:
            return sweep(self.model, request, (request.accelerator,), quants, self.calibration, self.workload)
        except EstimatorError:
            return None


def _is_whole(block: FitBlock, q: int) -> bool:
    return bool(block.available[0, q] and block.status[0, q, 0] <= _WHOLE)
