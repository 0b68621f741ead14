"""Values of the result page, in the order of its blocks; the template only lays them out."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import numpy as np
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from api.answers.searches import search
from api.answers.story import Answers, pair_slug
from api.catalog.fit_reads import FitReads
from api.catalog.fits import FitRecord
from api.pages.curves import plots
from api.pages.forms import Select, mode_options, with_any, workload_options
from api.pages.numbers import demo, memory_bar, numbers
from api.pages.pairs import Pair, load_pair
from api.pages.responses import html, json_ld
from api.pages.wording import (
    LIMIT_WORDS,
    MODE_WORDS,
    PART_WORDS,
    STATUS_WORDS,
    context_words,
    decode_words,
    first_upper,
    loss_words,
    percent,
    short_fit_words,
    signed,
    tone,
    ttft_words,
)
from estimator.advice.amounts import duration, gib, pace
from estimator.advice.explain import WORDS
from estimator.advice.questions import Question
from estimator.advice.search import Advice, AdviceCode
from estimator.quant_choice import best_quants, customary, native_quants, needlessly_wide, rewritten
from estimator.types import ENGINE_NAMES, OperatingMode
from estimator.usability import SLOWLY, USABILITIES
from estimator.verdict import BANDS, MODE_WEIGHTS, PART_NAMES, ScorePart, codes_of, grade, word_of

_MAX_ADVICE = 6
#: Contexts of the form, tokens.
CONTEXTS = tuple(1024 * 2**power for power in range(2, 11))


async def pairing_page(request: Request, reads: FitReads, base_url: str) -> Response:
    pair = await load_pair(reads, request.path_params["address"], request.query_params)
    values = await search(result_page, pair, base_url)
    return html("can.html", values, base_url, values["path"])


def result_page(pair: Pair, base_url: str) -> dict[str, Any]:
    """Values of the result page. ``base_url`` is scheme and host without a closing slash."""
    fit = pair.chosen
    answers = Answers(fit)
    by_quant = [Answers(option) for option in pair.options]
    faq = answers.faq(pair.best)
    page_path = f"/can/{pair_slug(fit.model.slug, fit.gpu.slug)}"
    options = _by_bits(pair.options, by_quant)
    return {
        "model_name": fit.model.name,
        "gpu_name": fit.gpu.name,
        "quant_name": fit.quant.name,
        "workload_name": fit.workload.name,
        "headline": answers.headline,
        "summary": answers.summary,
        "notes": pair.notes,
        "capacity": first_upper(answers.capacity_message),
        "grade": grade(answers.mode_score(pair.mode)),
        "tone": tone(fit.estimate),
        "path": page_path,
        "image": f"/preview/{pair_slug(fit.model.slug, fit.gpu.slug)}.png",
        "oembed_url": oembed_url(base_url, answers, "json"),
        "oembed_xml_url": oembed_url(base_url, answers, "xml"),
        "structured_data": structured_data(faq),
        "numbers": numbers(fit, answers),
        "memory": memory_bar(fit, answers.facts.memory_name),
        "usable": gib(fit.estimate.memory.usable_bytes) if fit.is_supported else "–",
        "demo": demo(fit),
        "limits": [_limit(limit) for limit in answers.limits],
        "advice": [_advice(pair, advice) for advice in answers.advice[:_MAX_ADVICE]],
        "workloads": [_workload_row(pair, row) for row in pair.workloads],
        "quants": [_quant_row(pair, option, own) for option, own in options],
        "fields": _fields(pair, [option for option, _ in options]),
        "assumed": _assumed(pair),
        "model_path": f"/model/{fit.model.slug}",
        "gpu_path": f"/gpu/{fit.gpu.slug}",
        "plots": plots(fit, answers, options),
        "unpublished": _unpublished(pair),
        "modes": [_mode_row(pair, mode, answers, by_quant) for mode in OperatingMode],
        "serving": _serving(answers, pair.mode),
        "mode_name": MODE_WORDS[pair.mode][0].lower(),
        "score": f"{answers.mode_score(pair.mode):.0f}",
        "score_parts": [
            f"{PART_WORDS[part.name]} {_part_value(fit, part)} (weight {percent(part.weight)})"
            for part in answers.score_parts(pair.mode)
        ],
        "banded": _banded(answers, pair.mode),
        "commands": answers.commands,
        "no_commands": _no_commands(answers),
        "faq": faq,
        "embed_html": answers.embed_html(base_url),
        "embed_path": answers.embed_path(),
        "badge_path": answers.embed_path().replace("?", ".svg?", 1),
        "badge_text": badge_text(fit),
        "query": graphql_query(fit),
        "query_url": f"/graphql?{urlencode({'query': graphql_query(fit)})}",
        "provenance": _provenance(pair),
    }


def _fields(pair: Pair, options: list[FitRecord]) -> list[Select]:
    """The choices of the form."""
    fit, view, setting = pair.chosen, pair.view, pair.setting
    longest = fit.model.entry["context_length"] or CONTEXTS[-1]
    contexts = sorted({*(count for count in CONTEXTS if count <= longest), *filter(None, [setting.context_tokens])})
    quants = [(option.quant.slug, option.quant.name + (" (best)" if option is pair.best else "")) for option in options]
    engines = [engine.kind for engine in view.engines if pair.runs_in(engine.kind)]
    hosts = [(host.slug, host.name) for host in view.hosts] if fit.gpu.accelerator.has_own_memory else []
    return [
        Select("quant", "Quantization", quants, fit.quant.slug),
        Select("workload", "Workload", workload_options(view), fit.workload.slug),
        Select("mode", "Operating mode", mode_options(), pair.mode.value),
        Select(
            "context",
            "Context",
            with_any([(str(count), f"{count:,} tokens") for count in contexts], "As needed"),
            str(setting.context_tokens or ""),
        ),
        Select("host", "Computer", with_any(hosts, "As assumed"), setting.host.slug if setting.host else ""),
        Select(
            "engine",
            "Engine",
            with_any([(kind.value.casefold(), ENGINE_NAMES[kind]) for kind in engines], "Best"),
            setting.engine.value.casefold() if setting.engine else "",
        ),
    ]


def _assumed(pair: Pair) -> str:
    """Engine, host and context that the numbers are of."""
    fit = pair.chosen
    engine = "" if fit.estimate.engine is None else f" with {ENGINE_NAMES[fit.estimate.engine]}"
    host = fit.request.host
    around = f" in {host.name}" if host is not None and fit.gpu.accelerator.has_own_memory else ""
    return f"Estimated{engine}{around}, for {fit.context_tokens:,} tokens of context."


def _by_bits(options: list[FitRecord], by_quant: list[Answers]) -> list[tuple[FitRecord, Answers]]:
    """Quantizations from the fewest bits per weight of this model to the most."""
    return sorted(
        zip(options, by_quant, strict=True), key=lambda option: (option[1].bits_per_weight, option[0].quant.slug)
    )


def oembed_url(base_url: str, answers: Answers, form: str) -> str:
    """Where consumers find this result as oEmbed in ``form``."""
    return f"{base_url}/oembed?{urlencode({'url': base_url + answers.page_path(), 'format': form})}"


def structured_data(faq: tuple[Question, ...]) -> Markup:
    """The questions as a schema.org FAQPage in JSON-LD."""
    return json_ld(
        {
            "@type": "FAQPage",
            "mainEntity": [
                {
                    "@type": "Question",
                    "name": entry.question,
                    "acceptedAnswer": {"@type": "Answer", "text": entry.answer},
                }
                for entry in faq
            ],
        }
    )


def badge_text(fit: FitRecord) -> str:
    return f"{fit.model.name} on {fit.gpu.name}: {badge_value(fit)}"


def badge_value(fit: FitRecord) -> str:
    """The right half of the badge: grade and speed, or the status when nothing runs."""
    if fit.estimate.decode is None:
        return STATUS_WORDS[fit.cell.status]
    return f"{fit.estimate.grade} · {decode_words(fit.estimate)} · {fit.quant.name}"


def graphql_query(fit: FitRecord) -> str:
    """The query that answers with this page's numbers."""
    workload = fit.workload.slug.replace("-", "_").upper()
    arguments = f'model: "{fit.model.slug}", gpu: "{fit.gpu.slug}", quant: "{fit.quant.slug}", workload: {workload}'
    return (
        f"{{\n  fit({arguments}) {{\n"
        "    status grade score headline summary\n"
        "    memory { weightsBytes kvCacheBytes computeBytes overheadBytes totalBytes usableBytes hostBytes }\n"
        "    placement { strategy gpuLayers cpuMoeLayers offloadFraction }\n"
        "    decode { tokensPerSecond low high evidence } prefill { tokensPerSecond low high evidence } ttftMs\n"
        "    safeContextTokens contextTokens scoreParts { name value weight }\n"
        "    limits { code share message } advice { code message } commands { engine { kind } text }\n"
        "    workloadOptions { workload { slug } grade status decode { tokensPerSecond } ttftMs safeContextTokens }\n"
        "    quantOptions { quant { slug } recommended status grade memory { totalBytes } }\n"
        "    faq { question answer } embed { url html }\n"
        "  }\n}"
    )


