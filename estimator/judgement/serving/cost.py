"""Cost of a million tokens of a server: its purchase over the hours of use, and the energy of its work."""

from __future__ import annotations

from dataclasses import dataclass

from estimator.judgement.serving.queueing import Load

_SECONDS_PER_YEAR = 365.25 * 86_400.0
_JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True)
class System:
    """A whole computer: price and power while it works; None for what is unknown.

    It is written off over ``years``, and people are in front of it for the share ``utilisation`` of them, 0 (not included)
    to 1. Idle, it is off.
    """

    price_usd: float | None
    power_w: float | None
    electricity_usd_per_kwh: float
    years: float = 3.0
    utilisation: float = 1.0


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars a million tokens of answers; None for what is unknown."""

    purchase_usd: float | None
    energy_usd: float | None

    @property
    def total_usd(self) -> float | None:
        """Both together; None when one is unknown."""
        if self.purchase_usd is None or self.energy_usd is None:
            return None
        return self.purchase_usd + self.energy_usd


def cost_of(load: Load, system: System) -> Cost:
    """Cost of a million tokens under ``load``."""
    million_s = 1e6 / load.total_tok_s
    purchase = energy = None
    if system.price_usd is not None:
        purchase = system.price_usd * million_s / (system.years * _SECONDS_PER_YEAR * system.utilisation)
    if system.power_w is not None:
        joules = system.power_w * load.working_share * million_s
        energy = joules / _JOULES_PER_KWH * system.electricity_usd_per_kwh
    return Cost(purchase, energy)
