"""Targets and limits of a choice, and the smallest setups that reach a target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from estimator import verdict
from estimator.grid import FitBlock
from estimator.quant_choice import needlessly_wide
from estimator.structure.arrays import Flags, Floats
from estimator.types import Accelerator, Workload


class Aim(StrEnum):
    """The aim in which a device is the best for a model."""

    SCORE = "score"
    FASTEST = "fastest"
    CHEAPEST = "cheapest"
    EFFICIENT = "efficient"


@dataclass(frozen=True, slots=True)
class Target:
    """Figures that a setup must reach; None asks for nothing.

    ``users`` are answered at once, with everything on the device: each at ``decode_tok_s``, or at the workload's
    comfortable speed. The wait for the first token is that of one prompt at a time.
    """

    decode_tok_s: float | None = None
    ttft_ms: float | None = None
    context_tokens: int | None = None
    bits_per_weight: float | None = None
    users: int | None = None

    def for_each_user(self, use: Workload) -> Target:
        """The target in the estimates of a batch of all users."""
        if self.users is None:
            return self
        least_tok_s = use.comfortable_decode_tok_s if self.decode_tok_s is None else self.decode_tok_s
        return replace(self, decode_tok_s=least_tok_s)


@dataclass(frozen=True, slots=True)
class Buyer:
    """Limits of a purchase; a device whose price or power is unknown does not meet a limit on it."""

    budget_usd: float | None = None
    max_power_w: float | None = None
    vendors: frozenset[str] | None = None


def reaches(block: FitBlock, workload: int, target: Target) -> Flags:
    """Cells that meet every part of a target, shape (G, Q)."""
    good = np.ones(block.available.shape, dtype=np.bool_)
    if target.decode_tok_s is not None:
        good &= block.decode_tok_s[:, :, workload] >= target.decode_tok_s
    if target.ttft_ms is not None:
        # 0 stands for an unknown time, which reaches nothing.
        wait = block.ttft_ms[:, :, workload]
        good &= (wait > 0) & (wait <= target.ttft_ms)
    if target.context_tokens is not None:
        good &= block.safe_context_tokens[:, :, workload] >= target.context_tokens
    if target.bits_per_weight is not None:
        good &= block.bits_per_weight[None, :] >= target.bits_per_weight
    return good


def fits_whole(block: FitBlock, workload: int) -> Flags:
    """Cells where everything is on the device, shape (G, Q)."""
    return np.asarray(block.available & (block.status[:, :, workload] <= verdict.FITS_TIGHTLY))


def affordable(devices: Sequence[Accelerator], buyer: Buyer, costs: Floats, count: int = 1) -> Flags:
    """Devices of which ``count``, at ``costs`` (G,) together, are within a buyer's limits, shape (G,)."""
    good = np.ones(len(devices), dtype=np.bool_)
    if buyer.budget_usd is not None:
        good &= costs <= buyer.budget_usd
    if buyer.max_power_w is not None:
        good &= count * _known([device.tdp_w for device in devices]) <= buyer.max_power_w
    if buyer.vendors is not None:
        good &= np.array([device.vendor in buyer.vendors for device in devices])
    return good


@dataclass(frozen=True, slots=True)
class Setup:
    """``count`` cards of one device with one quant; price and power are of all cards, None when unknown."""

    gpu: int
    quant: int
    count: int
    price_usd: float | None
    power_w: float | None


def smallest_setups(
    blocks: dict[int, FitBlock],
    workload: int,
    devices: Sequence[Accelerator],
    target: Target,
    buyer: Buyer | None = None,
    startable: Callable[[int, int, int], bool] | None = None,
    *,
    prices: Sequence[float | None],
    most: Sequence[int],
) -> list[Setup]:
    """Setups without offload that reach a target, one a device, smallest first.

    ``blocks`` maps a number of cards to the grid computed with it, and with the target's users as its batch; ``target`` is
    that of each user. ``startable`` tells of a number of cards, a device and a quant whether there is a way to start it;
    one without any is no setup. A device takes the fewest cards that reach the target, at most its ``most``, in the widest
    quant that is not needlessly so. Devices are in order of the price of all cards (``prices`` has that of one; unknown
    last), then power of all cards (unknown last), then memory, then slug.
    """
    setups: dict[int, Setup] = {}
    costs = _known(prices)
    for count in sorted(blocks):
        block = blocks[count]
        good = fits_whole(block, workload) & reaches(block, workload, target)
        good &= affordable(devices, buyer or Buyer(), count * costs, count)[:, None]
        bits = np.broadcast_to(block.bits_per_weight, good.shape)
        good &= ~needlessly_wide(bits, block.decode_tok_s[:, :, workload].astype(np.float64), good)
        widest_first = np.argsort(-block.bits_per_weight, kind="stable")
        for g in map(int, np.flatnonzero(good.any(axis=1))):
            device = devices[g]
            if g in setups or (count > 1 and device.comes_alone) or count > most[g]:
                continue
            reaching = [int(q) for q in widest_first if good[g, q]]
            q = next((q for q in reaching if startable is None or startable(count, g, q)), None)
            if q is not None:
                unit_price = prices[g]
                price = None if unit_price is None else count * unit_price
                power = None if device.tdp_w is None else count * device.tdp_w
                setups[g] = Setup(g, q, count, price, power)

    def key(setup: Setup) -> tuple[float, float, float, str]:
        device = devices[setup.gpu]
        memory = float(device.memory_bytes) if device.memory_bytes is not None else np.inf
        return (
            np.inf if setup.price_usd is None else setup.price_usd,
            np.inf if setup.power_w is None else setup.power_w,
            memory * setup.count,
            device.slug,
        )

    return sorted(setups.values(), key=key)


def _known(values: Sequence[Any]) -> Floats:
    """Values with infinity for what is unknown: it meets no upper limit and sorts last."""
    return np.array([np.inf if value is None else float(value) for value in values], dtype=np.float64)
