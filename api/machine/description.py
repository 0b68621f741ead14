"""A machine by its own statements, before any name is looked up in the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from estimator.advice.command import Tool


class Surroundings(StrEnum):
    """The container or virtual machine around the system, where it states one."""

    METAL = "bare metal"
    VIRTUAL_MACHINE = "virtual machine"
    CONTAINER = "container"
    WSL = "Windows Subsystem for Linux"


@dataclass(frozen=True, slots=True)
class Gpu:
    """A graphics processor. ``names`` are those that its driver gives, the likeliest first; ``sharing`` are those of all
    that share its chip, as its bus tells them.

    ``memory_bytes`` is its own memory, or what a driver reserves for it of the computer's; ``shared_bytes`` is what it may
    map of the computer's memory beside that. ``compute_share`` and ``memory_share`` are below 1 for a part of a card.
    """

    vendor: str
    names: tuple[str, ...]
    sharing: tuple[str, ...] = ()
    memory_bytes: int | None = None
    free_bytes: int | None = None
    shared_bytes: int | None = None
    compute_share: float = 1.0
    memory_share: float = 1.0

    @property
    def name(self) -> str:
        """The likeliest name."""
        return next(iter((*self.names, *self.sharing)), f"{self.vendor} graphics")


@dataclass(frozen=True, slots=True)
class Memory:
    """The computer's memory. ``bus_bits`` is the width of all populated channels, ``speed_mt_s`` the configured data rate;
    both are None where the system does not tell them."""

    total_bytes: int | None
    available_bytes: int | None = None
    type: str | None = None
    bus_bits: int | None = None
    speed_mt_s: int | None = None

    @property
    def bandwidth_gbps(self) -> float | None:
        """Peak bandwidth, 10^9 bytes per second: width in bytes times data rate."""
        if self.bus_bits is None or self.speed_mt_s is None:
            return None
        return self.bus_bits / 8 * self.speed_mt_s / 1000

    @property
    def channels(self) -> float | None:
        """Populated channels of 64 bits."""
        return None if self.bus_bits is None else self.bus_bits / 64


@dataclass(frozen=True, slots=True)
class Description:
    """A machine: its system, processor, memory, graphics processors and engines. ``product`` is a board's or computer's name.

    ``remarks`` say what could not be read, and how to mend it.
    """

    system: str
    surroundings: Surroundings
    product: str | None
    processor: str | None
    cores: int | None
    memory: Memory
    gpus: tuple[Gpu, ...]
    tools: tuple[Tool, ...]
    wired_limit_bytes: int | None = None
    remarks: tuple[str, ...] = ()
