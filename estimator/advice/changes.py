"""The changes that help a setup, in the order in which one should try them.

Nothing is promised by rule: a change is kept only when its own estimate is worth more, and its gain is the difference
of the two estimates. ``Advice.request`` is the changed question, so a live estimate of it (with the same workload)
gives exactly the numbers promised.
"""

from __future__ import annotations

from typing import Any

from estimator.advice.free_changes import free_changes
from estimator.advice.gains import Tried, meets_use
from estimator.advice.options import Options
from estimator.advice.other_models import other_model
from estimator.advice.search import Advice, AdviceCode, Search
from estimator.advice.upgrades import hardware
from estimator.calibration.coefficients import Calibration
from estimator.fit_facts import FitFacts
from estimator.types import Status


def advice(facts: FitFacts, calibration: Calibration, options: Options) -> tuple[Advice, ...]:
    """Changes that help: first those that cost nothing, then another model, then hardware; in each the best first.

    One entry says that nothing is needed when no change helps and the setup runs.
    """
    search = Search(facts, calibration, options)
    supported = facts.estimate.status is not Status.UNSUPPORTED
    groups = [free_changes(search) if supported else [], [*other_model(search)], hardware(search)]
    changes = [change for group in groups for change in sorted(group, key=_rank)]
    if not changes and facts.runs:
        return (_nothing_needed(search),)
    return tuple(changes)


def some_quant_runs(facts: FitFacts, calibration: Calibration, options: Options) -> bool:
    """Whether any quantization of the model runs in this setup."""
    return Search(facts, calibration, options).best_quant(options.quants) is not None


def _rank(change: Advice) -> tuple[bool, float, int]:
    return not change.standing.usable, -round(change.standing.rating_points, 2), tuple(AdviceCode).index(change.code)


def _nothing_needed(search: Search) -> Advice:
    facts = search.facts
    trained = facts.model.context_tokens
    values: dict[str, Any] = {"comfortable": meets_use(facts, facts.estimate), "workload": facts.workload_name}
    if not values["comfortable"]:
        text = (
            f"nothing in reach helps {facts.workload_name}: no flag, quantization, cache type, model or accelerator of this "
            "class of machine gains what one would notice"
        )
    elif trained is not None and trained < facts.estimate.context_tokens:
        text = f"no hardware helps further: the model itself was trained for {trained:,} tokens"
        values["trained_tokens"] = trained
    else:
        text = f"nothing needed: {facts.quant.name} on {facts.device_name} does {facts.workload_name} comfortably"
    present = Tried(facts.request, facts.estimate, search.present)
    return search.advice(AdviceCode.NOTHING_NEEDED, text, present, **values)
