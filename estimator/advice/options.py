"""Models, quantizations and accelerators that may be advised."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from estimator.calibration.capability_prior import ModelTraits
from estimator.judgement.capability import Capability
from estimator.structure.architecture import ModelArchitecture
from estimator.types import Accelerator, Host, Quant


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model with its capability by kind of work."""

    name: str
    traits: ModelTraits
    capability: Mapping[str, Capability]
    architecture: Callable[[], ModelArchitecture]


@dataclass(frozen=True, slots=True)
class Options:
    """Quants, models and accelerators to choose from, and the buyer's limits.

    ``hosts`` are the profiles of the computers around accelerators; none: every accelerator is put into the present one.
    ``quants`` are those in which weights of the present model are known to be had, ``all_quants`` those of any model.
    ``present`` is the present model, None where no catalog describes it.
    """

    quants: tuple[Quant, ...] = ()
    accelerators: tuple[Accelerator, ...] = ()
    hosts: tuple[Host, ...] = ()
    models: tuple[Candidate, ...] = ()
    all_quants: tuple[Quant, ...] = ()
    present: Candidate | None = None
    budget_usd: float | None = None
    max_power_w: float | None = None
