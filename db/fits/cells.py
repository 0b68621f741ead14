"""One fit as readers see it: computed, or unpacked from a stored row."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, TypeAlias

from db.fits.layout import ENGINE_MASK, ENGINE_SHIFT, FLAG_BITS, RECOMMENDED_BIT, STATUS_MASK
from db.fits.packing import BAND_CELL, BAND_CELLS_AT, LAST_RUNNING_STATUS, OVERHEAD_NONE, OVERHEAD_OF_ROW, REST
from estimator.types import (
    EVIDENCES,
    STATUSES,
    STRATEGIES,
    Backend,
    Engine,
    Evidence,
    MemoryParts,
    Placement,
    Speed,
    Status,
)

ENGINES: tuple[Engine, ...] = tuple(Engine)
BACKENDS: tuple[Backend, ...] = tuple(Backend)
#: ``PLAN_CELL``: each part of the memory, six bytes, is read as its lower four and its upper two.
_PLAN = struct.Struct("<BBHHf" + "IH" * 5)
_BAND = struct.Struct("<BBffff")
_FLOAT = struct.Struct("<f")
_INT = struct.Struct("<i")
_PARTS = [part.name for part in fields(MemoryParts)]
_UNSUPPORTED = STATUSES.index(Status.UNSUPPORTED)
_BAND_BYTES = BAND_CELL.itemsize
_REST_OVERHEAD_AT = REST.fields["overhead"][1] if REST.fields else 0


class FitKey(NamedTuple):
    """A pairing: ids of model, gpu and quant."""

    model_id: int
    gpu_id: int
    quant_id: int


@dataclass(frozen=True, slots=True)
class FitCell:
    """One (model, gpu, quant, workload) of one generation. Speeds and TTFT are None when nothing runs."""

    key: FitKey
    workload_id: int
    generation: int
    status: Status
    recommended: bool
    engine: Engine
    backend: Backend
    placement: Placement
    memory: MemoryParts
    decode: Speed | None
    prefill: Speed | None
    ttft_ms: float | None
    safe_context_tokens: int
    score: float

    @property
    def model_id(self) -> int:
        return self.key.model_id

    @property
    def gpu_id(self) -> int:
        return self.key.gpu_id

    @property
    def quant_id(self) -> int:
        return self.key.quant_id

    @property
    def load(self) -> MemoryParts | None:
        """``memory``; None when no engine runs it."""
        return None if self.status is Status.UNSUPPORTED else self.memory

    @property
    def decode_read(self) -> Speed | None:
        return self.decode

    @property
    def prefill_read(self) -> Speed | None:
        return self.prefill


#: Columns of a stored cell, in the order in which the statements of ``db.fits.joins`` select them; the plan is the cell's
#: own part of its row's, the band may end with it.
CELL_COLUMNS = (
    "slot", "model_id", "gpu_id", "quant_id", "flags", "decode", "ttft", "safe", "score", "rest", "plan", "band",
    "usable_bytes", "capacity_bytes",
)  # fmt: skip


class StoredCell:
    """A stored fit with the figures of ``FitCell``, each unpacked when it is read: most readers want a few of them."""

    __slots__ = ("generation", "row")

    def __init__(self, row: Sequence[Any], generation: int) -> None:
        #: Columns as ``CELL_COLUMNS`` has them.
        self.row = row
        self.generation = generation

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StoredCell):
            return NotImplemented
        return self.generation == other.generation and tuple(self.row) == tuple(other.row)

    def __hash__(self) -> int:
        return hash((self.generation, tuple(self.row[:4])))

    def __repr__(self) -> str:
        return f"StoredCell({self.key}, workload_id={self.workload_id}, generation={self.generation})"

    @property
    def key(self) -> FitKey:
        return FitKey(self.row[1], self.row[2], self.row[3])

    @property
    def model_id(self) -> int:
        number: int = self.row[1]
        return number

    @property
    def gpu_id(self) -> int:
        number: int = self.row[2]
        return number

    @property
    def quant_id(self) -> int:
        number: int = self.row[3]
        return number

    @property
    def workload_id(self) -> int:
        """Slot of the workload."""
        slot: int = self.row[0]
        return slot

    @property
    def status(self) -> Status:
        row = self.row
        outcome: Status = STATUSES[row[4] >> (FLAG_BITS * row[0]) & STATUS_MASK]
        return outcome

    @property
    def recommended(self) -> bool:
        """Whether the quant is the best one of the pairing and workload."""
        row = self.row
        best: bool = row[4] >> (FLAG_BITS * row[0]) & RECOMMENDED_BIT != 0
        return best

    @property
    def engine(self) -> Engine:
        kind: Engine = ENGINES[self.row[4] >> ENGINE_SHIFT & ENGINE_MASK]
        return kind

    @property
    def backend(self) -> Backend:
        """Interface that the engine uses."""
        interface: Backend = BACKENDS[self.row[11][0]]
        return interface

    @property
    def placement(self) -> Placement:
        strategy, _, gpu_layers, cpu_moe_layers, offload = _PLAN.unpack(self.row[10])[:5]
        return Placement(STRATEGIES[strategy], gpu_layers, cpu_moe_layers, offload)

    @property
    def memory(self) -> MemoryParts:
        load = StoredLoad(self.row)
        return MemoryParts(*(getattr(load, name) for name in _PARTS))

    @property
    def load(self) -> StoredLoad | None:
        """``memory``, read as it is asked for; None when no engine runs it."""
        row = self.row
        return None if row[4] >> (FLAG_BITS * row[0]) & STATUS_MASK == _UNSUPPORTED else StoredLoad(row)

    @property
    def decode(self) -> Speed | None:
        """Speed of answer tokens; None when nothing runs."""
        return _whole(self.decode_read)

    @property
    def prefill(self) -> Speed | None:
        """Speed of reading the prompt; None when nothing runs or no arithmetic peak is known."""
        return _whole(self.prefill_read)

    @property
    def decode_read(self) -> StoredSpeed | None:
        """``decode``, read as it is asked for."""
        row = self.row
        if row[4] >> (FLAG_BITS * row[0]) & STATUS_MASK > LAST_RUNNING_STATUS:
            return None
        return StoredSpeed(row, float_of(row[5]), 0)

    @property
    def prefill_read(self) -> StoredSpeed | None:
        """``prefill``, read as it is asked for."""
        row = self.row
        runs = row[4] >> (FLAG_BITS * row[0]) & STATUS_MASK <= LAST_RUNNING_STATUS
        value: float = _FLOAT.unpack_from(row[9], 4 * row[0])[0]
        return StoredSpeed(row, value, 1) if runs and value else None

    @property
    def ttft_ms(self) -> float | None:
        """Time to the first token, milliseconds; None when nothing runs or no arithmetic peak is known."""
        bits = self.row[6]
        return float_of(bits) if bits else None

    @property
    def safe_context_tokens(self) -> int:
        """Longest context that fits without more offload, tokens."""
        tokens: int = self.row[7]
        return tokens

    @property
    def score(self) -> float:
        """0 to 100."""
        score: float = self.row[8] / 100.0
        return score


class StoredLoad:
    """Figures of ``MemoryParts`` of a stored row, each unpacked when it is read."""

    __slots__ = ("row",)

    #: Published fits are of the model alone: no draft, no projector.
    draft_bytes = projector_bytes = 0

    def __init__(self, row: Sequence[Any]) -> None:
        self.row = row

    @property
    def weights_bytes(self) -> int:
        plan = _PLAN.unpack(self.row[10])
        return int(plan[5] + (plan[6] << 32))

    @property
    def kv_cache_bytes(self) -> int:
        plan = _PLAN.unpack(self.row[10])
        return int(plan[7] + (plan[8] << 32))

    @property
    def compute_bytes(self) -> int:
        plan = _PLAN.unpack(self.row[10])
        return int(plan[9] + (plan[10] << 32))

    @property
    def host_bytes(self) -> int:
        plan = _PLAN.unpack(self.row[10])
        return int(plan[11] + (plan[12] << 32))

    @property
    def overhead_bytes(self) -> int:
        return _overhead(self.row, _PLAN.unpack(self.row[10]))

    @property
    def total_bytes(self) -> int:
        plan = _PLAN.unpack(self.row[10])
        parts = plan[5] + plan[7] + plan[9] + (plan[6] + plan[8] + plan[10] << 32)
        return int(parts + _overhead(self.row, plan))

    @property
    def usable_bytes(self) -> int:
        return int(self.row[12])

    @property
    def capacity_bytes(self) -> int:
        return int(self.row[13])


class StoredSpeed:
    """A speed of a stored row that runs, with a range that is unpacked when it is read."""

    __slots__ = ("_place", "_row", "value")

    def __init__(self, row: Sequence[Any], value: float, place: int) -> None:
        """``place`` is 0 for decode and 1 for prefill."""
        self._row, self.value, self._place = row, value, place

    @property
    def low(self) -> float:
        return self.value * _ranges(self._row)[2 + 2 * self._place]

    @property
    def high(self) -> float:
        return self.value * _ranges(self._row)[3 + 2 * self._place]

    @property
    def evidence(self) -> Evidence:
        kind: Evidence = EVIDENCES[int(_ranges(self._row)[self._place])]
        return kind


def _whole(speed: StoredSpeed | None) -> Speed | None:
    return None if speed is None else Speed(speed.value, speed.low, speed.high, speed.evidence)


def _overhead(row: Sequence[Any], plan: Sequence[int]) -> int:
    """Runtime context of a row with the numbers of its plan, bytes."""
    if plan[1] == OVERHEAD_OF_ROW:
        return int.from_bytes(row[9][_REST_OVERHEAD_AT:], "little")
    return 0 if plan[1] == OVERHEAD_NONE else plan[13] + (plan[14] << 32)


def _ranges(row: Sequence[Any]) -> tuple[int, int, float, float, float, float]:
    """Places of the evidence for decode and prefill; then low and high of each, over the value."""
    return _BAND.unpack_from(row[11], BAND_CELLS_AT + row[0] * _BAND_BYTES)


#: A fit as readers see it: computed for one request, or stored.
AnyCell: TypeAlias = FitCell | StoredCell
AnyLoad: TypeAlias = MemoryParts | StoredLoad
AnySpeed: TypeAlias = Speed | StoredSpeed


def float_of(bits: int) -> float:
    """The number that the bits of a float32 stand for."""
    value: float = _FLOAT.unpack(_INT.pack(bits))[0]
    return value
