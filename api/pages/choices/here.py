"""The page of one's own machine: hardware from the address, and the models that run best on it."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from api.answers.choices import recommendations
from api.answers.choices.machine import MAX_DEVICES, Machine, machine_of
from api.answers.choices.models import ModelKind, Question, Recommended, Wanted, recommended_models
from api.answers.choices.paces import Recent
from api.answers.choices.reasons import seconds_text
from api.answers.searches import search
from api.answers.story import pair_slug
from api.catalog.fit_reads import FitReads
from api.catalog.view import CatalogView
from api.pages.asked import Asked
from api.pages.catalog.traits import KIND_NAMES
from api.pages.forms import Entry, Select, mode_options, with_any, workload_of, workload_options
from api.pages.readings import TYPED, Reading, of_typed, readings
from api.pages.responses import breadcrumbs, html
from api.pages.wording import VENDORS, billions
from db.entries import specs
from db.entries.names.meanings import Meaning
from estimator.advice.amounts import duration, pace
from estimator.judgement import recommend
from estimator.judgement.recommend import Aim
from estimator.types import ENGINE_NAMES, OperatingMode

#: Models that are ranked.
RANKED = 25
_KEPT = 64


async def here_page(request: Request, reads: FitReads, base_url: str) -> Response:
    asked, view = Asked(request), reads.view
    values, question = await asyncio.to_thread(_form, view, asked)
    if question is not None:
        values |= _ranked(view, question, await _best(reads, question))
    values["structured_data"] = breadcrumbs(base_url, ("fitgraph", "/"), ("This machine", "/here"))
    return html("choices/here.html", values, base_url, "/here")


def _form(view: CatalogView, asked: Asked) -> tuple[dict[str, Any], Question | None]:
    """The form with the machine of the address, and the question about it; None while no machine is named."""
    text = asked.text("gpu") or asked.text("machine")
    meaning = view.meaning("gpu", text) if text else None
    count = asked.whole("count", 1, MAX_DEVICES) or (meaning.count if meaning else None) or 1
    memory = asked.number("ram", 0.5, 65_536)
    host = asked.choice("host", {"": None, **{record.slug: record.slug for record in view.hosts}}, "")
    workload = workload_of(asked, view)
    mode = asked.choice("mode", {mode.value: mode for mode in OperatingMode}, OperatingMode.BALANCED.value)
    kind = asked.choice("kind", {"": None, **{kind.value: kind for kind in ModelKind}}, "")
    values: dict[str, Any] = {
        "machine": asked.text("machine"),
        "groups": _groups(view),
        "gpu": Entry("gpu", "Accelerator, card or computer", asked.text("gpu"), "RTX 4070, MacBook Pro M3 Max 36 GB"),
        "fields": [
            Entry("count", "How many", asked.text("count"), "1", numeric=True),
            Entry("ram", "System memory, GiB", asked.text("ram"), "as assumed", numeric=True),
            Select("host", "Computer", with_any(((record.slug, record.name) for record in view.hosts), "As assumed"), host or ""),
            Select("workload", "For", workload_options(view), workload.slug),
            Select("mode", "Mode", mode_options(), mode.value),
            Select("kind", "Kind", with_any(KIND_NAMES.items()), kind or ""),
        ],
        "workload_name": workload.name,
        "asked": meaning is not None,
        "notes": [] if meaning is None else _notes(view, asked, meaning),
        "rows": [],
    }  # fmt: skip
    if meaning is None:
        return values, None
    machine = machine_of(view.catalog, [meaning.slug], count, host, memory)
    return values, Question(machine, workload.spec, mode, Wanted(kind=kind))


def _notes(view: CatalogView, asked: Asked, meaning: Meaning) -> list[Reading]:
    """What the name in the address, or that of the search, was taken as."""

    def address_of(slug: str) -> str:
        return asked.address(gpu=slug, machine=None, typed=None)

    typed_names = of_typed(view, asked.text(TYPED), "gpu", meaning.slug, address_of)
    return typed_names or readings(view, "gpu", meaning, address_of)


def _is_plain(view: CatalogView, machine: Machine) -> bool:
    """Whether it is one accelerator in the computer that is assumed, which the runs compute."""
    return len(machine.devices) == 1 and machine.host == view.host_of(view.gpu(machine.devices[0].slug))


class Kept(Recent[Question, tuple[Recommended, ...]]):
    """The machines of a view that were asked about last; made by ``view.derived(Kept)``."""

    def __init__(self, view: CatalogView) -> None:
        super().__init__(_KEPT)


async def _best(reads: FitReads, question: Question) -> tuple[Recommended, ...]:
    """The models of a machine: from the published fits where they are of it, else computed."""
    view = reads.view
    kept = view.derived(Kept)
    best = kept.get(question)
    if best is None:
        if view.generation is not None and _is_plain(view, question.machine):
            best = await _published(reads, question)
        else:
            best = await search(recommended_models, view.catalog, view.calibration, question, RANKED)
        kept.keep(question, best)
    return best


async def _published(reads: FitReads, question: Question) -> tuple[Recommended, ...]:
    view = reads.view
    gpu = view.gpu(question.machine.devices[0].slug)
    question_of_list = recommendations.Question(
        question.workload.kind, Aim.SCORE, question.mode, recommend.Buyer(), recommend.Target(), question.wanted
    )
    listed = await recommendations.recommendations(reads, None, gpu, question_of_list)
    ranked = listed.choices[:RANKED]
    cells = await listed.cells(reads, ranked)
    return tuple(
        Recommended(
            choice.side.entry, view.quant_by_id[choice.key.quant_id].spec, cell.engine, listed.judgement(choice)
        )
        for choice, cell in zip(ranked, cells, strict=True)
    )


def _groups(view: CatalogView) -> list[tuple[str, list[tuple[str, str]]]]:
    """All accelerators by vendor, for those who would rather choose than type."""
    listed = sorted(view.gpus, key=lambda gpu: (gpu.entry["vendor"], gpu.name.casefold()))
    return [
        (VENDORS.get(vendor, vendor), [(gpu.slug, gpu.name) for gpu in gpus])
        for vendor, gpus in groupby(listed, key=lambda gpu: gpu.entry["vendor"])
    ]


def _ranked(view: CatalogView, question: Question, best: tuple[Recommended, ...]) -> dict[str, Any]:
    machine, workload = question.machine, question.workload.slug
    gpu = machine.devices[0].slug
    return {
        "name": machine.name,
        "slug": gpu,
        "host": machine.host.name if machine.devices[0].has_own_memory else "",
        "host_memory": f"{machine.host.memory_bytes / specs.GIB:,.0f} GiB",
        # The page of a pairing is of one accelerator in the computer that is assumed.
        "plain": _is_plain(view, machine),
        "best": best[0].model["name"] if best else "",
        "rows": [_row(entry, place, workload, gpu) for place, entry in enumerate(best, 1)],
    }


def _row(entry: Recommended, place: int, workload: str, gpu: str) -> dict[str, Any]:
    judgement, model = entry.judgement, entry.model
    chosen = urlencode({"quant": entry.quant.slug, "workload": workload})
    return {
        "place": place,
        "name": model["name"],
        "slug": model["slug"],
        "size": billions(model["params_total_b"]),
        "href": f"/can/{pair_slug(model['slug'], gpu)}?{chosen}",
        "quant": entry.quant.name,
        "engine": ENGINE_NAMES[entry.engine],
        "decode": pace(judgement.decode_tok_s),
        "ttft": "–" if judgement.ttft_ms is None else duration(judgement.ttft_ms),
        "answer": seconds_text(judgement.answer_s),
        "worth": f"{judgement.worth.value:.1f}",
        "range": f"{judgement.worth.low:.0f}–{judgement.worth.high:.0f}",
        "thinks": judgement.thinks,
        "frontier": judgement.on_frontier,
        "reason": judgement.reason,
    }
