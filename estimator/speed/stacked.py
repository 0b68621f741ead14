"""Decode speeds of many models on one device in one go, each with everything on the device.

They are those of :func:`estimator.grid.outline`, whether or not the device holds the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from estimator.placement.demand import Situation, needs
from estimator.placement.layer_sums import model_tables
from estimator.placement.placements import Placed, Rig
from estimator.speed.coefficients import SpeedCoefficients
from estimator.speed.roofline import decode_seconds
from estimator.speed.work import DecodeWork, decode_work
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.arrays import Floats
from estimator.types import Quant


def stacked_work(
    models: Sequence[ModelArchitecture], quants: tuple[Quant, ...], situation: Situation, rig: Rig
) -> DecodeWork:
    """Work of one stream of each model in each quant, arrays (models, quants), on any rig of one device."""
    alone, columns = (replace(situation, batch=1),), np.arange(len(quants))
    nothing = np.asarray(0.0)
    works = []
    for model in models:
        tables = model_tables(model, quants)
        all_on_device = Placed(
            p=columns, g=np.asarray(0), q=columns, s=np.asarray(0), kept=np.asarray(model.n_layers), moved=np.asarray(0),
            output_on_gpu=np.asarray(True), weights=tables.device, on_host=nothing, total=nothing, usable=nothing,
            safe_context=nothing, runs=np.asarray(True),
        )  # fmt: skip
        works.append(decode_work(model, tables, needs(model, alone), rig, all_on_device))
    shape = columns.shape
    stacked = (
        np.array([np.broadcast_to(getattr(work, field.name), shape) for work in works]) for field in fields(DecodeWork)
    )
    return DecodeWork(*stacked)


def stacked_decode_tok_s(work: DecodeWork, streams: int, coef: SpeedCoefficients) -> Floats:
    """Tokens a second of each of ``streams``, (models, quants), with the coefficients of a device for these models."""
    loaded = replace(work, batch=work.batch * streams, kv_bytes=work.kv_bytes * streams)
    return np.asarray(1.0 / decode_seconds(loaded, coef))
