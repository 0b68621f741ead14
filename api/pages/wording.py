"""Words of the pages for the estimator's codes: one text a code, so that every page says the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from estimator.advice.amounts import duration, gib, pace
from estimator.advice.explain import LimitCode
from estimator.calibration.loss import CapabilityLoss
from estimator.judgement.market import PriceKind
from estimator.structure.context import METHOD_NAMES, context_extension
from estimator.types import Estimate, OperatingMode, Status
from estimator.usability import Usability
from estimator.verdict import word_of

STATUS_WORDS = {
    Status.FITS: "fits",
    Status.FITS_TIGHTLY: "fits tightly",
    Status.FITS_WITH_OFFLOAD: "fits with offload",
    Status.DOES_NOT_FIT: "does not fit",
    Status.UNSUPPORTED: "not supported",
}
TONES = {
    Usability.YES: "good",
    Usability.SLOWLY: "fair",
    Usability.BARELY: "bad",
    Usability.NO: "bad",
}
MODE_WORDS = {
    OperatingMode.BALANCED: ("Balanced", "some of everything"),
    OperatingMode.INTERACTIVE: ("Interactive", "mostly speed and the wait for the first token"),
    OperatingMode.LIGHT_API: ("Light API", "speed, wait and free memory for a few callers at once"),
    OperatingMode.SCALE_OUT: ("Scale-out", "speed and most of all free memory for many callers"),
}
LIMIT_WORDS = {
    LimitCode.ENGINE_SUPPORT: "Engine support",
    LimitCode.MEMORY_CAPACITY: "Memory capacity",
    LimitCode.MEMORY_BANDWIDTH: "Memory bandwidth",
    LimitCode.COMPUTE: "Compute",
    LimitCode.HOST_LINK: "System memory and its link",
    LimitCode.KV_CACHE: "KV cache",
    LimitCode.CONTEXT: "Context",
    LimitCode.FIXED_COST: "Fixed cost per layer",
}
PART_WORDS = {"decode": "speed", "ttft": "wait", "context": "context", "quality": "quality", "headroom": "headroom"}


def tone(estimate: Estimate) -> str:
    """Colour of a fit, by whether it can be used."""
    return TONES[word_of(estimate.score)]


def fit_words(estimate: Estimate) -> str:
    """The status of a fit, with the system memory that its offload needs."""
    text = STATUS_WORDS[estimate.status]
    if estimate.status is Status.FITS_WITH_OFFLOAD:
        return f"{text} ({gib(estimate.memory.host_bytes)} of system memory)"
    return text


def short_fit_words(estimate: Estimate) -> str:
    """The status as a table has room for it."""
    if estimate.status is Status.FITS_WITH_OFFLOAD:
        return f"offloads {gib(estimate.memory.host_bytes)}"
    return STATUS_WORDS[estimate.status]


def percent(share: float) -> str:
    """A share as whole percents, as the texts beside it write them."""
    return f"{share * 100:,.0f}\N{NO-BREAK SPACE}%"


def signed(value: float, decimals: int = 0) -> str:
    """A change with its sign; a fall has a minus sign, not a hyphen."""
    return f"{value:+,.{decimals}f}".replace("-", "−")


def decode_words(estimate: Estimate) -> str:
    """Decode speed or a dash."""
    decode = estimate.decode
    return "–" if decode is None else pace(decode.value)


def ttft_words(estimate: Estimate) -> str:
    """Time to first token or a dash."""
    ttft_ms = estimate.ttft_ms
    return "–" if ttft_ms is None else duration(ttft_ms)


def context_words(estimate: Estimate) -> str:
    """Safe context in tokens or a dash when nothing runs."""
    return f"{estimate.safe_context_tokens:,}" if estimate.decode is not None else "–"


#: Words for a loss of fewer points of capability; a score of one half falls by about 2 % of the benchmark a point.
LOSS_WORDS = ((0.3, "unnoticeable"), (1.0, "slight"), (2.5, "noticeable"), (6.0, "large"))


def loss_words(loss: CapabilityLoss) -> str:
    """Points of capability that a quantization costs, with a word for them."""
    word = next((word for limit, word in LOSS_WORDS if loss.points < limit), "ruinous")
    return f"{word} ({loss.points:.1f})"


def first_upper(text: str) -> str:
    """A text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


GPU_KINDS = {
    "consumer": "desktop card",
    "workstation": "workstation card",
    "datacenter": "data centre",
    "laptop": "laptop",
    "soc": "built into a computer",
    "integrated": "integrated",
    "cpu": "processor",
}
VENDORS = {
    "nvidia": "NVIDIA", "amd": "AMD", "apple": "Apple", "intel": "Intel", "generic": "any maker", "google": "Google",
    "aws": "AWS", "qualcomm": "Qualcomm", "huawei": "Huawei",
}  # fmt: skip


#: Words beside a model's date that is not the release's, or not from a source, by its kind.
RELEASE_NOTES = {"repository created": "repository created", "recalled": "not confirmed"}


def billions(count: float | None) -> str:
    """A number of 10^9 weights: "8.0B", "671B"; a dash for an unknown one."""
    if count is None:
        return "–"
    return f"{count:,.0f}B" if count >= 100 else f"{count:.1f}B" if count >= 1 else f"{count * 1000:.0f}M"


def context_tokens(count: int | None) -> str:
    """A context length in K of 1,024 tokens, or M."""
    if count is None:
        return "–"
    return f"{count / 1048576:.4g}M" if count >= 1048576 else f"{round(count / 1024):,}K"


def context_length(entry: Mapping[str, Any]) -> str:
    """The context of a model as published, and the longer one that an engine can be told to use."""
    extension, shown = context_extension(entry), context_tokens(entry["context_length"])
    if extension is None or extension.applied:
        return shown
    return f"{shown} ({context_tokens(extension.tokens)} {METHOD_NAMES[extension.method]})"


def dollars(usd: float | None) -> str:
    """A price in whole US dollars; a dash for an unknown one."""
    return "–" if usd is None else f"${usd:,.0f}"


def memory_gib(size: float | None) -> str:
    """Memory as datasheets state it; a dash for an unknown one."""
    return "–" if size is None else f"{size:g} GB"


PRICE_KINDS = {
    PriceKind.MSRP: "launch price",
    PriceKind.STREET_NEW: "new",
    PriceKind.STREET_USED: "used",
    PriceKind.SYSTEM: "computer",
    PriceKind.CLOUD_HOUR: "an hour, rented",
}
