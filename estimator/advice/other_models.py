"""Another model that is worth more on the same machine."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from estimator.advice.gains import SWITCHING_POINTS, Tried, improves
from estimator.advice.options import Candidate
from estimator.advice.search import Advice, AdviceCode, Search
from estimator.judgement.answer_time import written_tokens
from estimator.judgement.worth import THINKING, ways
from estimator.placement.hardware import HOST_RESERVE_BYTES
from estimator.quant_choice import charged
from estimator.structure.checkpoints import has_weights
from estimator.types import OperatingMode
from estimator.usability import comfortable_seconds

#: No answer takes less time.
_SHORTEST_ANSWER_S = 0.3
#: Share of a model's active weights that every token reads; the embedding is not.
_LEAST_READ_SHARE = 0.6
_MODE = OperatingMode.BALANCED
#: Fewest bits per weight of any file, so that what is too large for the machine is not tried.
_FEWEST_BITS = 2.0


def other_model(search: Search) -> Iterator[Advice]:
    """The model with the highest worth here, where it is usable and beats the present setup by enough.

    Candidates are tried from the most capable down, until none that is left can be worth more than the best.
    """
    # An unknown capability is compared with nothing: then another model must run where this one does not, or is too slow.
    if search.present.usable and search.options.present is None:
        return
    best: tuple[Candidate, Tried] | None = None
    for most, candidate in _by_capability(search):
        least = best[1].standing.rating_points if best is not None else -math.inf
        if search.present.usable:
            least = max(least, search.present.rating_points + SWITCHING_POINTS)
        if most <= least:
            break
        if candidate.traits.slug == search.facts.model.slug or not _may_run(search, candidate):
            continue
        architecture = candidate.architecture()
        quants = [quant for quant in search.options.all_quants if has_weights(quant, architecture)]
        tried = search.best_quant_of(candidate, quants)
        if tried is not None and tried.standing.usable and tried.standing.rating_points > least:
            best = candidate, tried
    if best is not None and improves(search.present, best[1].standing, SWITCHING_POINTS):
        candidate, tried = best
        text = f"run {candidate.name} in {tried.request.quant.name}{_capabilities(search, candidate)}"
        yield search.advice(AdviceCode.OTHER_MODEL, text, tried, candidate.architecture())


def _by_capability(search: Search) -> list[tuple[float, Candidate]]:
    """Finished models with the highest rating that a usable setup of each could have, highest first."""
    rated = []
    for candidate in search.options.models:
        if not candidate.traits.base:
            most = _highest_rating(search, candidate)
            if most is not None:
                rated.append((most, candidate))
    return sorted(rated, key=lambda each: (-each[0], each[1].traits.slug))


def _highest_rating(search: Search, candidate: Candidate) -> float | None:
    """The rating with nothing lost and each token at the pace of memory; None where that is not usable."""
    use, request = search.use, search.facts.request
    read = candidate.traits.active_b * 1e9 * _FEWEST_BITS / 8 * _LEAST_READ_SHARE
    token_s = read / ((request.accelerator.bandwidth_bytes_s or math.inf) * request.gpu_count)
    ratings = []
    for way, capability in enumerate(ways(candidate.traits, candidate.capability[search.kind])):
        seconds = max(_SHORTEST_ANSWER_S, token_s * written_tokens(use, way == THINKING))
        if capability is not None and seconds <= use.usable_answer_s:
            least = np.array(seconds)
            ratings.append(float(charged(np.array(capability.low), least, comfortable_seconds(use), _MODE)))
    return max(ratings) if ratings and token_s * use.minimum_decode_tok_s <= 1.0 else None


def _may_run(search: Search, candidate: Candidate) -> bool:
    """Whether the smallest file could be held and read fast enough by the machine's memory, as far as sizes tell."""
    request, memory = search.facts.request, search.facts.estimate.memory
    host = request.host
    held = float(memory.usable_bytes)
    whole = candidate.traits.total_b * 1e9 * _FEWEST_BITS / 8
    if whole <= held:
        return True
    if host is None or request.accelerator.unified_memory:
        return False
    if whole > held + host.memory_bytes - HOST_RESERVE_BYTES:
        return False
    workload, is_moe = search.facts.workload, candidate.traits.active_b < candidate.traits.total_b
    # Every token reads all of a dense model, so also what the device cannot hold.
    return is_moe or workload is None or whole - held <= host.bandwidth_bytes_s / workload.minimum_decode_tok_s


def _capabilities(search: Search, candidate: Candidate) -> str:
    work, own = search.kind.replace("_", " "), search.options.present
    after = candidate.capability[search.kind].value
    before = "" if own is None else f", {own.name} {own.capability[search.kind].value:.0f}"
    return f" ({work} {after:.0f} points{before})"
