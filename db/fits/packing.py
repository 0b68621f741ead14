"""From the arrays of an evaluated block to stored rows, and back: vectorised, no loop over rows.

Rows of a (model, quant) share two records: ``plan`` is the memory and placement of all five workloads (GPUs
of the same free memory share it), ``band`` is backend, evidence and the range factors of the speeds (GPUs of
the same class share it). A row carries an index into each. Everything comes back exactly as it went in, but for three
stated roundings: scores to 0.01, and low and high speeds to one part in a million of the value. Readers see seven
significant digits of a float32 (``shown``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from db.fits.layout import (
    BAND_BYTES,
    ENGINE_MASK,
    ENGINE_SHIFT,
    FLAG_BITS,
    PLAN_BYTES,
    RECOMMENDED_BIT,
    SLOT_COUNT,
    Lead,
)
from estimator.grid import RANGE_DECIMALS, FitBlock
from estimator.types import STATUSES, Status

Array = NDArray[Any]

PLAN_CELL = np.dtype(
    [
        ("strategy", "u1"),
        ("overhead_mode", "u1"),
        ("gpu_layers", "<u2"),
        ("cpu_moe_layers", "<u2"),
        ("offload_fraction", "<f4"),
        ("weights", "u1", 6),
        ("kv_cache", "u1", 6),
        ("compute", "u1", 6),
        ("host", "u1", 6),
        ("overhead", "u1", 6),
    ]
)
BAND_CELL = np.dtype(
    [
        ("decode_evidence", "u1"),
        ("prefill_evidence", "u1"),
        ("decode_low", "<f4"),
        ("decode_high", "<f4"),
        ("prefill_low", "<f4"),
        ("prefill_high", "<f4"),
    ]
)
BAND = np.dtype([("backend", "u1"), ("cells", BAND_CELL, (SLOT_COUNT,)), ("pad", "u1", 5)])
#: Bytes of a band before its cells.
BAND_CELLS_AT = 1
#: Five bytes of overhead, so that a row of PostgreSQL fills whole words.
REST = np.dtype([("prefill", "<f4", (SLOT_COUNT,)), ("overhead", "u1", 5)])
#: ``overhead_mode``: the row's own overhead, none, or the explicit figure of the plan.
OVERHEAD_OF_ROW, OVERHEAD_NONE, OVERHEAD_EXPLICIT = 0, 1, 2
_REST_OVERHEAD_BYTES = 5
#: Codes up to this one are the states in which something runs.
LAST_RUNNING_STATUS = STATUSES.index(Status.FITS_WITH_OFFLOAD)
_HASH_SEED = 20_240_611

FIT_DTYPE = np.dtype(
    [(name, "<i4") for name in ("model_id", "gpu_id", "quant_id", "born", "died", "flags")]
    + [(f"{field}_{slot}", "<i4") for field in ("decode", "ttft", "safe", "score") for slot in range(SLOT_COUNT)]
    + [("plan", "<i4"), ("band", "<i4"), ("rest", f"V{REST.itemsize}")]
)


@dataclass(frozen=True, slots=True)
class PackedBlock:
    """Rows ready to be stored: ``fits`` of ``FIT_DTYPE``, ``quants`` and ``gpus`` as tuples in column order."""

    fits: Array
    quants: list[tuple[Any, ...]]
    gpus: list[tuple[Any, ...]]
    unsupported_cells: int

    @property
    def cells(self) -> int:
        """Cells that the rows hold."""
        return len(self.fits) * SLOT_COUNT


def pack_model(
    model_id: int, gpu_ids: Sequence[int], quant_ids: Sequence[int], block: FitBlock, generation: int
) -> PackedBlock:
    """Pack one model's block of shape (len(gpu_ids), len(quant_ids), SLOT_COUNT) as rows born in ``generation``.

    Raises ValueError when an array has another shape or holds what a row cannot (a negative or infinite number).
    """
    shape = (len(gpu_ids), len(quant_ids), SLOT_COUNT)
    if block.status.shape != shape:
        raise ValueError(f"the block of model {model_id} has shape {block.status.shape}, expected {shape}")
    if (((block.decode_tok_s > 0) != (block.status <= LAST_RUNNING_STATUS)) & block.available[:, :, None]).any():
        raise ValueError("decode_tok_s must be above 0 exactly where the status says that the model runs")
    # Rows by quant first: the dictionaries of a quant are then contiguous runs of the unique values.
    q_index, g_index = np.nonzero(block.available.T)
    overhead = block.overhead_bytes[g_index, q_index].max(axis=1)
    plan_no, plans = _shared(_plans(block, g_index, q_index, overhead), q_index, shape[1])
    band_no, bands = _shared(_bands(block, g_index, q_index), q_index, shape[1])
    fits = np.zeros(len(g_index), dtype=FIT_DTYPE)
    fits["model_id"] = model_id
    fits["gpu_id"] = np.asarray(gpu_ids, dtype=np.int32)[g_index]
    fits["quant_id"] = np.asarray(quant_ids, dtype=np.int32)[q_index]
    fits["born"] = generation
    fits["flags"] = _flags(
        block.status[g_index, q_index], block.recommended[g_index, q_index], block.engine[g_index, q_index]
    )
    for name, values in (
        ("decode", _bits("decode_tok_s", block.decode_tok_s[g_index, q_index])),
        ("ttft", _bits("ttft_ms", block.ttft_ms[g_index, q_index])),
        ("safe", block.safe_context_tokens[g_index, q_index]),
        ("score", np.rint(block.score[g_index, q_index] * 100.0)),
    ):
        for slot in range(SLOT_COUNT):
            fits[f"{name}_{slot}"] = values[:, slot]
    fits["plan"], fits["band"] = plan_no, band_no
    rest = np.zeros(len(g_index), dtype=REST)
    _bits("prefill_tok_s", block.prefill_tok_s[g_index, q_index])
    rest["prefill"] = block.prefill_tok_s[g_index, q_index]
    rest["overhead"] = _little_endian("overhead_bytes", overhead, _REST_OVERHEAD_BYTES)
    fits["rest"] = rest.view(f"V{REST.itemsize}")
    fits = fits[np.argsort(g_index, kind="stable")]
    fits["flags"] |= _leads(fits)
    present = np.flatnonzero(block.available.any(axis=0)).tolist()
    sizes, weights = block.file_size_bytes.tolist(), block.model_weights_bytes.tolist()
    quants = [
        (model_id, quant_ids[q], generation, 0, int(sizes[q]), int(weights[q]), plans[q], bands[q]) for q in present
    ]
    gpus = _memory_of_gpus(block, gpu_ids, g_index, q_index, generation)
    return PackedBlock(fits, quants, gpus, int(shape[0] * shape[1] - len(g_index)) * SLOT_COUNT)


def concatenate(blocks: Sequence[PackedBlock]) -> PackedBlock:
    """Several models as one block."""
    if not blocks:
        return PackedBlock(np.zeros(0, dtype=FIT_DTYPE), [], [], 0)
    return PackedBlock(
        np.concatenate([block.fits for block in blocks]),
        [row for block in blocks for row in block.quants],
        list(dict.fromkeys(row for block in blocks for row in block.gpus)),
        sum(block.unsupported_cells for block in blocks),
    )


def _memory_of_gpus(
    block: FitBlock, gpu_ids: Sequence[int], g: Array, q: Array, generation: int
) -> list[tuple[Any, ...]]:
    """Usable and whole memory of each (gpu, engine); they must not depend on anything else."""
    pair = g * (ENGINE_MASK + 1) + block.engine[g, q].astype(np.int64)
    keys, first, inverse = np.unique(pair, return_index=True, return_inverse=True)
    memory = np.stack([block.usable_bytes[g, q], block.capacity_bytes[g, q]], axis=1)
    if not np.array_equal(memory[first][inverse], memory):
        raise ValueError("usable_bytes or capacity_bytes differs between quants of the same gpu and engine")
    return [
        (gpu_ids[key // (ENGINE_MASK + 1)], key % (ENGINE_MASK + 1), generation, usable, capacity)
        for key, (usable, capacity) in zip(keys.tolist(), memory[first].tolist(), strict=True)
    ]


def _plans(block: FitBlock, g: Array, q: Array, overhead: Array) -> Array:
    own = block.overhead_bytes[g, q]
    plans = np.zeros((len(g), SLOT_COUNT), dtype=PLAN_CELL)
    plans["strategy"] = block.strategy[g, q]
    plans["gpu_layers"] = block.gpu_layers[g, q]
    plans["cpu_moe_layers"] = block.cpu_moe_layers[g, q]
    plans["offload_fraction"] = block.offload_fraction[g, q]
    for name in ("weights", "kv_cache", "compute", "host"):
        plans[name] = _little_endian(f"{name}_bytes", getattr(block, f"{name}_bytes")[g, q], 6)
    mode = np.where(own == overhead[:, None], OVERHEAD_OF_ROW, np.where(own == 0, OVERHEAD_NONE, OVERHEAD_EXPLICIT))
    plans["overhead_mode"] = mode
    plans["overhead"] = _little_endian("overhead_bytes", np.where(mode == OVERHEAD_EXPLICIT, own, 0), 6)
    return plans.view("u1").reshape(len(g), PLAN_BYTES)


def _bands(block: FitBlock, g: Array, q: Array) -> Array:
    bands = np.zeros(len(g), dtype=BAND)
    bands["backend"] = block.backend[g, q]
    cells = bands["cells"]
    for speed in ("decode", "prefill"):
        cells[f"{speed}_evidence"] = getattr(block, f"{speed}_evidence")[g, q]
        value = getattr(block, f"{speed}_tok_s")[g, q].astype(np.float64)
        for end in ("low", "high"):
            bound = getattr(block, f"{speed}_{end}_tok_s")[g, q].astype(np.float64)
            cells[f"{speed}_{end}"] = _factors(bound, value)
    return bands.view("u1").reshape(len(g), BAND_BYTES)


def _factors(bound: Array, value: Array) -> Array:
    """``bound`` over ``value`` as the estimator rounds it, 0 where there is no value: one factor gives one entry.

    The 32-bit figures hold it to a thousandth of the last decimal. A row's entry must not depend on the rows beside it, so that an
    update stores what a run of everything does.
    """
    return np.round(np.divide(bound, value, out=np.zeros_like(bound), where=value > 0), RANGE_DECIMALS)


def _shared(entries: Array, q: Array, quant_count: int) -> tuple[Array, list[bytes]]:
    """Number of each row's entry within its quant, and per quant the bytes of its distinct entries in that order."""
    if not len(entries):
        return np.zeros(0, dtype=np.int32), [b""] * quant_count
    lanes = np.ascontiguousarray(entries).view("<u8")
    weights = np.random.default_rng(_HASH_SEED).integers(1, 1 << 63, lanes.shape[1], dtype=np.uint64) | np.uint64(1)
    digest = (lanes * weights).sum(axis=1, dtype=np.uint64)
    digest ^= digest >> np.uint64(29)
    order_key = (q.astype(np.uint64) << np.uint64(48)) | (digest >> np.uint64(16))
    _, first, inverse = np.unique(order_key, return_index=True, return_inverse=True)
    if not np.array_equal(lanes[first][inverse], lanes):
        # Two entries with one digest: compare whole entries instead (slower, and never wrong).
        labelled = np.concatenate([q.astype(">u8")[:, None].view("u1").reshape(len(q), 8), entries], axis=1)
        row_bytes = np.ascontiguousarray(labelled).view(f"V{labelled.shape[1]}").reshape(len(q))
        _, first, inverse = np.unique(row_bytes, return_index=True, return_inverse=True)
    starts = np.searchsorted(q[first], np.arange(quant_count + 1))
    blobs = [entries[first[starts[i] : starts[i + 1]]].tobytes() for i in range(quant_count)]
    return inverse.reshape(-1) - starts[q], blobs


