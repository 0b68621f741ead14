"""The page of a comparison: models by machines, the winner of each measure, and why it wins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from api.answers.comparisons import Column, Comparison, Measure, Question, Row, compare, named_machine
from api.answers.story import Answers, PlanAnswers
from api.catalog.fit_reads import FitReads
from api.catalog.fits import FitRecord
from api.catalog.view import CatalogView
from api.pages.asked import Asked
from api.pages.forms import Select, workload_of, workload_options
from api.pages.readings import Reading, readings
from api.pages.responses import breadcrumbs, html
from api.pages.wording import LIMIT_WORDS, decode_words, dollars, short_fit_words, tone, ttft_words
from db.entries.names.meanings import Meaning
from estimator.advice.amounts import duration, gib, pace

#: Most models, and most machines.
MOST = 5
_SHOWN: tuple[tuple[Measure, str, Callable[[float], str]], ...] = (
    (Measure.SCORE, "Score", lambda value: f"{value:.0f} of 100"),
    (Measure.DECODE, "Decode speed", pace),
    (Measure.PREFILL, "Reading of the prompt", pace),
    (Measure.TTFT, "First token", duration),
    (Measure.SAFE_CONTEXT, "Safe context", lambda value: f"{value:,.0f} tokens"),
    (Measure.HEADROOM, "Free memory", gib),
    (Measure.PRICE, "Launch price", dollars),
    (Measure.POWER, "Design power", lambda value: f"{value:,.0f} W"),
    (Measure.VALUE, "Speed per $1,000", pace),
    (Measure.EFFICIENCY, "Speed per watt", lambda value: f"{value:.2f} tok/s"),
)
_SAMPLE = {"model": ("qwen3-32b", "gpt-oss-20b"), "gpu": ("rtx-4090", "rtx-5090", "apple-m4-max-40c-128gb")}


async def compare_page(request: Request, reads: FitReads, base_url: str) -> Response:
    asked, view = Asked(request), reads.view
    models, gpus = asked.texts("model", MOST), asked.texts("gpu", MOST)
    workload = workload_of(asked, view)
    # Names are read before anything is computed, so that a wrong one is an error with links.
    meanings = {
        kind: [view.meaning(kind, name) for name in names] for kind, names in (("model", models), ("gpu", gpus))
    }
    slugs = [meaning.slug for meaning in meanings["model"]]
    machines = [_machine(view, meaning) for meaning in meanings["gpu"]]
    values: dict[str, Any] = {
        "models": [*models, *[""] * (MOST - len(models))],
        "gpus": [*gpus, *[""] * (MOST - len(gpus))],
        "lists": [("models", [record.name for record in view.models]), ("gpus", [record.name for record in view.gpus])],
        "workload": Select("workload", "For", workload_options(view), workload.slug),
        "sample": _sample(view),
        "rows": [],
        "winners": [],
        "columns": [],
        "differ": False,
        "notes": [note for kind in meanings for note in _notes(view, meanings, kind, workload.slug)],
    }
    if models and gpus:
        comparison = await compare(reads, Question(slugs, gpus, workload=workload.spec.kind))
        values |= _shown(view, comparison, slugs, machines, workload.slug)
    values["structured_data"] = breadcrumbs(base_url, ("fitgraph", "/"), ("Compare", "/compare"))
    return html("choices/compare.html", values, base_url, "/compare")


def _sample(view: CatalogView) -> str:
    """The address of an example; empty where the catalog lacks a part of it."""
    known = all(view.by_slug(kind, slug) for kind, slugs in _SAMPLE.items() for slug in slugs)
    return f"/compare?{urlencode(_SAMPLE, doseq=True)}" if known else ""


def _notes(view: CatalogView, meanings: dict[str, list[Meaning]], kind: str, use: str) -> list[Reading]:
    """What the names of a kind were taken as; a link puts another entity in the place of one."""

    def address_of(place: int, slug: str) -> str:
        names = {of: list(map(_name, those)) for of, those in meanings.items()}
        names[kind][place] = _name(replace(meanings[kind][place], slug=slug))
        return f"/compare?{urlencode({**names, 'workload': use}, doseq=True)}"

    return [
        note
        for place, meaning in enumerate(meanings[kind])
        for note in readings(view, kind, meaning, partial(address_of, place))
    ]


def _name(meaning: Meaning) -> str:
    """A text of that meaning."""
    return meaning.slug if meaning.count in (None, 1) else f"{meaning.count}x {meaning.slug}"


def _machine(view: CatalogView, meaning: Meaning) -> tuple[str, str]:
    """Name and address of a machine, which may be several accelerators."""
    return named_machine(view.gpu(meaning.slug), meaning.count or 1), f"/gpu/{meaning.slug}"


def _shown(
    view: CatalogView, comparison: Comparison, models: list[str], machines: list[tuple[str, str]], use: str
) -> dict[str, Any]:
    best = {row.measure: row.winner for row in comparison.rows}
    cells = [_cell(view, column, place, best, use) for place, column in enumerate(comparison.columns)]
    wide = len(machines)
    return {
        "columns": machines,
        "rows": [
            (view.model(slug).name, f"/model/{slug}", cells[wide * at : wide * (at + 1)])
            for at, slug in enumerate(models)
        ],
        "winners": [
            winner
            for row in comparison.rows
            for measure, name, text in _SHOWN
            if measure is row.measure and (winner := _winner(comparison, row, name, text)) is not None
        ],
        "differ": bool(comparison.quants_differ),
    }


def _cell(view: CatalogView, column: Column, place: int, best: dict[Measure, int | None], use: str) -> dict[str, Any]:
    answers: PlanAnswers
    if column.model is None or column.gpu is None or column.quant is None or (column.cell or column.plan) is None:
        return {"problem": column.error.message if column.error else "No engine runs it here."}
    if column.plan is not None:
        answers = PlanAnswers(view, column.plan)
        serve_keys = {"model": column.model.slug, "gpu": column.gpu.slug, "count": column.gpu_count, "people": 1}
        href = f"/serve?{urlencode({**serve_keys, 'workload': use, 'quant': column.quant.slug})}"
    else:
        assert column.cell is not None
        answers = of_fit = Answers(FitRecord(view, column.cell))
        href = of_fit.page_path()
    estimate, limits = answers.facts.estimate, answers.limits
    return {
        "problem": "",
        "href": href,
        "decode": decode_words(estimate),
        "ttft": ttft_words(estimate),
        "quant": column.quant.name,
        "grade": estimate.grade,
        "status": short_fit_words(estimate),
        "tone": tone(estimate),
        "limit": LIMIT_WORDS[limits[0].code].lower() if limits else "nothing",
        "fastest": best.get(Measure.DECODE) == place,
        "first": best.get(Measure.TTFT) == place,
        "best": best.get(Measure.SCORE) == place,
    }


def _winner(comparison: Comparison, row: Row, name: str, text: Callable[[float], str]) -> dict[str, str] | None:
    """The best setup of a measure, and how far the next one is behind; None where none has a value."""
    if row.winner is None:
        return None
    value = row.values[row.winner]
    assert value is not None
    machine = row.measure in (Measure.PRICE, Measure.POWER)

    def named(places: list[int]) -> str:
        return _names(comparison, places, of_machine=machine)

    others = [place for place, delta in enumerate(row.deltas) if delta is not None and place != row.winner]
    by_delta = sorted(others, key=lambda place: abs(row.deltas[place] or 0.0))
    # Price and power are of the machine: its other models have the same.
    best = comparison.columns[row.winner].machine
    by_delta = [place for place in by_delta if not machine or comparison.columns[place].machine != best]
    # Differences that no digit shows are none to a reader.
    equals = [place for place in by_delta if text(row.values[place] or 0.0) == text(value)]
    reason = ""
    if equals:
        reason = f"as {named(equals)}"
    elif by_delta:
        second = row.values[by_delta[0]]
        assert second is not None
        more = "more" if row.higher_is_better else "less"
        share = abs(second - value) / max(abs(second), 1e-9)
        factor = max(value, second) / max(min(value, second), 1e-9)
        much = f"{share:.0%} {more} than" if share < 1 or not row.higher_is_better else f"{factor:.1f} times"
        reason = f"{much} {named(by_delta[:1])} ({text(second)})"
    return {"measure": name, "setup": named([row.winner]), "value": text(value), "reason": reason}


def _names(comparison: Comparison, places: list[int], *, of_machine: bool) -> str:
    """Setups as sentences name them, at most two of them; only their machines for what is ``of_machine``."""
    several_models = len({column.model for column in comparison.columns}) > 1 and not of_machine
    several_gpus = len({column.machine for column in comparison.columns}) > 1 or of_machine
    names = []
    for place in places:
        column = comparison.columns[place]
        model = column.model.name if column.model and (several_models or not several_gpus) else ""
        gpu = column.machine if several_gpus else ""
        names.append(f"{model} on {gpu}" if model and gpu else model or gpu)
    names = list(dict.fromkeys(names))
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
