"""The formulas of the grid in plain Python, for one cell after the other.

The loop covers cells whose model one device holds as a whole. Memory figures but the cache are those of the block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from estimator.calibration.coefficients import Calibration
from estimator.calibration.scale import KIND_OF_WORKLOAD, RETENTION_PER_NAT
from estimator.fleet import fleet_of
from estimator.grid import RANGE_DECIMALS, FitBlock
from estimator.placement.demand import needs, situation_of
from estimator.placement.layer_sums import model_tables
from estimator.speed.coefficients import DEPTH_SCALE_TOKENS, SpeedCoefficients
from estimator.speed.roofline import (
    ATTEND_FLOPS_PER_UNIT_CLOCK,
    EXPERT_LAYER_S,
    FULL_TOKENS_PER_EXPERT,
    LAYER_S,
    TOKEN_S,
    UNPACK_UNIT_CLOCKS,
)
from estimator.structure.architecture import ModelArchitecture
from estimator.types import Accelerator, Host, OperatingMode, Quant, Workload
from estimator.verdict import FITS, FITS_TIGHTLY, MODE_WEIGHTS, TIGHT_HEADROOM_FRACTION

#: Columns of a block that the loop computes, in the order of a row of :meth:`PlainLoop.rows`.
FIGURES = (
    "status", "decode_tok_s", "decode_low_tok_s", "decode_high_tok_s", "prefill_tok_s", "prefill_low_tok_s",
    "prefill_high_tok_s", "ttft_ms", "score",
)  # fmt: skip
_COEFFICIENTS = (
    "bandwidth_bytes_s", "peak_flops", "attention_peak_flops", "step_tokens", "unit_clocks_s", "dense", "routed", "cache",
    "attend", "unpack", "layer", "expert_layer", "token", "decode_overall", "linear", "attention", "read", "step",
    "thinness", "prefill_overall", "ttft_fixed_s", "decode_low", "decode_high", "prefill_low", "prefill_high",
    "decode_depth",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Inputs:
    """Arguments that all blocks share."""

    gpus: tuple[Accelerator, ...]
    quants: tuple[Quant, ...]
    workloads: tuple[Workload, ...]
    hosts: tuple[Host, ...]
    calibration: Calibration


class PlainLoop:
    """The cells of one block: ``cells`` are indices (gpu, quant, workload), shape (N, 3)."""

    def __init__(self, model: ModelArchitecture, inputs: Inputs, block: FitBlock) -> None:
        fleet = fleet_of(model.architecture, model.is_moe, inputs.gpus, inputs.quants, inputs.hosts)
        tables = model_tables(model, inputs.quants)
        need = needs(model, tuple(situation_of(workload) for workload in inputs.workloads))
        self.model, self.workloads, self.quant_count = model, inputs.workloads, len(inputs.quants)
        self.coefficients = _by_pair(inputs.calibration.table(model, fleet.choices), fleet.available.size)
        self.usable = fleet.rig.usable.ravel().tolist()
        self.kv_read = need.read_last[:, -1].tolist()
        self.kv_passed, self.is_processor = need.passed_last[:, -1].tolist(), fleet.rig.is_processor.tolist()
        self.depth = [situation.depth_tokens for situation in need.situations]
        self.active, self.routed = tables.active.tolist(), tables.routed_active.tolist()
        self.weights, self.experts = tables.device.tolist(), tables.host_experts[:, -1].tolist()
        self.attention_flops, self.flops = tables.attention_flops_per_token_pair, tables.flops_per_token
        self.expert_layers = float(tables.expert_layers_first[-1])
        losses = inputs.calibration.losses
        nats = [
            divergence.task_nats
            for divergence in losses.divergences(
                model.training, list(zip(inputs.quants, tables.bits_per_weight, strict=True))
            )
        ]
        kept = [RETENTION_PER_NAT[KIND_OF_WORKLOAD[workload.kind]] for workload in inputs.workloads]
        self.quality = [[math.exp(-rate * lost) for rate in kept] for lost in nats]
        on_device = ((block.status == FITS) | (block.status == FITS_TIGHTLY)) & (block.offload_fraction == 0)
        self.cells = np.argwhere(on_device)
        held = block.weights_bytes + block.kv_cache_bytes + block.compute_bytes + block.overhead_bytes
        self.held_bytes = held[on_device].tolist()
        self.safe_context = block.safe_context_tokens[on_device].tolist()

    def rows(self) -> list[tuple[float, ...]]:
        """``FIGURES`` of each of ``cells``."""
        cells = zip(self.cells.tolist(), self.held_bytes, self.safe_context, strict=True)
        return [self._row(*index, bytes_, tokens) for index, bytes_, tokens in cells]

    def _row(self, g: int, q: int, s: int, held_bytes: int, safe_context: int) -> tuple[float, ...]:
        pair, workload = g * self.quant_count + q, self.workloads[s]
        coef = self.coefficients[pair]
        decode_s = self._decode_seconds(coef, g, q, s)
        prefill_s = self._prefill_seconds(coef, q, workload.prompt_tokens)
        prefill_tok_s = ttft_ms = 0.0
        if prefill_s is not None:
            prefill_tok_s = workload.prompt_tokens / prefill_s
            ttft_ms = (prefill_s + decode_s + coef["ttft_fixed_s"]) * 1e3
        decode_tok_s = 1.0 / decode_s
        width = math.exp(coef["decode_depth"] * math.log1p(self.depth[s] / DEPTH_SCALE_TOKENS))
        usable = self.usable[pair]
        room = usable - held_bytes
        tight = room < TIGHT_HEADROOM_FRACTION * usable
        parts = (
            _unit(1.0 + math.log2(decode_tok_s / workload.comfortable_decode_tok_s) / 4.0),
            _unit(1.0 - math.log2(ttft_ms / workload.patience_ttft_ms) / 4.0) if ttft_ms else 0.0,
            min(safe_context / workload.context_tokens, 1.0),
            self.quality[q][s],
            _unit(room / (0.1 * usable)),
        )
        return (
            FITS_TIGHTLY if tight else FITS,
            decode_tok_s,
            decode_tok_s * round(math.exp(coef["decode_low"] * width), RANGE_DECIMALS),
            decode_tok_s * round(math.exp(coef["decode_high"] * width), RANGE_DECIMALS),
            prefill_tok_s,
            prefill_tok_s * round(math.exp(coef["prefill_low"]), RANGE_DECIMALS),
            prefill_tok_s * round(math.exp(coef["prefill_high"]), RANGE_DECIMALS),
            ttft_ms,
            _score(parts, workload, decode_tok_s, ttft_ms, self.model.training.least_thinking),
        )

    def _decode_seconds(self, coef: dict[str, float], g: int, q: int, s: int) -> float:
        bandwidth, clocks = coef["bandwidth_bytes_s"], coef["unit_clocks_s"]
        dense, routed = (self.active[q] - self.routed[q]) / bandwidth, self.routed[q] / bandwidth
        cache = (self.kv_read[s] + self.is_processor[g] * self.kv_passed[s]) / bandwidth
        seconds = dense * coef["dense"] + routed * coef["routed"] + cache * coef["cache"]
        seconds += 0.5 * self.flops * UNPACK_UNIT_CLOCKS / clocks * coef["unpack"]
        seconds += self.attention_flops * self.depth[s] / (ATTEND_FLOPS_PER_UNIT_CLOCK * clocks) * coef["attend"]
        seconds += self.model.n_layers * LAYER_S * coef["layer"]
        seconds += self.expert_layers * EXPERT_LAYER_S * coef["expert_layer"] + TOKEN_S * coef["token"]
        # No read is faster than the stated bandwidth.
        return max(seconds * coef["decode_overall"], dense + routed + cache)

    def _prefill_seconds(self, coef: dict[str, float], q: int, prompt: int) -> float | None:
        """Seconds of a prompt; None when the device states no arithmetic peak."""
        if math.isnan(coef["peak_flops"]):
            return None
        steps, in_step = math.ceil(prompt / coef["step_tokens"]), min(prompt, coef["step_tokens"])
        touched, thin, experts = 0.0, 1.0, self.model.experts
        if experts:
            touched = 1.0 - (1.0 - experts.per_token / experts.count) ** in_step
            tokens_per_expert = in_step * experts.per_token / experts.count
            thin = max(FULL_TOKENS_PER_EXPERT / max(tokens_per_expert, 1e-6), 1.0) ** coef["thinness"]
        pairs = prompt * prompt / 2.0
        read = self.weights[q] - self.experts[q] + self.experts[q] * touched
        seconds = prompt * self.flops / coef["peak_flops"] * coef["linear"] * thin
        seconds += pairs * self.attention_flops / coef["attention_peak_flops"] * coef["attention"]
        seconds += steps * read / coef["bandwidth_bytes_s"] * coef["read"]
        seconds += steps * self.model.n_layers * LAYER_S * coef["step"]
        return seconds * coef["prefill_overall"]


def require_agreement(block: FitBlock, loop: PlainLoop, rows: list[tuple[float, ...]]) -> None:
    """Raise AssertionError, with the name of the figure, when a figure of the block differs from the loop's."""
    cells, columns = tuple(loop.cells.T), np.array(rows).T
    for name, column in zip(FIGURES, columns, strict=True):
        own = getattr(block, name)[cells].astype(np.float64)
        agrees = np.isclose(own, column, rtol=1e-5, atol=0.011 if name == "score" else 0.0)
        if not agrees.all():
            raise AssertionError(
                f"{name} of the block differs from the loop's in {(~agrees).sum()} of {len(rows)} cells"
            )