def _flags(status: Array, recommended: Array, engine: Array) -> Array:
    shifts = np.arange(SLOT_COUNT, dtype=np.int32) * FLAG_BITS
    nibbles = status.astype(np.int32) | (recommended.astype(np.int32) * RECOMMENDED_BIT)
    return np.asarray((nibbles << shifts).sum(axis=1, dtype=np.int32) | (engine.astype(np.int32) << ENGINE_SHIFT))


def _leads(fits: Array) -> Array:
    """Bits of the figures in which a row is the first of its accelerator's, for some workload; rows (N,) by accelerator."""
    leads = np.zeros(len(fits), dtype=np.int32)
    starts = np.flatnonzero(np.diff(fits["gpu_id"], prepend=-1))
    counts = np.diff(starts, append=len(fits))
    # The earlier of equal rows leads, alone.
    place = np.arange(len(fits)) - np.repeat(starts, counts)
    for lead in Lead:
        for slot in range(SLOT_COUNT):
            rank = _rank(fits, lead, slot)
            ranked = np.where(rank > 0, rank * (1 << 12) - place, 0)
            best = np.repeat(np.maximum.reduceat(ranked, starts), counts) if len(starts) else ranked
            leads[(ranked == best) & (ranked > 0)] |= lead.mask(slot)
    return leads


