"""Numbers of the result page: the table, the bar of the memory, the demonstration of the speed."""

from __future__ import annotations

from typing import Any

from api.answers.story import Answers
from api.catalog.fits import FitRecord
from api.pages.wording import decode_words, first_upper, fit_words, percent, ttft_words
from estimator.advice.amounts import duration, gib, pace
from estimator.types import Evidence, Strategy

_EVIDENCE = {
    Evidence.MEASURED: "measured",
    Evidence.CALIBRATED: "calibrated",
    Evidence.EXTRAPOLATED: "extrapolated",
}
_BAR = 1000.0


def numbers(fit: FitRecord, answers: Answers) -> list[tuple[str, str, str]]:
    """Name, value and remark of each number."""
    estimate = fit.estimate
    rows = [("Fit", fit_words(fit.estimate), "")]
    if estimate.decode is not None:
        decode = estimate.decode
        rows.append(
            (
                "Decode",
                decode_words(fit.estimate),
                f"{pace(decode.low)} to {pace(decode.high)}, {_EVIDENCE[decode.evidence]}",
            )
        )
    if estimate.ttft_ms is not None:
        prompt = fit.workload.spec.prompt_tokens
        rows.append(("First token after", ttft_words(fit.estimate), f"for a prompt of {prompt:,} tokens"))
    elif estimate.decode is not None:
        rows.append(("First token after", "unknown", "the catalog has no arithmetic rate of this device"))
    if estimate.prefill is not None:
        rows.append(("Reading the prompt", pace(estimate.prefill.value), ""))
    if estimate.decode is not None:
        rows.append(
            ("Safe context", f"{estimate.safe_context_tokens:,}", f"tokens; {estimate.context_tokens:,} are planned")
        )
    if fit.is_supported:
        memory = estimate.memory
        memory_name = first_upper(answers.facts.memory_name)
        share = memory.total_bytes / max(memory.usable_bytes, 1)
        rows.append(
            (
                memory_name,
                f"{gib(memory.total_bytes)} / {gib(memory.usable_bytes)}",
                f"{percent(share)} of what is usable" if share < 10 else f"{share:,.0f} times what is usable",
            )
        )
        if memory_name == "Device memory" and memory.host_bytes:
            rows.append(("System memory", gib(memory.host_bytes), ""))
    if estimate.decode is not None:
        rows.append(("Offload", percent(estimate.placement.offload_fraction), _placement_words(fit)))
    return rows


def _placement_words(fit: FitRecord) -> str:
    placement = fit.cell.placement
    if placement.strategy is Strategy.EXPERT_OFFLOAD:
        return f"experts of {placement.cpu_moe_layers} layers in system memory"
    if placement.strategy is Strategy.LAYER_OFFLOAD:
        return f"{placement.gpu_layers} layers on the device"
    if placement.strategy is Strategy.CPU_ONLY:
        return "runs on the CPU"
    return "everything on the device"


def memory_bar(fit: FitRecord, held_in: str) -> dict[str, Any] | None:
    """The parts of the memory as a bar; None for an unsupported fit."""
    if not fit.is_supported:
        return None
    memory = fit.estimate.memory
    total, usable = memory.total_bytes, memory.usable_bytes
    scale = _BAR / max(total, usable, 1)
    parts, x = [], 0.0
    for key, name, count in (
        ("weights", "Weights", memory.weights_bytes),
        ("cache", "KV cache and state", memory.kv_cache_bytes),
        ("compute", "Compute buffers", memory.compute_bytes),
        ("overhead", "Engine and driver", memory.overhead_bytes),
    ):
        width = count * scale
        parts.append(
            {"key": key, "name": name, "bytes": count, "text": gib(count), "x": f"{x:.1f}", "width": f"{width:.1f}"}
        )
        x += width
    return {
        "parts": parts,
        "usable_x": f"{min(usable * scale, _BAR - 2):.1f}",
        "label": f"{gib(total)} of {gib(usable)} usable"
        if total <= usable
        else f"{gib(total)} needed, {gib(usable)} usable",
        "caption": f"{first_upper(held_in)} for {fit.estimate.context_tokens:,} tokens of context",
        "total": gib(total),
        "total_name": "Total on the device" if held_in == "device memory" else "Total",
        "host_name": "System memory" if held_in == "device memory" else "Further buffers",
        "total_bytes": total,
        "host": gib(memory.host_bytes),
        "host_bytes": memory.host_bytes,
    }


def demo(fit: FitRecord) -> dict[str, Any] | None:
    """The wait and the speed of the demonstration; None where one of them is unknown."""
    decode, ttft_ms = fit.estimate.decode, fit.estimate.ttft_ms
    if decode is None or ttft_ms is None:
        return None
    answer_tokens = fit.workload.spec.output_tokens
    speed = decode.value
    return {
        "wait": duration(ttft_ms),
        "pace": pace(speed),
        "answer": f"an answer of {answer_tokens:,} tokens takes {duration(answer_tokens / speed * 1000)} more.",
        "ttft_ms": f"{ttft_ms:.0f}",
        "tok_s": f"{speed:.2f}",
    }
