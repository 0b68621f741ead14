"""Intel on Linux: names of the bus, and memory by ``xpu-smi`` where it is installed."""

from __future__ import annotations

from api.machine.description import Gpu
from api.machine.pci import Device
from api.machine.probe import Probe
from api.machine.text import number, parsed


def gpu(probe: Probe, index: int, device: Device) -> Gpu:
    """One device, the ``index``-th of Intel's; ``xpu-smi`` numbers the same ones."""
    known = parsed(probe.command("xpu-smi", "discovery", "-d", str(index), "-j"))
    if not isinstance(known, dict) or known.get("pci_bdf_address") != device.slot:
        return Gpu("intel", (), device.names)
    total, free = (number(str(known.get(f"memory_{kind}_size_byte"))) for kind in ("physical", "free"))
    return Gpu("intel", (), device.names, memory_bytes=total, free_bytes=free)
