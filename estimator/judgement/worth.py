"""Worth of a setup's answers: capability of the model less what its quantization and KV cache lose.

Points of the capability scale, with an interval of 80 %. Setups are rated by its lower end, so that a model without own
results does not pass a measured one on an optimistic prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from estimator.calibration.capability_prior import ModelTraits
from estimator.calibration.loss import LossTable, lost_points
from estimator.calibration.scale import KIND_OF_WORKLOAD, RETENTION_PER_NAT
from estimator.judgement.capability import Capability, CapabilityTable
from estimator.quant_choice import RUINED_NATS, native_quants
from estimator.structure.arrays import Flags, Floats
from estimator.types import CacheType, Quant, WorkloadKind

#: Kind of work whose loss any long output has: thinking multiplies the errors of a quantization.
LONG_OUTPUT = "reasoning"
#: Ways to answer, in the order of the second axis of worth: at once, or after thinking.
PLAIN, THINKING = 0, 1


def ways(model: ModelTraits, capability: Capability) -> tuple[Capability | None, Capability | None]:
    """Capability of answers at once and after thinking; None for a way that the model does not have.

    The plain answers of a model that offers both are None where nothing is known of them.
    """
    if model.thinking == "never":
        return capability, None
    if model.thinking == "always" or capability.plain is None:
        return None, capability
    shift = capability.plain - capability.value
    low, high = round(capability.low + shift, 1), round(capability.high + shift, 1)
    plain = Capability(capability.plain, low, high, capability.evidence, capability.scores)
    return plain, capability


def capabilities(
    workload: WorkloadKind, models: Sequence[ModelTraits]
) -> list[tuple[Capability | None, Capability | None]]:
    """The ways of each model, for the kind of work that a workload asks for."""
    kind, table = KIND_OF_WORKLOAD[workload], CapabilityTable.load()
    return [ways(model, table.of_kind(model, kind)) for model in models]


@dataclass(frozen=True, slots=True)
class WorthTable:
    """Worth of one kind of work: arrays (models, ways, quants), NaN for a way that a model does not have.

    ``capabilities`` has one pair of ways a model; ``thinking`` (models, ways) is the relative length of thinking, 0 for none;
    ``native`` (models, quants) are the formats that narrowly trained weights were trained in, ``ruined`` those that hardly
    answer as the model does.
    """

    value: Floats
    low: Floats
    high: Floats
    capabilities: Sequence[tuple[Capability | None, Capability | None]]
    loss: Floats
    loss_low: Floats
    loss_high: Floats
    thinking: Floats
    native: Flags
    ruined: Flags

    def of_model(self, model: int, rows: int) -> WorthTable:
        """The worth of one model, as that of each of ``rows`` machines."""
        values = [getattr(self, field.name)[model] for field in fields(self)]
        spread: list[Any] = [
            np.broadcast_to(value, (rows, *value.shape)) if isinstance(value, np.ndarray) else [value] * rows
            for value in values
        ]
        return WorthTable(*spread)

    def with_models(self, more: WorthTable) -> WorthTable:
        """The table with the models of another one, of the same quantizations, behind its own."""
        pairs = ((getattr(self, field.name), getattr(more, field.name)) for field in fields(self))
        joined: list[Any] = [
            np.concatenate(pair) if isinstance(pair[0], np.ndarray) else [*pair[0], *pair[1]] for pair in pairs
        ]
        return WorthTable(*joined)


def worth_table(
    workload: WorkloadKind,
    models: Sequence[ModelTraits],
    quants: Sequence[Quant],
    bits: Floats,
    cache: CacheType = CacheType.F16,
) -> WorthTable:
    """Worth of every model in every quantization; ``bits`` (models, quants) are those of whole files per weight."""
    kind, pairs = KIND_OF_WORKLOAD[workload], capabilities(workload, models)
    known = np.array(
        [
            [(estimate.value, estimate.low, estimate.high) if estimate else (np.nan,) * 3 for estimate in pair]
            for pair in pairs
        ]
    ).reshape(len(pairs), 2, 3, 1)
    capability, least, most = known[:, :, 0], known[:, :, 1], known[:, :, 2]
    long_output = max(kind, LONG_OUTPUT, key=RETENTION_PER_NAT.__getitem__)
    nats = _nats(models, quants, bits, cache)
    loss, loss_low, loss_high = (
        np.stack([lost_points(kind, estimate), lost_points(long_output, estimate)], axis=1) for estimate in nats
    )
    # Both parts are uncertain on their own, so their half widths add in squares.
    value = capability - loss
    return WorthTable(
        value=value,
        low=value - np.hypot(capability - least, loss_high - loss),
        high=value + np.hypot(most - capability, loss - loss_low),
        capabilities=pairs,
        loss=loss,
        loss_low=loss_low,
        loss_high=loss_high,
        native=np.array(
            [native_quants(quants, model.native_bits, lost) for model, lost in zip(models, nats[0], strict=True)],
            dtype=np.bool_,
        ).reshape(len(models), len(quants)),
        ruined=nats[0] > RUINED_NATS,
        thinking=np.outer([model.thinking_length for model in models], [0.0, 1.0]),
    )


def _nats(
    models: Sequence[ModelTraits], quants: Sequence[Quant], bits: Floats, cache: CacheType
) -> tuple[Floats, Floats, Floats]:
    """What weights and cache cost in scores, and the ends of its interval; (models, quants)."""
    losses = LossTable.load()
    nats = np.empty((3, len(models), len(quants)))
    for m, model in enumerate(models):
        cached = losses.cache_divergence(model, cache)
        own = losses.divergences(model, list(zip(quants, map(float, bits[m]), strict=True)))
        for q, divergence in enumerate(own):
            nats[:, m, q] = divergence.plus(cached).task_interval
    return nats[0], nats[1], nats[2]
