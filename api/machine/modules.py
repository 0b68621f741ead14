"""Memory modules: width and data rate of the populated channels, from the tables of the firmware.

Three systems hand on the same SMBIOS records (DMTF DSP0134, type 17): ``dmidecode`` to root, udev to everyone
(systemd 248 and later), Windows by CIM. The channel is part of a free text that board makers write.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.machine.probe import Probe
from api.machine.text import fields, listed, number

#: The width of a module whose record does not state one.
_MODULE_BITS = 64
_CONTROLLER = re.compile(r"(?:controller|node)[ _]?(\d+)", re.IGNORECASE)
#: Forms of a channel, the most explicit first: "CHANNEL A", "DIMM_A1", "A1".
_CHANNELS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (r"channel[ _-]?([a-p0-9])", r"dimm[ _]?([a-p])[ _]?\d?\b", r"\b([a-h])\d\b")
)
#: SMBIOS memory types that Windows gives as numbers.
_TYPES = {20: "DDR", 21: "DDR2", 24: "DDR3", 26: "DDR4", 27: "LPDDR", 28: "LPDDR2", 29: "LPDDR3", 30: "LPDDR4", 34: "DDR5",
          35: "LPDDR5"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Module:
    """A populated module or soldered chip. ``channel`` is None when its place does not name one."""

    type: str | None
    speed_mt_s: int | None
    bits: int
    channel: str | None


@dataclass(frozen=True, slots=True)
class Channels:
    """Type, width and data rate of all channels together; None where the records do not tell."""

    type: str | None = None
    bus_bits: int | None = None
    speed_mt_s: int | None = None


def channels_of(probe: Probe) -> Channels:
    """The populated channels of a machine."""
    modules = (
        _of_dmidecode(probe.command("dmidecode", "-t", "memory")) or _of_udev(probe.file("/run/udev/data/+dmi:id"))
        if probe.system == "Linux"
        else []
    )
    return together(modules)


def together(modules: list[Module]) -> Channels:
    """Modules as one: a channel counts once, the slowest module sets the rate; modules without a channel leave the width open."""
    if not modules:
        return Channels()
    speeds = [module.speed_mt_s for module in modules if module.speed_mt_s]
    widths: dict[str | None, int] = {}
    for module in modules:
        widths[module.channel] = max(widths.get(module.channel, 0), module.bits)
    if len(modules) == 1:
        bits: int | None = modules[0].bits
    else:
        bits = None if None in widths else sum(widths.values())
    return Channels(modules[0].type, bits, min(speeds) if len(speeds) == len(modules) else None)


def _of_dmidecode(text: str | None) -> list[Module]:
    devices = [fields(block) for block in (text or "").split("\n\n") if "\nMemory Device" in "\n" + block]
    return [
        Module(
            _type(device.get("Type")),
            _speed(device.get("Configured Memory Speed")) or _speed(device.get("Speed")),
            number((device.get("Data Width") or "").removesuffix(" bits")) or _MODULE_BITS,
            channel_of(f"{device.get('Bank Locator', '')} {device.get('Locator', '')}"),
        )
        for device in devices
        if number((device.get("Size") or "").split(" ")[0])
    ]


def _of_udev(text: str | None) -> list[Module]:
    known = fields((text or "").replace("E:", ""), "=")
    modules = []
    for n in range(number(known.get("MEMORY_ARRAY_NUM_DEVICES")) or 0):
        device = {key.removeprefix(f"MEMORY_DEVICE_{n}_"): value for key, value in known.items()}
        if number(device.get("SIZE")):
            modules.append(
                Module(
                    _type(device.get("TYPE")),
                    number(device.get("CONFIGURED_SPEED_MTS")) or number(device.get("SPEED_MTS")),
                    number(device.get("DATA_WIDTH")) or _MODULE_BITS,
                    channel_of(f"{device.get('BANK_LOCATOR', '')} {device.get('LOCATOR', '')}"),
                )
            )
    return modules


def of_windows(rows: Any) -> Channels:
    """Channels of the rows of ``Win32_PhysicalMemory``."""
    return together([_of_cim(row) for row in listed(rows) if row.get("Capacity")])


def _of_cim(row: Mapping[str, Any]) -> Module:
    return Module(
        _TYPES.get(row.get("SMBIOSMemoryType") or 0),
        row.get("ConfiguredClockSpeed") or row.get("Speed") or None,
        row.get("DataWidth") or _MODULE_BITS,
        channel_of(f"{row.get('BankLabel') or ''} {row.get('DeviceLocator') or ''}"),
    )


def channel_of(place: str) -> str | None:
    """The controller and channel that a module's place names, as "0 A"; None when it names none."""
    channel = next((match[1].upper() for form in _CHANNELS if (match := form.search(place))), None)
    controller = _CONTROLLER.search(place)
    return channel if channel is None or controller is None else f"{controller[1]} {channel}"


def _type(text: str | None) -> str | None:
    return text if text and text not in ("Unknown", "Other", "RAM", "DRAM") else None


def _speed(text: str | None) -> int | None:
    return number((text or "").split(" ")[0])
