"""Compute alone, one process: whole blocks against a plain Python loop. `python -m bench.compute`.

The loop does for one cell after the other what blocks do for arrays, on the same tables and coefficients, and only for
cells whose model the device holds as a whole, which are the simplest: no split is searched. It has to agree with the
block on every speed, memory figure and score, or the run stops. Prints cells per second of both and their ratio.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from db.entries import specs
from db.entries.files import load_catalog
from estimator.calibration.coefficients import Calibration
from estimator.estimate import estimate
from estimator.grid import FitBlock, evaluate_block, fleet_of
from estimator.placement.demand import needs, situation_of
from estimator.placement.layer_sums import model_tables
from estimator.speed.coefficients import DEPTH_SCALE_TOKENS
from estimator.speed.roofline import (
    ATTEND_FLOPS_PER_UNIT_CLOCK,
    EXPERT_LAYER_S,
    FULL_TOKENS_PER_EXPERT,
    LAYER_S,
    TOKEN_S,
    UNPACK_UNIT_CLOCKS,
)
from estimator.structure.architecture import ModelArchitecture
from estimator.types import Accelerator, EstimateRequest, Host, OperatingMode, Quant, UnsupportedError, Workload
from estimator.verdict import FITS, FITS_TIGHTLY, MODE_WEIGHTS, STATUS_CAPS, STATUS_KNEES, TIGHT_HEADROOM_FRACTION

#: Every n-th model goes through the loop, and every n-th GPU of the first one through single questions.
LOOP_STEP = 60
GPU_STEP = 8
#: The bars: cells per second of blocks, and times the loop.
BAR_CELLS_S = 5e6
BAR_RATIO = 15.0


@dataclass(frozen=True, slots=True)
class Inputs:
    """What every block shares."""

    gpus: tuple[Accelerator, ...]
    quants: tuple[Quant, ...]
    workloads: tuple[Workload, ...]
    host: Host
    calibration: Calibration


def whole_cells(model: ModelArchitecture, inputs: Inputs, block: FitBlock) -> tuple[int, float]:
    """Every cell of ``model`` that fits as a whole, one after the other; how many there were, and the seconds it took.

    Raises RuntimeError when a figure differs from the block's.
    """
    fleet = fleet_of(model.architecture, model.is_moe, inputs.gpus, inputs.quants, inputs.host)
    tables = model_tables(model, inputs.quants)
    need = needs(model, tuple(situation_of(each) for each in inputs.workloads))
    table = inputs.calibration.table(model, fleet.setup)
    size, n = len(fleet.available.ravel()), model.n_layers
    coef = {name: _listed(getattr(table, name), size) for name in _COEFFICIENTS}
    usable, weights = fleet.rig.usable.ravel().tolist(), block.weights_bytes
    kv, read = need.kv_last[:, n].tolist(), need.read_last[:, n].tolist()
    routed_of, active_of = tables.routed_active.tolist(), tables.active.tolist()
    experts_of, device_of = tables.host_experts[:, n].tolist(), tables.device.tolist()
    attention, flops = tables.attention_flops_per_token_pair, tables.flops_per_token
    expert_layers = float(tables.expert_layers_first[n])
    count, per_token = (model.experts.count, model.experts.per_token) if model.experts else (0, 0)
    quality = [min(max(1.0 - 2.0 ** (2.0 - bits), 0.0), 1.0) for bits in tables.bits_per_weight.tolist()]
    status, compute = block.status, block.compute_bytes
    overhead, got = block.overhead_bytes, []
    mode = MODE_WEIGHTS[OperatingMode.BALANCED]
    todo = np.argwhere((status == FITS) | (status == FITS_TIGHTLY)).tolist()
    todo = [each for each in todo if block.offload_fraction[tuple(each)] == 0]
    memory = [int(weights[g, q, s] + compute[g, q, s] + overhead[g, q, s]) for g, q, s in todo]
    safe = [int(block.safe_context_tokens[g, q, s]) for g, q, s in todo]
    began = time.perf_counter()
    for (g, q, s), bytes_, tokens in zip(todo, memory, safe, strict=True):
        p = g * len(inputs.quants) + q
        workload = inputs.workloads[s]
        bandwidth, dense = coef["bandwidth_bytes_s"][p], active_of[q] - routed_of[q]
        total = bytes_ + kv[s]
        room = usable[p] - total
        seconds = dense / bandwidth * coef["dense"][p] + routed_of[q] / bandwidth * coef["routed"][p]
        seconds += 0.5 * flops * UNPACK_UNIT_CLOCKS / coef["unit_clocks_s"][p] * coef["unpack"][p]
        seconds += read[s] / bandwidth * coef["cache"][p]
        attended = (
            attention * need.situations[s].depth_tokens / (ATTEND_FLOPS_PER_UNIT_CLOCK * coef["unit_clocks_s"][p])
        )
        seconds += attended * coef["attend"][p]
        seconds += n * LAYER_S * coef["layer"][p] + expert_layers * EXPERT_LAYER_S * coef["expert_layer"][p]
        seconds = (seconds + TOKEN_S * coef["token"][p]) * coef["decode_overall"][p]
        prompt, batch, peak = workload.prompt_tokens, coef["step_tokens"][p], coef["peak_flops"][p]
        prefill_tok_s = ttft_ms = 0.0
        if peak == peak:  # not NaN: the device states an arithmetic peak
            steps, in_step = math.ceil(prompt / batch), min(prompt, batch)
            touched = 1.0 - (1.0 - per_token / count) ** in_step if count else 0.0
            each = in_step * per_token / count if count else FULL_TOKENS_PER_EXPERT
            thin = math.exp(coef["thinness"][p] * math.log(max(FULL_TOKENS_PER_EXPERT / max(each, 1e-6), 1.0)))
            moved = device_of[q] - experts_of[q] + experts_of[q] * touched
            prefill = prompt * flops / peak * coef["linear"][p] * thin
            prefill += prompt * prompt / 2.0 * attention / coef["attention_peak_flops"][p] * coef["attention"][p]
            prefill += steps * moved / bandwidth * coef["read"][p] + steps * n * LAYER_S * coef["step"][p]
            prefill *= coef["prefill_overall"][p]
            prefill_tok_s, ttft_ms = prompt / prefill, (prefill + seconds + coef["ttft_fixed_s"][p]) * 1e3
        speed = 1.0 / seconds
        width = math.exp(coef["decode_depth"][p] * math.log1p(need.situations[s].depth_tokens / DEPTH_SCALE_TOKENS))
        parts = (
            _unit(1.0 + math.log2(speed / workload.comfortable_decode_tok_s) / 4.0),
            _unit(1.0 - math.log2(ttft_ms / workload.patience_ttft_ms) / 4.0) if ttft_ms else 0.0,
            min(tokens / workload.context_tokens, 1.0),
            quality[q],
            _unit(room / (0.1 * usable[p])),
        )
        knee, cap = STATUS_KNEES[FITS_TIGHTLY], STATUS_CAPS[FITS_TIGHTLY]
        tight = room < TIGHT_HEADROOM_FRACTION * usable[p]
        score = sum(part * weight for part, weight in zip(parts, mode, strict=True)) * 100.0
        got.append(
            (
                FITS_TIGHTLY if tight else FITS,
                speed,
                speed * math.exp(coef["decode_low"][p] * width),
                speed * math.exp(coef["decode_high"][p] * width),
                prefill_tok_s,
                prefill_tok_s * math.exp(coef["prefill_low"][p]),
                prefill_tok_s * math.exp(coef["prefill_high"][p]),
                ttft_ms,
                round(
                    score if not tight or score <= knee else knee + (score - knee) * (cap - knee) / (100.0 - knee), 2
                ),
            )
        )
    seconds_spent = time.perf_counter() - began
    _compare(block, np.array(todo), np.array(got))
    return len(todo), seconds_spent


_NAMES = (
    "status", "decode_tok_s", "decode_low_tok_s", "decode_high_tok_s", "prefill_tok_s", "prefill_low_tok_s",
    "prefill_high_tok_s", "ttft_ms", "score",
)  # fmt: skip


_COEFFICIENTS = (
    "bandwidth_bytes_s", "peak_flops", "attention_peak_flops", "step_tokens", "unit_clocks_s", "dense", "routed", "cache",
    "attend", "unpack", "layer", "expert_layer", "token",
    "decode_overall", "linear", "attention", "read", "step", "thinness", "prefill_overall", "ttft_fixed_s",
    "decode_low", "decode_high", "prefill_low", "prefill_high", "decode_depth",
)  # fmt: skip


def _listed(values: Any, size: int) -> list[float]:
    return [float(each) for each in np.broadcast_to(values, size)]


def _unit(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _compare(block: FitBlock, at: Any, got: Any) -> None:
    for column, name in enumerate(_NAMES):
        own = getattr(block, name)[at[:, 0], at[:, 1], at[:, 2]].astype(np.float64)
        if not np.allclose(own, got[:, column], rtol=1e-5, atol=0.011 if name == "score" else 0.0):
            raise RuntimeError(f"{name} of the block differs from the loop's")


def main() -> None:
    """Run both and print the ratio."""
    catalog = load_catalog()
    inputs = Inputs(
        tuple(specs.accelerator(entry) for entry in catalog.gpus.values() if not specs.missing_facts(entry)),
        tuple(specs.quant(entry) for entry in catalog.quants.values() if specs.is_precomputed(entry)),
        tuple(specs.workload(entry) for entry in catalog.workloads.values()),
        specs.host(catalog.hosts[catalog.default_host]),
        Calibration.load(),
    )
    entries = [entry for entry in catalog.models.values() if not specs.missing_facts(entry)]
    models = [specs.architecture(entry) for entry in entries]
    shared = (inputs.gpus, inputs.quants, inputs.workloads, inputs.host, inputs.calibration)
    blocks = {}
    began = time.perf_counter()
    cells = 0
    for index, model in enumerate(models):
        block = evaluate_block(model, *shared)
        cells += int(np.count_nonzero(block.available)) * len(inputs.workloads)
        if index % LOOP_STEP == 0:
            blocks[index] = block
    block_rate = cells / (time.perf_counter() - began)
    loops = [whole_cells(models[index], inputs, block) for index, block in blocks.items()]
    looped = sum(cells for cells, _ in loops)
    loop_rate = looped / sum(seconds for _, seconds in loops)
    ratio = block_rate / loop_rate
    print(f"compute: blocks {block_rate:,.0f} cells/s over {cells:,} cells (bar {BAR_CELLS_S:,.0f})")
    print(f"compute: plain loop {loop_rate:,.0f} cells/s over {looped:,} whole cells, which agree")
    print(f"compute: ratio to the plain loop {ratio:.1f} (bar {BAR_RATIO:.0f})")
    print(f"compute: ratio to single questions {block_rate / _question_rate(models[0], inputs):,.0f}")


def _question_rate(model: ModelArchitecture, inputs: Inputs) -> float:
    """Cells per second when the same kernel is asked for one cell at a time, as a script would."""
    asked = 0
    began = time.perf_counter()
    for gpu in inputs.gpus[::GPU_STEP]:
        for quant in inputs.quants:
            for workload in inputs.workloads:
                request = EstimateRequest(quant=quant, accelerator=gpu, host=inputs.host)
                try:
                    estimate(model, request, inputs.calibration, workload)
                except UnsupportedError:
                    continue
                asked += 1
    return asked / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
