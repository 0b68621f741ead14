"""`fitgraph serving`: how many people a setup serves, from the catalog files alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from api.answers.questions import Answerer
from api.answers.story import PlanAnswers
from api.catalog.view import CatalogView
from api.cli.exit_codes import NO_ANSWER
from api.errors import ErrorCode, QuestionError
from db.entries.files import load_catalog
from estimator.calibration.coefficients import Calibration
from estimator.judgement.serving.cost import Cost, System, cost_of
from estimator.judgement.serving.curve import Serving
from estimator.judgement.serving.queueing import Load
from estimator.types import ENGINE_NAMES


@dataclass(frozen=True, slots=True)
class Question:
    """A setup by names; without a ``quant`` the one that serves most people. ``people`` of the points, none: of a curve."""

    model: str
    gpu: str
    quant: str | None
    count: int
    workload: str
    people: tuple[int, ...]
    system: System


def serving_command(question: Question, *, as_json: bool) -> int:
    """Print the curve, and the engines, best first. Returns 0, or 3 when there is no answer."""
    try:
        answers, server = _answered(question)
        loads = tuple(map(server.load, sorted(set(question.people)))) or server.curve()
    except QuestionError as error:
        print(f"fitgraph: {error}", file=sys.stderr)
        return NO_ANSWER
    except ValueError as error:
        print(f"fitgraph: --people: {error}", file=sys.stderr)
        return NO_ANSWER
    system = question.system
    if system.power_w is None:
        system = replace(system, power_w=answers.facts.design_power_w)
    points = [(load, cost_of(load, system)) for load in loads]
    if as_json:
        print(orjson.dumps(_json(answers, server, points), option=orjson.OPT_INDENT_2).decode())
    else:
        _print(answers, server, points)
    return 0


def _answered(question: Question) -> tuple[PlanAnswers, Serving]:
    """The plan and its server.

    Raises:
        QuestionError: a name is unknown, or not even one stream is whole on the accelerators.
    """
    catalog, calibration = load_catalog(), Calibration.load()
    view, answerer = CatalogView(catalog, None, calibration), Answerer(catalog, calibration)
    asked: dict[str, Any] = {"model": question.model, "gpu": question.gpu, "workload": question.workload}
    if question.count > 1:
        asked["gpu_count"] = question.count
    # Any quantization states the setup; which one serves best follows from it.
    quant = question.quant or view.precomputed_quants[0].slug
    answers = PlanAnswers(view, answerer.answer({**asked, "quant": quant}).facts)
    if question.quant is None and answers.serving_engines:
        best = answers.serving_engines[0]
        answers = PlanAnswers(view, answerer.answer({**asked, "quant": best.quant.slug}).facts)
    if answers.serving is None:
        raise QuestionError(
            ErrorCode.UNSUPPORTED,
            f"not even one stream of {answers.facts.model_name} is whole on {answers.facts.device_name}; take a smaller model "
            "or quantization, or more accelerators",
        )
    return answers, answers.serving


def _json(answers: PlanAnswers, server: Serving, points: Sequence[tuple[Load, Cost]]) -> dict[str, Any]:
    facts = answers.facts
    return {
        "model": facts.model.slug,
        "gpu": facts.accelerator.slug,
        "gpu_count": facts.request.gpu_count,
        "workload": server.workload.slug,
        **_server_json(server),
        "tok_s_each": server.tok_s_each,
        "points": [
            {
                "people": load.people,
                "active_streams": load.active_streams,
                "busy_active_streams": load.busy_active_streams,
                "decode_tok_s": load.decode_tok_s,
                "busy_decode_tok_s": load.busy_decode_tok_s,
                "ttft_ms": load.ttft_s * 1000.0,
                "busy_ttft_ms": load.busy_ttft_s * 1000.0,
                "total_tok_s": load.total_tok_s,
                "working_share": load.working_share,
                "usd_per_million_tokens": {
                    "purchase": cost.purchase_usd, "energy": cost.energy_usd, "total": cost.total_usd,
                },
            }
            for load, cost in points
        ],
        "engines": [_server_json(engine) for engine in answers.serving_engines],
    }  # fmt: skip


def _server_json(server: Serving) -> dict[str, Any]:
    return {
        "engine": server.engine.value,
        "quant": server.quant.slug,
        "people": server.people,
        "streams": server.streams,
        "most_streams": server.pace.most_streams,
        "tok_s_total": server.tok_s_total,
    }


def _print(answers: PlanAnswers, server: Serving, points: Sequence[tuple[Load, Cost]]) -> None:
    facts, out = answers.facts, Console()
    out.print(
        f"[bold]{facts.model_name}[/] in {server.quant.name} on {facts.device_name} with {ENGINE_NAMES[server.engine]}: "
        f"{server.people:,} people for {facts.workload_name}, {server.streams:,} streams at once at the comfortable speed, "
        f"{server.pace.most_streams:,} in memory"
    )
    table = Table("People", "Active", "tok/s", "busy", "TTFT s", "busy", "Total tok/s", "At work", "USD/M tokens")
    for load, cost in points:
        table.add_row(
            f"{load.people:,}",
            f"{load.active_streams:.1f}",
            f"{load.decode_tok_s:.1f}",
            f"{load.busy_decode_tok_s:.1f}",
            f"{load.ttft_s:.1f}",
            f"{load.busy_ttft_s:.1f}",
            f"{load.total_tok_s:,.0f}",
            f"{load.working_share:.0%}",
            _cost_text(cost),
        )
    out.print(table)
    engines = Table("Engine", "Quantization", "People", "Streams", "In memory")
    for engine in answers.serving_engines:
        engines.add_row(
            ENGINE_NAMES[engine.engine], engine.quant.name, f"{engine.people:,}", f"{engine.streams:,}",
            f"{engine.pace.most_streams:,}",
        )  # fmt: skip
    out.print(engines)
    out.print(
        "busy: nine of ten requests have it or better; at most 2 points of capability are lost to an engine's quantization"
    )


def _cost_text(cost: Cost) -> str:
    if cost.total_usd is not None:
        return f"{cost.total_usd:.2f}"
    return "-" if cost.energy_usd is None else f"{cost.energy_usd:.2f} energy"
