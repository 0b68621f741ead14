"""The estimate of a pairing as a readable card in the terminal."""

from __future__ import annotations

from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from api.answers.explained import Explained
from api.answers.pairing import Pairing
from api.answers.questions import Answer
from estimator.advice.commands import commands, missing_commands
from estimator.fit_facts import FitFacts
from estimator.types import Estimate, MemoryParts, Speed
from estimator.usability import Usability
from estimator.verdict import word_of

GIB = 1024**3
_MOST_ADVICE = 4
_COLOURS = {Usability.YES: "green", Usability.SLOWLY: "yellow", Usability.BARELY: "red", Usability.NO: "red"}


def render_card(pairing: Pairing, explanation: Explained, console: Console | None = None) -> None:
    """Print the card of ``pairing``: verdict, memory, speeds, workloads, quants, limits, advice and how to start it."""
    out = console or Console()
    chosen = pairing.chosen
    quant = pairing.quants[pairing.chosen_quant]
    title = (
        f"{pairing.model_name} · {quant.name} on {pairing.gpu_name} · {pairing.workloads[pairing.chosen_workload].name}"
    )
    colour = _COLOURS[word_of(chosen.score)]
    status = chosen.status.value.replace("_", " ").lower()
    verdict = f"[bold {colour}]{explanation.headline}[/] · {status} · grade [bold]{chosen.grade}[/] ({chosen.score:.0f} of 100)"
    out.print(Panel(Group(verdict, _facts(chosen), *map(Text, pairing.notes)), title=title, expand=False))
    out.print(
        _table(
            "Workload",
            [
                (workload.name, pairing.estimate(pairing.chosen_quant, w))
                for w, workload in enumerate(pairing.workloads)
            ],
        )
    )
    best = pairing.recommended(pairing.chosen_workload)
    known = pairing.block.has_weights
    rows = [
        (
            pairing.quants[q].name + (" ★" if q == best else "") + ("" if known[q] else " °"),
            pairing.estimate(q, pairing.chosen_workload),
        )
        for q in pairing.runnable()
    ]
    out.print(_table("Quantization", rows))
    if not all(known[q] for q in pairing.runnable()):
        out.print("[dim]° no published weights of this model in this quantization are known[/]")
    for title, lines in (
        ("What limits it", explanation.limits),
        ("What would help", explanation.advice[:_MOST_ADVICE]),
    ):
        if lines:
            out.print(f"[bold]{title}[/]")
            for line in lines:
                out.print(Padding(Text(f"- {line.message}"), (0, 0, 0, 2)))
    _start_with(pairing.facts, out)


def render_answer(answer: Answer, console: Console | None = None) -> None:
    """Print one free estimate: verdict, memory, speeds, what each device holds and what a draft does."""
    out = console or Console()
    estimate = answer.estimate
    colour = _COLOURS[word_of(estimate.score)]
    status = estimate.status.value.replace("_", " ").lower()
    verdict = f"[bold {colour}]{status}[/] · grade [bold]{estimate.grade}[/] ({estimate.score:.0f} of 100)"
    title = f"{answer.model_slug} · {answer.quant_slug} on {answer.facts.device_name}"
    out.print(Panel(Group(verdict, _facts(estimate), *map(Text, answer.notes)), title=title, expand=False))
    if answer.devices:
        table = Table("Device", "Layers", "Weights", "KV cache", "Compute", "Overhead", "Total", "Usable")
        for load in answer.devices:
            parts = (
                load.weights_bytes, load.kv_cache_bytes, load.compute_bytes, load.overhead_bytes, load.total_bytes,
                load.usable_bytes,
            )  # fmt: skip
            table.add_row(load.accelerator.name, str(load.layers), *map(_gib, parts))
        out.print(table)
    if answer.speculation is not None:
        done = answer.speculation
        out.print(
            f"Draft: {done.tokens_per_step:.2f} tokens a check of {done.check_s * 1000:.1f} ms, "
            f"{1 / done.plain_token_s:,.1f} tok/s without it, {done.speedup:.2f} times that with it"
        )
    if (pool := answer.pool) is not None:
        mend = f"; for all streams: {pool.mend}" if pool.mend else ""
        out.print(
            f"Cache pool: {_gib(pool.pool_bytes)}, {pool.pool_tokens:,} tokens, {pool.requests_at_once:,.2f} requests of "
            f"{answer.estimate.context_tokens:,} tokens at once{mend}"
        )
    _start_with(answer.facts, out)


