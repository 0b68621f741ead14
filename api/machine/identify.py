"""From what a machine says of itself to accelerators of the catalog and the computer around them.

Names go through the catalog's one resolver. Where a name fits several entries, the detected memory decides. A fact that
cannot be read is assumed as everywhere else, and ``notes`` say so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from api.answers.choices.machine import Machine, host_with, machine_of
from api.errors import ErrorCode, QuestionError
from api.machine.description import Description, Gpu
from api.machine.text import GIB
from db.entries import specs
from db.entries.files import Catalog, Entry
from db.entries.names.meanings import AmbiguousNameError, UnknownNameError
from estimator.estimate import require_company
from estimator.placement.hardware import with_wired_limit
from estimator.placement.hosts import host_for
from estimator.types import Accelerator, Host, UnsupportedError

#: Drivers report a few percent less than the nominal size; more is another size.
_SAME_SIZE = 0.08
#: A card of its own has at least this much memory; graphics beside the cores are given less, or none.
_LEAST_CARD_BYTES = 2 * GIB
_BOARD_REMARKS = re.compile(
    r"\s*\b(?:engineering reference|developer kit|model [ab]\+?|rev [\d.]+)(?!\w)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Identified:
    """The machine, the memory that is free on it now (None: unknown), and what was assumed or left out."""

    machine: Machine
    free_bytes: int | None
    notes: tuple[str, ...]


def identify(catalog: Catalog, description: Description, *, processor_alone: bool = False) -> Identified:
    """The machine of a description; with ``processor_alone`` its graphics processors are left out.

    Raises:
        QuestionError: a card is not in the catalog, or the size of the memory is unknown where nothing else is known.
    """
    notes = list(description.remarks)
    known: list[tuple[Gpu, Accelerator]] = []
    for gpu in () if processor_alone else description.gpus:
        accelerator = _accelerator(catalog, gpu, description)
        if accelerator is not None:
            known.append((gpu, accelerator))
        elif (gpu.memory_bytes or 0) >= _LEAST_CARD_BYTES:
            raise _unknown_card(catalog, gpu)
        else:
            notes.append(f"{gpu.name} is not in the catalog and is left out.")
    chosen = _together(known, notes)
    processors = _of_processor(catalog, description)
    if chosen:
        devices = tuple(accelerator for _, accelerator in chosen)
        free = _free(description, chosen)
    else:
        board = None if processor_alone else _board(catalog, description)
        devices = (board or _processor(catalog, description, processors, notes),)
        free = description.memory.available_bytes
    host = _host(catalog, description, processors, devices[0], notes)
    return Identified(Machine(devices, host), free, tuple(notes))


def stated(catalog: Catalog, description: Description, gpus: Sequence[str]) -> Identified:
    """The machine with accelerators that a person names in the place of the detected ones.

    Raises:
        QuestionError: a name is unknown, or there is no such machine.
    """
    machine = machine_of(catalog, gpus, 1)
    devices = tuple(with_wired_limit(device, description.wired_limit_bytes) for device in machine.devices)
    # Remarks are on the detection of graphics processors, which nobody asks for here.
    notes: list[str] = []
    host = _host(catalog, description, _of_processor(catalog, description), devices[0], notes)
    free = None if devices[0].has_own_memory else description.memory.available_bytes
    return Identified(Machine(devices, host), free, tuple(notes))


def _accelerator(catalog: Catalog, gpu: Gpu, description: Description) -> Accelerator | None:
    """The entry of a graphics processor, with its detected memory; None when no name is known."""
    entries = _entries(catalog, gpu)
    if not entries:
        return None
    unified, memory = bool(entries[0]["unified_memory"]), description.memory
    reserved = gpu.memory_bytes or 0 if gpu.shared_bytes is not None else 0
    size = (memory.total_bytes or 0) + reserved if unified else gpu.memory_bytes
    accelerator = specs.accelerator(_nearest(entries, size))
    if gpu.compute_share < 1 or gpu.memory_share < 1:
        return _part(accelerator, gpu)
    if unified:
        if gpu.shared_bytes is not None:
            accelerator = replace(accelerator, usable_bytes=reserved + gpu.shared_bytes)
        if accelerator.kind == "integrated" and memory.bandwidth_gbps is not None:
            accelerator = replace(accelerator, bandwidth_bytes_s=memory.bandwidth_gbps * 1e9)
        return with_wired_limit(accelerator, description.wired_limit_bytes)
    if size and accelerator.memory_bytes and abs(size / accelerator.memory_bytes - 1) > _SAME_SIZE:
        return replace(
            accelerator, name=f"{accelerator.name} with {size / GIB:.0f} GB", memory_bytes=size, usable_bytes=None
        )
    return accelerator


def _entries(catalog: Catalog, gpu: Gpu) -> list[Entry]:
    """Entries that a graphics processor may be: those of the first name that means any, else of all that share its chip."""
    for name in gpu.names:
        if entries := _meant(catalog, name):
            return entries
    return [entry for name in gpu.sharing for entry in _meant(catalog, name)]


def _meant(catalog: Catalog, name: str) -> list[Entry]:
    """Entries that a name fits, the likeliest first."""
    try:
        meaning = catalog.meaning("gpu", name)
    except AmbiguousNameError as error:
        return [catalog.gpus[slug] for slug in error.choices]
    except UnknownNameError:
        return []
    return [catalog.gpus[slug] for slug in (meaning.slug, *meaning.choices)]


def _nearest(entries: Sequence[Entry], size: int | None) -> Entry:
    """The first entry whose memory is nearest to ``size`` bytes; the first where either is unknown."""
    if not size:
        return entries[0]

    def distance(entry: Entry) -> float:
        memory = specs.accelerator(entry).memory_bytes
        return 0.0 if memory is None else max(abs(size / memory - 1) - _SAME_SIZE, 0.0)

    return min(entries, key=distance)


def _part(card: Accelerator, gpu: Gpu) -> Accelerator:
    """A slice of a card: a share of its arithmetic, and one of its memory and bandwidth."""

    def scaled(value: float | None, share: float) -> float | None:
        return None if value is None else value * share

    compute, memory = gpu.compute_share, gpu.memory_share
    return replace(
        card,
        name=f"{card.name}, {memory:.0%} of its memory and {compute:.0%} of its cores (MIG)",
        memory_bytes=gpu.memory_bytes,
        usable_bytes=None,
        bandwidth_bytes_s=scaled(card.bandwidth_bytes_s, memory),
        matrix_flops=scaled(card.matrix_flops, compute),
        int8_ops=scaled(card.int8_ops, compute),
        fp8_flops=scaled(card.fp8_flops, compute),
        fp4_flops=scaled(card.fp4_flops, compute),
        fp32_flops=scaled(card.fp32_flops, compute),
        half_flops=scaled(card.half_flops, compute),
        compute_units=None if card.compute_units is None else max(round(card.compute_units * compute), 1),
        last_level_cache_bytes=None
        if card.last_level_cache_bytes is None
        else round(card.last_level_cache_bytes * memory),
        link_bytes_s=None,
    )


def _together(known: Sequence[tuple[Gpu, Accelerator]], notes: list[str]) -> list[tuple[Gpu, Accelerator]]:
    """Those that a model is split over: all cards with memory of their own, else the first that shares the computer's."""
    cards = [pair for pair in known if pair[1].has_own_memory]
    chosen = cards or list(known[:1])
    try:
        if len(chosen) > 1:
            require_company([accelerator for _, accelerator in chosen])
    except UnsupportedError:
        chosen = [max(chosen, key=lambda pair: pair[1].memory_bytes or 0)]
    taken = [accelerator for _, accelerator in chosen]
    left = [accelerator.name for _, accelerator in known if accelerator not in taken]
    if left:
        notes.append(f"{', '.join(left)} is left out: models run on {' and '.join(device.name for device in taken)}.")
    return chosen


