"""macOS: chip, GPU cores, memory and the limit of what the GPU may use, by ``system_profiler`` and ``sysctl``."""

from __future__ import annotations

import re

from api.machine.description import Description, Gpu, Memory, Surroundings
from api.machine.engines import tools
from api.machine.probe import Probe
from api.machine.text import MIB, amount_bytes, fields, listed, number, parsed

PROFILE = ("system_profiler", "-json", "SPHardwareDataType", "SPDisplaysDataType")
SYSCTL = ("sysctl", "-i", "machdep.cpu.brand_string", "hw.memsize", "hw.ncpu", "iogpu.wired_limit_mb")
VM_STAT = ("vm_stat",)


def describe(probe: Probe) -> Description:
    """The Mac. The memory of an Apple chip is that of its GPU; older Macs have cards of their own."""
    known = fields(probe.command(*SYSCTL))
    profile = parsed(probe.command(*PROFILE)) or {}
    hardware = next(iter(listed(profile.get("SPHardwareDataType", []))), {})
    chip = hardware.get("chip_type") or hardware.get("cpu_type") or known.get("machdep.cpu.brand_string")
    total = number(known.get("hw.memsize")) or amount_bytes(hardware.get("physical_memory"))
    limit = number(known.get("iogpu.wired_limit_mb"))
    displays = listed(profile.get("SPDisplaysDataType", []))
    gpus = [gpu for display in displays if (gpu := _gpu(display, total)) is not None]
    if not gpus and chip and chip.startswith("Apple"):
        gpus = [Gpu("apple", (chip,), memory_bytes=total)]
    return Description(
        system="macOS",
        surroundings=Surroundings.VIRTUAL_MACHINE if "Virtual" in (chip or "") else Surroundings.METAL,
        product=hardware.get("machine_name"),
        processor=chip,
        cores=number(known.get("hw.ncpu")),
        memory=Memory(total, _available(probe.command(*VM_STAT))),
        gpus=tuple(gpus),
        tools=tools(probe),
        wired_limit_bytes=limit * MIB if limit else None,
    )


def _gpu(display: dict[str, str], total: int | None) -> Gpu | None:
    name = display.get("sppci_model") or display.get("_name")
    if not name:
        return None
    if name.startswith("Apple"):
        cores = display.get("sppci_cores")
        return Gpu("apple", (f"{name} {cores}-core GPU" if cores else name,), memory_bytes=total)
    vendor = next((vendor for vendor in ("amd", "intel", "nvidia") if vendor in name.casefold()), "amd")
    own = display.get("spdisplays_vram") or display.get("_spdisplays_vram")
    shared = display.get("spdisplays_vram_shared")
    return Gpu(vendor, (name,), memory_bytes=None if shared else amount_bytes(own))


def _available(text: str | None) -> int | None:
    """Memory that can be had without swapping: free, inactive and speculative pages of ``vm_stat``."""
    page = re.search(r"page size of (\d+) bytes", text or "")
    known = fields(text)
    pages = [number(known.get(f"Pages {kind}", "").rstrip(".")) for kind in ("free", "inactive", "speculative")]
    return None if page is None or None in pages else int(page[1]) * sum(count or 0 for count in pages)
