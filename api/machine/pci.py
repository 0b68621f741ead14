"""Display devices of a Linux machine's bus: vendor, device, and names from the tables that systems bring."""

from __future__ import annotations

import re
from dataclasses import dataclass

from api.machine.probe import Probe

LSPCI = ("lspci", "-Dnn")
VENDORS = {"10de": "nvidia", "1002": "amd", "8086": "intel"}
#: Tables of all devices (https://pci-ids.ucw.cz), where distributions put them.
_TABLES = ("/usr/share/hwdata/pci.ids", "/usr/share/misc/pci.ids")
_BUS = "/sys/bus/pci/devices"
_LINE = re.compile(
    r"^(?P<slot>\S+) (?:VGA compatible controller|3D controller|Display controller) \[03\d\d\]: "
    r"(?P<name>.*) \[(?P<vendor>[0-9a-f]{4}):(?P<device>[0-9a-f]{4})\](?: \(rev (?P<revision>[0-9a-f]{2})\))?",
    re.MULTILINE,
)
_MAKERS = frozenset({"AMD/ATI", "AMD"})
_REMARKS = re.compile(r"\s+Lite Hash Rate")
_LAPTOP = re.compile(r"\s+(?:Max-Q / )?Mobile")
_BRACKETS = re.compile(r"\[([^\]]+)\]")


@dataclass(frozen=True, slots=True)
class Device:
    """A display device. ``names`` are those of all cards that share its chip."""

    slot: str
    vendor: str
    device: str
    revision: str
    names: tuple[str, ...]


def devices(probe: Probe) -> list[Device]:
    """Display devices of known makers in the order of their slots."""
    text = probe.command(*LSPCI)
    if text:
        return [
            Device(match["slot"], match["vendor"], match["device"], match["revision"] or "00", names_of(match["name"]))
            for match in _LINE.finditer(text)
            if match["vendor"] in VENDORS
        ]
    return [device for slot in probe.names(_BUS) if (device := _on_bus(probe, slot)) is not None]


def _on_bus(probe: Probe, slot: str) -> Device | None:
    def fact(name: str) -> str:
        return (probe.file(f"{_BUS}/{slot}/{name}") or "").strip().removeprefix("0x")

    vendor, device = fact("vendor"), fact("device")
    if not fact("class").startswith("03") or vendor not in VENDORS:
        return None
    return Device(slot, vendor, device, fact("revision") or "00", _from_table(probe, vendor, device))


def _from_table(probe: Probe, vendor: str, device: str) -> tuple[str, ...]:
    table = next((text for path in _TABLES if (text := probe.file(path))), "")
    block = re.search(rf"^{vendor}  .*\n((?:[\t#].*\n?)*)", table, re.MULTILINE)
    line = re.search(rf"^\t{device}  (.*)$", block[1], re.MULTILINE) if block else None
    return names_of(line[1]) if line else ()


def names_of(text: str) -> tuple[str, ...]:
    """Names in an entry such as ``Navi 31 [Radeon RX 7900 XT/7900 XTX]``: each of those in brackets, else the entry."""
    inside = [name for name in _BRACKETS.findall(text) if name not in _MAKERS]
    if not inside:
        return (text,)
    name = _LAPTOP.sub(" Laptop", _REMARKS.sub("", inside[-1]))
    first, *others = re.split(r"\s*/\s*", name)
    words = first.split()
    numbered = max((at for at, word in enumerate(words) if re.search(r"\d", word)), default=0)
    return (first, *(_whole(words, numbered, other) for other in others if other))


def _whole(words: list[str], numbered: int, other: str) -> str:
    """The name that ``other`` shortens: a model number ("7900 XTX") or a letter ("XTX") after those words of the first."""
    if not re.search(r"\d", other):
        return " ".join([*words[: numbered + 1], other])
    return " ".join([*words[:numbered], other]) if other[0].isdigit() or " " not in other else other
