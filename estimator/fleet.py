"""A list of accelerators and quants as one block sees it: engines, memory and links."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.memo import kept_within
from estimator.placement.engines import NO_ENGINE, EngineChoices, engine_choices, engine_codes, named_architecture
from estimator.placement.hardware import choose_engine, server_step_tokens, usable_bytes
from estimator.placement.memory import VLLM_MEMORY_FRACTION, overhead_bytes
from estimator.placement.placements import Rig
from estimator.server_options import DEFAULT_SERVER, ServerOptions, SplitMode
from estimator.structure.architecture import ModelArchitecture
from estimator.types import BACKENDS, ENGINES, SERVERS, Accelerator, Backend, Engine, Host, Quant, UnsupportedError


@dataclass(frozen=True, slots=True)
class Overrides:
    """Choices that a single question may fix; None leaves them to the estimator."""

    gpu_count: int = 1
    gpu_layers: int | None = None
    cpu_moe_layers: int | None = None
    engine: Engine | None = None
    backend: Backend | None = None
    software: str | None = None
    build_age_years: float = 0.0
    server: ServerOptions = DEFAULT_SERVER
    split_mode: SplitMode | None = None
    #: Device memory that something beside the model takes: a draft model, a vision projector.
    reserved_bytes: int = 0
    #: Whether weights may lie in system memory where the devices do not hold all.
    offloads: bool = True


NO_OVERRIDES = Overrides()


@dataclass(frozen=True, slots=True)
class Fleet:
    """Facts of accelerators and quants for all models of a kind; ``available`` (G, Q)."""

    choices: EngineChoices
    available: NDArray[np.bool_]
    rig: Rig


def fleet_of(
    architecture: str,
    is_moe: bool,
    gpus: tuple[Accelerator, ...],
    quants: tuple[Quant, ...],
    hosts: tuple[Host, ...],
    overrides: Overrides = NO_OVERRIDES,
) -> Fleet:
    """Engines, memory and links of every (gpu, quant), ``hosts`` one a gpu; kept for the next call with the same arguments."""
    kind = is_moe, named_architecture(architecture)
    fleet_key = gpus, quants, hosts, replace(overrides, build_age_years=0.0) if overrides.build_age_years else overrides
    recent = _recent.get(kind)
    # Blocks of one run pass the very same lists, and hashing hundreds of accelerators takes longer than comparing.
    if recent is None or fleet_key[0] is not recent[0][0] or fleet_key != recent[0]:
        recent = _recent[kind] = fleet_key, _fleet(*kind, *fleet_key)
    return recent[1]


#: Arguments of the last call for a kind of model, and its answer.
_recent: dict[tuple[bool, str], tuple[tuple[Any, ...], Fleet]] = {}


@kept_within(4 << 20)
def _fleet(
    is_moe: bool,
    architecture: str,
    gpus: tuple[Accelerator, ...],
    quants: tuple[Quant, ...],
    hosts: tuple[Host, ...],
    overrides: Overrides,
) -> Fleet:
    engine_and_backend = overrides.engine, overrides.backend
    choices = engine_choices(architecture, is_moe, gpus, quants, *engine_and_backend, overrides.software)
    return Fleet(choices, choices.engine != NO_ENGINE, _rig(choices, hosts, overrides))


def _rig(choices: EngineChoices, hosts: tuple[Host, ...], overrides: Overrides) -> Rig:
    gpus, engine, backend, count = choices.gpus, choices.engine, choices.backend, overrides.gpu_count
    static = _static_rig(gpus, hosts)
    vllm = np.isin(engine, [ENGINES.index(server) for server in SERVERS])
    fraction = overrides.server.memory_fraction or VLLM_MEMORY_FRACTION
    usable = np.where(vllm, static.capacity[:, None] * fraction, static.usable[:, None])
    overhead = np.zeros(engine.shape)
    for e_code, b_code in {(int(e), int(b)) for e, b in zip(engine.flat, backend.flat, strict=True) if e != NO_ENGINE}:
        mask = (engine == e_code) & (backend == b_code)
        overhead += mask * _overheads(gpus, ENGINES[e_code], BACKENDS[b_code])[:, None]
    cuts = overrides.split_mode is SplitMode.TENSOR and count > 1
    cards = None
    if count > 1 and not cuts:
        cards = np.repeat((np.floor(usable) - overhead)[None], count, axis=0)
        cards[0] -= overrides.reserved_bytes
    return Rig(
        usable=np.floor(usable * count),
        capacity=static.capacity * count,
        overhead=overhead * count + overrides.reserved_bytes,
        # The one device that llama.cpp makes of those that cut every matrix takes the whole model.
        offloads=static.offloads & (overrides.offloads and not cuts),
        link_bytes_s=static.link,
        count=count,
        host_memory_bytes=static.host_memory,
        host_bandwidth_bytes_s=static.host_bandwidth,
        shares_host=static.shares_host,
        is_processor=static.is_processor,
        cards=cards,
        step_tokens=static.step_tokens,
        server=overrides.server,
        cuts=cuts,
    )


@dataclass(frozen=True, slots=True)
class _StaticRig:
    usable: NDArray[np.float64]
    capacity: NDArray[np.float64]
    offloads: NDArray[np.bool_]
    link: NDArray[np.float64]
    host_memory: NDArray[np.float64]
    host_bandwidth: NDArray[np.float64]
    shares_host: NDArray[np.bool_]
    is_processor: NDArray[np.bool_]
    step_tokens: NDArray[np.int64]


@kept_within(1 << 20)
def _static_rig(gpus: tuple[Accelerator, ...], hosts: tuple[Host, ...]) -> _StaticRig:
    usable, capacity = [], []
    for gpu, host in zip(gpus, hosts, strict=True):
        own = usable_bytes(gpu, host.memory_bytes)
        usable.append(float(own if own is not None else host.memory_bytes))
        capacity.append(float(gpu.memory_bytes if gpu.memory_bytes is not None else host.memory_bytes))
    return _StaticRig(
        np.array(usable),
        np.array(capacity),
        np.array([not gpu.unified_memory and Backend.CPU not in gpu.backends[:1] for gpu in gpus]),
        np.array([gpu.pcie_bytes_s or 0.0 for gpu in gpus]),
        np.array([float(host.memory_bytes) for host in hosts]),
        np.array([host.bandwidth_bytes_s for host in hosts]),
        np.array([gpu.unified_memory for gpu in gpus]),
        np.array([gpu.kind == "cpu" for gpu in gpus]),
        np.array([server_step_tokens(gpu) for gpu in gpus], dtype=np.int64),
    )


@kept_within(1 << 19)
def _overheads(gpus: tuple[Accelerator, ...], engine: Engine, backend: Backend) -> NDArray[np.float64]:
    return np.array([float(overhead_bytes(gpu, engine, backend)) for gpu in gpus])


def forget_fleets() -> None:
    """Drop what is kept of lists of accelerators, with the coefficients of their pairs: for whose list has changed."""
    _recent.clear()
    for kept in (_fleet, _static_rig, _overheads, engine_choices, engine_codes):
        kept.clear()


def require_engine(model: ModelArchitecture, gpu: Accelerator, quant: Quant, overrides: Overrides) -> Engine:
    """The engine that runs ``quant`` of ``model`` on ``gpu`` as asked; raises :class:`UnsupportedError` when none does."""
    choice = choose_engine(model.architecture, gpu, quant, overrides.engine, overrides.backend, is_moe=model.is_moe)
    if choice is None:
        stack_name = " ".join(str(part.value) for part in (overrides.engine, overrides.backend) if part)
        raise UnsupportedError(
            f"{'no engine' if not stack_name else stack_name + ' does not'} "
            f"{'runs' if not stack_name else 'run'} {quant.name} ({quant.format.value}) on {gpu.name}; "
            f"its backends are {', '.join(backend.value for backend in gpu.backends) or 'none that an engine drives'}"
        )
    return choice[0]
