"""Values of the card that other pages frame and of the badge."""

from __future__ import annotations

from typing import Any

from api.answers.story import Answers
from api.catalog.fits import FitRecord
from api.pages.pairs import Pair
from api.pages.result import badge_text, badge_value
from api.pages.wording import context_words, decode_words, tone, ttft_words
from estimator.advice.amounts import gib

THEMES = ("auto", "light", "dark")
#: White text on these has a contrast of at least 4.5 to 1.
_COLOURS = {"good": "#1a7f37", "fair": "#9a6700", "bad": "#b42318"}
#: Mean advance of an 11 px Verdana character, pixels.
_CHARACTER_WIDTH = 6.6


def card(pair: Pair, base_url: str) -> dict[str, Any]:
    fit = pair.chosen
    answers, estimate = Answers(fit), fit.estimate
    numbers = [("Decode", decode_words(fit.estimate)), ("First token", ttft_words(fit.estimate))]
    if fit.is_supported:
        total, usable = estimate.memory.total_bytes, estimate.memory.usable_bytes
        numbers.append(("Memory", f"{gib(total).removesuffix(' GiB')} / {gib(usable)}"))
    numbers.append(("Context", context_words(fit.estimate)))
    return {
        "model_name": fit.model.name,
        "gpu_name": fit.gpu.name,
        "quant_name": fit.quant.name,
        "workload_name": fit.workload.name,
        "headline": answers.headline,
        "grade": estimate.grade,
        "tone": tone(fit.estimate),
        "numbers": numbers,
        "page_url": base_url + answers.page_path(),
    }


def badge(fit: FitRecord) -> dict[str, Any]:
    """Values of the badge, with the widths of its two halves in pixels."""
    label, value = f"{fit.model.name} on {fit.gpu.name}", badge_value(fit)
    left, right = (round(len(text) * _CHARACTER_WIDTH) + 12 for text in (label, value))
    return {
        "text": badge_text(fit),
        "label": label,
        "value": value,
        "left": left,
        "right": right,
        "width": left + right,
        "colour": _COLOURS[tone(fit.estimate)],
    }
