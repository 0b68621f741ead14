"""What many models have with everything on an accelerator beside other users, computed in one go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from api.catalog.records import GpuRecord
from api.catalog.view import CatalogView
from estimator.fleet import Fleet, Overrides, fleet_of
from estimator.placement.demand import Situation, situation_of
from estimator.placement.engines import named_architecture
from estimator.placement.whole import LeastWholeLoads
from estimator.speed.stacked import StackedWork
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.arrays import Flags, Floats, Ints
from estimator.types import Quant

#: Nothing lies in system memory.
WHOLE = Overrides(offloads=False)
#: Places of models, the models, and their work and memory on any device.
_Stacked: TypeAlias = tuple[Ints, list[ModelArchitecture], StackedWork, LeastWholeLoads]


@dataclass(frozen=True, slots=True)
class BesideOthers:
    """Models with everything on an accelerator beside other users, whether they fit or not, arrays (models, quants).

    ``room`` is the part of the memory that is left at most. Of models that are not ``known``, (models,), speeds are NaN and
    the room is infinite.
    """

    known: Flags
    decode_tok_s: Floats
    ttft_ms: Floats
    room: Floats


class Stacks:
    """Models of one view that engines and kernels treat alike."""

    def __init__(self, view: CatalogView, quants: tuple[Quant, ...]) -> None:
        self._view, self._quants = view, quants
        self._work: dict[int, list[_Stacked]] = {}

    def beside_others(self, gpu: GpuRecord, slot: int, situation: Situation) -> BesideOthers:
        """Every model in a situation of several users on an accelerator, as far as many models are computed in one go."""
        shape = len(self._view.models), len(self._quants)
        speeds, ttft_ms = np.full((2, *shape), np.nan)
        known, room = np.zeros(shape[0], dtype=np.bool_), np.full(shape, np.inf)
        if not gpu.missing_facts and slot not in self._work:
            self._work[slot] = [*self._stacked(gpu, slot, is_moe=False), *self._stacked(gpu, slot, is_moe=True)]
        for places, models, work, loads in () if gpu.missing_facts else self._work[slot]:
            fleet = self.fleet(gpu, "", is_moe=models[0].is_moe)
            coefficients = self._view.calibration.stacked(models, fleet.choices)
            speeds[places], ttft_ms[places] = work.speeds(
                situation.batch, coefficients, on_processor=gpu.accelerator.kind == "cpu"
            )
            taken = loads.total(fleet.choices.engine[0], fleet.rig.overhead[0], situation)
            room[places] = 1.0 - taken / fleet.rig.usable[0]
            known[places] = True
        return BesideOthers(known, speeds, ttft_ms, room)

    def _stacked(self, gpu: GpuRecord, slot: int, *, is_moe: bool) -> list[_Stacked]:
        """The models of a kind that engines and kernels treat alike, none or in one stack; alike for any ``gpu``."""
        models = {
            place: architecture
            for place, model in enumerate(self._view.models)
            if not model.missing_facts
            and (architecture := self._view.architecture(model)).is_moe == is_moe
            and not named_architecture(architecture.architecture)
        }
        if not models:
            return []
        situation = situation_of(self._view.workloads[slot].spec)
        rig, stacked = self.fleet(gpu, "", is_moe=is_moe).rig, list(models.values())
        work = StackedWork.of(stacked, self._quants, situation, rig)
        return [
            (np.array(list(models), dtype=np.intp), stacked, work, LeastWholeLoads.of(stacked, self._quants, situation))
        ]

    def fleet(self, gpu: GpuRecord, architecture: str, *, is_moe: bool) -> Fleet:
        """Engines and memory of an accelerator that holds all of a model."""
        machine = (gpu.accelerator,), self._quants, (self._view.host_of(gpu),)
        return fleet_of(architecture, is_moe, *machine, WHOLE)