def _board(catalog: Catalog, description: Description) -> Accelerator | None:
    """The accelerator that a whole board or computer is named for, as a Jetson or a Raspberry Pi."""
    if description.product is None:
        return None
    name = " ".join(_BOARD_REMARKS.sub(" ", description.product).split())
    entries = [entry for entry in _meant(catalog, name) if entry["unified_memory"]]
    return specs.accelerator(_nearest(entries, description.memory.total_bytes)) if entries else None


def _processor(
    catalog: Catalog, description: Description, processors: Sequence[Entry], notes: list[str]
) -> Accelerator:
    """The entry of the processor's memory, with its detected bandwidth."""
    if description.memory.total_bytes is None:
        raise QuestionError(
            ErrorCode.MISSING_FACT,
            "neither a graphics processor nor the size of the memory could be read; state them with --gpu and --host-memory-gb",
            "gpu",
        )
    bandwidth = _bandwidth_gbps(description, processors)
    own = [entry for entry in processors if entry["kind"] == "cpu"]
    if bandwidth is None:
        own = []
        bandwidth = _assumed_gbps(catalog, notes)
    every = [entry for entry in catalog.gpus.values() if entry["kind"] == "cpu" and entry["vendor"] == "generic"]
    nearest = min(own or every, key=lambda entry: abs(entry["bandwidth_gbps"] - bandwidth))
    return replace(specs.accelerator(nearest), bandwidth_bytes_s=bandwidth * 1e9)


