"""KV cache, state and compute buffers against what llama.cpp's own allocator plans, and vLLM's and Metal's logs."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from db.entries import specs
from db.entries.measurements import memory_rows
from estimator.placement.layer_sums import model_tables
from estimator.placement.memory import PIPELINE_COPIES, compute_bytes, offload_compute_bytes, split_compute_bytes
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.kv_cache import CACHE_BYTES, cache_shape, pad
from estimator.types import CacheType, Quant, QuantFormat
from tests.support.catalogs import CATALOG

MIB = 1024**2
#: Options that change what the single-GPU formulas are about.
OTHER_SETUPS = ("-ncmoe", "--n-cpu-moe", "-ngl", "--swa-full", "-ts")


@cache
def model_of(slug: str) -> ModelArchitecture:
    return specs.architecture(CATALOG.models[slug])


def single_gpu_rows() -> list[dict[str, Any]]:
    return [
        row
        for row in memory_rows("oracle-results")
        if row.get("model_slug")
        and set(row.get("buffers") or {}) <= {"CUDA0", "CUDA_Host", "CPU"}
        and "CUDA0" in (row.get("buffers") or {})
        and not any(option in row["args"] for option in OTHER_SETUPS)
        and row["n_seq"] == 1
        and row["type_k"] == row["type_v"]
    ]


def test_cache_and_state_bytes_are_the_allocators() -> None:
    errors = []
    for row in single_gpu_rows():
        shape = cache_shape(model_of(row["model_slug"]))
        micro_batch = min(row["n_ubatch"], row["n_ctx"])
        computed = shape.bytes_per_layer(row["n_ctx"], CacheType(row["type_k"]), micro_batch=micro_batch)[0].sum()
        errors.append(abs(computed / (row["buffers"]["CUDA0"]["context_mib"] * MIB) - 1.0))
    assert len(errors) > 700
    assert np.median(errors) < 1e-4
    assert np.quantile(errors, 0.99) < 1e-2


def test_totals_of_a_load_are_the_allocators() -> None:
    totals, buffers = [], []
    for row in single_gpu_rows():
        model = model_of(row["model_slug"])
        cache_type = CacheType(row["type_k"])
        shape, planned = cache_shape(model), row["buffers"]["CUDA0"]
        quant = Quant("q", "q", QuantFormat.GGUF, row["quant"], 4.0, None, None, None, None, None)
        weights = float(model_tables(model, (quant,)).device[0])
        cache_bytes = shape.bytes_per_layer(row["n_ctx"], cache_type, micro_batch=min(row["n_ubatch"], row["n_ctx"]))[
            0
        ].sum()
        compute, _ = compute_bytes(
            model,
            shape,
            row["n_ctx"],
            cache=cache_type,
            flash_attention=row["fa"] != "off",
            micro_batch=row["n_ubatch"],
            all_logits=row["outputs"] == 0,
            converts_cache="--no-fa-extra" not in row["args"],
        )
        stated = sum(planned.values()) * MIB
        totals.append(abs((weights + cache_bytes + compute[0]) / stated - 1.0))
        buffers.append(abs(compute[0] / (planned["compute_mib"] * MIB) - 1.0))
    assert np.median(totals) < 1e-3
    assert np.quantile(totals, 0.9) < 0.03
    assert np.median(buffers) < 0.01
    assert np.quantile(buffers, 0.9) < 0.10


def rows_with(option: str) -> list[dict[str, Any]]:
    return [row for row in memory_rows("oracle-results") if option in row["args"] and row.get("buffers")]


def buffers_of(row: dict[str, Any]) -> tuple[ModelArchitecture, float, float, float]:
    """Model, and device compute with and without logits and host compute of a single device, bytes."""
    model = model_of(row["model_slug"])
    (compute, host), (working, _) = (
        compute_bytes(model, cache_shape(model), row["n_ctx"], micro_batch=row["n_ubatch"], all_logits=every)
        for every in (True, False)
    )
    return model, float(compute[0]), float(working[0]), float(host[0])


@pytest.mark.parametrize(("option", "layers"), [("-ncmoe", False), ("-ngl", True)])
def test_compute_buffer_with_weights_in_system_memory(option: str, layers: bool) -> None:
    errors = []
    for row in rows_with(option):
        model, compute, working, _ = buffers_of(row)
        quant = Quant("q", "q", QuantFormat.GGUF, row["quant"], 4.0, None, None, None, None, None)
        moved = float(model_tables(model, (quant,)).largest_tensor[0])
        if layers:
            moved = max(moved, float(cache_shape(model).bytes_per_layer(row["n_ctx"], CacheType.F16).max()))
        predicted = float(offload_compute_bytes(compute, working, moved))
        errors.append(predicted / (row["buffers"]["CUDA0"]["compute_mib"] * MIB) - 1.0)
    assert len(errors) >= 20
    assert abs(np.median(errors)) < 0.05
    assert np.quantile(np.abs(errors), 0.7) < 0.15


def test_compute_buffers_of_a_layer_split() -> None:
    errors, host_errors = [], []
    for row in rows_with("--ndev"):
        model, compute, working, host = buffers_of(row)
        inputs, hidden = np.array(host), np.array(4.0 * row["n_ubatch"] * model.hidden)
        predicted = float(split_compute_bytes(np.array(compute), np.array(working), inputs, hidden, 2).sum())
        stated = sum(row["buffers"][device]["compute_mib"] for device in ("CUDA0", "CUDA1"))
        errors.append(abs(predicted / (stated * MIB) - 1.0))
        copied = float(host + (PIPELINE_COPIES - 1) * (inputs - hidden))
        host_errors.append(abs(copied / (row["buffers"]["CUDA_Host"]["compute_mib"] * MIB) - 1.0))
    assert len(errors) > 30
    assert np.median(errors) < 0.03
    assert max(errors) < 0.10
    assert max(host_errors) < 0.005
    buffers = np.array([5.0, 7.0])
    assert (split_compute_bytes(buffers, buffers, buffers, buffers, 1) == buffers).all()


@pytest.mark.parametrize("slug", ["mistral-7b-v0.1", "starcoder2-3b", "starcoder2-7b", "starcoder2-15b"])
def test_a_window_that_the_engine_does_not_read_saves_nothing(slug: str) -> None:
    model = model_of(slug)
    elements = sum(2 * layer.kv_heads * layer.key_dim for layer in model.layers)
    held = cache_shape(model).bytes_per_layer(16_384, CacheType.F16)[0].sum()
    assert held == 16_384 * elements * 2


@pytest.mark.parametrize("unified", [True, False])
def test_slots_with_a_cache_of_their_own_or_a_shared_one(unified: bool) -> None:
    """Four slots, as `-np 4` opens them: a cache each, or with `--kv-unified` one for all."""
    rows = [row for row in rows_with("-np") if ("--kv-unified" in row["args"]) == unified]
    assert len(rows) > 30
    errors = []
    for row in rows:
        model, slot_tokens, slots = model_of(row["model_slug"]), row["n_ctx"] / row["n_seq"], row["n_seq"]
        shape, planned = cache_shape(model), row["buffers"]["CUDA0"]
        kept = shape.bytes_per_layer(slot_tokens, CacheType.F16, sequences=slots, unified=unified)[0].sum()
        assert kept == pytest.approx(planned["context_mib"] * MIB, rel=1e-3)
        compute, host = compute_bytes(model, shape, slot_tokens, sequences=slots, all_logits=True, unified=unified)
        errors.append(abs(compute[0] / (planned["compute_mib"] * MIB) - 1.0))
        assert host[0] == pytest.approx(row["buffers"]["CUDA_Host"]["compute_mib"] * MIB, rel=0.05)
    assert np.median(errors) < 0.01
    assert np.quantile(errors, 0.9) < 0.11


def test_keys_and_values_of_two_types_are_the_allocators() -> None:
    rows = [row for row in memory_rows("oracle-results") if row.get("buffers") and row["type_k"] != row["type_v"]]
    rows = [row for row in rows if row["n_seq"] == 1 and not any(option in row["args"] for option in OTHER_SETUPS)]
    assert len(rows) >= 20
    for row in rows:
        shape, keys, values = (
            cache_shape(model_of(row["model_slug"])),
            CacheType(row["type_k"]),
            CacheType(row["type_v"]),
        )
        kept = shape.bytes_per_layer(row["n_ctx"], keys, values=values, micro_batch=min(row["n_ubatch"], row["n_ctx"]))
        assert kept[0].sum() == pytest.approx(row["buffers"]["CUDA0"]["context_mib"] * MIB, rel=1e-3)


@pytest.mark.parametrize(
    "slug", ["llama-3.1-8b", "gemma-3-27b", "deepseek-v3", "qwen3-next-80b-a3b-instruct", "falcon3-mamba-7b"]
)
def test_cache_grows_with_context_type_and_sequences(slug: str) -> None:
    shape = cache_shape(model_of(slug))
    contexts = np.array([512, 4096, 65_536, 1_000_000])
    sizes = shape.bytes_per_layer(contexts, CacheType.F16).sum(1)
    assert (np.diff(sizes) >= 0).all()
    narrow = shape.bytes_per_layer(contexts, CacheType.Q8_0).sum(1)
    assert (narrow <= sizes).all()
    assert (shape.bytes_per_layer(contexts, CacheType.F16, sequences=4).sum(1) >= sizes).all()
    read = shape.read_per_layer(contexts, CacheType.F16).sum(1)
    assert (np.diff(read) >= 0).all()


def test_cell_padding_and_cache_type_sizes() -> None:
    assert pad(16_000) == 16_128
    assert CACHE_BYTES[CacheType.Q8_0] == 34 / 32
    assert CACHE_BYTES[CacheType.Q4_0] == 18 / 32
