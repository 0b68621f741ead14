"""How many people one setup serves at once: the largest batch that fits and still gives each its comfortable speed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from estimator.calibration.coefficients import Calibration
from estimator.estimate import estimate
from estimator.fit_facts import FitFacts
from estimator.types import Estimate, EstimatorError, Status

#: No setup is asked about more streams than this.
MAX_STREAMS = 1024
_JOULES_PER_KWH = 3.6e6
_SECONDS_PER_YEAR = 365.25 * 86_400.0
_WHOLE = (Status.FITS, Status.FITS_TIGHTLY)


@dataclass(frozen=True, slots=True)
class Serving:
    """``streams`` answered at once, each with the workload's context. Speeds in tok/s, energy at design power.

    ``joules_per_token`` is None when the design power is unknown, ``price_usd`` (of all devices, at launch) when the price
    is; both leave the rest of the computer out.
    """

    streams: int
    tok_s_each: float
    tok_s_total: float
    asked_tok_s: float
    joules_per_token: float | None
    price_usd: float | None = None

    def usd_per_million_tokens(self, electricity_usd_per_kwh: float, years: float | None = None) -> float | None:
        """Energy of a million tokens with all streams busy, plus the purchase spread over ``years`` of such use.

        None when the design power, or the price that ``years`` asks about, is unknown.
        """
        if self.joules_per_token is None or (years is not None and self.price_usd is None):
            return None
        energy = 1e6 * self.joules_per_token / _JOULES_PER_KWH * electricity_usd_per_kwh
        if years is None or self.price_usd is None:
            return energy
        return energy + 1e6 * self.price_usd / (years * _SECONDS_PER_YEAR * self.tok_s_total)


def serving(facts: FitFacts, calibration: Calibration) -> Serving | None:
    """The most streams at the workload's comfortable speed; None without a workload or when not even one has it.

    More streams never make one faster and never free memory, so the number is bisected.
    """
    if facts.workload is None:
        return None
    asked = facts.workload.comfortable_decode_tok_s

    def at(streams: int) -> Estimate | None:
        try:
            found = estimate(facts.model, replace(facts.request, batch=streams), calibration, facts.workload)
        except EstimatorError:
            return None
        good = found.status in _WHOLE and found.decode is not None and found.decode.value >= asked
        return found if good else None

    best = at(1)
    if best is None:
        return None
    low, high = 1, 2
    while high <= MAX_STREAMS and (tried := at(high)) is not None:
        low, high, best = high, high * 2, tried
    high = min(high, MAX_STREAMS + 1)
    while high - low > 1:
        middle = (low + high) // 2
        tried = at(middle)
        if tried is None:
            high = middle
        else:
            low, best = middle, tried
    assert best.decode is not None
    total = best.decode.value * low
    device, count = facts.accelerator, facts.request.gpu_count
    joules = None if device.tdp_w is None else device.tdp_w * count / total
    price = None if device.msrp_usd is None else device.msrp_usd * count
    return Serving(low, best.decode.value, total, asked, joules, price)
