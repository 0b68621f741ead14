"""Estimates against load logs: cache and state, and everything that a llama.cpp log states; vLLM's memory and pool.

Rows are left out by what they state alone: a fork of the engine, a model or length that is not named, cache types that
are none of the catalog's. A log that states a part only is compared by that part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from estimator.accuracy.observations import Entities
from estimator.placement.layer_sums import model_tables
from estimator.placement.memory import VLLM_MEMORY_FRACTION, compute_bytes, split_compute_bytes
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.kv_cache import cache_shape
from estimator.types import CacheType

MIB, GIB = 1024**2, 1024**3
#: Servers of this build and later (April 2026) reserve logits of one token a slot, older ones of a whole micro-batch.
FIRST_BUILD_WITH_FEW_LOGITS = 9000
CACHE, WHOLE, PARTLY = "cache and state", "weights, cache and buffers together", "what a shorter log states of these"
_PARTS = ("model_buffer_mib", "kv_buffer_mib", "compute_buffer_mib")
_HOST = re.compile(r"^(CPU|Host)|_(Host|Mapped)$|^CPU_REPACK$")
_EXPERTS_MOVED = re.compile(r"-ncmoe (\d+)")


@dataclass(frozen=True, slots=True)
class Compared:
    """One log line's quantity beside the estimate's, both in bytes (or tokens, as ``unit`` says)."""

    model: str
    quantity: str
    stated: float
    estimated: float
    unit: str = "bytes"

    @property
    def error(self) -> float:
        """Relative error of the estimate."""
        return self.estimated / self.stated - 1.0


def why_not(entities: Entities, row: Mapping[str, Any]) -> str | None:
    """Why a llama.cpp log is compared with nothing; None when it is."""
    types = {cache.value for cache in CacheType}
    if row.get("fork"):
        return "a fork of the engine with buffers of its own"
    if row.get("model_slug") not in entities.models:
        return "the model is not named, or the catalog has none of its name"
    if entities.models[row["model_slug"]] is None:
        return "the model's structure is unknown"
    if row.get("kv_type_k") not in types or row.get("kv_type_v") not in types:
        return "cache types that are not stated, or that the catalog does not have"
    return None


def compare_llama(entities: Entities, rows: Iterable[Mapping[str, Any]]) -> list[Compared]:
    """Cache with state, and stated parts together, of every llama.cpp log that names its model."""
    out: list[Compared] = []
    for row in rows:
        if why_not(entities, row) is None and (model := entities.models[row["model_slug"]]) is not None:
            out += [part for part in (_cache(model, row), _total(entities, model, row)) if part is not None]
    return out


def _cache(model: ModelArchitecture, row: Mapping[str, Any]) -> Compared | None:
    stated = _sum(row.get("kv_buffer_mib"), every=True)
    partial = any("with own KV" in name for name in row.get("kv_buffer_mib") or {})
    if not stated or not row.get("n_ctx") or partial:
        return None
    estimated = _cache_bytes(model, row, with_state=bool(row.get("rs_buffer_mib") or row.get("rounded")))
    states = _sum(row.get("rs_buffer_mib"), every=True)
    return Compared(row["model"], CACHE, (stated + states) * MIB, estimated)


def _cache_bytes(model: ModelArchitecture, row: Mapping[str, Any], *, with_state: bool) -> float:
    shape, sequences = cache_shape(model), int(row["n_seq"])
    cache, values, context = CacheType(row["kv_type_k"]), CacheType(row["kv_type_v"]), row["n_ctx"] / sequences
    kept = float(
        shape.bytes_per_layer(
            context, cache, values=values, sequences=sequences, micro_batch=row["n_ubatch"], unified=True
        )[0].sum()
    )
    states = float(shape.state_bytes.sum())
    # Speculative decoding keeps snapshots of the state of every sequence to return to.
    snapshots = int((row.get("rs_buffer_mib") or {}).get("rs_seq") or 0)
    sequences_of_state = int((row.get("rs_buffer_mib") or {}).get("cells") or sequences)
    kept -= states * sequences
    return kept + (states * sequences_of_state * (1 + snapshots) if with_state else 0.0)


def _total(entities: Entities, model: ModelArchitecture, row: Mapping[str, Any]) -> Compared | None:
    """Everything on devices that the log states, when its weights are there and its quant is named."""
    weights = _sum(row.get("model_buffer_mib"))
    slug = row.get("quant_slug") or ("mxfp4" if str(row["quant"]).startswith("MXFP4 -ncmoe") else None)
    if not weights or slug is None or row.get("n_gpu_layers") != "all":
        return None
    quant = entities.quants[slug]
    tables = model_tables(model, (quant,))
    moved = _EXPERTS_MOVED.search(str(row["quant"]))
    estimated = float(tables.device[0]) - (float(tables.host_experts[0, int(moved[1])]) if moved else 0.0)
    if "mapped range" in str(row.get("note")):
        estimated += float(tables.table[0])
    stated, parts = weights, 1
    if (cache := _sum(row.get("kv_buffer_mib"), every=True)) and row.get("n_ctx"):
        stated, parts = stated + cache + _sum(row.get("rs_buffer_mib")), parts + 1
        estimated += _cache_bytes(model, row, with_state=bool(row.get("rs_buffer_mib") or row.get("rounded")))
    if (buffers := _sum(row.get("compute_buffer_mib"))) and row.get("n_ctx"):
        stated, parts = stated + buffers, parts + 1
        estimated += _compute(model, row, len(_devices(row["compute_buffer_mib"])))
    return Compared(row["model"], WHOLE if parts == len(_PARTS) else PARTLY, stated * MIB, estimated)


def _compute(model: ModelArchitecture, row: Mapping[str, Any], devices: int) -> float:
    build = str(row.get("build") or "")
    few = build.startswith("b") and (not build[1:].isdigit() or int(build[1:]) >= FIRST_BUILD_WITH_FEW_LOGITS)
    sequences = int(row["n_seq"])
    (device, host), (working, _) = (
        compute_bytes(
            model,
            cache_shape(model),
            row["n_ctx"] / sequences,
            cache=CacheType(row["kv_type_k"]),
            flash_attention=row.get("flash_attn") is not False,
            micro_batch=row["n_ubatch"],
            sequences=sequences,
            all_logits=every and not few,
            unified=True,
        )
        for every in (True, False)
    )
    pipelined = devices > 1 and not any(name.startswith("RPC") for name in row["compute_buffer_mib"])
    if not pipelined:
        return float(device[0]) * devices
    hidden = np.array([4.0 * row["n_ubatch"] * model.hidden])
    return float(split_compute_bytes(device, working, host, hidden, devices).sum())


def _devices(buffers: Mapping[str, Any]) -> list[str]:
    return [name for name in buffers if not _HOST.search(name) and name not in ("MTP draft", "cells", "rs_seq")]


def _sum(buffers: Mapping[str, Any] | None, *, every: bool = False) -> float:
    """Stated MiB on devices, or on ``every`` memory; a draft's own cache and counters are no part of it."""
    names = [name for name in buffers or {} if name not in ("MTP draft", "cells", "rs_seq")]
    return float(sum((buffers or {})[name] for name in names if every or not _HOST.search(name)))


