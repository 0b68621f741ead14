"""Accelerators that are worth buying in place of the present one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from estimator.advice.gains import meets_use, worth_buying
from estimator.calibration.coefficients import Calibration
from estimator.estimate import cell_of, situation_of_request, sweep
from estimator.fit_facts import FitFacts
from estimator.grid import FitBlock
from estimator.placement.hardware import can_replace
from estimator.types import STATUSES, Accelerator, Estimate, EstimateRequest, Host, Quant, Status


class UpgradeGoal(StrEnum):
    """What a named upgrade is the best in."""

    CHEAPEST = "cheapest at its launch price"
    SAME_VENDOR = "smallest of the same vendor"
    LEAST_POWER = "lowest power"


@dataclass(frozen=True, slots=True)
class Options:
    """What may be advised: quants, accelerators and hosts to choose from, and the buyer's limits."""

    quants: tuple[Quant, ...] = ()
    accelerators: tuple[Accelerator, ...] = ()
    hosts: tuple[Host, ...] = ()
    budget_usd: float | None = None
    max_power_w: float | None = None


def upgrades(
    facts: FitFacts, calibration: Calibration, options: Options
) -> dict[UpgradeGoal, tuple[Accelerator, Estimate]]:
    """Per goal the best of ``options.accelerators``: it meets the use, is worth buying, and respects the limits.

    Searched are those that can take the present one's place (:func:`estimator.placement.hardware.can_replace`).

    Cheapest by launch price; same vendor by memory, then by name; least power by design power. Devices whose price or
    power is unknown never win by it.
    """
    present = facts.accelerator
    devices = tuple(each for each in options.accelerators if each.slug != present.slug and can_replace(present, each))
    devices = tuple(each for each in devices if each.bandwidth_bytes_s is not None and each.memory_bytes is not None)
    devices = tuple(each for each in devices if each.matrix_flops is not None or each.fp32_flops is not None)
    if not devices:
        return {}
    request = request_alone(facts)
    block = sweep(facts.model, request, devices, (facts.quant,), calibration, facts.workload)
    good: list[tuple[Accelerator, Estimate]] = []
    for g in np.flatnonzero(block.available[:, 0] & (block.status[:, 0, 0] <= STATUSES.index(Status.FITS_TIGHTLY))):
        device = devices[int(g)]
        if not _affordable(device, options):
            continue
        after = cell_estimate(facts, block, replace(request, accelerator=device), int(g), 0)
        if meets_use(facts, after) and worth_buying(facts.estimate, after):
            good.append((device, after))
    out: dict[UpgradeGoal, tuple[Accelerator, Estimate]] = {}
    priced = [each for each in good if each[0].msrp_usd is not None]
    powered = [each for each in good if each[0].tdp_w is not None]
    own = [each for each in good if each[0].vendor == facts.accelerator.vendor]
    if priced:
        out[UpgradeGoal.CHEAPEST] = min(
            priced, key=lambda each: (each[0].msrp_usd or 0.0, -each[1].score, each[0].slug)
        )
    if own:
        out[UpgradeGoal.SAME_VENDOR] = min(
            own, key=lambda each: (each[0].memory_bytes or 0, each[0].bandwidth_bytes_s or 0.0, each[0].slug)
        )
    if powered:
        out[UpgradeGoal.LEAST_POWER] = min(
            powered, key=lambda each: (each[0].tdp_w or 0.0, -each[1].score, each[0].slug)
        )
    return out


def request_alone(facts: FitFacts) -> EstimateRequest:
    """The request for one device, free to be planned anew."""
    return replace(facts.request, gpu_layers=None, cpu_moe_layers=None, backend=None, gpu_count=1)


def _affordable(device: Accelerator, options: Options) -> bool:
    if options.budget_usd is not None and (device.msrp_usd is None or device.msrp_usd > options.budget_usd):
        return False
    return options.max_power_w is None or (device.tdp_w is not None and device.tdp_w <= options.max_power_w)


def cell_estimate(facts: FitFacts, block: FitBlock, request: EstimateRequest, g: int, q: int) -> Estimate:
    context = situation_of_request(request, facts.workload).context_tokens
    return cell_of(block, g, q, 0, context, request.host)