def _part_value(fit: FitRecord, part: ScorePart) -> str:
    if part.name == "ttft" and fit.cell.ttft_ms is None:
        return f"unknown, counted as {percent(part.value)}"
    return percent(part.value)


def _limit(limit: Any) -> dict[str, str]:
    return {
        "name": LIMIT_WORDS[limit.code],
        "share": percent(limit.share),
        "message": first_upper(limit.message) + ".",
    }


def _advice(pair: Pair, advice: Advice) -> dict[str, str]:
    action, _, effect = advice.message.partition(": ")
    gain = ""
    if advice.code is not AdviceCode.NOTHING_NEEDED:
        parts = []
        if advice.gain.decode_tok_s is not None:
            parts.append(f"{signed(advice.gain.decode_tok_s, 1)} tok/s")
        if advice.gain.ttft_ms is not None:
            sign = "+" if advice.gain.ttft_ms >= 0 else "−"
            parts.append(f"first token {sign}{duration(abs(advice.gain.ttft_ms))}")
        if round(advice.gain.score):
            parts.append(f"score {signed(advice.gain.score)}")
        gain = ", ".join(parts)
    href = ""
    if advice.code in (AdviceCode.OTHER_QUANT, AdviceCode.OTHER_MODEL, AdviceCode.GPU_UPGRADE):
        # These have a page of their own: everything else of them is as it is here.
        request = advice.request
        href = _page_path(advice.model.slug, request.accelerator.slug, request.quant.slug, pair)
    return {"action": first_upper(action), "effect": effect, "gain": gain, "href": href}


