"""The page of a server: people in front of a setup against their speed and first token, or machines for so many people."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.answers.choices.models import Wanted
from api.answers.choices.paces import Recent
from api.answers.choices.prices import prices_of
from api.answers.choices.recommendations import Choice, Question, recommendations
from api.answers.questions import answerer_of
from api.answers.searches import search
from api.answers.story import PlanAnswers
from api.answers.wishes import wish_of
from api.catalog.fit_reads import FitReads
from api.catalog.records import ModelRecord, WorkloadRecord
from api.catalog.view import CatalogView
from api.errors import ApiError, ErrorCode
from api.pages.asked import Asked
from api.pages.forms import Entry, Select, with_any, workload_of, workload_options
from api.pages.plots import Plot, axis
from api.pages.readings import TYPED, Reading, of_typed, readings
from api.pages.responses import COMMON, breadcrumbs, html
from api.pages.wording import GPU_KINDS, dollars, first_upper
from db.entries.names.meanings import Meaning
from estimator.advice.amounts import duration, pace
from estimator.judgement import recommend
from estimator.judgement.needs import needs_of
from estimator.judgement.recommend import Aim
from estimator.judgement.serving.curve import MOST_LOSS_POINTS, Serving
from estimator.judgement.serving.queueing import Load
from estimator.types import ENGINE_NAMES, OperatingMode, Workload

#: Machines that are listed, and those whose curve is computed at most.
ROWS, MOST_JUDGED = 12, 36
_KEPT = 32
MOST_PEOPLE = 10_000
_SAMPLES: tuple[tuple[str, dict[str, str]], ...] = (
    ("20 people on Qwen3 32B", {"model": "qwen3-32b", "people": "20"}),
    ("100 people on gpt-oss 120B with an H100", {"model": "gpt-oss-120b", "gpu": "h100-sxm5-80-gb", "people": "100"}),
)


class Kept(Recent[tuple[str, str, int], list[dict[str, Any]]]):
    """The lists of a view that were asked for last; made by ``view.derived(Kept)``."""

    def __init__(self, view: CatalogView) -> None:
        super().__init__(_KEPT)


async def serve_page(request: Request, reads: FitReads, base_url: str) -> Response:
    asked, view = Asked(request), reads.view
    if _is_size(asked.text("model")) and not asked.text("gpu"):
        # The search lists the models of that size, each with the rest of the question.
        text = f"{asked.text('model')} for {asked.whole('people', 1, MOST_PEOPLE) or 20} people"
        return RedirectResponse(f"/search?{urlencode({'q': text})}", 303, headers=dict(COMMON))
    named = view.meaning("model", asked.text("model")) if asked.text("model") else None
    model = None if named is None else view.model(named.slug)
    meaning = view.meaning("gpu", asked.text("gpu")) if asked.text("gpu") else None
    count = asked.whole("count", 1, 16) or (meaning.count if meaning else None) or 1
    people = asked.whole("people", 1, MOST_PEOPLE) or 20
    workload = workload_of(asked, view, "chat")
    quants = [(quant.slug, quant.spec.name) for quant in view.precomputed_quants]
    quant = asked.choice("quant", {"": "", **{slug: slug for slug, _ in quants}}, "")
    values: dict[str, Any] = {
        "fields": [
            Entry("model", "Model", asked.text("model"), "Qwen3 32B"),
            Entry("gpu", "Machine", asked.text("gpu"), "any"),
            Entry("count", "How many cards", asked.text("count"), "1", numeric=True),
            Entry("people", "People", asked.text("people"), "20", numeric=True),
            Select("workload", "For", workload_options(view), workload.slug),
            Select("quant", "Quantization", with_any(quants, "Best to serve"), quant),
        ],
        "people": people,
        "crowd": _crowd(people),
        "workload_name": workload.name,
        "samples": [
            (text, f"/serve?{urlencode(question)}")
            for text, question in _SAMPLES
            if all(view.by_slug(kind, question[kind]) for kind in ("model", "gpu") if kind in question)
        ],
        "notes": [
            *([] if named is None else readings(view, "model", named, lambda slug: asked.address(model=slug))),
            *([] if meaning is None else _notes(view, asked, meaning)),
        ],
        "server": None,
        "machines": None,
        "model": None if model is None else model.name,
    }
    if model is not None and meaning is not None:
        setup = {"model": model.slug, "gpu": meaning.slug, "workload": workload.slug, "gpu_count": count}
        try:
            values["server"] = await search(_server, view, setup, quant, people)
        except ApiError as error:
            if error.code is not ErrorCode.UNSUPPORTED:
                raise
            values["server"] = {"works": False, "reason": first_upper(error.message)}
    elif model is not None:
        values["machines"] = await _machines(reads, model, workload, people)
    values["structured_data"] = breadcrumbs(base_url, ("fitgraph", "/"), ("Serve", "/serve"))
    return html("choices/serve.html", values, base_url, "/serve")


def _notes(view: CatalogView, asked: Asked, meaning: Meaning) -> list[Reading]:
    """What the name of the machine was taken as."""

    def address_of(slug: str) -> str:
        return asked.address(gpu=slug, typed=None)

    typed_names = of_typed(view, asked.text(TYPED), "gpu", meaning.slug, address_of)
    return typed_names or readings(view, "gpu", meaning, address_of)


def _is_size(text: str) -> bool:
    """Whether a text is a number of weights alone, as "32B"."""
    wish = wish_of(text, lambda _: False)
    return wish.size_b is not None and not wish.names


def _server(view: CatalogView, setup: dict[str, Any], quant: str, people: int) -> dict[str, Any]:
    """The curve of a setup, and what its engines serve."""
    answerer = view.derived(answerer_of)
    # Any quantization states the setup; which one serves best follows from it.
    answers = PlanAnswers(view, answerer.answer({**setup, "quant": quant or view.precomputed_quants[0].slug}).facts)
    engines = answers.serving_engines
    if not quant and engines:
        answers = PlanAnswers(view, answerer.answer({**setup, "quant": engines[0].quant.slug}).facts)
    server = answers.serving
    if server is None:
        name = answers.facts.device_name
        return {"works": False, "reason": f"Not even one stream of {answers.facts.model_name} is whole on {name}"}
    workload, load = server.workload, server.load(people)
    return {
        "works": True,
        "name": answers.facts.device_name,
        "model": answers.facts.model_name,
        "quant": server.quant.name,
        "engine": ENGINE_NAMES[server.engine],
        "serves": server.people,
        "streams": server.streams,
        "most": server.pace.most_streams,
        "enough": people <= server.people,
        "verdict": _verdict(server, people),
        "load": _load(load),
        "rows": [_load(load) for load in server.curve()],
        "asked": workload.comfortable_decode_tok_s,
        "patience": duration(workload.patience_ttft_ms),
        "plots": _plots(server, people),
        "engines": [
            (
                ENGINE_NAMES[engine.engine], engine.quant.name, f"{engine.people:,}", f"{engine.streams:,}",
                f"{engine.pace.most_streams:,}",
            )
            for engine in engines
        ],
    }  # fmt: skip


def _crowd(people: int) -> str:
    return f"{people:,} {'person' if people == 1 else 'people'}"


def _verdict(server: Serving, people: int) -> str:
    if people <= server.people:
        return f"Yes: nine of ten requests of {_crowd(server.people)} have the comfortable speed and wait."
    if server.people == 0:
        return "No: it does not serve even one person comfortably."
    return f"No: {server.people:,} at most, for nine of ten requests to have the comfortable speed and wait."


def _load(load: Load) -> dict[str, str]:
    return {
        "people": f"{load.people:,}",
        "active": f"{load.active_streams:.1f}",
        "decode": pace(load.decode_tok_s),
        "busy_decode": pace(load.busy_decode_tok_s),
        "ttft": duration(load.ttft_s * 1000),
        "busy_ttft": duration(load.busy_ttft_s * 1000),
        "total": pace(load.total_tok_s),
        "work": f"{load.working_share:.0%}",
    }


def _plots(server: Serving, people: int) -> list[tuple[str, Markup]]:
    """Speed and first token against people: the mean as a line, that of nine of ten requests as a second one."""
    loads, workload = server.curve(), server.workload
    across = axis("people", [load.people for load in loads], log=True)
    speeds = Plot(
        across, axis("tok/s of each", [0, *(load.decode_tok_s for load in loads)], zero=True), "Speed by people"
    )
    speeds.curve([(load.people, load.decode_tok_s) for load in loads])
    speeds.curve([(load.people, load.busy_decode_tok_s) for load in loads], "curve second")
    speeds.limit(workload.comfortable_decode_tok_s, "comfortable", across=True)
    seconds = [
        *(load.ttft_s for load in loads),
        *(load.busy_ttft_s for load in loads),
        workload.patience_ttft_ms / 1000,
    ]
    waits = Plot(across, axis("seconds to the first token", seconds, log=True), "First token by people")
    waits.curve([(load.people, load.ttft_s) for load in loads])
    waits.curve([(load.people, load.busy_ttft_s) for load in loads], "curve second")
    waits.limit(workload.patience_ttft_ms / 1000, "comfortable", across=True)
    if across.low <= people <= across.high:
        for plot in (speeds, waits):
            plot.limit(people, f"{people:,}", across=False)
    return [("Speed of each person", speeds.svg()), ("First token", waits.svg())]


async def _machines(reads: FitReads, model: ModelRecord, workload: WorkloadRecord, people: int) -> dict[str, Any]:
    """Machines with one accelerator that serve so many people in weights that answer well, cheapest first."""
    view = reads.view
    kept, key = view.derived(Kept), (model.slug, workload.slug, people)
    rows = kept.get(key)
    if rows is None:
        rows = await search(
            _rows, view, await _candidates(reads, model, workload.spec, people), model, workload, people
        )
        kept.keep(key, rows)
    return {
        "loss": f"{MOST_LOSS_POINTS:g}",
        "buy": f"/buy?{urlencode({'model': model.slug, 'users': people, 'workload': workload.slug})}",
        "rows": rows,
    }


async def _candidates(reads: FitReads, model: ModelRecord, workload: Workload, people: int) -> list[Choice]:
    """Accelerators that hold the streams of so many people at the comfortable speed, cheapest first."""
    streams = needs_of(workload, users=people).streams(0.0)
    target = recommend.Target(users=streams, decode_tok_s=workload.comfortable_decode_tok_s)
    mode = OperatingMode.SCALE_OUT if streams > 1 else OperatingMode.BALANCED
    question = Question(workload.kind, Aim.SCORE, mode, recommend.Buyer(), target, Wanted())
    listed = await recommendations(reads, model, None, question)
    priced = reads.view.derived(prices_of)
    return sorted(listed.choices, key=lambda choice: priced[choice.slug] or float("inf"))


def _rows(
    view: CatalogView, candidates: list[Choice], model: ModelRecord, workload: WorkloadRecord, people: int
) -> list[dict[str, Any]]:
    """The first of the candidates that serve the people by the curve of their page, where reading prompts takes its time."""
    answerer, rows = view.derived(answerer_of), []
    for choice in candidates[:MOST_JUDGED]:
        setup = {"model": model.slug, "gpu": choice.slug, "workload": workload.slug}
        quant = view.quant_by_id[choice.key.quant_id].slug
        servers = PlanAnswers(view, answerer.answer({**setup, "quant": quant}).facts).serving_engines
        if servers and servers[0].people >= people:
            rows.append(_row(view, choice, servers[0], {**setup, "people": people}))
        if len(rows) == ROWS:
            break
    return rows


def _row(view: CatalogView, choice: Choice, server: Serving, asked: dict[str, Any]) -> dict[str, Any]:
    gpu, load = choice.side, server.load(asked["people"])
    return {
        "name": gpu.name,
        "href": f"/serve?{urlencode(asked)}",
        "kind": GPU_KINDS.get(gpu.entry["kind"], gpu.entry["kind"]),
        "serves": f"{server.people:,}",
        "quant": server.quant.name,
        "decode": pace(load.busy_decode_tok_s),
        "ttft": duration(load.busy_ttft_s * 1000),
        "price": dollars(view.derived(prices_of)[gpu.slug]),
    }
