"""Models, quantizations and accelerators that may be advised."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from estimator.calibration.capability_prior import ModelTraits
from estimator.calibration.divergence import MOST_BITS
from estimator.calibration.loss import LossTable
from estimator.judgement.capability import Capability
from estimator.judgement.worth import WorthTable, worth_table
from estimator.structure.architecture import ModelArchitecture
from estimator.types import Accelerator, Host, Quant, WorkloadKind

#: Files may have so many times the typical bits per weight of their type.
_MORE_BITS = 1.4


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model with its capability by kind of work."""

    name: str
    traits: ModelTraits
    capability: Mapping[str, Capability]
    architecture: Callable[[], ModelArchitecture]


class ModelPool:
    """Models that may be advised, each in any of ``quants`` that it is published in; base models are left out.

    ``total_b`` and ``active_b`` (models,) are billions of parameters, ``bits`` (quants,) typical bits per weight.
    """

    def __init__(self, models: tuple[Candidate, ...], quants: tuple[Quant, ...]) -> None:
        self.models = tuple(model for model in models if not model.traits.base)
        self.quants = quants
        self.total_b = np.array([model.traits.total_b for model in self.models])
        self.active_b = np.array([model.traits.active_b for model in self.models])
        self.bits = np.array([LossTable.load().typical_bits(quant) for quant in quants])
        self._worth: dict[WorkloadKind, WorthTable] = {}

    def most_worth(self, workload: WorkloadKind) -> WorthTable:
        """Worth of every model in every quantization with as many bits as its files may have; made once a workload."""
        if workload not in self._worth:
            traits = [model.traits for model in self.models]
            trained = np.array([model.native_bits for model in traits])[:, None]
            # A model that was trained in few bits keeps most of them in any file.
            bits = np.where(trained < MOST_BITS, MOST_BITS, self.bits * _MORE_BITS)
            self._worth[workload] = worth_table(workload, traits, self.quants, bits)
        return self._worth[workload]


@dataclass(frozen=True, slots=True)
class Options:
    """Quants, models and accelerators to choose from, and the buyer's limits.

    ``hosts`` are the profiles of the computers around accelerators; none: every accelerator is put into the present one.
    ``quants`` are those in which weights of the present model are known to be had. ``present`` is the present model, None
    where no catalog describes it.
    """

    quants: tuple[Quant, ...] = ()
    accelerators: tuple[Accelerator, ...] = ()
    hosts: tuple[Host, ...] = ()
    models: ModelPool | None = None
    present: Candidate | None = None
    budget_usd: float | None = None
    max_power_w: float | None = None
