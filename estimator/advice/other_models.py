"""Another model that is worth more on the same machine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from estimator.advice.gains import SWITCHING_POINTS, Tried, improves
from estimator.advice.options import Candidate, ModelPool
from estimator.advice.search import Advice, AdviceCode, Search
from estimator.judgement.worth import PLAIN, THINKING
from estimator.placement.hardware import HOST_RESERVE_BYTES
from estimator.quant_choice import charged
from estimator.structure.arrays import Flags, Floats
from estimator.structure.checkpoints import has_weights
from estimator.types import Accelerator, OperatingMode, Quant
from estimator.usability import comfortable_seconds, is_usable, written_tokens

#: A file may have this share of the bytes that typical bits per weight make.
_SMALLER = 0.9
#: Billions of parameters of the input embedding at most, which is looked up and not read; at most half of a model.
_EMBEDDING_B = 1.3


def other_model(search: Search) -> Iterator[Advice]:
    """The model with the highest rating here, where it is usable and beats the present setup by enough.

    Models are tried from the highest possible rating down, until none that is left can beat the best.
    """
    pool, own = search.options.models, search.options.present
    # An unknown capability is compared with nothing: then another model must run where this one does not, or is too slow.
    if pool is None or (search.present.usable and own is None):
        return
    least = search.present.rating_points + SWITCHING_POINTS if search.present.usable else -math.inf
    best: tuple[Candidate, Tried] | None = None
    bounds = _highest_ratings(search, pool)
    for m in np.argsort(-bounds.max(axis=1), kind="stable"):
        if bounds[m].max() <= least:
            break
        candidate = pool.models[int(m)]
        if candidate.traits.slug == search.facts.model.slug:
            continue
        tried = search.best_quant_of(candidate, _published(candidate, pool, bounds[m] > least))
        if tried is not None and tried.standing.usable and tried.standing.rating_points > least:
            best, least = (candidate, tried), tried.standing.rating_points
    if best is None:
        return
    candidate = best[0]
    tried = search.best_quant_of(candidate, _published(candidate, pool, np.isfinite(pool.bits))) or best[1]
    if improves(search.present, tried.standing, SWITCHING_POINTS):
        text = f"run {candidate.name} in {tried.request.quant.name}{_compared(search, candidate)}"
        values = {"name": candidate.name, "quant": tried.request.quant.name, **_capabilities(search, candidate)}
        yield search.advice(AdviceCode.OTHER_MODEL, text, tried, candidate.architecture(), **values)


def _published(candidate: Candidate, pool: ModelPool, kept: Flags) -> list[Quant]:
    model = candidate.architecture()
    return [quant for quant, wanted in zip(pool.quants, kept, strict=True) if wanted and has_weights(quant, model)]


def _highest_ratings(search: Search, pool: ModelPool) -> Floats:
    """The rating that no setup of a model in a quantization exceeds, (models, quants); -inf where none is usable.

    Weights are read at the pace of memory and multiplied at the peak, as if nothing else took time or memory.
    """
    use, table = search.use, pool.most_worth(search.use.kind)
    read_b = np.maximum(pool.active_b - _EMBEDDING_B, pool.active_b / 2)
    token_s, fits = _token_seconds(search, pool, read_b)
    ttft_ms = 2e12 * use.prompt_tokens * read_b[:, None] / _peak_flops(search) + np.zeros_like(token_s)
    bounds = []
    for way in (PLAIN, THINKING):
        seconds = ttft_ms / 1000.0 + written_tokens(use, table.thinking[:, way, None]) * token_s
        rating = charged(table.low[:, way], seconds, comfortable_seconds(use), OperatingMode.BALANCED)
        usable = fits & is_usable(use, ttft_ms, 1.0 / token_s, seconds)
        bounds.append(np.where(usable & np.isfinite(rating), rating, -np.inf))
    return np.maximum(*bounds)


def _token_seconds(search: Search, pool: ModelPool, read_b: Floats) -> tuple[Floats, Flags]:
    """Least seconds a token, and whether the machine's memory holds the weights; (models, quants)."""
    request, held = search.facts.request, float(search.facts.estimate.memory.usable_bytes)
    bytes_per_b = pool.bits * 1e9 / 8 * _SMALLER
    weights_bytes = pool.total_b[:, None] * bytes_per_b
    bandwidth = (request.accelerator.bandwidth_bytes_s or math.inf) * request.gpu_count
    token_s = read_b[:, None] * bytes_per_b / bandwidth
    over, host = np.maximum(weights_bytes - held, 0.0), request.host
    if host is None or request.accelerator.unified_memory:
        return token_s, over <= 0
    # Every token reads all of a dense model, so also what the device cannot hold.
    dense = pool.active_b >= pool.total_b
    token_s = token_s + np.where(dense[:, None], over / host.bandwidth_bytes_s, 0.0)
    return token_s, over <= host.memory_bytes - HOST_RESERVE_BYTES


def _peak_flops(search: Search) -> float:
    device: Accelerator = search.facts.accelerator
    peaks = (
        device.matrix_flops, device.half_flops, device.int8_ops, device.fp8_flops, device.fp4_flops, device.fp32_flops,
    )  # fmt: skip
    return max((peak for peak in peaks if peak is not None), default=math.inf) * search.facts.request.gpu_count


def _compared(search: Search, candidate: Candidate) -> str:
    work, own = search.kind.replace("_", " "), search.options.present
    after = candidate.capability[search.kind].value
    before = "" if own is None else f", {own.name} {own.capability[search.kind].value:.0f}"
    return f" ({work} {after:.0f} points{before})"


def _capabilities(search: Search, candidate: Candidate) -> dict[str, Any]:
    own = search.options.present
    return {
        "kind": search.kind.upper(),
        "points": candidate.capability[search.kind].value,
        "present_points": None if own is None else own.capability[search.kind].value,
    }
