"""Hardware that is worth buying, of the class of the present machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import StrEnum

import numpy as np

from estimator.advice.amounts import gib
from estimator.advice.gains import SWITCHING_POINTS, Tried, improves, meets_use
from estimator.advice.options import Options
from estimator.advice.search import Advice, AdviceCode, Search
from estimator.estimate import cell_of, situation_of_request, sweep
from estimator.fit_facts import FitFacts
from estimator.placement.hardware import can_replace
from estimator.placement.hosts import host_for
from estimator.types import STATUSES, Accelerator, EstimateRequest, Host, Status
from estimator.usability import comfortable_seconds

#: Sizes of system memory that are tried, in multiples of the present one.
_LARGER_HOSTS = (2, 4)


#: Hardware that is bought for a use may leave so many times the comfortable time of an answer.
_BOUGHT_FACTOR = 1.4


class UpgradeGoal(StrEnum):
    """The aim in which a named upgrade is the best."""

    CHEAPEST = "cheapest at its launch price"
    SAME_VENDOR = "smallest of the same vendor"
    LEAST_POWER = "lowest power"


def hardware(search: Search) -> list[Advice]:
    """More system memory, one more accelerator, or others in its place; nothing where the use is comfortable already."""
    if meets_use(search.facts, search.facts.estimate):
        return []
    return [*_more_host_memory(search), *_second_gpu(search), *_best_upgrades(search)]


def _more_host_memory(search: Search) -> Iterator[Advice]:
    """The least system memory that helps enough; processor and bandwidth stay."""
    request, host = search.facts.request, search.facts.request.host
    if host is None or search.facts.accelerator.unified_memory:
        return
    for times in _LARGER_HOSTS:
        memory_bytes = times * host.memory_bytes
        tried = search.better(replace(request, host=replace(host, memory_bytes=memory_bytes)), SWITCHING_POINTS)
        if tried is not None:
            text = f"use {gib(memory_bytes)} of system memory"
            yield search.advice(AdviceCode.MORE_HOST_MEMORY, text, tried, memory_bytes=memory_bytes)
            return


def _second_gpu(search: Search) -> Iterator[Advice]:
    facts, options, device = search.facts, search.options, search.facts.accelerator
    if device.comes_alone:
        return
    if options.budget_usd is not None and (device.msrp_usd is None or device.msrp_usd > options.budget_usd):
        return
    count = facts.request.gpu_count
    if options.max_power_w is not None and (device.tdp_w is None or device.tdp_w * (count + 1) > options.max_power_w):
        return
    tried = search.better(replace(facts.request, gpu_count=count + 1), SWITCHING_POINTS)
    if tried is not None:
        text = f"add a {'second' if count == 1 else 'further'} {device.name}"
        yield search.advice(AdviceCode.SECOND_GPU, text, tried, gpu=device.name, count=count + 1)


def _best_upgrades(search: Search) -> Iterator[Advice]:
    """Per goal the best accelerator; one that is the best in several is named once."""
    named: set[str] = set()
    for goal, (device, tried) in upgrades(search).items():
        if device.slug in named:
            continue
        named.add(device.slug)
        price = f", ${device.msrp_usd:,.0f} at launch" if device.msrp_usd is not None else ""
        article = "one " if search.facts.request.gpu_count > 1 else ""
        text = f"change to {article}{device.name} ({goal.value}{price})"
        yield search.advice(
            AdviceCode.GPU_UPGRADE, text, tried, gpu=device.name, goal=goal.name, launch_usd=device.msrp_usd
        )


def upgrades(search: Search) -> dict[UpgradeGoal, tuple[Accelerator, Tried]]:
    """Per goal the best accelerator that holds everything, is worth buying for the use, and keeps to the limits.

    Searched are those that can take the present one's place (:func:`estimator.placement.hardware.can_replace`).

    Cheapest by launch price; same vendor by memory, then by name; least power by design power. Devices whose price or
    power is unknown never win by it.
    """
    good = _worth_buying(search)
    out: dict[UpgradeGoal, tuple[Accelerator, Tried]] = {}
    priced = [upgrade for upgrade in good if upgrade[0].msrp_usd is not None]
    powered = [upgrade for upgrade in good if upgrade[0].tdp_w is not None]
    own = [upgrade for upgrade in good if upgrade[0].vendor == search.facts.accelerator.vendor]
    if priced:
        out[UpgradeGoal.CHEAPEST] = min(priced, key=lambda upgrade: (upgrade[0].msrp_usd or 0.0, *_rest(upgrade)))
    if own:
        out[UpgradeGoal.SAME_VENDOR] = min(
            own,
            key=lambda upgrade: (upgrade[0].memory_bytes or 0, upgrade[0].bandwidth_bytes_s or 0.0, upgrade[0].slug),
        )
    if powered:
        out[UpgradeGoal.LEAST_POWER] = min(powered, key=lambda upgrade: (upgrade[0].tdp_w or 0.0, *_rest(upgrade)))
    return out


def _rest(upgrade: tuple[Accelerator, Tried]) -> tuple[float, str]:
    device, tried = upgrade
    return -tried.standing.rating_points, device.slug


def _worth_buying(search: Search) -> list[tuple[Accelerator, Tried]]:
    facts, present = search.facts, search.facts.accelerator
    devices = tuple(
        device
        for device in search.options.accelerators
        if device.slug != present.slug
        and can_replace(present, device)
        and device.bandwidth_bytes_s is not None
        and device.memory_bytes is not None
        and (device.matrix_flops is not None or device.fp32_flops is not None)
        and _affordable(device, search.options)
    )
    if not devices:
        return []
    request = _request_alone(facts)
    hosts = _hosts(facts, devices, search.options.hosts)
    block = sweep(facts.model, request, devices, (facts.quant,), search.calibration, facts.workload, hosts)
    context = situation_of_request(request, facts.workload).context_tokens
    good: list[tuple[Accelerator, Tried]] = []
    for g in np.flatnonzero(block.available[:, 0] & (block.status[:, 0, 0] <= STATUSES.index(Status.FITS_TIGHTLY))):
        changed = replace(request, accelerator=devices[int(g)], host=hosts[int(g)])
        after = cell_of(block, int(g), 0, 0, context)
        tried = Tried(changed, after, search.standing(changed, after))
        seconds = replace(facts, estimate=after).answer_seconds(search.use)
        nearly_comfortable = seconds <= _BOUGHT_FACTOR * comfortable_seconds(search.use)
        if nearly_comfortable and improves(search.present, tried.standing, SWITCHING_POINTS):
            good.append((devices[int(g)], tried))
    return good


def _request_alone(facts: FitFacts) -> EstimateRequest:
    """The request for one device, free to be planned anew."""
    return replace(
        facts.request, gpu_layers=None, cpu_moe_layers=None, backend=None, gpu_count=1, wired_limit_bytes=None
    )


def _hosts(facts: FitFacts, devices: Sequence[Accelerator], profiles: Sequence[Host]) -> list[Host]:
    """The computer around each device: its usual one, unless the present setup has a computer of its own."""
    present = facts.request.host
    assert present is not None
    if not profiles or present != host_for(facts.accelerator, profiles):
        return [present] * len(devices)
    return [host_for(device, profiles) for device in devices]


def _affordable(device: Accelerator, options: Options) -> bool:
    if options.budget_usd is not None and (device.msrp_usd is None or device.msrp_usd > options.budget_usd):
        return False
    return options.max_power_w is None or (device.tdp_w is not None and device.tdp_w <= options.max_power_w)
