"""One fit as readers see it, unpacked from a stored row."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from db.fit_packing import BAND, BAND_CELL, OVERHEAD_NONE, OVERHEAD_OF_ROW, PLAN_CELL
from db.fit_tables import ENGINE_MASK, ENGINE_SHIFT, FLAG_BITS, RECOMMENDED_BIT, SLOT_COUNT, STATUS_MASK
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
    Strategy,
)

ENGINES: tuple[Engine, ...] = tuple(Engine)
BACKENDS: tuple[Backend, ...] = tuple(Backend)
_RUNNING = frozenset((Status.FITS, Status.FITS_TIGHTLY, Status.FITS_WITH_OFFLOAD))
_PLAN = struct.Struct("<BBHHf")
_BAND = struct.Struct("<BBffff")
_FLOAT = struct.Struct("<f")
_INT = struct.Struct("<i")
_CELLS_AT = BAND.fields["cells"][1] if BAND.fields else 0


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
    strategy: Strategy
    gpu_layers: int
    cpu_moe_layers: int
    offload_fraction: float
    weights_bytes: int
    kv_cache_bytes: int
    compute_bytes: int
    overhead_bytes: int
    host_bytes: int
    usable_bytes: int
    capacity_bytes: int
    decode: Speed | None
    prefill: Speed | None
    ttft_ms: float | None
    safe_context_tokens: int
    score: float

    @property
    def total_bytes(self) -> int:
        """Device memory of the load: the sum of its parts."""
        return self.weights_bytes + self.kv_cache_bytes + self.compute_bytes + self.overhead_bytes

    @property
    def memory(self) -> MemoryParts:
        """The parts as the estimator states them."""
        return MemoryParts(
            weights_bytes=self.weights_bytes,
            kv_cache_bytes=self.kv_cache_bytes,
            compute_bytes=self.compute_bytes,
            overhead_bytes=self.overhead_bytes,
            total_bytes=self.total_bytes,
            usable_bytes=self.usable_bytes,
            capacity_bytes=self.capacity_bytes,
            host_bytes=self.host_bytes,
        )

    @property
    def placement(self) -> Placement:
        """What sits where, as the estimator states it."""
        return Placement(self.strategy, self.gpu_layers, self.cpu_moe_layers, self.offload_fraction)


class CellRow(NamedTuple):
    """Columns of one cell as a statement of ``db.fit_query`` selects them."""

    slot: int
    model_id: int
    gpu_id: int
    quant_id: int
    flags: int
    decode: int
    ttft: int
    safe: int
    score: int
    rest: bytes
    plan: bytes
    band: bytes
    usable_bytes: int
    capacity_bytes: int


def cells_of_rows(rows: Iterable[Sequence[Any]], generation: int) -> list[FitCell]:
    """Cells of rows in the column order of ``CellRow``."""
    return [cell_of(CellRow(*row), generation) for row in rows]


def cell_of(row: CellRow, generation: int) -> FitCell:
    """Unpack one cell."""
    slot = row.slot
    bits = row.flags >> (FLAG_BITS * slot)
    status = STATUSES[bits & STATUS_MASK]
    start = slot * PLAN_CELL.itemsize
    strategy, overhead_mode, gpu_layers, cpu_moe_layers, offload = _PLAN.unpack_from(row.plan, start)
    at = start + _PLAN.size
    weights, kv_cache, compute, host, overhead = (
        int.from_bytes(row.plan[at + 6 * part : at + 6 * part + 6], "little") for part in range(5)
    )
    if overhead_mode == OVERHEAD_OF_ROW:
        overhead = int.from_bytes(row.rest[4 * SLOT_COUNT : 4 * SLOT_COUNT + 6], "little")
    elif overhead_mode == OVERHEAD_NONE:
        overhead = 0
    decode = prefill = None
    ttft_ms = None
    if status in _RUNNING:
        band = _BAND.unpack_from(row.band, _CELLS_AT + slot * BAND_CELL.itemsize)
        decode = _speed(_float(row.decode), band[2], band[3], EVIDENCES[band[0]])
        prefill = _speed(_FLOAT.unpack_from(row.rest, 4 * slot)[0], band[4], band[5], EVIDENCES[band[1]])
        ttft_ms = _float(row.ttft)
    return FitCell(
        key=FitKey(row.model_id, row.gpu_id, row.quant_id),
        workload_id=slot,
        generation=generation,
        status=status,
        recommended=bool(bits & RECOMMENDED_BIT),
        engine=ENGINES[(row.flags >> ENGINE_SHIFT) & ENGINE_MASK],
        backend=BACKENDS[row.band[0]],
        strategy=STRATEGIES[strategy],
        gpu_layers=gpu_layers,
        cpu_moe_layers=cpu_moe_layers,
        offload_fraction=offload,
        weights_bytes=weights,
        kv_cache_bytes=kv_cache,
        compute_bytes=compute,
        overhead_bytes=overhead,
        host_bytes=host,
        usable_bytes=row.usable_bytes,
        capacity_bytes=row.capacity_bytes,
        decode=decode,
        prefill=prefill,
        ttft_ms=ttft_ms,
        safe_context_tokens=row.safe,
        score=row.score / 100.0,
    )


def _float(bits: int) -> float:
    return float(_FLOAT.unpack(_INT.pack(bits))[0])


def _speed(value: float, low: float, high: float, evidence: Evidence) -> Speed:
    return Speed(value, value * low, value * high, evidence)
