"""One model against many accelerators, quants and workloads at once; a single question is the same code at size one.

Shapes: G accelerators, Q quants, S situations (workloads). Cells where no engine can run a quant are never rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from estimator import verdict
from estimator.calibration.coefficients import Calibration
from estimator.calibration.loss import LossTable
from estimator.calibration.scale import KIND_OF_WORKLOAD, RETENTION_PER_NAT, points_lost, retained_share
from estimator.fleet import NO_OVERRIDES, Fleet, Overrides, fleet_of
from estimator.placement.demand import Needs, Situation, needs, situation_of
from estimator.placement.engines import EngineChoices
from estimator.placement.layer_sums import ModelTables, model_tables
from estimator.placement.placements import Placed, Placements, Rig
from estimator.placement.search import place
from estimator.quant_choice import (
    WIDE_BITS,
    best_quants,
    broken,
    charged,
    customary,
    drawbacks,
    native_quants,
    needlessly_wide,
    rewritten,
    unpaged_points,
)
from estimator.speed.coefficients import OF_SEVERAL, RANGES, SpeedCoefficients
from estimator.speed.throughput import Pace, pace, speeds
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.arrays import Flags, Floats, Ints
from estimator.structure.checkpoints import has_weights
from estimator.structure.kv_cache import narrower
from estimator.types import Accelerator, Host, OperatingMode, Quant, Workload
from estimator.usability import (
    SLOWLY,
    Thresholds,
    answer_seconds,
    comfortable_seconds,
    usability,
    wait_ms,
    written_tokens,
)

#: Decimals of the ends of a range over its speed.
RANGE_DECIMALS = 4
#: Columns that only running cells have, with how they are kept.
_COLUMNS: dict[str, Any] = {
    "decode_tok_s": np.float32,
    "prefill_tok_s": np.float32,
    "ttft_ms": np.float32,
    "safe_context_tokens": np.int32,
    "decode_evidence": np.uint8,
    "prefill_evidence": np.uint8,
    "decode_low_tok_s": np.float32,
    "decode_high_tok_s": np.float32,
    "prefill_low_tok_s": np.float32,
    "prefill_high_tok_s": np.float32,
    "score": np.float32,
    "usability": np.uint8,
    "rating": np.float32,
}
#: Those of an outline.
_OUTLINED = ("decode_tok_s", "ttft_ms", "safe_context_tokens")


@dataclass(frozen=True, slots=True)
class FitBlock:
    """Results of one model: arrays of shape (G, Q, S) unless said; 0 where nothing runs.

    ``available``, ``engine``, ``backend`` (G, Q); ``usable_bytes``, ``capacity_bytes`` (G, Q); ``file_size_bytes``,
    ``model_weights_bytes``, ``bits_per_weight``, ``has_weights`` (Q,); ``task_nats`` (Q, S). Codes index the tuples of
    :mod:`estimator.types`.
    """

    available: NDArray[np.bool_]
    engine: NDArray[np.uint8]
    backend: NDArray[np.uint8]
    usable_bytes: NDArray[np.int64]
    capacity_bytes: NDArray[np.int64]
    file_size_bytes: NDArray[np.int64]
    model_weights_bytes: NDArray[np.int64]
    bits_per_weight: NDArray[np.float64]
    task_nats: NDArray[np.float64]
    has_weights: NDArray[np.bool_]
    status: NDArray[np.uint8]
    strategy: NDArray[np.uint8]
    gpu_layers: NDArray[np.uint16]
    cpu_moe_layers: NDArray[np.uint16]
    weights_bytes: NDArray[np.int64]
    kv_cache_bytes: NDArray[np.int64]
    compute_bytes: NDArray[np.int64]
    overhead_bytes: NDArray[np.int64]
    host_bytes: NDArray[np.int64]
    safe_context_tokens: NDArray[np.int32]
    offload_fraction: NDArray[np.float32]
    decode_tok_s: NDArray[np.float32]
    decode_low_tok_s: NDArray[np.float32]
    decode_high_tok_s: NDArray[np.float32]
    prefill_tok_s: NDArray[np.float32]
    prefill_low_tok_s: NDArray[np.float32]
    prefill_high_tok_s: NDArray[np.float32]
    ttft_ms: NDArray[np.float32]
    score: NDArray[np.float32]
    decode_evidence: NDArray[np.uint8]
    prefill_evidence: NDArray[np.uint8]
    recommended: NDArray[np.bool_]


def evaluate_block(
    model: ModelArchitecture,
    gpus: Sequence[Accelerator],
    quants: Sequence[Quant],
    workloads: Sequence[Workload],
    hosts: Sequence[Host],
    calibration: Calibration,
) -> FitBlock:
    """Every pairing of one model; ``hosts`` has the computer around each accelerator.

    Raises:
        EstimatorError: a quant states no bits or an unknown file type.
    """
    thresholds = Thresholds.of(workloads)
    situations = tuple(situation_of(workload) for workload in workloads)
    return evaluate(model, tuple(gpus), tuple(quants), situations, thresholds, tuple(hosts), calibration)


def evaluate(
    model: ModelArchitecture,
    gpus: tuple[Accelerator, ...],
    quants: tuple[Quant, ...],
    situations: tuple[Situation, ...],
    thresholds: Thresholds,
    hosts: tuple[Host, ...],
    calibration: Calibration,
    overrides: Overrides = NO_OVERRIDES,
) -> FitBlock:
    """The kernel behind blocks and single questions."""
    laid_out = _laid_out(model, gpus, quants, situations, hosts, calibration, overrides)
    return assemble(model, *laid_out, thresholds, calibration.losses)


@dataclass(frozen=True, slots=True)
class Outline:
    """Columns of a :class:`FitBlock` that a choice compares, of the same shapes."""

    available: NDArray[np.bool_]
    engine: NDArray[np.uint8]
    bits_per_weight: NDArray[np.float64]
    status: NDArray[np.uint8]
    decode_tok_s: NDArray[np.float32]
    ttft_ms: NDArray[np.float32]
    safe_context_tokens: NDArray[np.int32]
    host_bytes: NDArray[np.int64]


def outline(
    model: ModelArchitecture,
    gpus: tuple[Accelerator, ...],
    quants: tuple[Quant, ...],
    situations: tuple[Situation, ...],
    hosts: tuple[Host, ...],
    calibration: Calibration,
    overrides: Overrides = NO_OVERRIDES,
) -> Outline:
    """The part of :func:`evaluate` that needs no use and no ranges: half of its time."""
    laid_out = _laid_out(model, gpus, quants, situations, hosts, calibration, overrides)
    tables, need, fleet, placed, coefficients = laid_out
    columns = {name: np.zeros(placed.status.shape, dtype=_COLUMNS[name]) for name in _OUTLINED}
    for part, cells, own in _parts(need, fleet.rig, placed, coefficients):
        paces = speeds(model, tables, need, fleet.rig, part, own)
        for name, values in zip(_OUTLINED, (paces.decode_tok_s, paces.ttft_ms, part.safe_context), strict=True):
            _write(columns[name], part, cells, values.astype(_COLUMNS[name]))
    shape = len(placed.status), *fleet.available.shape
    grid = {name: values.reshape(shape).transpose(1, 2, 0) for name, values in columns.items()}
    return Outline(
        available=fleet.available,
        engine=fleet.choices.engine,
        bits_per_weight=tables.bits_per_weight,
        status=placed.status.reshape(shape).transpose(1, 2, 0),
        host_bytes=placed.host.reshape(shape).transpose(1, 2, 0),
        **grid,
    )


def _laid_out(
    model: ModelArchitecture,
    gpus: tuple[Accelerator, ...],
    quants: tuple[Quant, ...],
    situations: tuple[Situation, ...],
    hosts: tuple[Host, ...],
    calibration: Calibration,
    overrides: Overrides,
) -> tuple[ModelTables, Needs, Fleet, Placements, SpeedCoefficients]:
    fleet = fleet_of(model.architecture, model.is_moe, gpus, quants, hosts, overrides)
    choices, rig = fleet.choices, fleet.rig
    tables, need = model_tables(model, quants), needs(model, situations)
    split = overrides.gpu_layers, overrides.cpu_moe_layers
    placed = place(model, tables, need, rig, fleet.available, choices.engine, choices.backend, *split)
    # Workloads all use flash attention; a question that turns it off is a situation of its own.
    flash = all(situation.flash_attention for situation in situations)
    coefficients = calibration.table(model, choices, overrides.build_age_years, flash_attention=flash)
    return tables, need, fleet, placed, coefficients


def assemble(
    model: ModelArchitecture,
    tables: ModelTables,
    need: Needs,
    fleet: Fleet,
    placed: Placements,
    coefficients: SpeedCoefficients,
    thresholds: Thresholds,
    losses: LossTable,
    pace_of: Callable[..., Pace] = pace,
) -> FitBlock:
    """Speeds and scores of what runs, written into whole arrays: loads on the device first, split ones over them.

    ``pace_of`` stands in for :func:`estimator.speed.throughput.pace` where several kinds of devices, or a draft, share the work.
    """
    rig, choices, count = fleet.rig, fleet.choices, len(placed.status)
    retention = np.array([RETENTION_PER_NAT[KIND_OF_WORKLOAD[kind]] for kind in thresholds.kinds])
    caches = [narrower(situation.cache, situation.values) for situation in need.situations]
    nats = losses.task_nats(model.training, choices.quants, tables.bits_per_weight, caches)
    retained = retained_share(retention, nats)
    columns = _columns(model, tables, need, rig, placed, coefficients, thresholds, retained, pace_of)

    def grid(values: NDArray[Any]) -> NDArray[Any]:
        return values.reshape(count, *fleet.available.shape).transpose(1, 2, 0)

    known = np.array([has_weights(quant, model) for quant in choices.quants])
    status = grid(placed.status)
    usability, rating = (grid(columns.pop(name)) for name in ("usability", "rating"))
    running = status < verdict.DOES_NOT_FIT
    eligible = (usability <= SLOWLY) & to_choose(running, known)
    wide = np.flatnonzero(known & (tables.bits_per_weight >= WIDE_BITS))
    eligible[:, wide] &= ~needlessly_wide(
        tables.bits_per_weight[None, wide, None], grid(columns["decode_tok_s"])[:, wide], running[:, wide]
    )
    return FitBlock(
        available=fleet.available,
        engine=choices.engine,
        backend=choices.backend,
        usable_bytes=rig.usable.astype(np.int64),
        capacity_bytes=np.broadcast_to(rig.capacity[:, None], choices.engine.shape).astype(np.int64),
        file_size_bytes=tables.weights.file,
        model_weights_bytes=tables.weights.file - tables.weights.stored,
        bits_per_weight=tables.bits_per_weight,
        task_nats=nats,
        has_weights=known,
        status=status,
        strategy=grid(placed.strategy),
        gpu_layers=grid(placed.gpu_layers),
        cpu_moe_layers=grid(placed.cpu_moe_layers),
        weights_bytes=grid(placed.weights),
        kv_cache_bytes=grid(placed.kv_cache),
        compute_bytes=grid(placed.compute),
        overhead_bytes=grid(placed.overhead),
        host_bytes=grid(placed.host),
        offload_fraction=grid(placed.offload_fraction),
        recommended=_recommended(model, choices, nats, status, rating, eligible),
        **{name: grid(values) for name, values in columns.items()},
    )


def _recommended(
    model: ModelArchitecture, choices: EngineChoices, nats: Floats, status: Ints, rating: Floats, eligible: Flags
) -> Flags:
    """The best of the ``eligible`` quantizations by their rating and their drawbacks: GPUs x quants x workloads."""
    lost = nats.min(axis=1)
    native = native_quants(choices.quants, model.training.native_bits, lost)
    if native.any():
        eligible = eligible & ~rewritten(eligible, native[None, :, None], lost[None, :, None], axis=1)
    unpaged, custom = _of_choices(choices)
    tight, offloaded = (status == kind for kind in (verdict.FITS_TIGHTLY, verdict.FITS_WITH_OFFLOAD))
    charges = drawbacks(tight, offloaded, unpaged[:, :, None], model.is_moe)
    return best_quants(rating - charges, eligible, custom)


def _of_choices(choices: EngineChoices) -> tuple[Floats, Floats]:
    """Charge of pairs that serve people without paged memory, and how customary each quant is; kept as long as the choices."""
    known = _kept_choices.get(choices)
    if known is None:
        custom = np.array([customary(quant) for quant in choices.quants])
        known = _kept_choices[choices] = unpaged_points(choices.quants, choices.gpus), custom
    return known


_kept_choices: WeakKeyDictionary[EngineChoices, tuple[Floats, Floats]] = WeakKeyDictionary()


def _columns(
    model: ModelArchitecture,
    tables: ModelTables,
    need: Needs,
    rig: Rig,
    placed: Placements,
    coefficients: SpeedCoefficients,
    thresholds: Thresholds,
    retained: NDArray[np.float64],
    pace_of: Callable[..., Pace],
) -> dict[str, NDArray[Any]]:
    """``_COLUMNS`` of all cells, (S, P); 0 where nothing runs."""
    columns = {name: np.zeros(placed.status.shape, dtype=dtype) for name, dtype in _COLUMNS.items()}
    for part, cells, own in _parts(need, rig, placed, coefficients, all_fields=pace_of is not pace):
        speeds = pace_of(model, tables, need, rig, part, own)
        for name, values in _values(part, speeds, retained, thresholds, model.training.least_thinking):
            _write(columns[name], part, cells, values)
    return columns


def _parts(
    need: Needs, rig: Rig, placed: Placements, coefficients: SpeedCoefficients, *, all_fields: bool = False
) -> Iterator[tuple[Placed, NDArray[np.int64] | None, SpeedCoefficients]]:
    """Loads on the device, then split ones, each with its cells in a flat array (None: all) and its coefficients.

    Coefficients that the speeds of one stream and device do not read are NaN, unless ``all_fields`` are asked for.
    """
    width = placed.status.shape[1]
    alone = rig.count == 1 and all(situation.batch == 1 for situation in need.situations)
    unread_of_one = OF_SEVERAL if alone else frozenset()
    for part in (placed.whole, placed.split):
        if part is not None and part.runs is not None and len(part.p) == width:
            yield part, None, coefficients
        elif part is not None:
            # Gathering takes as long as the speeds: what no formula reads is left out.
            unread = unread_of_one | (RANGES if part.runs is None and np.all(part.on_host > 0) else frozenset())
            yield part, part.s * width + part.p, coefficients.take(part.p, frozenset() if all_fields else unread)


def _write(column: NDArray[Any], part: Placed, cells: NDArray[np.int64] | None, values: Any) -> None:
    """Put what the running cells of ``part`` have into an array of all cells, (S, P)."""
    if cells is None:
        assert part.runs is not None
        np.multiply(values, part.runs, out=column, casting="unsafe")
    else:
        column.ravel()[cells] = values if part.runs is None else values * part.runs


def _values(
    part: Placed,
    speeds: Pace,
    retained: NDArray[np.float64],
    thresholds: Thresholds,
    thinking: float,
) -> Iterator[tuple[str, Any]]:
    """Every column of the cells of ``part``; ``retained`` (Q, S) is what is left of a score after quantization.

    ``thinking`` is the relative length of the thinking that the model cannot leave out.

    Ranges and scores are made of the published float32 speeds, scores are stored to a hundredth, and the ends of ranges
    over the speed to ``RANGE_DECIMALS``: so a live fit and a published one are ranked by the same numbers.
    """
    decode, prefill, ttft = (
        speed.astype(np.float32) for speed in (speeds.decode_tok_s, speeds.prefill_tok_s, speeds.ttft_ms)
    )
    yield "decode_tok_s", decode
    yield "prefill_tok_s", prefill
    yield "ttft_ms", ttft
    yield "safe_context_tokens", part.safe_context
    yield "decode_evidence", speeds.decode_evidence
    yield "prefill_evidence", speeds.prefill_evidence
    for name, value in (("decode", decode), ("prefill", prefill)):
        for end in ("low", "high"):
            factor = np.exp(np.float32(getattr(speeds, f"{name}_{end}")))
            yield f"{name}_{end}_tok_s", value * np.round(factor, RANGE_DECIMALS)
    use = thresholds.at(part.s)
    seconds = answer_seconds(wait_ms(use, ttft), decode, written_tokens(use, thinking))
    usable = usability(use, ttft, decode, seconds)
    parts = (
        verdict.decode_part(decode, use.comfortable_decode_tok_s),
        verdict.ttft_part(ttft, use.patience_ttft_ms),
        verdict.context_part(part.safe_context.astype(np.float32), use.context_tokens),
        retained.astype(np.float32)[part.q, part.s],
        verdict.headroom_part(part.total, part.usable, part.on_host).astype(np.float32),
    )
    yield "score", verdict.score(parts, usable).round(2)
    yield "usability", usable
    lost = points_lost(retained)
    worth = -(lost + broken(lost))[part.q, part.s]
    yield "rating", charged(worth, seconds, comfortable_seconds(use), OperatingMode.BALANCED)


def to_choose(running: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of the ``running`` cells (G, Q, S) may be recommended, by whether weights of a quant (Q,) are ``known``.

    Those with known weights; all that run where none of them has any, for the best of what is left is still an answer.
    """
    published = running & known[None, :, None]
    return published | (running & ~published.any(axis=1, keepdims=True))
