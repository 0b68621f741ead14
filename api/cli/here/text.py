"""The answer of `fitgraph here` as a table with commands, or as one JSON object."""

from __future__ import annotations

from collections import Counter
from typing import Any

from api.answers.choices.reasons import seconds_text
from api.cli.choices.capabilities import worth_text
from api.cli.choices.recommend import row_json
from api.cli.here.answer import Here
from api.machine.description import Description, Surroundings
from api.machine.text import GIB
from estimator.types import ENGINE_NAMES


def here_json(answer: Here) -> dict[str, Any]:
    """The machine, what was assumed of it, and the models."""
    machine, question = answer.identified.machine, answer.question
    return {
        "detected": _description_json(answer.description),
        "machine": machine.name,
        "gpus": [device.slug for device in machine.devices],
        "free_memory_bytes": answer.identified.free_bytes,
        "host_memory_bytes": machine.host.memory_bytes,
        "host_bandwidth_gbps": round(machine.host.bandwidth_bytes_s / 1e9, 1),
        "notes": list(answer.identified.notes),
        "workload": question.workload.slug,
        "mode": question.mode.value,
        "pick": row_json(machine, answer.best[0]) if answer.best else None,
        "recommendations": [_model_json(answer, at) for at in range(len(answer.rows))],
    }


def _model_json(answer: Here, at: int) -> dict[str, Any]:
    """One model as an object: what ``fitgraph recommend`` says, and its memory and command."""
    row, entry = answer.rows[at], answer.best[at]
    memory = row.plan.estimate.memory
    command = row.command
    return {
        "rank": at + 1,
        **row_json(answer.question.machine, entry),
        "memory_bytes": memory.total_bytes,
        "usable_bytes": memory.usable_bytes,
        "host_bytes": memory.host_bytes,
        "fits_in_free_memory": answer.fits_now(row),
        "command": None
        if command is None
        else {"tool": command.tool.value, "text": command.text, "installed": row.installed},
    }


def _description_json(description: Description) -> dict[str, Any]:
    memory = description.memory
    return {
        "system": description.system,
        "surroundings": description.surroundings.value,
        "product": description.product,
        "processor": description.processor,
        "threads": description.cores,
        "memory": {
            "total_bytes": memory.total_bytes,
            "available_bytes": memory.available_bytes,
            "type": memory.type,
            "channels": memory.channels,
            "speed_mt_s": memory.speed_mt_s,
            "bandwidth_gbps": memory.bandwidth_gbps,
        },
        "gpus": [
            {"name": gpu.name, "vendor": gpu.vendor, "memory_bytes": gpu.memory_bytes, "free_bytes": gpu.free_bytes}
            for gpu in description.gpus
        ],
        "engines": [tool.value for tool in description.tools],
    }


def print_here(answer: Here) -> None:
    """The machine, a table of the models, and under it the command of each."""
    from rich.console import Console

    from api.cli.choices.tables import print_table

    console = Console(highlight=False)
    console = console if console.is_terminal else Console(width=180, highlight=False)
    question = answer.question
    console.print(_machine_line(answer), markup=False)
    for note in answer.identified.notes:
        console.print(f"  {note}", markup=False)
    if not answer.rows:
        console.print(f"{question.machine.name}: no model of the catalog is usable for {question.workload.name}.")
        return
    console.print(f"{question.machine.description}: {question.workload.name}, {question.mode.value}", markup=False)
    print_table(console, _table(answer), ("Engine", "+ host"))
    console.print(
        "! more than is free now. Worth: points of capability left by the quantization, with an "
        "interval of 80 %; ° inherited, ~ predicted."
    )
    for rank, row in enumerate(answer.rows, 1):
        if row.command is not None:
            there = "" if row.installed else f"  (needs {row.command.tool.value})"
            console.print(f"\n{rank}  {row.plan.model_name}{there}", markup=False)
            console.print(row.command.text, markup=False, soft_wrap=True)


def _table(answer: Here) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("", "Model", "Quantization", "Engine"):
        table.add_column(name, no_wrap=True)
    for name in ("Worth", "tok/s", "Memory", "+ host", "Answer"):
        table.add_column(name, justify="right", no_wrap=True)
    for rank, (entry, row) in enumerate(zip(answer.best, answer.rows, strict=True), 1):
        judgement, memory = entry.judgement, row.plan.estimate.memory
        table.add_row(
            str(rank),
            entry.model["name"],
            entry.quant.name,
            ENGINE_NAMES[entry.engine],
            worth_text(judgement),
            f"{judgement.decode_tok_s:.0f}",
            f"{memory.total_bytes / GIB:.1f} GiB{'!' if answer.fits_now(row) is False else ''}",
            f"{memory.host_bytes / GIB:.1f} GiB" if memory.host_bytes >= GIB / 20 else "",
            seconds_text(judgement.answer_s),
        )
    return table


def _machine_line(answer: Here) -> str:
    description = answer.description
    around = description.surroundings
    memory = description.memory
    parts = [description.system if around is Surroundings.METAL else f"{description.system} ({around.value})"]
    parts += dict.fromkeys(name for name in (description.product, description.processor) if name)
    if memory.total_bytes is not None:
        parts.append(f"{memory.total_bytes / GIB:.1f} GiB of memory{_speed(description)}")
    parts += _gpu_texts(answer)
    engines = ", ".join(tool.value for tool in description.tools)
    return f"This machine: {'; '.join(parts)}; engines: {engines or 'none installed'}"


def _speed(description: Description) -> str:
    memory = description.memory
    if memory.bandwidth_gbps is None or memory.channels is None:
        return ""
    return f" ({memory.type or 'memory'} at {memory.speed_mt_s} MT/s, {memory.channels:g} channels of 64 bits)"


def _gpu_texts(answer: Here) -> list[str]:
    """Graphics processors in words, alike ones as one; a board that says nothing of its own is what it was taken as."""
    alike = Counter((gpu.name, gpu.memory_bytes) for gpu in answer.description.gpus)
    if not alike:
        device = answer.identified.machine.devices[0]
        return ["no graphics processor" if device.kind == "cpu" else device.name]
    return [_gpu_text(answer.description, key, count) for key, count in alike.items()]


def _gpu_text(description: Description, key: tuple[str, int | None], count: int) -> str:
    gpus = [gpu for gpu in description.gpus if (gpu.name, gpu.memory_bytes) == key]
    shared = not gpus[0].names and len(gpus[0].sharing) > 1
    name = f"{gpus[0].name}{' or another card of its chip' if shared else ''}"
    name = name if count == 1 else f"{count} x {name}"
    if gpus[0].memory_bytes is None:
        return name
    free = {f"{gpu.free_bytes / GIB:.1f}" for gpu in gpus if gpu.free_bytes is not None}
    return f"{name} ({gpus[0].memory_bytes / GIB:.1f} GiB{f', {min(free, key=float)} free' if free else ''})"
