"""Plots of the result page: speed and memory against the context, and speed against the loss of quantizations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup

from api.answers.story import Answers
from api.catalog.fits import FitRecord
from api.pages.plots import Plot, axis
from estimator.advice.amounts import GIB
from estimator.estimate import estimate
from estimator.fit_facts import RUNNING
from estimator.judgement.choice import frontier
from estimator.types import Estimate, EstimatorError

#: Shortest context of the plots, tokens; each step doubles it.
_FIRST_TOKENS = 1024
_MOST_STEPS = 9
_NAMED = 12
#: A loss that no quantization is without in a logarithmic plot, points.
_LEAST_LOSS = 0.02


@dataclass(frozen=True, slots=True)
class Step:
    """The fit with ``tokens`` in its context."""

    tokens: int
    estimate: Estimate


def plots(fit: FitRecord, answers: Answers, options: Sequence[tuple[FitRecord, Answers]]) -> list[tuple[str, Markup]]:
    """Plots of a fit with their titles, those that have something to show; ``options`` are its quantizations."""
    contexts = steps(answers)
    plots = (
        ("Speed by tokens in context, with the range of 80 %", speed_plot(fit, contexts)),
        ("Memory by context: weights below, cache and buffers above", memory_plot(fit, contexts)),
        ("Speed against the loss of each quantization", frontier_plot(options)),
    )
    return [(title, Markup(plot)) for title, plot in plots if plot]


def steps(answers: Answers) -> list[Step]:
    """The fit at doubling contexts up to that of the model, each filled; none for one that nothing runs."""
    facts, view = answers.facts, answers.view
    longest = facts.model.context_tokens or _FIRST_TOKENS * 2**_MOST_STEPS
    contexts = [_FIRST_TOKENS * 2**power for power in range(_MOST_STEPS) if _FIRST_TOKENS * 2**power < longest]
    estimates = []
    for tokens in [*contexts, longest][: _MOST_STEPS + 1]:
        request = replace(facts.request, depth_tokens=tokens, context_tokens=tokens)
        try:
            estimates.append(Step(tokens, estimate(facts.model, request, view.calibration, facts.workload)))
        except EstimatorError:
            return []
    return estimates


def speed_plot(fit: FitRecord, contexts: Sequence[Step]) -> Markup | str:
    """Decode speed against the tokens in context, with its range; empty where nothing runs."""
    running = [step for step in contexts if step.estimate.status in RUNNING and step.estimate.decode is not None]
    if len(running) < 3:
        return ""
    speeds = [(step.tokens, step.estimate.decode) for step in running if step.estimate.decode is not None]
    least = fit.workload.spec.minimum_decode_tok_s
    high = max(speed.high for _, speed in speeds)
    plot = Plot(
        axis("tokens in context", [step.tokens for step in contexts], log=True),
        axis("tok/s", [0, high], zero=True),
        f"Decode speed of {fit.model.name} on {fit.gpu.name} by tokens in context, with the range of 80 %.",
    )
    plot.band([(tokens, speed.low) for tokens, speed in speeds], [(tokens, speed.high) for tokens, speed in speeds])
    plot.curve([(tokens, speed.value) for tokens, speed in speeds])
    plot.dots([(tokens, speed.value) for tokens, speed in speeds], "mark")
    if least < high:
        plot.limit(least, f"usable for {fit.workload.name}", across=True)
    return plot.svg()


def memory_plot(fit: FitRecord, contexts: Sequence[Step]) -> Markup | str:
    """Memory against the context beside what is usable: weights, cache and buffers; empty where nothing is known."""
    if len(contexts) < 3:
        return ""
    usable = fit.cell.memory.usable_bytes / GIB
    memories = [(step.tokens, step.estimate.memory) for step in contexts]
    totals = [(tokens, (memory.total_bytes + memory.host_bytes) / GIB) for tokens, memory in memories]
    onto = [(tokens, memory.total_bytes / GIB) for tokens, memory in memories]
    plot = Plot(
        axis("tokens of context", [step.tokens for step in contexts], log=True),
        axis("GiB", [0, usable, *(value for _, value in totals)], zero=True),
        f"Memory of {fit.model.name} on {fit.gpu.name} by context, beside the {usable:.1f} GiB that are usable.",
    )
    floor = [(tokens, 0.0) for tokens, _ in memories]
    plot.band(floor, [(tokens, memory.weights_bytes / GIB) for tokens, memory in memories])
    plot.band([(tokens, memory.weights_bytes / GIB) for tokens, memory in memories], onto, "area")
    plot.curve(onto)
    if any(total > device for (_, total), (_, device) in zip(totals, onto, strict=True)):
        plot.curve(totals, "curve second")
        plot.names([(totals[-1], "with system memory")])
    plot.limit(usable, "usable", across=True)
    return plot.svg()


def frontier_plot(options: Sequence[tuple[FitRecord, Answers]]) -> Markup | str:
    """Speed against the loss of each quantization that runs; empty for fewer than three, or for one loss of all."""
    running = [(fit, answers) for fit, answers in options if fit.estimate.decode is not None and fit.weights_known]
    if len(running) < 3:
        return ""
    loss = np.array([max(answers.loss.points, _LEAST_LOSS) for _, answers in running])
    if loss.min() == loss.max():
        return ""
    speed = np.array([fit.estimate.decode.value for fit, _ in running if fit.estimate.decode is not None])
    best = frontier(-loss, 1.0 / np.maximum(speed, 1e-9))
    plot = Plot(
        axis("points of capability lost", loss, log=True),
        axis("tok/s", [0, *speed], zero=True),
        "Decode speed against the loss of each quantization; the frontier is what no other one beats in both.",
    )
    plot.dots((points, pace) for points, pace, flag in zip(loss, speed, best, strict=True) if not flag)
    top = sorted(
        (float(points), float(pace), fit.quant.spec.name)
        for points, pace, flag, (fit, _) in zip(loss, speed, best, running, strict=True)
        if flag
    )
    plot.steps([(points, pace) for points, pace, _ in top])
    plot.dots(((points, pace) for points, pace, _ in top), "top", 4)
    plot.names([((points, pace), name) for points, pace, name in top][:_NAMED])
    return plot.svg()
