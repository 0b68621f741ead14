"""The estimate of a pairing as a readable card in the terminal."""

from __future__ import annotations

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table

from api.pairing import Pairing
from estimator.types import Estimate, Speed, Status

GIB = 1024**3
_COLOURS = {
    Status.FITS: "green",
    Status.FITS_TIGHTLY: "yellow",
    Status.FITS_WITH_OFFLOAD: "yellow",
    Status.DOES_NOT_FIT: "red",
    Status.UNSUPPORTED: "red",
}


def render_card(pairing: Pairing, console: Console | None = None) -> None:
    """Print the card of ``pairing``: verdict, memory, speeds, workloads and quants."""
    out = console or Console()
    chosen = pairing.chosen
    workload = pairing.workloads[pairing.chosen_workload]
    quant = pairing.quants[pairing.chosen_quant]
    title = f"{pairing.model_name} · {quant.name} on {pairing.gpu_name} · {workload.name}"
    colour = _COLOURS[chosen.status]
    status = chosen.status.value.replace("_", " ").lower()
    verdict = f"[bold {colour}]{status}[/] · grade [bold]{chosen.grade}[/] ({chosen.score:.0f} of 100)"
    out.print(Panel(Group(verdict, _facts(chosen)), title=title, expand=False))
    out.print(
        _table(
            "Workload",
            [(each.name, pairing.estimate(pairing.chosen_quant, w)) for w, each in enumerate(pairing.workloads)],
        )
    )
    best = pairing.recommended(pairing.chosen_workload)
    rows = [
        (pairing.quants[q].name + (" ★" if q == best else ""), pairing.estimate(q, pairing.chosen_workload))
        for q in pairing.runnable()
    ]
    out.print(_table("Quantization", rows))


def _facts(one: Estimate) -> Table:
    memory, placement = one.memory, one.placement
    grid = Table.grid(padding=(0, 2))
    engine = f"{one.engine.value if one.engine else '-'} on {one.backend.value if one.backend else '-'}"
    rows = [
        ("Memory", f"{_gib(memory.total_bytes)} of {_gib(memory.usable_bytes)} usable"),
        (
            "",
            f"weights {_gib(memory.weights_bytes)}, KV cache {_gib(memory.kv_cache_bytes)}, compute "
            f"{_gib(memory.compute_bytes)}, overhead {_gib(memory.overhead_bytes)}",
        ),
        ("System memory", _gib(memory.host_bytes)),
        (
            "Placement",
            f"{placement.strategy.value.replace('_', ' ').lower()}, {placement.gpu_layers} layers on the GPU, "
            f"experts of {placement.cpu_moe_layers} layers and {placement.offload_fraction:.0%} of the weights in "
            "system memory",
        ),
        ("Decode", speed_text(one.decode)),
        ("Prefill", speed_text(one.prefill)),
        ("Time to first token", "-" if one.ttft_ms is None else f"{one.ttft_ms / 1000:.2f} s"),
        ("Safe context", f"{one.safe_context_tokens:,} tokens (asked for {one.context_tokens:,})"),
        ("Engine", engine),
    ]
    for name, text in rows:
        grid.add_row(f"[dim]{name}[/]", text)
    return grid


def speed_text(speed: Speed | None) -> str:
    """A speed with its range and evidence, or a dash."""
    if speed is None:
        return "-"
    return f"{speed.value:,.1f} tok/s ({speed.low:,.1f} to {speed.high:,.1f}, {speed.evidence.value.lower()})"


def _table(name: str, rows: list[tuple[str, Estimate]]) -> Table:
    table = Table(name, "Status", "Memory", "Decode tok/s", "TTFT s", "Safe context", "Grade")
    for label, one in rows:
        table.add_row(
            label,
            f"[{_COLOURS[one.status]}]{one.status.value.replace('_', ' ').lower()}[/]",
            _gib(one.memory.total_bytes),
            "-" if one.decode is None else f"{one.decode.value:,.1f}",
            "-" if one.ttft_ms is None else f"{one.ttft_ms / 1000:,.2f}",
            f"{one.safe_context_tokens:,}",
            one.grade,
        )
    return table


def _gib(count: int) -> str:
    return f"{count / GIB:,.2f} GiB"