def _start_with(facts: FitFacts, out: Console) -> None:
    """The likeliest command, or why there is none."""
    for command in commands(facts)[:1]:
        # As it is, to be copied: no frame, no line broken.
        out.print(f"Start it with {command.tool.value}:")
        out.print(Text(command.text), soft_wrap=True)
        return
    for reason in dict.fromkeys(missing.message for missing in missing_commands(facts)):
        out.print(Text(f"No command: {reason}"), soft_wrap=True)


def _facts(estimate: Estimate) -> Table:
    memory, placement = estimate.memory, estimate.placement
    grid = Table.grid(padding=(0, 2))
    engine = (
        f"{estimate.engine.value if estimate.engine else '-'} on {estimate.backend.value if estimate.backend else '-'}"
    )
    rows = [
        ("Memory", f"{_gib(memory.total_bytes)} of {_gib(memory.usable_bytes)} usable"),
        (
            "",
            f"weights {_gib(memory.weights_bytes)}, KV cache {_gib(memory.kv_cache_bytes)}, compute "
            f"{_gib(memory.compute_bytes)}, overhead {_gib(memory.overhead_bytes)}{_extras(memory)}",
        ),
        ("System memory", _gib(memory.host_bytes)),
        (
            "Placement",
            f"{placement.strategy.value.replace('_', ' ').lower()}, {placement.gpu_layers} layers on the GPU, "
            f"experts of {placement.cpu_moe_layers} layers and {placement.offload_fraction:.0%} of the weights in "
            "system memory",
        ),
        ("Decode", speed_text(estimate.decode)),
        ("Prefill", speed_text(estimate.prefill)),
        ("Time to first token", "-" if estimate.ttft_ms is None else f"{estimate.ttft_ms / 1000:.2f} s"),
        ("Safe context", f"{estimate.safe_context_tokens:,} tokens (asked for {estimate.context_tokens:,})"),
        ("Engine", engine),
    ]
    for name, text in rows:
        grid.add_row(f"[dim]{name}[/]", text)
    return grid


def _extras(memory: MemoryParts) -> str:
    text = f", draft {_gib(memory.draft_bytes)}" if memory.draft_bytes else ""
    return text + (f", projector {_gib(memory.projector_bytes)}" if memory.projector_bytes else "")


def speed_text(speed: Speed | None) -> str:
    """A speed with its range and evidence, or a dash."""
    if speed is None:
        return "-"
    return f"{speed.value:,.1f} tok/s ({speed.low:,.1f} to {speed.high:,.1f}, {speed.evidence.value.lower()})"


def _table(name: str, rows: list[tuple[str, Estimate]]) -> Table:
    table = Table(Column(name, no_wrap=True), "Status", box=None, pad_edge=False)
    for figure in ("Memory", "Decode tok/s", "TTFT s", "Safe context"):
        table.add_column(figure, justify="right", no_wrap=figure == "Memory")
    table.add_column("Grade")
    for label, estimate in rows:
        table.add_row(
            label,
            f"[{_COLOURS[word_of(estimate.score)]}]{estimate.status.value.replace('_', ' ').lower()}[/]",
            _gib(estimate.memory.total_bytes),
            "-" if estimate.decode is None else f"{estimate.decode.value:,.1f}",
            "-" if estimate.ttft_ms is None else f"{estimate.ttft_ms / 1000:,.2f}",
            f"{estimate.safe_context_tokens:,}",
            estimate.grade,
        )
    return table


def _gib(count: int) -> str:
    return f"{count / GIB:,.2f} GiB"