def _workload_row(pair: Pair, fit: FitRecord) -> dict[str, Any]:
    return {
        "slug": fit.workload.slug,
        "name": fit.workload.name,
        "href": _link(pair, fit),
        "chosen": fit.workload is pair.chosen.workload,
        **_row(fit),
        "ttft": ttft_words(fit.estimate),
        "context": context_words(fit.estimate),
    }


def _quant_row(pair: Pair, fit: FitRecord, answers: Answers) -> dict[str, Any]:
    return {
        "slug": fit.quant.slug,
        "name": fit.quant.name,
        "href": _link(pair, fit),
        "chosen": fit.quant is pair.chosen.quant,
        "recommended": fit.cell.recommended,
        "published": fit.weights_known,
        "bits": f"{answers.bits_per_weight:.2f}",
        "loss": loss_words(answers.loss),
        "memory": gib(fit.estimate.memory.total_bytes) if fit.is_supported else "–",
        **_row(fit),
    }


def _unpublished(pair: Pair) -> str:
    """The meaning of the mark of some quantizations; empty when none has it."""
    if all(fit.weights_known for fit in pair.options):
        return ""
    names = f"published weights of {pair.chosen.model.name} are known"
    if pair.best is not None and not pair.best.weights_known:
        return f"No {names} in any quantization that runs here: the best is the best of all that run."
    chosen = "" if pair.best is None else "; the best is chosen among the others"
    return f"“No known weights” marks quantizations in which no {names}{chosen}."


def _row(fit: FitRecord) -> dict[str, str]:
    return {
        "grade": fit.estimate.grade,
        "status": short_fit_words(fit.estimate),
        "tone": tone(fit.estimate),
        "decode": decode_words(fit.estimate),
    }


