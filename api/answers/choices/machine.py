"""The machine that a question is about: its accelerators and the computer around them, from catalog names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from api.answers import keys
from api.errors import ErrorCode, QuestionError
from db.entries import specs
from db.entries.files import Catalog
from db.entries.names.meanings import Meaning, UnknownNameError
from estimator.estimate import require_company
from estimator.placement.hosts import host_for
from estimator.types import Accelerator, EstimatorError, Host, MissingFactError, UnsupportedError

MAX_DEVICES = 16
#: Slug of a host that a question changes.
CUSTOM_HOST = "custom"


@dataclass(frozen=True, slots=True)
class Machine:
    """Accelerators, equal or not, in one computer."""

    devices: tuple[Accelerator, ...]
    host: Host

    @classmethod
    def of_equals(cls, accelerator: Accelerator, count: int, host: Host) -> Machine:
        """``count`` of one accelerator. Raises :class:`QuestionError` for more than a question may be about."""
        keys.integer({"gpu_count": count}, "gpu_count")
        return cls((accelerator,) * count, host)

    @property
    def name(self) -> str:
        """As people say it: "2 x RTX 3090"."""
        counts: dict[str, int] = {}
        for device in self.devices:
            counts[device.name] = counts.get(device.name, 0) + 1
        return " + ".join(name if count == 1 else f"{count} x {name}" for name, count in counts.items())

    @property
    def description(self) -> str:
        """The name with the computer around it; one with unified memory is that computer."""
        return f"{self.name} in {self.host.name}" if self.devices[0].has_own_memory else self.name

    @property
    def memory_bytes(self) -> int:
        """All memory that weights could lie in: that of the accelerators, and of the computer beside cards."""
        own = sum(device.memory_bytes or 0 for device in self.devices if device.has_own_memory)
        shared = max(self.devices[0].memory_bytes or 0, self.host.memory_bytes)
        return own + self.host.memory_bytes if own else shared


def resolved(catalog: Catalog, kind: str, text: str) -> str:
    """Slug of a name. Raises :class:`QuestionError`."""
    return meant(catalog, kind, text).slug


def meant(catalog: Catalog, kind: str, text: str) -> Meaning:
    """Meaning of a name. Raises :class:`QuestionError`."""
    try:
        return catalog.meaning(kind, text)
    except UnknownNameError as error:
        raise QuestionError.of(error) from error


def host_with(host: Host, memory_gb: float | None, bandwidth_gbps: float | None) -> Host:
    """``host`` with another memory size (GiB) or memory bandwidth (10^9 bytes per second), and named by it."""
    kind, *known = host.name.split(", ")
    if memory_gb is not None:
        host = replace(host, slug=CUSTOM_HOST, memory_bytes=round(memory_gb * specs.GIB))
        known = [*known[:-1], f"{memory_gb:g} GB"]
    if bandwidth_gbps is not None:
        host = replace(host, slug=CUSTOM_HOST, bandwidth_bytes_s=bandwidth_gbps * 1e9)
        known = [f"memory of {bandwidth_gbps:g} GB/s", *known[-1:]]
    return replace(host, name=", ".join([kind, *known]))


def machine_of(
    catalog: Catalog, gpus: Sequence[str], count: int, host: str | None = None, host_memory_gb: float | None = None
) -> Machine:
    """The machine with ``count`` of each named accelerator.

    Raises:
        QuestionError: a name is unknown, or there is no such machine.
    """
    meanings = [meant(catalog, "gpu", gpu) for gpu in gpus]
    entries = [catalog.gpus[meaning.slug] for meaning in meanings for _ in range(meaning.count or 1)]
    named = [specs.accelerator(entry) for entry in entries]
    if not 1 <= len(named) * count <= MAX_DEVICES:
        raise QuestionError(ErrorCode.BAD_USER_INPUT, f"a machine has 1 to {MAX_DEVICES} accelerators", "gpu")
    devices = tuple(device for device in named for _ in range(count))
    try:
        for entry in entries:
            for fact in specs.missing_facts(entry):
                raise MissingFactError(entry["name"], fact)
        if len(devices) > 1:
            require_company(devices)
    except MissingFactError as error:
        raise QuestionError(ErrorCode.MISSING_FACT, str(error), error.field_name) from error
    except UnsupportedError as error:
        raise QuestionError(ErrorCode.UNSUPPORTED, str(error), "gpu") from error
    except EstimatorError as error:
        raise QuestionError(ErrorCode.BAD_USER_INPUT, str(error), "gpu") from error
    around = (
        host_for(devices[0], [specs.host(entry) for entry in catalog.hosts.values()])
        if host is None
        else specs.host(catalog.hosts[resolved(catalog, "host", host)])
    )
    return Machine(devices, host_with(around, host_memory_gb, None))
