"""One model against many accelerators, quants and workloads at once; a single question is the same code at size one.

Shapes: G accelerators, Q quants, S situations (workloads). Cells where no engine can run a quant are never rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator import verdict
from estimator.calibration.coefficients import Calibration, Setup
from estimator.memo import kept_within
from estimator.placement.demand import Needs, Situation, needs, situation_of
from estimator.placement.hardware import ENGINE_RULES, choose_engine, usable_bytes
from estimator.placement.layer_sums import ModelTables, model_tables
from estimator.placement.memory import VLLM_MEMORY_FRACTION, overhead_bytes
from estimator.placement.placements import Placed, Placements, Rig
from estimator.placement.search import place
from estimator.speed.coefficients import SpeedCoefficients
from estimator.speed.throughput import Pace, pace
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.checkpoints import has_weights
from estimator.types import Accelerator, Backend, Engine, Host, Quant, QuantFormat, UnsupportedError, Workload

ENGINES: tuple[Engine, ...] = tuple(Engine)
BACKENDS: tuple[Backend, ...] = tuple(Backend)
NO_ENGINE = 255
_ENGINE_CODE = {engine: code for code, engine in enumerate(ENGINES)}
_BACKEND_CODE = {backend: code for code, backend in enumerate(BACKENDS)}
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
}


@dataclass(frozen=True, slots=True)
class FitBlock:
    """Results of one model: arrays of shape (G, Q, S) unless said; 0 where nothing runs.

    ``available``, ``engine``, ``backend`` (G, Q); ``usable_bytes``, ``capacity_bytes`` (G, Q); ``file_size_bytes``,
    ``model_weights_bytes``, ``bits_per_weight``, ``has_weights`` (Q,). Codes index the tuples of :mod:`estimator.types`.
    """

    available: NDArray[np.bool_]
    engine: NDArray[np.uint8]
    backend: NDArray[np.uint8]
    usable_bytes: NDArray[np.int64]
    capacity_bytes: NDArray[np.int64]
    file_size_bytes: NDArray[np.int64]
    model_weights_bytes: NDArray[np.int64]
    bits_per_weight: NDArray[np.float64]
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


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What the situations ask for, arrays of shape (S,): tok/s, ms, tokens."""

    comfortable_decode_tok_s: NDArray[np.float64]
    patience_ttft_ms: NDArray[np.float64]
    context_tokens: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a single question may fix; None leaves the choice to the planner."""

    gpu_count: int = 1
    gpu_layers: int | None = None
    cpu_moe_layers: int | None = None
    engine: Engine | None = None
    backend: Backend | None = None
    software: str | None = None
    build_age_years: float = 0.0
    #: Device memory that something beside the model takes: a draft model, a vision projector.
    reserved_bytes: int = 0


NO_OVERRIDES = Overrides()


def evaluate_block(
    model: ModelArchitecture,
    gpus: Sequence[Accelerator],
    quants: Sequence[Quant],
    workloads: Sequence[Workload],
    host: Host,
    calibration: Calibration,
) -> FitBlock:
    """Every pairing of one model.

    Raises:
        EstimatorError: a quant states no bits or an unknown file type.
    """
    thresholds = Thresholds(
        np.array([workload.comfortable_decode_tok_s for workload in workloads]),
        np.array([workload.patience_ttft_ms for workload in workloads]),
        np.array([float(workload.context_tokens) for workload in workloads]),
    )
    situations = tuple(situation_of(workload) for workload in workloads)
    return evaluate(model, tuple(gpus), tuple(quants), situations, thresholds, host, calibration)


def evaluate(
    model: ModelArchitecture,
    gpus: tuple[Accelerator, ...],
    quants: tuple[Quant, ...],
    situations: tuple[Situation, ...],
    thresholds: Thresholds,
    host: Host,
    calibration: Calibration,
    overrides: Overrides = NO_OVERRIDES,
) -> FitBlock:
    """The kernel behind blocks and single questions."""
    fleet = fleet_of(model.architecture, model.is_moe, gpus, quants, host, overrides)
    setup, rig = fleet.setup, fleet.rig
    tables, need = model_tables(model, quants), needs(model, situations)
    split = overrides.gpu_layers, overrides.cpu_moe_layers
    placed = place(model, tables, need, rig, fleet.available, setup.engine, setup.backend, *split)
    # Workloads all use flash attention; a question that turns it off is a situation of its own.
    flash = all(one.flash_attention for one in situations)
    coefficients = calibration.table(model, setup, overrides.build_age_years, flash_attention=flash)
    return assemble(model, tables, need, fleet, placed, coefficients, thresholds)


@dataclass(frozen=True, slots=True)
class Fleet:
    """What a list of accelerators and quants brings before any model but its kind is known; ``available`` (G, Q)."""

    setup: Setup
    available: NDArray[np.bool_]
    rig: Rig


def fleet_of(
    architecture: str,
    is_moe: bool,
    gpus: tuple[Accelerator, ...],
    quants: tuple[Quant, ...],
    host: Host,
    overrides: Overrides = NO_OVERRIDES,
) -> Fleet:
    """Engines, memory and links of every (gpu, quant); kept for the next call with the same arguments."""
    kind = is_moe, _named(architecture)
    asked = gpus, quants, host, replace(overrides, build_age_years=0.0)
    recent = _recent.get(kind)
    # Blocks of one run pass the very same lists, and hashing hundreds of accelerators takes longer than comparing.
    if recent is None or asked[0] is not recent[0][0] or asked != recent[0]:
        recent = _recent[kind] = asked, _fleet(*kind, *asked)
    return recent[1]


#: What the last call for a kind of model was asked, and its answer.
_recent: dict[tuple[bool, str], tuple[tuple[Any, ...], Fleet]] = {}


@kept_within(4 << 20)
def _fleet(
    is_moe: bool,
    architecture: str,
    gpus: tuple[Accelerator, ...],
    quants: tuple[Quant, ...],
    host: Host,
    overrides: Overrides,
) -> Fleet:
    asked = overrides.engine, overrides.backend
    setup = _setup(architecture, is_moe, gpus, quants, *asked, overrides.software)
    return Fleet(setup, setup.engine != NO_ENGINE, _rig(setup, host, overrides))


@kept_within(1 << 20)
def _setup(
    architecture: str,
    is_moe: bool,
    gpus: tuple[Accelerator, ...],
    quants: tuple[Quant, ...],
    engine: Engine | None,
    backend: Backend | None,
    software: str | None,
) -> Setup:
    # Its coefficients are kept by its identity: what changes memory alone, as the number of cards, shares them.
    return Setup(gpus, quants, *_engines(architecture, is_moe, gpus, quants, engine, backend), is_moe, software)


def _named(architecture: str) -> str:
    """The architecture, when a rule names it; few are named, and all others share one table."""
    return architecture if any(architecture in rule.unsupported_architectures for rule in ENGINE_RULES) else ""


def engines(
    architecture: str,
    is_moe: bool,
    gpus: tuple[Accelerator, ...],
    quants: tuple[Quant, ...],
    overrides: Overrides = NO_OVERRIDES,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Engine and backend code of every (gpu, quant), 255 where none runs; shapes (G, Q)."""
    return _engines(_named(architecture), is_moe, gpus, quants, overrides.engine, overrides.backend)