def _rank(fits: Array, lead: Lead, slot: int) -> Array:
    """Numbers that order rows by a figure, the best one largest; 0 where there is none."""
    figures = fits[f"{lead}_{slot}"].astype(np.int64)
    if lead is Lead.TTFT:
        return np.where(figures > 0, (1 << 31) - figures, 0)
    return (figures << 31) + fits[f"decode_{slot}"] if lead is Lead.SCORE else figures


def _bits(name: str, values: Array) -> Array:
    """Bits of non-negative float32 ``values`` as int32; + 0.0 turns a negative zero into zero."""
    exact = np.ascontiguousarray(values, dtype=np.float32) + np.float32(0.0)
    if exact.size and not (np.isfinite(exact).all() and exact.min() >= 0):
        raise ValueError(f"{name} holds a negative or infinite number; a stored figure is finite and at least 0")
    return exact.view(np.int32)


def _little_endian(name: str, values: Array, size: int) -> Array:
    """The ``size`` little-endian bytes of each non-negative integer, on a new last axis."""
    exact = np.ascontiguousarray(values, dtype="<i8")
    if exact.size and not (exact.min() >= 0 and exact.max() < 1 << 8 * size):
        raise ValueError(f"{name} holds a figure outside 0 to 2^{8 * size} - 1 bytes")
    return exact.view("u1").reshape(*exact.shape, 8)[..., :size]


@lru_cache(maxsize=65_536)
def shown(value: float) -> float:
    """A stored float32 as readers see it: seven significant digits, which is what a float32 holds."""
    return float(f"{value:.7g}")


def bits_from(bound: float) -> int:
    """Bits of the least non-negative float32 that readers see as ``bound`` or more."""
    return _bits_at(bound, np.float32(-np.inf), lambda value: value >= bound)


def bits_to(bound: float) -> int:
    """Bits of the largest non-negative float32 that readers see as ``bound`` or less; those of 0 for a bound below it."""
    return _bits_at(bound, np.float32(np.inf), lambda value: value <= bound)


def _bits_at(bound: float, outwards: np.float32, passes: Callable[[float], bool]) -> int:
    """Bits of the outermost float32 that passes. A step of seven digits holds at most 17 of them."""
    nearest = np.float32(max(bound, 0.0))
    while not passes(shown(float(nearest))) and nearest > 0:
        nearest = np.nextafter(nearest, -outwards)
    while nearest > 0 and passes(shown(float(following := np.nextafter(nearest, outwards)))):
        nearest = following
    return int(max(nearest, np.float32(0.0)).view(np.int32))
