"""`fitgraph recommend`: models for a machine, as a table or one JSON object."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import orjson

from api.answers.choices.machine import Machine, machine_of, resolved
from api.answers.choices.models import ModelKind, Question, Recommended, Wanted, recommended_models
from api.answers.choices.prices import price_of_all
from api.answers.choices.reasons import seconds_text
from api.cli.choices.capabilities import capability_json, worth_text
from api.cli.exit_codes import NO_ANSWER
from api.errors import ErrorCode, QuestionError
from db.entries import specs
from db.entries.files import Catalog, load_catalog
from estimator.calibration.coefficients import Calibration
from estimator.types import ENGINE_NAMES, OperatingMode

Member = TypeVar("Member", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line's words."""

    gpus: Sequence[str]
    count: int
    host: str | None
    host_memory_gb: float | None
    workload: str
    mode: str
    users: int | None
    family: str | None
    license: str | None
    kind: str | None
    released_from: str | None


def recommend_command(asked: Asked, number: int, *, as_json: bool) -> int:
    """Print the best ``number`` models for a machine. Returns 0, or 3 when there is no answer."""
    catalog = load_catalog()
    try:
        machine = machine_of(catalog, asked.gpus, asked.count, asked.host, asked.host_memory_gb)
        workload = specs.workload(catalog.workloads[resolved(catalog, "workload", asked.workload)])
        mode = member(OperatingMode, "mode", asked.mode)
        kind = None if asked.kind is None else member(ModelKind, "kind", asked.kind)
    except QuestionError as error:
        print(f"fitgraph: {error}", file=sys.stderr)
        return NO_ANSWER
    wanted = Wanted(asked.family, asked.license, kind, asked.released_from)
    question = Question(machine, workload, mode, wanted, asked.users)
    best = recommended_models(catalog, Calibration.load(), question, number)
    if as_json:
        answer = _answer_json(catalog, question, best)
        print(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
    else:
        _print_table(question, best)
    return 0


def member(enum: type[Member], name: str, text: str) -> Member:
    """The member of an enum that an option names. Raises :class:`QuestionError`."""
    try:
        return enum(text.casefold())
    except ValueError:
        allowed = ", ".join(member.value for member in enum)
        raise QuestionError(ErrorCode.BAD_USER_INPUT, f"--{name} is {text!r}; allowed are {allowed}", name) from None


def _answer_json(catalog: Catalog, question: Question, best: Sequence[Recommended]) -> dict[str, Any]:
    machine = question.machine
    price = {"price_usd": price_of_all(catalog, [device.slug for device in machine.devices])}
    rows = [row_json(machine, entry) | price for entry in best]
    return {
        "machine": machine.name,
        "host": machine.host.slug,
        "workload": question.workload.slug,
        "mode": question.mode.value,
        "pick": row_json(machine, best[0]) | price if best else None,
        "recommendations": [{"rank": rank} | row for rank, row in enumerate(rows, 1)],
    }


def row_json(machine: Machine, entry: Recommended) -> dict[str, Any]:
    """One recommended model as an object."""
    judgement = entry.judgement
    return {
        "model": entry.model["slug"],
        "gpu": machine.devices[0].slug,
        "gpu_count": len(machine.devices),
        "gpus": [device.slug for device in machine.devices],
        "quant": entry.quant.slug,
        "engine": entry.engine.value,
        "thinking": judgement.thinks,
        "capability": capability_json(judgement.capability),
        "loss": round(judgement.loss.points, 3),
        "worth": {name: round(getattr(judgement.worth, name), 2) for name in ("value", "low", "high")},
        "rating": round(judgement.rating, 2),
        "decode_tok_s": round(judgement.decode_tok_s, 2),
        "ttft_ms": None if judgement.ttft_ms is None else round(judgement.ttft_ms, 1),
        "answer_s": round(judgement.answer_s, 2),
        "on_frontier": judgement.on_frontier,
        "reason": judgement.reason,
    }


def _print_table(question: Question, best: Sequence[Recommended]) -> None:
    from rich.console import Console
    from rich.table import Table

    from api.cli.choices.tables import print_table

    console = Console()
    console = console if console.is_terminal else Console(width=180)
    if not best:
        filters = "" if question.wanted == Wanted() else " that passes the filters"
        console.print(
            f"{question.machine.name}: no model of the catalog{filters} is usable for {question.workload.name}."
        )
        return
    table = Table(box=None, pad_edge=False)
    for name in ("", "Model", "Quantization", "Engine"):
        table.add_column(name, no_wrap=True)
    for name in ("Worth", "Loss", "tok/s", "Answer"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Why")
    for rank, entry in enumerate(best, 1):
        judgement = entry.judgement
        table.add_row(
            str(rank),
            entry.model["name"],
            entry.quant.name,
            ENGINE_NAMES[entry.engine],
            worth_text(judgement),
            f"{judgement.loss.points:.1f}",
            f"{judgement.decode_tok_s:.0f}",
            seconds_text(judgement.answer_s),
            judgement.reason,
        )
    users = "" if question.users is None else f", {question.users} users at once"
    console.print(f"{question.machine.description}: {question.workload.name}, {question.mode.value}{users}")
    print_table(console, table)
    console.print(
        "Worth: points of capability that the loss leaves, with an interval of 80 %; ° inherited from "
        "relatives, ~ predicted, no own result.\n"
        "Ranked by the lower end of worth, less charges for time and drawbacks."
    )
