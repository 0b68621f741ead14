"""`fitgraph recommend --model`: machines for a model, best value first, as a table or one JSON object."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Any

import orjson

from api.answers.choices import purchases as answers
from api.answers.choices.machine import resolved
from api.answers.choices.reasons import beside, seconds_text
from api.cli.choices.capabilities import capability_json, capability_text
from api.cli.choices.recommend import member
from api.cli.exit_codes import NO_ANSWER
from api.errors import QuestionError
from db.entries import specs
from db.entries.files import load_catalog
from estimator.calibration.coefficients import Calibration
from estimator.judgement.capability import Capability
from estimator.judgement.needs import needs_of
from estimator.judgement.purchases import Purchase
from estimator.judgement.worth import THINKING, capabilities
from estimator.types import ENGINE_NAMES, OperatingMode


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line's words."""

    model: str
    workload: str
    mode: str
    budget_usd: float | None
    min_tok_s: float | None
    users: int | None


def machines_command(asked: Asked, number: int, *, as_json: bool) -> int:
    """Print the best ``number`` machines for a model. Returns 0, or 3 when there is no answer."""
    catalog = load_catalog()
    try:
        workload = specs.workload(catalog.workloads[resolved(catalog, "workload", asked.workload)])
        mode = member(OperatingMode, "mode", asked.mode)
        needs = needs_of(workload, decode_tok_s=asked.min_tok_s, users=asked.users)
        terms = replace(answers.terms_of(catalog), budget_usd=asked.budget_usd)
        answer = answers.purchases(answers.Judges(catalog, Calibration.load()), [asked.model], needs, terms, mode)
    except QuestionError as error:
        print(f"fitgraph: {error}", file=sys.stderr)
        return NO_ANSWER
    listed = sorted((*answer.purchases.meeting, *answer.purchases.beaten), key=lambda purchase: -purchase.value)[
        :number
    ]
    if as_json:
        print(orjson.dumps(_answer_json(answer, listed), option=orjson.OPT_INDENT_2).decode())
    else:
        _print_table(answer, listed, mode)
    return 0


def _answer_json(answer: answers.Answer, listed: list[Purchase]) -> dict[str, Any]:
    rows = [_row_json(answer, purchase, listed[0]) for purchase in listed]
    return {
        "model": answer.subjects[0].slug,
        "workload": answer.needs.workload.slug,
        "users": answer.needs.users,
        "budget_usd": answer.terms.budget_usd,
        "prices_of": answer.terms.today,
        "pick": rows[0] if rows else None,
        "recommendations": [{"rank": rank} | row for rank, row in enumerate(rows, 1)],
        "near_misses": [
            _row_json(answer, purchase, purchase) | {"reason": "; ".join(answers.why_missed(purchase))}
            for purchase in answer.purchases.near[:NEAR_MISSES]
        ],
        "unknown_prices": [
            _row_json(answer, purchase, purchase) | {"reason": "; ".join(answers.why_unpriced(purchase.offer))}
            for purchase in answer.purchases.unpriced[:NEAR_MISSES]
        ],
    }


#: Entries of the second lists.
NEAR_MISSES = 5


def _row_json(answer: answers.Answer, purchase: Purchase, pick: Purchase) -> dict[str, Any]:
    offer, setup = purchase.offer, purchase.setup
    return {
        "model": answer.subjects[setup.subject].slug,
        "machine": offer.name,
        "gpu": offer.ware.accelerator.slug,
        "gpu_count": offer.count,
        "computer": None if offer.computer is None else offer.computer.slug,
        "quant": setup.quant.slug,
        "engine": setup.engine.value,
        "thinking": setup.thinks,
        "capability": capability_json(_capability(answer, purchase)),
        "loss": round(setup.loss_points, 3),
        "rating": round(setup.rating, 2),
        "decode_tok_s": round(setup.decode_tok_s, 2),
        "ttft_ms": round(setup.ttft_ms, 1) or None,
        "answer_s": round(setup.answer_s, 2),
        "price_usd": offer.usd,
        "reason": _reason(purchase, pick),
    }


def _capability(answer: answers.Answer, purchase: Purchase) -> Capability:
    subject, way = answer.subjects[purchase.setup.subject], THINKING if purchase.setup.thinks else 1 - THINKING
    capability = capabilities(answer.needs.workload.kind, [subject.traits])[0][way]
    assert capability is not None
    return capability


def _reason(purchase: Purchase, pick: Purchase) -> str:
    setup, usd = purchase.setup, purchase.offer.usd
    price = "at an unknown price" if usd is None else f"for ${usd:,.0f}"
    if purchase is pick:
        return f"Best value here: a whole answer in {seconds_text(setup.answer_s)} {price}."
    return beside(
        pick.offer.brief, (pick.setup.answer_s, setup.answer_s), (pick.setup.loss_points, setup.loss_points),
        (pick.offer.usd, usd),
    )  # fmt: skip


def _print_table(answer: answers.Answer, listed: list[Purchase], mode: OperatingMode) -> None:
    from rich.console import Console
    from rich.table import Table

    from api.cli.choices.tables import print_table

    console = Console()
    console = console if console.is_terminal else Console(width=200)
    subject, workload = answer.subjects[0], answer.needs.workload
    users = f", {answer.needs.users} users, {answer.purchases.streams} of them answered at once in a busy moment"
    users = "" if answer.needs.users == 1 else users
    console.print(f"{subject.name}: {workload.name}{users}, {mode.value}; prices up to {answer.terms.today}")
    if not listed:
        console.print("Nothing with a known price meets this; `fitgraph buy` lists unknown prices, too.")
        for purchase in answer.purchases.near[:NEAR_MISSES]:
            missed = "; ".join(answers.why_missed(purchase))
            console.print(f"Near: {purchase.offer.name}, {purchase.setup.quant.name}: {missed}")
        return
    console.print(f"Capability {capability_text(_capability(answer, listed[0]))} points")
    table = Table(box=None, pad_edge=False)
    for name in ("", "Machine", "Quantization", "Engine"):
        table.add_column(name, no_wrap=name != "Machine")
    for name in ("US dollars", "Loss", "tok/s", "Answer"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Why")
    for rank, purchase in enumerate(listed, 1):
        setup = purchase.setup
        table.add_row(
            f"{rank}{'*' if rank == 1 else ''}", purchase.offer.name, setup.quant.name, ENGINE_NAMES[setup.engine],
            f"{purchase.offer.usd:,.0f}", f"{setup.loss_points:.1f}", f"{setup.decode_tok_s:.0f}",
            seconds_text(setup.answer_s), _reason(purchase, listed[0]),
        )  # fmt: skip
    print_table(console, table)
    console.print("* the pick: the best rating for its price.")