@kept_within(1 << 20)
def _engines(
    architecture: str,
    is_moe: bool,
    gpus: tuple[Accelerator, ...],
    quants: tuple[Quant, ...],
    engine: Engine | None,
    backend: Backend | None,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    engines = np.full((len(gpus), len(quants)), NO_ENGINE, dtype=np.uint8)
    backends = np.full_like(engines, NO_ENGINE)
    for g, gpu in enumerate(gpus):
        for q, quant in enumerate(quants):
            choice = choose_engine(architecture, gpu, quant, engine, backend, is_moe=is_moe)
            if choice is not None:
                engines[g, q], backends[g, q] = _ENGINE_CODE[choice[0]], _BACKEND_CODE[choice[1]]
    return engines, backends


def require_engine(model: ModelArchitecture, gpu: Accelerator, quant: Quant, overrides: Overrides) -> None:
    """Raise :class:`UnsupportedError` when no engine runs ``quant`` of ``model`` on ``gpu`` as asked."""
    engine, _ = engines(model.architecture, model.is_moe, (gpu,), (quant,), overrides)
    if engine[0, 0] == NO_ENGINE:
        asked = " ".join(str(part.value) for part in (overrides.engine, overrides.backend) if part)
        raise UnsupportedError(
            f"{'no engine' if not asked else asked + ' does not'} "
            f"{'runs' if not asked else 'run'} {quant.name} ({quant.format.value}) on {gpu.name}; "
            f"its backends are {', '.join(each.value for each in gpu.backends) or 'none that an engine drives'}"
        )


def _rig(setup: Setup, host: Host, overrides: Overrides) -> Rig:
    gpus, engine, backend, count = setup.gpus, setup.engine, setup.backend, overrides.gpu_count
    static = _static_rig(gpus, host)
    vllm = engine == _ENGINE_CODE[Engine.VLLM]
    usable = np.where(vllm, static.capacity[:, None] * VLLM_MEMORY_FRACTION, static.usable[:, None])
    overhead = np.zeros(engine.shape)
    for e_code, b_code in {(int(e), int(b)) for e, b in zip(engine.flat, backend.flat, strict=True) if e != NO_ENGINE}:
        mask = (engine == e_code) & (backend == b_code)
        overhead += mask * _overheads(gpus, ENGINES[e_code], BACKENDS[b_code])[:, None]
    cards = None
    if count > 1:
        cards = np.repeat((np.floor(usable) - overhead)[None], count, axis=0)
        cards[0] -= overrides.reserved_bytes
    return Rig(
        usable=np.floor(usable * count),
        capacity=static.capacity * count,
        overhead=overhead * count + overrides.reserved_bytes,
        offloads=static.offloads,
        link_bytes_s=static.link,
        count=count,
        host=host,
        cards=cards,
    )


@dataclass(frozen=True, slots=True)
class _StaticRig:
    usable: NDArray[np.float64]
    capacity: NDArray[np.float64]
    offloads: NDArray[np.bool_]
    link: NDArray[np.float64]


@kept_within(1 << 20)
def _static_rig(gpus: tuple[Accelerator, ...], host: Host) -> _StaticRig:
    usable, capacity = [], []
    for gpu in gpus:
        own = usable_bytes(gpu, host.memory_bytes)
        usable.append(float(own if own is not None else host.memory_bytes))
        capacity.append(float(gpu.memory_bytes if gpu.memory_bytes is not None else host.memory_bytes))
    return _StaticRig(
        np.array(usable),
        np.array(capacity),
        np.array([not gpu.unified_memory and Backend.CPU not in gpu.backends[:1] for gpu in gpus]),
        np.array([gpu.pcie_bytes_s or 0.0 for gpu in gpus]),
    )


@kept_within(1 << 19)
def _overheads(gpus: tuple[Accelerator, ...], engine: Engine, backend: Backend) -> NDArray[np.float64]:
    return np.array([float(overhead_bytes(gpu, engine, backend)) for gpu in gpus])


def is_vllm(quant: Quant) -> bool:
    """Whether a quant is a checkpoint that vLLM serves."""
    return quant.format not in (QuantFormat.GGUF, QuantFormat.MLX)


def assemble(
    model: ModelArchitecture,
    tables: ModelTables,
    need: Needs,
    fleet: Fleet,
    placed: Placements,
    coefficients: SpeedCoefficients,
    thresholds: Thresholds,
    pace_of: Callable[..., Pace] = pace,
) -> FitBlock:
    """Speeds and scores of what runs, written into whole arrays: loads on the device first, split ones over them.

    ``pace_of`` stands in for :func:`estimator.speed.throughput.pace` where several kinds of devices, or a draft, share the work.
    """
    rig, setup = fleet.rig, fleet.setup
    count, width = placed.status.shape
    columns = {name: np.zeros((count, width), dtype=dtype) for name, dtype in _COLUMNS.items()}
    for part in (placed.whole, placed.split):
        if part is not None:
            all_pairs = part.runs is not None and len(part.p) == width
            cells = slice(None) if all_pairs else part.s * width + part.p
            status = placed.status if all_pairs else placed.status.ravel()[cells]
            speeds = pace_of(model, tables, need, rig, part, coefficients if all_pairs else coefficients.take(part.p))
            for name, values in _values(part, status, speeds, tables, thresholds):
                running = values if part.runs is None else values * part.runs
                (columns[name] if all_pairs else columns[name].ravel())[cells] = running

    def grid(values: NDArray[Any]) -> NDArray[Any]:
        return values.reshape(count, *fleet.available.shape).transpose(1, 2, 0)

    known = np.array([has_weights(quant, model) for quant in setup.quants])
    score, status = grid(columns["score"]), grid(placed.status)
    return FitBlock(
        available=fleet.available,
        engine=setup.engine,
        backend=setup.backend,
        usable_bytes=rig.usable.astype(np.int64),
        capacity_bytes=np.broadcast_to(rig.capacity[:, None], setup.engine.shape).astype(np.int64),
        file_size_bytes=tables.weights.file,
        model_weights_bytes=tables.weights.file - tables.weights.stored,
        bits_per_weight=tables.bits_per_weight,
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
        recommended=_recommended(score, to_choose(status < verdict.DOES_NOT_FIT, known), tables.bits_per_weight),
        **{name: grid(values) for name, values in columns.items()},
    )


def _values(
    part: Placed, status: NDArray[np.uint8], speeds: Pace, tables: ModelTables, thresholds: Thresholds
) -> Iterator[tuple[str, Any]]:
    """Every column of the cells of ``part``.

    Ranges and scores are made of the published float32 speeds, and scores are stored to a hundredth: so a live fit and
    a published one are ranked by the same numbers.
    """
    decode, prefill, ttft = (
        each.astype(np.float32) for each in (speeds.decode_tok_s, speeds.prefill_tok_s, speeds.ttft_ms)
    )
    yield "decode_tok_s", decode
    yield "prefill_tok_s", prefill
    yield "ttft_ms", ttft
    yield "safe_context_tokens", part.safe_context
    yield "decode_evidence", speeds.decode_evidence
    yield "prefill_evidence", speeds.prefill_evidence
    for name, value in (("decode", decode), ("prefill", prefill)):
        for end in ("low", "high"):
            yield f"{name}_{end}_tok_s", value * np.exp(np.float32(getattr(speeds, f"{name}_{end}")))
    wanted = [
        asked.astype(np.float32)[part.s]
        for asked in (thresholds.comfortable_decode_tok_s, thresholds.patience_ttft_ms, thresholds.context_tokens)
    ]
    parts = (
        verdict.decode_part(decode, wanted[0]),
        verdict.ttft_part(ttft, wanted[1]),
        verdict.context_part(part.safe_context.astype(np.float32), wanted[2]),
        verdict.quality_part(tables.bits_per_weight).astype(np.float32)[part.q],
        verdict.headroom_part(part.total, part.usable, part.on_host).astype(np.float32),
    )
    yield "score", verdict.score(parts, status).round(2)


def to_choose(running: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of the ``running`` cells (G, Q, S) may be recommended, by whether weights of a quant (Q,) are ``known``.

    Those with known weights; all that run where none of them has any, for the best of what is left is still an answer.
    """
    found = running & known[None, :, None]
    return found | (running & ~found.any(axis=1, keepdims=True))


def _recommended(score: NDArray[Any], eligible: NDArray[np.bool_], bits: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The eligible quant of each (gpu, situation) with the highest score; the wider one wins a tie; all (G, Q, S)."""
    rank = np.where(eligible, score + bits[None, :, None] * 1e-9, -1.0)
    best = rank.argmax(axis=1)[:, None, :]
    out = np.zeros(score.shape, dtype=np.bool_)
    np.put_along_axis(out, best, np.take_along_axis(rank, best, axis=1) >= 0, axis=1)
    return out


__all__ = [
    "BACKENDS",
    "ENGINES",
    "NO_ENGINE",
    "FitBlock",
    "Fleet",
    "Overrides",
    "Thresholds",
    "assemble",
    "engines",
    "evaluate",
    "evaluate_block",
    "fleet_of",
    "require_engine",
    "to_choose",
]