def _by_pair(table: SpeedCoefficients, pairs: int) -> list[dict[str, float]]:
    def listed(values: Any) -> list[float]:
        return [float(value) for value in np.broadcast_to(values, pairs)]

    columns = [listed(getattr(table, name)) for name in _COEFFICIENTS]
    return [dict(zip(_COEFFICIENTS, row, strict=True)) for row in zip(*columns, strict=True)]


def _score(parts: tuple[float, ...], use: Workload, decode_tok_s: float, ttft_ms: float, thinking: float) -> float:
    """The mean of the parts within the band of what the speed, the wait and the whole answer allow."""
    weights = MODE_WEIGHTS[OperatingMode.BALANCED]
    mean = sum(part * weight for part, weight in zip(parts, weights, strict=True))
    wait = ttft_ms or use.usable_ttft_ms
    seconds = wait / 1000.0 + (use.answer_tokens + thinking * use.thinking_tokens) / decode_tok_s
    comfortable_s = use.patience_ttft_ms / 1000.0 + use.output_tokens / use.comfortable_decode_tok_s
    misses = max(use.minimum_decode_tok_s / decode_tok_s, wait / use.usable_ttft_ms, seconds / use.usable_answer_s)
    if misses > 1.0:
        least, most = (30.0, 49.99) if misses <= 4.0 else (0.0, 29.99)
    elif seconds <= comfortable_s:
        return round(min(max(100.0 * mean, 65.0), 100.0), 2)
    else:
        least, most = 50.0, 64.99
    return round(least + (most - least) * mean, 2)


def _unit(value: float) -> float:
    return min(max(value, 0.0), 1.0)
