"""Speeds of many models on one device in one go, each with everything on the device.

They are those of :func:`estimator.grid.outline`, whether or not the device holds the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from estimator.placement.demand import Situation, needs
from estimator.placement.layer_sums import model_tables
from estimator.placement.placements import Placed, Rig
from estimator.speed.coefficients import SpeedCoefficients
from estimator.speed.roofline import decode_seconds, prompt_seconds
from estimator.speed.work import DecodeWork, PrefillWork, decode_work, prefill_work
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.arrays import Floats
from estimator.types import Quant


@dataclass(frozen=True, slots=True)
class StackedWork:
    """Work of one stream of each model in each quant, arrays (models, quants) or (models, 1), on any rig of one device.

    ``passed_bytes`` (models, 1) are those that a processor reads beside the others of a step.
    """

    step: DecodeWork
    prompt: PrefillWork
    passed_bytes: Floats

    @classmethod
    def of(
        cls, models: Sequence[ModelArchitecture], quants: tuple[Quant, ...], situation: Situation, rig: Rig
    ) -> StackedWork:
        """The work of one model or more in a situation, whatever its streams."""
        alone, columns = (replace(situation, batch=1),), np.arange(len(quants))
        nothing = np.asarray(0.0)
        steps, prompts, passed_bytes = [], [], []
        rig = replace(rig, is_processor=np.zeros_like(rig.is_processor))
        for model in models:
            tables, need = model_tables(model, quants), needs(model, alone)
            all_on_device = Placed(
                p=columns, g=np.asarray(0), q=columns, s=np.asarray(0), kept=np.asarray(model.n_layers),
                moved=np.asarray(0), output_on_gpu=np.asarray(True), weights=tables.device[columns], on_host=nothing,
                total=nothing, usable=nothing, safe_context=nothing, runs=np.asarray(True),
            )  # fmt: skip
            steps.append(decode_work(model, tables, need, rig, all_on_device))
            prompts.append(prefill_work(model, tables, need, rig, all_on_device))
            passed_bytes.append(need.passed_last[:, -1])
        return cls(DecodeWork(*_stacked(steps)), PrefillWork(*_stacked(prompts)), np.array(passed_bytes))

    def speeds(self, streams: int, coef: SpeedCoefficients, *, on_processor: bool) -> tuple[Floats, Floats]:
        """Tokens a second of each of ``streams``, and milliseconds to the first token, 0 where a device has no known
        arithmetic peak; with the coefficients of a device for these models."""
        kv_bytes = self.step.kv_bytes + on_processor * self.passed_bytes
        several = {"batch": self.step.batch, "kv_bytes": kv_bytes, "wide_bytes": self.step.wide_bytes}
        step = replace(self.step, **{name: streams * of_one for name, of_one in several.items()})
        decode_s = decode_seconds(step, coef)
        _, prompt_s = prompt_seconds(replace(self.prompt, batch=self.prompt.batch * streams), coef)
        ttft_ms = (prompt_s + decode_s + coef.ttft_fixed_s) * 1000.0
        return np.asarray(1.0 / decode_s), np.where(np.isnan(coef.peak_flops), 0.0, ttft_ms)


def _stacked(works: Sequence[Any]) -> list[Floats]:
    """The fields of works of one kind, each of shape (works, quants), or (works, 1) where quants do not differ."""
    columns = (np.broadcast_arrays(*(getattr(work, field.name) for work in works)) for field in fields(works[0]))
    return [np.array(column).reshape(len(works), -1) for column in columns]
