"""A server's cache: the pool that its memory leaves, what one request takes of it, and the flag that mends a shortage."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from estimator.placement.demand import UNKNOWN_CONTEXT_LIMIT
from estimator.placement.hardware import server_step_tokens
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.paged_cache import request_bytes
from estimator.types import SERVERS, CacheType, Engine, Estimate, EstimateRequest, MemoryParts

#: Most of a device's memory that a server may be given: what the driver itself takes is not free.
MOST_MEMORY_FRACTION = 0.98
#: Flags of a server for its share of the memory, its requests at once and its longest context.
_FLAGS = {
    Engine.VLLM: ("--gpu-memory-utilization", "--max-num-seqs", "--max-model-len"),
    Engine.SGLANG: ("--mem-fraction-static", "--max-running-requests", "--context-length"),
    Engine.TENSORRT_LLM: ("--kv_cache_free_gpu_memory_fraction", "--max_batch_size", "--max_seq_len"),
}


@dataclass(frozen=True, slots=True)
class ServerPool:
    """``pool_bytes`` of all devices together; a request of the planned context takes ``request_bytes`` of it.

    ``requests_at_once`` are served, further ones wait; below 1 the server does not start with this context, but with up
    to ``longest_context_tokens``. ``mend`` is the flag that makes room for all streams of the question, None where they
    have it or none does.
    """

    pool_bytes: int
    request_bytes: int
    pool_tokens: int
    requests_at_once: float
    longest_context_tokens: int
    mend: str | None


def memory_flag(engine: Engine, memory: MemoryParts, fraction: float) -> tuple[str, str]:
    """The flag by which a server and its plan take ``fraction`` of each device's memory, with its value.

    vLLM counts all that it holds, SGLang weights and cache alone, and TensorRT-LLM the cache's share of what all else leaves.
    """
    cache = fraction - (memory.total_bytes - memory.kv_cache_bytes) / memory.capacity_bytes
    weights = memory.weights_bytes / memory.capacity_bytes
    values = {
        Engine.VLLM: f"{fraction:.2f}",
        Engine.SGLANG: f"{weights + cache:.3f}",
        Engine.TENSORRT_LLM: f"{cache / (cache + 1.0 - fraction):.3f}",
    }
    return _FLAGS[engine][0], values[engine]


def server_pool(model: ModelArchitecture, request: EstimateRequest, answer: Estimate) -> ServerPool | None:
    """The pool of an estimate; None for an engine that has none.

    Requests are counted as vLLM's log does ("Maximum concurrency"): pool over request, of all replicas together. The
    tokens are those of so many requests.
    """
    if answer.engine is None or answer.engine not in SERVERS:
        return None
    memory, replicas = answer.memory, request.server.data_parallel
    pool = memory.usable_bytes - (memory.total_bytes - memory.kv_cache_bytes)
    # Every replica holds as many of the streams, and all of them the cache.
    share_bytes = memory.kv_cache_bytes / math.ceil(request.batch / replicas) / replicas
    if request.expected_occupancy and answer.engine is Engine.VLLM:
        # The planned cache is that of streams at all depths, and no request of the whole context.
        share_bytes = _request_bytes(model, request, answer.context_tokens)
    replica_requests = max(pool, 0) / replicas / share_bytes if share_bytes else 0.0
    at_once = replica_requests * replicas if replica_requests >= 1.0 else replica_requests
    enough = request.expected_occupancy and pool >= memory.kv_cache_bytes
    longest = _longest_context(model, request, answer, max(pool, 0) / replicas, share_bytes)
    return ServerPool(
        pool_bytes=pool,
        request_bytes=math.ceil(share_bytes),
        pool_tokens=int(replica_requests * replicas * answer.context_tokens),
        requests_at_once=at_once,
        longest_context_tokens=longest,
        mend=None if at_once >= request.batch or enough else _mend(answer.engine, memory, at_once, longest),
    )


def _longest_context(
    model: ModelArchitecture, request: EstimateRequest, answer: Estimate, pool: float, share_bytes: float
) -> int:
    """The longest context of one request in the ``pool`` bytes of a replica, tokens."""
    limit = model.context_tokens or UNKNOWN_CONTEXT_LIMIT
    if answer.engine is not Engine.VLLM:
        return min(limit, int(pool / share_bytes * answer.context_tokens) if share_bytes else limit)
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        fits = _request_bytes(model, request, middle) <= pool
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


def _request_bytes(model: ModelArchitecture, request: EstimateRequest, context_tokens: int) -> float:
    """Bytes that vLLM reserves for one request on all devices of a replica."""
    server, ranks = request.server, request.server.tensor_parallel(request.gpu_count)
    steps = server.batched_tokens or server_step_tokens(request.accelerator)
    reserved = request_bytes(model, request.kv_cache_type or CacheType.F16, ranks)
    return float(reserved(np.array([float(context_tokens)]), steps)[0]) * ranks


def _mend(engine: Engine, memory: MemoryParts, at_once: float, longest: int) -> str | None:
    fraction = math.ceil(100 * memory.total_bytes / memory.capacity_bytes) / 100
    if fraction <= MOST_MEMORY_FRACTION:
        return " ".join(memory_flag(engine, memory, fraction))
    _, sequences, context = _FLAGS[engine]
    if at_once >= 1:
        return f"{sequences} {math.floor(at_once)}"
    return f"{context} {longest}" if longest else None
