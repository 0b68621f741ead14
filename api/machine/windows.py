"""Windows: processor, memory modules and graphics processors, by one PowerShell script that prints JSON."""

from __future__ import annotations

from typing import Any

from api.machine import nvidia
from api.machine.description import Description, Gpu, Memory, Surroundings
from api.machine.engines import tools
from api.machine.modules import of_windows
from api.machine.probe import Probe
from api.machine.text import KIB, listed, parsed

#: ``AdapterRAM`` of the CIM class has 32 bits; the driver's key in the registry has the whole size.
_SCRIPT = (
    "[pscustomobject]@{"
    "os=Get-CimInstance Win32_OperatingSystem|select TotalVisibleMemorySize,FreePhysicalMemory;"
    "computer=Get-CimInstance Win32_ComputerSystem|select Model,HypervisorPresent,NumberOfLogicalProcessors;"
    "cpu=@(Get-CimInstance Win32_Processor|select Name);"
    "memory=@(Get-CimInstance Win32_PhysicalMemory|"
    "select Capacity,ConfiguredClockSpeed,Speed,SMBIOSMemoryType,DataWidth,DeviceLocator,BankLabel);"
    "gpu=@(Get-CimInstance Win32_VideoController|select Name,PNPDeviceID);"
    "driver=@(Get-ItemProperty 'HKLM:\\SYSTEM\\ControlSet001\\Control\\Class\\{4d36e968-e325-11ce-bfc1-08002be10318}\\0*'|"
    "select DriverDesc,'HardwareInformation.qwMemorySize')"
    "}|ConvertTo-Json -Depth 3 -Compress"
)
SCRIPT = ("powershell", "-NoProfile", "-NonInteractive", "-Command", _SCRIPT)
_VENDORS = {"VEN_10DE": "nvidia", "VEN_1002": "amd", "VEN_8086": "intel", "VEN_QCOM": "qualcomm", "QCOM": "qualcomm"}
_VIRTUAL = ("Virtual Machine", "VMware", "VirtualBox", "KVM", "Standard PC")


def describe(probe: Probe) -> Description:
    """The Windows computer; NVIDIA's cards are those of its own program, which tells free memory, too."""
    known = parsed(probe.command(*SCRIPT)) or {}
    system, computer = (next(iter(listed(known.get(key))), {}) for key in ("os", "computer"))
    processor = next((row.get("Name", "").strip() for row in listed(known.get("cpu"))), None)
    modules = of_windows(known.get("memory") or [])
    total, free = (_kib(system.get(key)) for key in ("TotalVisibleMemorySize", "FreePhysicalMemory"))
    model = computer.get("Model")
    sizes = {row.get("DriverDesc"): row.get("HardwareInformation.qwMemorySize") for row in listed(known.get("driver"))}
    cards = nvidia.gpus(probe)
    cards += [
        Gpu(vendor, (row["Name"],), memory_bytes=sizes.get(row["Name"]) or None)
        for row in listed(known.get("gpu"))
        if (vendor := _vendor(row)) is not None and not (vendor == "nvidia" and cards)
    ]
    return Description(
        system="Windows",
        surroundings=Surroundings.VIRTUAL_MACHINE
        if any(word in (model or "") for word in _VIRTUAL)
        else Surroundings.METAL,
        product=model,
        processor=processor,
        cores=computer.get("NumberOfLogicalProcessors"),
        memory=Memory(total, free, modules.type, modules.bus_bits, modules.speed_mt_s),
        gpus=tuple(cards),
        tools=tools(probe),
    )


def _vendor(row: dict[str, Any]) -> str | None:
    place = str(row.get("PNPDeviceID") or "").upper()
    return next((vendor for mark, vendor in _VENDORS.items() if mark in place), None)


def _kib(value: Any) -> int | None:
    return None if value is None else int(value) * KIB