def compare_vllm(entities: Entities, rows: Iterable[Mapping[str, Any]]) -> list[Compared]:
    """vLLM's logs: weights of BF16 checkpoints, the pool that is left, and the tokens that a stated pool holds."""
    out: list[Compared] = []
    bf16 = entities.quants["bf16-safetensors"]
    for row in rows:
        model, name = entities.models.get(row.get("model_slug") or ""), str(row["model"])
        if model is None:
            continue
        ranks = int(match[1]) if (match := re.search(r"TP(\d+)", name)) else 1
        pool = float(row.get("kv_cache_gib") or 0.0) * GIB
        weights = row.get("weights_gib") or row.get("model_loading_gib")
        if weights and "BF16" in name:
            table = model_tables(model, (bf16,))
            weights_bytes = float(table.device[0]) + float(table.table[0]) * (not model.tied_embeddings)
            weights_bytes += 2.0 * model.vision_parameters
            out.append(Compared(name, "vLLM: weights", float(weights) * GIB, weights_bytes / ranks))
            total, other, activations = (
                row.get(key) for key in ("total_gpu_gib", "non_torch_gib", "activation_peak_gib")
            )
            if activations is None and row.get("peak_torch_gib"):
                activations = row["peak_torch_gib"] - weights
            if pool > 0 and total is not None and other is not None and activations is not None:
                fraction = float(row.get("gpu_memory_utilization") or VLLM_MEMORY_FRACTION)
                left = float(total) * fraction - float(other) - float(activations)
                out.append(
                    Compared(name, "vLLM: pool, given its activations", pool, left * GIB - weights_bytes / ranks)
                )
        tokens = row.get("kv_cache_tokens") or (row.get("gpu_blocks") or 0) * (row.get("block_size") or 0)
        shape = cache_shape(model)
        if pool > 0 and tokens and not shape.window_tokens.any():
            per_token = float(shape.full_elements.sum()) * 2.0 / ranks
            out.append(Compared(name, "vLLM: tokens of a stated pool", float(tokens), pool / per_token, "tokens"))
    return out


def section(entities: Entities, rows: Sequence[Mapping[str, Any]], vllm_rows: Iterable[Mapping[str, Any]]) -> str:
    """The section of the validation report."""
    compared = [*compare_llama(entities, rows), *compare_vllm(entities, vllm_rows)]
    reasons = [reason for row in rows if (reason := why_not(entities, row)) is not None]
    lines = ["## Memory of loads", "", "| quantity | logs | median error | 90th percentile |", "|---|---:|---:|---:|"]
    for quantity in dict.fromkeys(log.quantity for log in compared):
        errors = np.abs([log.error for log in compared if log.quantity == quantity])
        lines.append(f"| {quantity} | {len(errors)} | {np.median(errors):.2%} | {np.quantile(errors, 0.9):.2%} |")
    lines += ["", f"{len(rows)} llama.cpp logs; left out, by what the row states:", ""]
    lines += [f"- {reasons.count(reason)}: {reason}" for reason in dict.fromkeys(reasons)]
    return "\n".join([*lines, ""])
