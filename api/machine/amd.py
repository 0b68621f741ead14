"""AMD on Linux: the amdgpu driver's files, names by device and revision, and ROCm's own program.

``mem_info_vram_*`` is a card's memory, or what the firmware reserves of the computer's for a graphics processor beside the
cores; ``mem_info_gtt_total`` is what it may map beside that (kernel documentation, "AMDGPU Driver Information").
"""

from __future__ import annotations

from api.machine.description import Gpu
from api.machine.pci import Device
from api.machine.probe import Probe
from api.machine.text import number, parsed

#: Table of libdrm: device, revision, product.
_NAMES = "/usr/share/libdrm/amdgpu.ids"
ROCM = ("rocm-smi", "--showproductname", "--showmeminfo", "vram", "--json")


def gpu(probe: Probe, device: Device, processor: str | None) -> Gpu:
    """One device: named by libdrm's table, by ROCm, by the bus, or by the processor that it is part of."""
    folder = f"/sys/bus/pci/devices/{device.slot}"
    total, used, shared = (
        number(probe.file(f"{folder}/{name}"))
        for name in ("mem_info_vram_total", "mem_info_vram_used", "mem_info_gtt_total")
    )
    names = [_by_revision(probe, device)]
    if processor is not None and "radeon" in processor.casefold():
        names.append(processor)
    free = None if total is None or used is None else total - used
    return Gpu("amd", tuple(name for name in names if name), device.names, total, free, shared)


def of_rocm(probe: Probe) -> list[Gpu]:
    """Cards that ROCm lists: all there is in a container without a bus."""
    cards = parsed(probe.command(*ROCM))
    gpus = []
    for _, card in sorted(cards.items()) if isinstance(cards, dict) else []:
        name = card.get("Card Series") or card.get("Card series") or card.get("Card SKU")
        total, used = (number(card.get(f"VRAM Total {part}Memory (B)")) for part in ("", "Used "))
        if name:
            free = None if total is None or used is None else total - used
            gpus.append(Gpu("amd", (name,), memory_bytes=total, free_bytes=free))
    return gpus


def _by_revision(probe: Probe, device: Device) -> str | None:
    for line in (probe.file(_NAMES) or "").splitlines():
        cells = [cell.strip() for cell in line.split(",", 2)]
        if len(cells) == 3 and (cells[0].casefold(), cells[1].casefold()) == (device.device, device.revision):
            return cells[2]
    return None