def _of_processor(catalog: Catalog, description: Description) -> list[Entry]:
    """Entries of the memory that the processor takes, of the detected type where it is known.

    None where width and data rate are detected: nothing is left to learn, and the look-up takes a quarter of a second.
    """
    if description.memory.bandwidth_gbps is not None:
        return []
    entries = [] if description.processor is None else _meant(catalog, description.processor)
    kind = description.memory.type
    return [entry for entry in entries if kind is None or (entry["memory_type"] or "").startswith(kind)] or entries


def _bandwidth_gbps(description: Description, processors: Sequence[Entry]) -> float | None:
    """Bandwidth of the computer's memory: as detected, else that which the processor's maker supports where it is one."""
    if description.memory.bandwidth_gbps is not None:
        return description.memory.bandwidth_gbps
    supported = {float(entry["bandwidth_gbps"]) for entry in processors}
    return supported.pop() if len(supported) == 1 else None


def _assumed_gbps(catalog: Catalog, notes: list[str], most: float | None = None) -> float:
    """The bandwidth of a memory that says nothing of itself: the usual desktop's, or ``most`` of a slower computer.

    Most such are virtual machines, and a part of a server is not given all of its channels.
    """
    usual = float(catalog.hosts[catalog.default_host]["bandwidth_gbps"])
    bandwidth = usual if most is None else min(usual, most)
    notes.append(
        f"The speed of the memory could not be read: {bandwidth:g} GB/s is assumed; "
        "state it with --memory-channels and --memory-mt-s."
    )
    return bandwidth


def _host(
    catalog: Catalog, description: Description, processors: Sequence[Entry], device: Accelerator, notes: list[str]
) -> Host:
    """The computer around a device: the profile of its kind with the detected memory."""
    host = host_for(device, [specs.host(entry) for entry in catalog.hosts.values()])
    if device.unified_memory and device.memory_bytes is not None:
        return host
    total = description.memory.total_bytes
    bandwidth = _bandwidth_gbps(description, processors)
    if device.unified_memory and device.bandwidth_bytes_s is not None:
        bandwidth = device.bandwidth_bytes_s / 1e9
    if bandwidth is None:
        bandwidth = _assumed_gbps(catalog, notes, host.bandwidth_bytes_s / 1e9)
    host = host_with(host, None if total is None else total / GIB, bandwidth)
    return replace(
        host, name=f"a computer with {host.memory_bytes / GIB:.0f} GiB at {host.bandwidth_bytes_s / 1e9:.0f} GB/s"
    )


def _free(description: Description, chosen: Sequence[tuple[Gpu, Accelerator]]) -> int | None:
    if not chosen[0][1].has_own_memory:
        return description.memory.available_bytes
    free = [gpu.free_bytes for gpu, _ in chosen]
    return None if None in free else sum(amount or 0 for amount in free)


def _unknown_card(catalog: Catalog, gpu: Gpu) -> QuestionError:
    try:
        catalog.meaning("gpu", gpu.name)
    except UnknownNameError as error:
        nearest = error.suggestions
    else:
        nearest = ()
    hint = f"; the nearest are {', '.join(nearest)}" if nearest else ""
    return QuestionError(
        ErrorCode.NOT_FOUND,
        f"this machine has {gpu.name!r}, which is not in the catalog{hint}. State one with --gpu, or --no-gpu for the processor",
        "gpu",
        tuple(nearest),
    )
