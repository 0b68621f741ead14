"""Linux: processor, memory, product, and what the system runs in."""

from __future__ import annotations

from api.machine.description import Memory, Surroundings
from api.machine.modules import channels_of
from api.machine.probe import Probe
from api.machine.text import KIB, fields, number

#: Vendors of virtual machines in the firmware's table.
_VIRTUAL_VENDORS = (
    "QEMU",
    "VMware",
    "innotek",
    "Xen",
    "Amazon EC2",
    "Google",
    "Microsoft Corporation",
    "KVM",
    "Parallels",
)
#: Limit and use of a container's memory, by both versions of control groups.
_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
#: Placeholders of board makers who did not name their product.
_NO_PRODUCT = frozenset({"", "System Product Name", "To Be Filled By O.E.M.", "Default string", "Not Specified"})


def surroundings(probe: Probe) -> Surroundings:
    """Container before WSL before virtual machine: the innermost is what hides devices."""
    groups = probe.file("/proc/1/cgroup") or ""
    marks = ("/.dockerenv", "/run/.containerenv")
    if any(probe.file(mark) is not None for mark in marks) or "docker" in groups or "kubepods" in groups:
        return Surroundings.CONTAINER
    if "microsoft" in (probe.file("/proc/version") or "").casefold():
        return Surroundings.WSL
    vendor = probe.file("/sys/class/dmi/id/sys_vendor") or ""
    flags = fields(probe.file("/proc/cpuinfo")).get("flags", "").split()
    if "hypervisor" in flags or vendor.startswith(_VIRTUAL_VENDORS):
        return Surroundings.VIRTUAL_MACHINE
    return Surroundings.METAL


def product(probe: Probe) -> str | None:
    """The name of a board or computer: of the device tree, else of the firmware's table."""
    tree = probe.file("/proc/device-tree/model")
    if tree:
        return tree
    name = (probe.file("/sys/class/dmi/id/product_name") or "").strip()
    return None if name in _NO_PRODUCT else name


def processor(probe: Probe) -> tuple[str | None, int | None]:
    """Name of the processor, and how many threads the system sees."""
    text = probe.file("/proc/cpuinfo") or ""
    known = fields(text)
    names = (known.get("model name"), known.get("Model"), known.get("Hardware"))
    threads = sum(line.startswith("processor") for line in text.splitlines())
    return next((name for name in names if name), None), threads or None


def memory(probe: Probe) -> Memory:
    """The memory of the computer, or the part of it that a container may use."""
    known = fields(probe.file("/proc/meminfo"))
    total, available = (_kib(known.get(key)) for key in ("MemTotal", "MemAvailable"))
    limit, used = (_of_group(probe, names) for names in zip(*_GROUPS, strict=True))
    if total is not None and limit is not None and limit < total:
        used = used or 0
        total, available = limit, min(limit - used, available or limit)
    modules = channels_of(probe)
    return Memory(total, available, modules.type, modules.bus_bits, modules.speed_mt_s)


def _of_group(probe: Probe, names: tuple[str, ...]) -> int | None:
    return next((amount for name in names if (amount := number(probe.file(name))) is not None), None)


def _kib(text: str | None) -> int | None:
    amount = number((text or "").removesuffix("kB"))
    return None if amount is None else amount * KIB
