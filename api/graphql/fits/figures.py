"""Numbers of a load: memory, placement, speeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import strawberry

from api.graphql.catalog.gpus import Gpu
from api.graphql.core.scalars import Int64
from api.graphql.execution.completion import read_by
from db.fits.cells import AnyLoad, AnySpeed
from db.fits.packing import shown
from estimator import types as domain
from estimator.server_pool import ServerPool
from estimator.speed.mixed_gpus import DeviceLoad
from estimator.speed.speculative import Speculation
from estimator.types import Evidence, Strategy


@strawberry.type(description="Memory of a load, exact bytes. The device parts add up to the total.")
class FitMemory:
    weights_bytes: Int64 = strawberry.field(description="Weights on the device, bytes.")
    kv_cache_bytes: Int64 = strawberry.field(description="KV cache and recurrent state on the device, bytes.")
    compute_bytes: Int64 = strawberry.field(description="Compute buffers on the device, bytes.")
    overhead_bytes: Int64 = strawberry.field(description="Runtime context of the engine and its backend, bytes.")
    total_bytes: Int64 = strawberry.field(description="Sum of the parts, bytes.")
    usable_bytes: Int64 = strawberry.field(description="Memory that the platform lets a load use, bytes.")
    capacity_bytes: Int64 = strawberry.field(description="Memory of the device, bytes.")
    headroom_bytes: Int64 = strawberry.field(
        description="Usable less total, bytes; negative when the load is too large."
    )
    host_bytes: Int64 = strawberry.field(description="Host memory that the load needs, bytes.")
    draft_bytes: Int64 = strawberry.field(
        description="Weights, cache and buffers of a draft model, bytes; 0 without one."
    )
    projector_bytes: Int64 | None = strawberry.field(
        description="A vision projector, bytes; 0 when none is loaded, null when its size is not known: it is then not in the "
        "total."
    )

    load: strawberry.Private[AnyLoad]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """A part is read from the load."""
            return _read(_MEMORY_READERS, self, name)

    @classmethod
    def of(cls, load: AnyLoad | None) -> FitMemory | None:
        """The GraphQL object of the parts of a load; None stays None."""
        if load is None:
            return None
        figures = cls.__new__(cls)
        figures.load = load
        return figures


def _read(readers: Mapping[str, Callable[[Any], Any]], owner: object, name: str) -> Any:
    """An attribute of ``owner``. Raises AttributeError for one without a reader."""
    reader = readers.get(name)
    if reader is None:
        raise AttributeError(name)
    return reader(owner)


_MEMORY_READERS: dict[str, Callable[[FitMemory], Any]] = {
    "weights_bytes": lambda memory: memory.load.weights_bytes,
    "kv_cache_bytes": lambda memory: memory.load.kv_cache_bytes,
    "compute_bytes": lambda memory: memory.load.compute_bytes,
    "overhead_bytes": lambda memory: memory.load.overhead_bytes,
    "total_bytes": lambda memory: memory.load.total_bytes,
    "usable_bytes": lambda memory: memory.load.usable_bytes,
    "capacity_bytes": lambda memory: memory.load.capacity_bytes,
    "headroom_bytes": lambda memory: memory.load.usable_bytes - memory.load.total_bytes,
    "host_bytes": lambda memory: memory.load.host_bytes,
    "draft_bytes": lambda memory: memory.load.draft_bytes,
    "projector_bytes": lambda memory: memory.load.projector_bytes,
}
read_by(FitMemory, _MEMORY_READERS)


@strawberry.type(description="Layers and experts on the device and on the host.")
class FitPlacement:
    strategy: Strategy = strawberry.field(description="Kind of placement.")
    gpu_layers: int = strawberry.field(
        description="Layers on the device, counted as llama.cpp's `-ngl`: with the output layer."
    )
    cpu_moe_layers: int = strawberry.field(description="Layers whose routed experts lie in host memory.")
    offload_fraction: float = strawberry.field(description="Share of the weights in host memory, 0 to 1.")

    @classmethod
    def of(cls, placement: domain.Placement) -> FitPlacement:
        """The GraphQL object of a placement."""
        return cls(
            strategy=placement.strategy,
            gpu_layers=placement.gpu_layers,
            cpu_moe_layers=placement.cpu_moe_layers,
            offload_fraction=shown(placement.offload_fraction),
        )


@strawberry.type(description="A speed with the range that holds for 80 % of measured cases.")
class SpeedEstimate:
    tokens_per_second: float = strawberry.field(description="Best estimate, tokens per second.")
    low: float = strawberry.field(description="Lower end of the range, tokens per second.")
    high: float = strawberry.field(description="Upper end of the range, tokens per second.")
    evidence: Evidence = strawberry.field(description="Where the estimate comes from.")

    speed: strawberry.Private[AnySpeed]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """A figure is read from the speed."""
            return _read(_SPEED_READERS, self, name)

    @classmethod
    def of(cls, speed: AnySpeed | None) -> SpeedEstimate | None:
        """The GraphQL object of a speed; None stays None."""
        if speed is None:
            return None
        figures = cls.__new__(cls)
        figures.speed = speed
        return figures


_SPEED_READERS: dict[str, Callable[[SpeedEstimate], Any]] = {
    "tokens_per_second": lambda estimate: shown(estimate.speed.value),
    "low": lambda estimate: shown(estimate.speed.low),
    "high": lambda estimate: shown(estimate.speed.high),
    "evidence": lambda estimate: estimate.speed.evidence,
}
read_by(SpeedEstimate, _SPEED_READERS)


@strawberry.type(description="Load of one of several accelerators. The parts of all add up to those of the whole load.")
class EstimateDevice:
    gpu: Gpu | None = strawberry.field(description="The accelerator; null for one that the question brought along.")
    layers: int = strawberry.field(description="Layers on it, the output layer among them: a part of `--tensor-split`.")
    weights_bytes: Int64 = strawberry.field(description="Weights, bytes.")
    kv_cache_bytes: Int64 = strawberry.field(description="KV cache and recurrent state, bytes.")
    compute_bytes: Int64 = strawberry.field(description="Compute buffers, bytes.")
    overhead_bytes: Int64 = strawberry.field(
        description="Runtime context, bytes; on the first device a draft model and a vision projector too."
    )
    total_bytes: Int64 = strawberry.field(description="Sum of the four parts, bytes.")
    usable_bytes: Int64 = strawberry.field(description="Memory that the platform lets a load use, bytes.")

    @classmethod
    def of(cls, load: DeviceLoad, gpu: Gpu | None) -> EstimateDevice:
        """The GraphQL object of the load of one device."""
        return cls(
            gpu=gpu,
            layers=load.layers,
            weights_bytes=Int64(load.weights_bytes),
            kv_cache_bytes=Int64(load.kv_cache_bytes),
            compute_bytes=Int64(load.compute_bytes),
            overhead_bytes=Int64(load.overhead_bytes),
            total_bytes=Int64(load.total_bytes),
            usable_bytes=Int64(load.usable_bytes),
        )


@strawberry.type(description="Effect of a draft model on the decode speed.")
class EstimateSpeculation:
    tokens_per_step: float = strawberry.field(
        description="Tokens that one check yields on average: 1 + a g for a share a of g drafted tokens that is accepted."
    )
    speedup: float = strawberry.field(
        description="Decode speed with the draft over that without; below 1 it slows down."
    )
    plain_tokens_per_second: float = strawberry.field(description="Decode speed without the draft, tokens per second.")
    draft_tokens_per_second: float = strawberry.field(description="Speed of the draft model alone, tokens per second.")
    check_ms: float = strawberry.field(description="Time of one check of all drafted tokens, milliseconds.")

    @classmethod
    def of(cls, speculation: Speculation) -> EstimateSpeculation:
        """The GraphQL object of the gain of a draft model."""
        return cls(
            tokens_per_step=speculation.tokens_per_step,
            speedup=speculation.speedup,
            plain_tokens_per_second=1.0 / speculation.plain_token_s,
            draft_tokens_per_second=1.0 / speculation.draft_token_s,
            check_ms=speculation.check_s * 1000.0,
        )


@strawberry.type(
    description="Cache of a server of checkpoints, such as vLLM: what its memory leaves, and how it is used."
)
class EstimateServerPool:
    pool_bytes: Int64 = strawberry.field(
        description="Memory for the caches of all requests on all accelerators, bytes; negative when the weights are too large."
    )
    request_bytes: Int64 = strawberry.field(description="Cache of one request of the planned context, bytes.")
    pool_tokens: Int64 = strawberry.field(description="Tokens of all requests that are served at once.")
    requests_at_once: float = strawberry.field(
        description="Requests of the planned context that are served at once; others wait. Below 1 the server does not start."
    )
    longest_context_tokens: int = strawberry.field(description="Longest context with which the server starts, tokens.")
    mend: str | None = strawberry.field(
        description="Flag that makes room for all streams of the question; null where they have it, or none does."
    )

    @classmethod
    def of(cls, pool: ServerPool) -> EstimateServerPool:
        """The GraphQL object of a pool."""
        return cls(
            pool_bytes=Int64(pool.pool_bytes),
            request_bytes=Int64(pool.request_bytes),
            pool_tokens=Int64(pool.pool_tokens),
            requests_at_once=pool.requests_at_once,
            longest_context_tokens=pool.longest_context_tokens,
            mend=pool.mend,
        )
