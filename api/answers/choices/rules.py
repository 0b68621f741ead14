"""Rules for the choices on every machine of the catalog, with a count of the breaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from db.entries import specs
from db.entries.files import Catalog
from db.entries.traits import model_traits
from estimator import verdict
from estimator.calibration.capability_prior import ModelTraits
from estimator.calibration.coefficients import Calibration
from estimator.grid import FitBlock, evaluate_block
from estimator.judgement.choice import frontier
from estimator.judgement.setups import Pace, Setups, usable_setups
from estimator.judgement.worth import worth_table
from estimator.placement.hosts import host_for
from estimator.quant_choice import customary, drawbacks, unpaged_points
from estimator.structure.checkpoints import is_offered
from estimator.types import OperatingMode, Quant, Workload

#: Bits per weight of weights that are called sixteen-bit, and how much faster eight-bit ones make them a wrong choice.
_SIXTEEN_BITS, _FASTER = 15.0, 1.15


@dataclass(frozen=True, slots=True)
class Broken:
    """Counts over ``questions``: machines times workloads. ``chosen`` setups, one a usable model of each.

    ``sixteen_bits`` were chosen where eight-bit weights run and are noticeably faster; ``unusable`` miss a bound of their
    workload; ``dominated`` stand on a frontier beside one that is as good and as fast, and better in one.
    """

    questions: int = 0
    chosen: int = 0
    sixteen_bits: int = 0
    unusable: int = 0
    dominated: int = 0

    def plus(self, other: Broken) -> Broken:
        """Both counts together."""
        return Broken(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


def broken_rules(catalog: Catalog, calibration: Calibration) -> Broken:
    """The rules on every accelerator of the catalog, for every workload in the balanced mode."""
    devices = [specs.accelerator(entry) for entry in catalog.gpus.values() if not specs.missing_facts(entry)]
    profiles = [specs.host(entry) for entry in catalog.hosts.values()]
    quants = [specs.quant(entry) for entry in catalog.quants.values() if specs.is_precomputed(entry)]
    workloads = [specs.workload(entry) for entry in catalog.workloads.values()]
    traits = model_traits(catalog)
    slugs = [slug for slug, entry in catalog.models.items() if not specs.missing_facts(entry) and not traits[slug].base]
    models = [specs.architecture(catalog.models[slug]) for slug in slugs]
    hosts = [host_for(device, profiles) for device in devices]
    fits = _fits(
        (evaluate_block(model, devices, quants, workloads, hosts, calibration) for model in models),
        np.array([[is_offered(quant, model) for quant in quants] for model in models]),
    )
    counted = Broken()
    for question in _judged(fits, [traits[slug] for slug in slugs], quants, workloads, unpaged_points(quants, devices)):
        counted = counted.plus(_count(*question))
    return counted


@dataclass(frozen=True, slots=True)
class _Fits:
    """Figures of blocks that the choices read: arrays (models, accelerators, quants, workloads), ``bits`` (models, quants)."""

    runs: NDArray[np.bool_]
    status: NDArray[np.uint8]
    decode_tok_s: NDArray[np.float32]
    ttft_ms: NDArray[np.float32]
    bits: NDArray[np.float64]


def _fits(blocks: Iterable[FitBlock], offered: NDArray[np.bool_]) -> _Fits:
    """``offered`` (models, quants)."""
    rows = [
        (
            (block.available & known)[:, :, None] & (block.status < verdict.DOES_NOT_FIT),
            block.status, block.decode_tok_s, block.ttft_ms, block.bits_per_weight,
        )
        for block, known in zip(blocks, offered, strict=True)
    ]  # fmt: skip
    return _Fits(*map(np.array, zip(*rows, strict=True)))


def _judged(
    fits: _Fits,
    traits: Sequence[ModelTraits],
    quants: Sequence[Quant],
    workloads: Sequence[Workload],
    unpaged: NDArray[np.float64],
) -> Iterator[tuple[Setups, NDArray[np.int64], Pace, Workload]]:
    """Setups of every machine and workload, and the chosen ones; ``unpaged`` (accelerators, quants)."""
    custom, recency = np.array([customary(quant) for quant in quants]), np.array([model.released for model in traits])
    mixtures = np.array([[model.is_mixture] for model in traits])
    for s, workload in enumerate(workloads):
        table = worth_table(workload.kind, traits, quants, fits.bits)
        for g in range(fits.runs.shape[1]):
            decode, wait = (np.asarray(figure[:, g, :, s], np.float64) for figure in (fits.decode_tok_s, fits.ttft_ms))
            tight, offloaded = (
                fits.status[:, g, :, s] == status for status in (verdict.FITS_TIGHTLY, verdict.FITS_WITH_OFFLOAD)
            )
            charges = drawbacks(tight, offloaded, unpaged[g], mixtures)
            pace = Pace(fits.runs[:, g, :, s], tight, offloaded, decode, wait, fits.bits, charges)
            setups = usable_setups(table, pace, workload, OperatingMode.BALANCED)
            yield setups, setups.best(recency, custom), pace, workload


def _count(setups: Setups, chosen: NDArray[np.int64], pace: Pace, workload: Workload) -> Broken:
    model, quant, seconds = setups.model[chosen], setups.quant[chosen], setups.seconds[chosen]
    decode, wait = pace.decode_tok_s[model, quant], pace.ttft_ms[model, quant]
    unusable = (
        (decode < workload.minimum_decode_tok_s)
        | (wait > workload.usable_ttft_ms)
        | (seconds > workload.usable_answer_s)
    )
    eight = pace.runs & (pace.bits_per_weight >= 8.0) & (pace.bits_per_weight < _SIXTEEN_BITS)
    fastest = np.where(eight, pace.decode_tok_s, 0.0).max(axis=1, initial=0.0)
    sixteen = pace.bits_per_weight[model, quant] >= _SIXTEEN_BITS
    leading = chosen[frontier(setups.worth[chosen], seconds)]
    worth, time = setups.worth[leading, None], setups.seconds[leading, None]
    no_worse = (setups.worth[chosen] >= worth) & (seconds <= time)
    better = (setups.worth[chosen] > worth) | (seconds < time)
    return Broken(
        questions=1,
        chosen=len(chosen),
        sixteen_bits=int((sixteen & (fastest[model] >= _FASTER * decode)).sum()),
        unusable=int(unusable.sum()),
        dominated=int((no_worse & better).any(axis=1).sum()),
    )
