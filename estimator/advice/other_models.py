"""Another model that is worth more on the same machine."""

from __future__ import annotations

from collections.abc import Iterator

from estimator.advice.gains import SWITCHING_POINTS, Standing, improves
from estimator.advice.options import Candidate
from estimator.advice.search import Advice, AdviceCode, Search, Tried
from estimator.placement.hardware import HOST_RESERVE_BYTES
from estimator.structure.checkpoints import has_weights

#: Fewest bits per weight of any file, so that what is too large for the machine is not tried.
_FEWEST_BITS = 2.0


def other_model(search: Search) -> Iterator[Advice]:
    """The model with the highest worth here, where it is usable and beats the present setup by enough.

    Candidates are tried from the most capable down, until none that is left can be worth more than the best.
    """
    # An unknown capability is compared with nothing: then another model must run where this one does not, or is too slow.
    known = search.capability_points is not None
    if search.present.usable and not known:
        return
    best: tuple[Candidate, Tried] | None = None
    for candidate in _by_capability(search):
        most = candidate.capability[search.kind]
        if best is not None and most <= best[1].standing.worth_points:
            break
        if search.present.usable and most < search.present.worth_points + SWITCHING_POINTS:
            break
        if candidate.traits.slug == search.facts.model.slug or not _may_run(search, candidate):
            continue
        architecture = candidate.architecture()
        quants = [quant for quant in search.options.all_quants if has_weights(quant, architecture)]
        tried = search.best_quant_of(candidate, quants)
        if tried is None or not tried.standing.usable:
            continue
        if best is None or tried.standing.worth_points > best[1].standing.worth_points:
            best = candidate, tried
    if best is None or not improves(search.present, _compared(best[1].standing, search), SWITCHING_POINTS):
        return
    candidate, tried = best
    text = f"run {candidate.name} in {tried.request.quant.name}{_capabilities(search, candidate)}"
    yield search.advice(AdviceCode.OTHER_MODEL, text, tried, candidate.architecture())


def _compared(after: Standing, search: Search) -> Standing:
    """The standing beside that of a present model of unknown capability, whose quality counts as 0."""
    if search.capability_points is not None:
        return after
    return Standing(after.runs, after.usable, search.present.quality_points, after.charge_points)


def _by_capability(search: Search) -> list[Candidate]:
    """Finished models with results of their own in this work, the most capable first."""
    fit = [model for model in search.options.models if search.kind in model.measured and not model.traits.base]
    return sorted(fit, key=lambda model: (-model.capability[search.kind], model.traits.slug))


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
    now, present = candidate.capability[search.kind], search.capability_points
    work = search.kind.replace("_", " ")
    return f" ({work} {now:.0f} points" + (")" if present is None else f", {search.facts.model_name} {present:.0f})")