def _best_in(mode: OperatingMode, options: list[Answers]) -> Answers | None:
    """The usable quantization that a mode chooses, as runs choose the recommended one in the balanced mode."""
    running = np.array([option.facts.runs for option in options])
    known = running & np.array([option.facts.has_weights for option in options])
    usable = codes_of(np.array([option.facts.estimate.score for option in options])) <= SLOWLY
    speeds = (option.facts.estimate.decode for option in options)
    decode = np.array([0.0 if speed is None else speed.value for speed in speeds])
    bits = np.array([option.bits_per_weight for option in options])
    wide = needlessly_wide(bits[None], decode[None], known[None])[0]
    eligible = usable & (known if known.any() else running) & ~wide
    ratings = np.array([option.rating(mode) for option in options])
    quants = [option.facts.quant for option in options]
    if options:
        lost = np.array([option.divergence.nats for option in options])
        native = native_quants(quants, options[0].facts.model.training.native_bits, lost)
        eligible &= ~rewritten(eligible, native, lost, axis=0)
    custom = np.array([customary(quant) for quant in quants])
    best = best_quants(ratings[None, :, None], eligible[None, :, None], custom)[0, :, 0]
    return options[int(best.argmax())] if best.any() else None


def _mode_row(pair: Pair, mode: OperatingMode, answers: Answers, by_quant: list[Answers]) -> dict[str, Any]:
    name, weighs = MODE_WORDS[mode]
    best = _best_in(mode, by_quant)
    weights = ", ".join(
        f"{PART_WORDS[part]} {percent(weight)}" for part, weight in zip(PART_NAMES, MODE_WEIGHTS[mode], strict=True)
    )
    return {
        "slug": mode.value,
        "name": name,
        "chosen": mode is pair.mode,
        "grade": grade(answers.mode_score(mode)),
        "best": "–" if best is None else f"{best.facts.quant.name} ({grade(best.mode_score(mode))})",
        "weighs": f"{weighs}: {weights}",
    }


def _serving(answers: Answers, mode: OperatingMode) -> str:
    """Streams at once, for the modes that are about them."""
    if mode not in (OperatingMode.LIGHT_API, OperatingMode.SCALE_OUT):
        return ""
    workload = answers.facts.workload_name
    serving = answers.serving
    if serving is None or serving.people == 0:
        return f"This setup does not serve even one person comfortably for {workload}."
    people = "one person" if serving.people == 1 else f"{serving.people:,} people"
    load = serving.load(serving.people)
    return (
        f"It serves {people} for {workload}: in busy moments {pace(load.busy_decode_tok_s)} each and the first token after "
        f"{duration(load.busy_ttft_s * 1000.0)}, {pace(load.total_tok_s)} together on average."
    )


def _banded(answers: Answers, mode: OperatingMode) -> str:
    """Why the score is not the mean of its parts; empty where it is."""
    if not answers.facts.runs:
        return ""
    total = 100.0 * sum(part.value * part.weight for part in answers.score_parts(mode))
    if abs(total - answers.mode_score(mode)) < 0.5:
        return ""
    word = word_of(answers.facts.estimate.score)
    least, most = BANDS[USABILITIES.index(word)]
    return f"The parts give {total:.0f}; “{WORDS[word]}” has {least:.0f} to {most:.0f}."


def _no_commands(answers: Answers) -> list[str]:
    """Why tools have no command: a sentence each, those with the same reason together."""
    tools: dict[str, list[str]] = {}
    for command in answers.missing_commands:
        tools.setdefault(command.message, []).extend([] if command.tool is None else [command.tool.value])
    return [f"No command for {', '.join(names)}: {text}" if names else text for text, names in tools.items()]


def _provenance(pair: Pair) -> str:
    fit = pair.chosen
    if not fit.is_published:
        return f"Computed for this request from catalog {pair.view.revision[:12]}."
    return f"Generation {fit.cell.generation} of catalog {pair.view.revision[:12]}."


def _link(pair: Pair, fit: FitRecord) -> str:
    return _page_path(fit.model.slug, fit.gpu.slug, fit.quant.slug, pair, fit.workload.slug)


def _page_path(model: str, gpu: str, quant: str, pair: Pair, workload: str | None = None) -> str:
    """Path of another result page, in the mode of this one, and for its workload unless another one is given."""
    chosen = {"quant": quant, "workload": workload or pair.chosen.workload.slug}
    if pair.mode is not OperatingMode.BALANCED:
        chosen["mode"] = pair.mode.value
    setting = pair.setting
    if setting.context_tokens is not None:
        chosen["context"] = str(setting.context_tokens)
    if setting.host is not None:
        chosen["host"] = setting.host.slug
    if setting.engine is not None:
        chosen["engine"] = setting.engine.value.casefold()
    return f"/can/{pair_slug(model, gpu)}?{urlencode(chosen)}"
