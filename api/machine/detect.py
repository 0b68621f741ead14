"""The machine in front: asked by its own system, described in one record."""

from __future__ import annotations

from api.errors import ErrorCode, QuestionError
from api.machine import amd, apple, intel, linux, nvidia, pci, windows
from api.machine.description import Description, Gpu, Surroundings
from api.machine.engines import tools
from api.machine.probe import Probe, ThisMachine

#: Commands of each system that are started together, as each takes up to half a second.
_COMMANDS = {
    "Linux": (nvidia.QUERY, pci.LSPCI, ("dmidecode", "-t", "memory")),
    "Darwin": (apple.PROFILE, apple.SYSCTL, apple.VM_STAT),
    "Windows": (windows.SCRIPT, nvidia.QUERY),
}


def this_machine() -> ThisMachine:
    """A probe of this machine whose commands are running already."""
    probe = ThisMachine()
    probe.start(*_COMMANDS.get(probe.system, ()))
    return probe


def describe(probe: Probe) -> Description:
    """A machine by its own statements.

    Raises:
        QuestionError: nothing is known of its system.
    """
    if probe.system == "Darwin":
        return apple.describe(probe)
    if probe.system == "Windows":
        return windows.describe(probe)
    if probe.system == "Linux":
        return _linux(probe)
    raise QuestionError(
        ErrorCode.UNSUPPORTED,
        f"a machine that runs {probe.system or 'an unnamed system'} cannot be detected; Linux, macOS and Windows can. State it "
        "with --gpu and --host-memory-gb",
        "gpu",
    )


def _linux(probe: Probe) -> Description:
    around = linux.surroundings(probe)
    processor, threads = linux.processor(probe)
    devices = pci.devices(probe)
    of = {
        vendor: [device for device in devices if pci.VENDORS[device.vendor] == vendor]
        for vendor in pci.VENDORS.values()
    }
    cards, remarks = nvidia.gpus(probe), []
    if of["nvidia"] and not cards:
        remarks.append(
            "An NVIDIA card is on the bus, and its driver does not answer: install it, so that nvidia-smi runs."
        )
        cards = [Gpu("nvidia", (), device.names) for device in of["nvidia"]]
    cards += [amd.gpu(probe, device, processor) for device in of["amd"]] or amd.of_rocm(probe)
    cards += [intel.gpu(probe, n, device) for n, device in enumerate(of["intel"])]
    if not cards and around is Surroundings.CONTAINER:
        remarks.append(
            "No device is passed into this container: start it with --gpus all (NVIDIA) or --device /dev/dri."
        )
    if not cards and around is Surroundings.WSL:
        remarks.append("No graphics card is seen through WSL: install the current driver of the card in Windows.")
    return Description(
        system="Linux",
        surroundings=around,
        product=linux.product(probe),
        processor=processor,
        cores=threads,
        memory=linux.memory(probe),
        gpus=tuple(cards),
        tools=tools(probe),
        remarks=tuple(remarks),
    )
