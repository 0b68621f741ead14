"""NVIDIA: cards by ``nvidia-smi``, parts of a card (MIG), and boards with one memory (Jetson, GB10).

The driver brings ``nvidia-smi`` on Linux, Windows and WSL. Where a container has the devices but not the program, the
driver's own files name the cards.
"""

from __future__ import annotations

import re

from api.machine.description import Gpu
from api.machine.probe import Probe
from api.machine.text import GIB, MIB, fields, number

QUERY = (
    "nvidia-smi",
    "--query-gpu=index,name,memory.total,memory.free,mig.mode.current",
    "--format=csv,noheader,nounits",
)
LIST = ("nvidia-smi", "-L")
_DRIVER = "/proc/driver/nvidia/gpus"
#: What a virtual card adds to its name: gigabytes and licence (NVIDIA vGPU user guide), as "A40-24Q" and "GRID T4-16Q".
_VIRTUAL = re.compile(r"^GRID |-\d+[ABCQ]$")
_SLICE = re.compile(r"^\s+MIG (?P<compute>\d)g\.(?P<memory>\d+)gb", re.MULTILINE)
#: A whole card has seven slices of its multiprocessors and eight of its memory and its bandwidth (NVIDIA MIG user guide).
_COMPUTE_SLICES, _MEMORY_SLICES = 7, 8


def gpus(probe: Probe) -> list[Gpu]:
    """The cards, a MIG instance in the place of a card that is split; none on a Jetson, which is a board."""
    rows = [[cell.strip() for cell in line.split(",")] for line in (probe.command(*QUERY) or "").splitlines()]
    cards = [row for row in rows if len(row) >= 4 and "nvgpu" not in row[1]]
    if not cards:
        return _of_driver(probe)
    split = any(row[-1] == "Enabled" for row in cards)
    instances = _instances(probe.command(*LIST) or "") if split else {}
    devices: list[Gpu] = []
    for index, name, total, free, *mig in cards:
        names = tuple(dict.fromkeys((name, _VIRTUAL.sub("", name))))
        card = Gpu("nvidia", names, memory_bytes=_mib(total), free_bytes=_mib(free))
        devices += [part_of(card, *sizes) for sizes in instances.get(index, [])] if mig == ["Enabled"] else [card]
    return devices


def part_of(card: Gpu, compute_slices: int, memory_gb: int) -> Gpu:
    """A MIG instance of a card: its slices of multiprocessors, and eighths of memory and bandwidth."""
    total = card.memory_bytes or 0
    slices = round(_MEMORY_SLICES * memory_gb * GIB / total) if total else _MEMORY_SLICES
    share = min(max(slices, 1), _MEMORY_SLICES) / _MEMORY_SLICES
    size = round(total * share)
    return Gpu(
        "nvidia", card.names, memory_bytes=size or None,
        compute_share=min(compute_slices / _COMPUTE_SLICES, 1.0), memory_share=share,
    )  # fmt: skip


def _instances(text: str) -> dict[str, list[tuple[int, int]]]:
    """Index of a card -> compute slices and gigabytes of its instances, from ``nvidia-smi -L``."""
    parts = re.split(r"^GPU (\d+):", text, flags=re.MULTILINE)[1:]
    return {
        index: [(int(match["compute"]), int(match["memory"])) for match in _SLICE.finditer(block)]
        for index, block in zip(parts[::2], parts[1::2], strict=True)
    }


def _of_driver(probe: Probe) -> list[Gpu]:
    texts = [probe.file(f"{_DRIVER}/{slot}/information") for slot in probe.names(_DRIVER)]
    names = [fields(text).get("Model") for text in texts]
    return [Gpu("nvidia", (name,)) for name in names if name]


def _mib(text: str) -> int | None:
    amount = number(text)
    return None if amount is None else amount * MIB
