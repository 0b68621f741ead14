"""Properties that every fit must have, over the real catalog, and the grid against the scalar path."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.entries import specs
from db.entries.traits import model_traits
from estimator import verdict
from estimator.calibration import coefficients
from estimator.calibration.coefficients import Calibration
from estimator.calibration.scale import KIND_OF_WORKLOAD, RETENTION_PER_NAT, points_lost
from estimator.estimate import estimate, sweep
from estimator.fleet import Overrides
from estimator.grid import FitBlock, evaluate_block, outline, to_choose
from estimator.placement.demand import situation_of
from estimator.placement.layer_sums import model_tables
from estimator.quant_choice import ALIKE_POINTS, BROKEN_POINTS, CHARGES, customary, drawbacks, unpaged_points
from estimator.types import (
    STATUSES,
    Accelerator,
    Backend,
    EstimateRequest,
    MissingFactError,
    OperatingMode,
    Quant,
    Status,
    Workload,
)
from estimator.usability import comfortable_seconds
from estimator.verdict import FITS_TIGHTLY
from tests.support.catalogs import CATALOG

CALIBRATION = Calibration.load()
GPUS = tuple(
    gpu
    for gpu in (specs.accelerator(entry) for entry in CATALOG.gpus.values())
    if gpu.bandwidth_bytes_s is not None and (gpu.matrix_flops or gpu.fp32_flops) is not None
)
QUANTS = tuple(specs.quant(entry) for entry in CATALOG.quants.values() if entry["precomputed"])
WORKLOADS = tuple(specs.workload(entry) for entry in CATALOG.workloads.values())
HOST = specs.host(next(entry for entry in CATALOG.hosts.values() if entry.get("default")))
MODELS = (
    "llama-3.1-8b",
    "kimi-linear-48b-a3b",
    "gpt-oss-20b",
    "deepseek-v4-flash",
    "gemma-3-27b",
    "qwen3-30b-a3b",
    "deepseek-v3",
)
RUNNING = verdict.DOES_NOT_FIT


def block_of(model: str, gpus: tuple[Accelerator, ...] = GPUS) -> FitBlock:
    return evaluate_block(
        specs.architecture(CATALOG.models[model]), gpus, QUANTS, WORKLOADS, (HOST,) * len(gpus), CALIBRATION
    )


def accelerator(slug: str) -> Accelerator:
    return next(gpu for gpu in GPUS if gpu.slug == slug)


@pytest.mark.parametrize("model", MODELS)
def test_a_running_cell_is_within_memory_and_has_speeds(model: str) -> None:
    block = block_of(model)
    runs = block.available[:, :, None] & (block.status < RUNNING)
    assert runs.any()
    total = block.weights_bytes + block.kv_cache_bytes + block.compute_bytes + block.overhead_bytes
    assert (total <= block.usable_bytes[:, :, None])[runs].all()
    for name in ("decode", "prefill"):
        value, low, high = (getattr(block, f"{name}{part}_tok_s")[runs] for part in ("", "_low", "_high"))
        assert (value > 0).all()
        assert (low <= value).all()
        assert (value <= high).all()
    assert (block.ttft_ms[runs] > 0).all()
    assert (block.safe_context_tokens[runs] > 0).all()


@pytest.mark.parametrize("model", MODELS)
def test_what_does_not_run_has_no_speed_and_the_worst_grade(model: str) -> None:
    block = block_of(model)
    idle = ~(block.available[:, :, None] & (block.status < RUNNING))
    assert idle.any()
    assert (block.decode_tok_s[idle] == 0).all()
    assert (block.score[idle] == 0).all()
    assert not block.recommended[idle].any()
    assert verdict.grade(0.0) == "F"


@pytest.mark.parametrize("model", MODELS)
def test_offload_is_said_by_status_strategy_and_fraction_alike(model: str) -> None:
    block = block_of(model)
    offloads = block.status == STATUSES.index(Status.FITS_WITH_OFFLOAD)
    assert offloads.any()
    assert (block.offload_fraction[offloads] > 0).all()
    fits = block.available[:, :, None] & (block.status < STATUSES.index(Status.FITS_WITH_OFFLOAD))
    assert (block.offload_fraction[fits] == 0).all()
    assert (block.cpu_moe_layers[fits] == 0).all()


@pytest.mark.parametrize("model", MODELS)
def test_the_smallest_loss_that_time_allows_is_recommended(model: str) -> None:
    block = block_of(model)
    entry, natives = CATALOG.models[model], _natives(block, model)
    traits = model_traits(CATALOG)[model]
    thinking = traits.thinking_length if traits.thinking == "always" else 0.0
    for g, gpu in enumerate(GPUS):
        for s, use in enumerate(WORKLOADS):
            running = [q for q in range(len(QUANTS)) if block.available[g, q] and block.status[g, q, s] < 3]
            had = [q for q in running if _can_be_had(QUANTS[q], entry)] or running
            fastest = max((block.decode_tok_s[g, q, s] for q in had if block.bits_per_weight[q] >= 8), default=0.0)
            usable = [
                q for q in had
                if block.score[g, q, s] >= 50
                and not (block.bits_per_weight[q] >= 8 and fastest >= 1.15 * block.decode_tok_s[g, q, s])
            ]  # fmt: skip
            ratings = {q: _rating(block, g, q, s, use, thinking, traits.is_mixture) for q in usable}
            lossless = [q for q in ratings if not block.task_nats[q].min()]
            native = [q for q in lossless if q in natives]
            ratings = {q: ratings[q] for q in ratings if not native or q in native or q not in lossless}
            best = max(ratings.values(), default=0.0)
            alike = [q for q in ratings if ratings[q] >= best - ALIKE_POINTS]
            chosen = max(alike, key=lambda q: (customary(QUANTS[q]), ratings[q]), default=None)
            assert list(np.flatnonzero(block.recommended[g, :, s])) == ([] if chosen is None else [chosen]), gpu.slug


def _natives(block: FitBlock, model: str) -> list[int]:
    """Places of the formats that narrowly trained weights were trained in, or else of those nearest to it in whole bits."""
    bits = specs.architecture(CATALOG.models[model]).training.native_bits
    formats = (
        "fp8", "mxfp4", "nvfp4", "awq-int4", "gptq-int4", "mxfp4-checkpoint", "fp8-fp4-experts", "int4-experts"
    )  # fmt: skip
    trained = [q for q, quant in enumerate(QUANTS) if quant.slug in formats and not block.task_nats[q].min()]
    distances = {q: abs(round(QUANTS[q].nominal_bits) - round(bits)) for q in trained}
    return [q for q in trained if bits < 15 and distances[q] == min(distances.values())]


def _rating(block: FitBlock, g: int, q: int, s: int, use: Workload, thinking: float, is_mixture: bool) -> float:
    """Points of a quantization of a pairing, below zero: its loss, its drawbacks, and the time of an answer."""
    left = math.exp(-RETENTION_PER_NAT[KIND_OF_WORKLOAD[use.kind]] * block.task_nats[q, s])
    wait = float(block.ttft_ms[g, q, s]) or use.usable_ttft_ms
    seconds = wait / 1000 + (use.answer_tokens + thinking * use.thinking_tokens) / float(block.decode_tok_s[g, q, s])
    doublings = math.log2(seconds / comfortable_seconds(use))
    charge = CHARGES[OperatingMode.BALANCED]
    status, plain = block.status[g, q, s], unpaged_points([QUANTS[q]], [GPUS[g]]).item()
    work = drawbacks(status == FITS_TIGHTLY, status == verdict.FITS_WITH_OFFLOAD, plain, is_mixture)
    lost = float(points_lost(left))
    lost += max(lost - BROKEN_POINTS, 0.0)
    return -lost - work - doublings * (charge.beyond if doublings > 0 else charge.within)


def _can_be_had(quant: Quant, entry: dict[str, Any]) -> bool:
    """By the catalog alone: a file to make at home, FP8 made at load, the format it came in, or a stated repository."""
    came = {"BF16": ("safetensors", "fp8"), "FP16": ("safetensors", "fp8"), "FP8": ("fp8",)}
    came |= {"MXFP4 (experts) + BF16": ("mxfp4",), "MXFP4 (experts)": ("mxfp4",), "FP8 + FP4 experts": ("fp8-fp4",)}
    own = quant.format.value in ("gguf", "mlx", *came.get(entry["native_dtype"], ()))
    return own or quant.slug in (entry.get("checkpoint_repos") or {})


def test_without_known_weights_the_best_of_all_that_run_is_recommended() -> None:
    running = np.array([[[True], [True], [False]], [[False], [True], [False]]])
    known = np.array([True, False, True])
    assert to_choose(running, known)[:, :, 0].tolist() == [[True, False, False], [False, True, False]]


@pytest.mark.parametrize("factor", [1.1, 2.0])
@pytest.mark.parametrize("model", MODELS)
def test_more_memory_bandwidth_compute_or_power_is_never_worse(model: str, factor: float) -> None:
    before = block_of(model)
    faster = tuple(_with_peaks(gpu, factor) for gpu in GPUS)
    powerful = tuple(replace(gpu, tdp_w=gpu.tdp_w and gpu.tdp_w * factor) for gpu in GPUS)
    # A higher clock comes with the peaks that follow from it. The effect of a die belongs to its clock: both lack it.
    strangers = block_of(model, tuple(_with_clock(gpu, 1.0001) for gpu in GPUS))
    clocked = tuple(_with_clock(gpu, 1.0001 * factor) for gpu in faster)
    for worse, better in ((before, faster), (before, powerful), (strangers, clocked)):
        quick = block_of(model, better)
        for speed in ("decode_tok_s", "prefill_tok_s"):
            slower = getattr(quick, speed) < getattr(worse, speed) * (1 - 1e-5)
            assert not slower.any(), (speed, [gpu.slug for gpu, lost in zip(GPUS, slower, strict=True) if lost.any()])
    larger = tuple(
        replace(
            gpu,
            memory_bytes=gpu.memory_bytes and int(gpu.memory_bytes * factor),
            usable_bytes=gpu.usable_bytes and int(gpu.usable_bytes * factor),
        )
        for gpu in GPUS
    )
    roomy = block_of(model, larger)
    assert (roomy.status <= before.status).all()
    assert (roomy.safe_context_tokens >= before.safe_context_tokens).all()


def _with_clock(gpu: Accelerator, factor: float) -> Accelerator:
    return replace(gpu, boost_hz=gpu.boost_hz and gpu.boost_hz * factor)


def _with_peaks(gpu: Accelerator, factor: float) -> Accelerator:
    """The accelerator with its bandwidth and all its arithmetic as many times as fast."""
    peaks = ("matrix_flops", "half_flops", "fp32_flops", "int8_ops", "fp8_flops", "fp4_flops")
    raised: dict[str, Any] = {name: (getattr(gpu, name) or 0.0) * factor or None for name in peaks}
    return replace(gpu, bandwidth_bytes_s=(gpu.bandwidth_bytes_s or 0.0) * factor, **raised)


@settings(max_examples=40, deadline=None)
@given(
    model=st.sampled_from(MODELS),
    slug=st.sampled_from([gpu.slug for gpu in GPUS]),
    quant=st.integers(0, len(QUANTS) - 1),
    workload=st.integers(0, len(WORKLOADS) - 1),
)
def test_the_scalar_path_agrees_with_the_grid(model: str, slug: str, quant: int, workload: int) -> None:
    g = next(index for index, gpu in enumerate(GPUS) if gpu.slug == slug)
    block = block_of(model)
    if not block.available[g, quant]:
        return
    situation = WORKLOADS[workload]
    alone = evaluate_block(
        specs.architecture(CATALOG.models[model]), (GPUS[g],), (QUANTS[quant],), (situation,), (HOST,), CALIBRATION
    )
    for name in ("status", "strategy", "gpu_layers", "weights_bytes", "kv_cache_bytes", "compute_bytes", "host_bytes"):
        assert getattr(alone, name)[0, 0, 0] == getattr(block, name)[g, quant, workload], name
    for name in ("decode_tok_s", "prefill_tok_s", "ttft_ms", "decode_low_tok_s", "prefill_high_tok_s"):
        np.testing.assert_allclose(getattr(alone, name)[0, 0, 0], getattr(block, name)[g, quant, workload], rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(model=st.sampled_from(MODELS), depth=st.integers(0, 60_000), more=st.integers(1, 60_000))
def test_a_longer_context_never_frees_memory_or_speeds_decode_up(model: str, depth: int, more: int) -> None:
    architecture = specs.architecture(CATALOG.models[model])
    quant = specs.quant(CATALOG.quants["q4-k-m"])
    request = EstimateRequest(
        quant=quant, accelerator=accelerator("b200-sxm") if any(g.slug == "b200-sxm" for g in GPUS) else GPUS[0],
        host=HOST, depth_tokens=depth, output_tokens=128,
    )  # fmt: skip
    short = estimate(architecture, request, CALIBRATION)
    long = estimate(architecture, replace(request, depth_tokens=depth + more), CALIBRATION)
    assert long.memory.total_bytes >= short.memory.total_bytes or long.placement != short.placement
    if short.decode and long.decode:
        assert long.decode.value <= short.decode.value * (1 + 1e-6)


def test_streams_that_pick_other_experts_read_more_of_them_from_system_memory_too() -> None:
    architecture = specs.architecture(CATALOG.models["qwen3-30b-a3b"])
    plain = EstimateRequest(
        quant=specs.quant(CATALOG.quants["q4-k-m"]), accelerator=accelerator("rtx-4090"), host=HOST, context_tokens=1024
    )

    def seconds(batch: int, moved: int) -> float:
        decode = estimate(architecture, replace(plain, batch=batch, cpu_moe_layers=moved), CALIBRATION).decode
        assert decode is not None
        return 1.0 / decode.value

    added = [seconds(batch, 24) - seconds(batch, 0) for batch in (1, 16)]
    # One token picks 8 of 128 experts, sixteen tokens are expected to pick 82.
    assert added[1] > 5 * added[0] > 0


@pytest.mark.parametrize("slug", ["ministral-3-8b", "qwen3-32b", "llama-3.1-8b"])
def test_no_weights_are_read_faster_than_the_memory_gives_them(slug: str) -> None:
    architecture = specs.architecture(CATALOG.models[slug])
    block = block_of(slug)
    active = model_tables(architecture, QUANTS).active
    bandwidth = np.array([gpu.bandwidth_bytes_s for gpu in GPUS])
    on_device = block.status < verdict.FITS_WITH_OFFLOAD
    share = block.decode_tok_s * active[None, :, None] / bandwidth[:, None, None]
    assert on_device.any()
    assert share[on_device & block.available[:, :, None]].max() <= 1.0 + 1e-6


@pytest.mark.parametrize("slug", ["llama-3.1-8b", "qwen3-30b-a3b"])
def test_streams_that_take_turns_get_no_less_together_than_one_alone(slug: str) -> None:
    architecture = specs.architecture(CATALOG.models[slug])
    processor = specs.accelerator(CATALOG.gpus["cpu-ddr5-5600-2ch"])
    plain = EstimateRequest(
        quant=specs.quant(CATALOG.quants["q4-k-m"]), accelerator=processor, host=HOST, context_tokens=4096,
        depth_tokens=4000, output_tokens=96,
    )  # fmt: skip

    def together(batch: int) -> float:
        decode = estimate(architecture, replace(plain, batch=batch), CALIBRATION).decode
        assert decode is not None
        return decode.value * batch

    alone = together(1)
    # Sampling stream by stream takes a little of what turns would give.
    assert all(alone * 0.96 <= together(batch) < alone * 1.2 for batch in (2, 4, 8))


def test_the_thin_entities_name_the_missing_fact() -> None:
    with pytest.raises(MissingFactError, match="which kind of attention") as thin:
        specs.architecture(CATALOG.models["llama-3.1-nemotron-ultra-253b"])
    assert thin.value.field_name == "attention.layer_pattern"
    unknown = replace(accelerator("rtx-4090"), bandwidth_bytes_s=None)
    request = EstimateRequest(quant=QUANTS[0], accelerator=unknown, host=HOST)
    with pytest.raises(MissingFactError, match="memory bandwidth is not known"):
        estimate(specs.architecture(CATALOG.models["llama-3.1-8b"]), request, CALIBRATION)


def test_kimi_linear_on_a_v100_follows_the_physics() -> None:
    """Seven MLA layers hold the context, twenty a constant state, and 3 B of 48 B parameters are read per token."""
    gpu = next(gpu for gpu in GPUS if "v100" in gpu.slug and (gpu.memory_bytes or 0) > 30e9)
    architecture = specs.architecture(CATALOG.models["kimi-linear-48b-a3b"])
    quant = specs.quant(CATALOG.quants["q4-k-m"])
    request = EstimateRequest(quant=quant, accelerator=gpu, host=HOST, context_tokens=16_128)
    answer = estimate(architecture, request, CALIBRATION)
    assert answer.status in (Status.FITS, Status.FITS_TIGHTLY)
    assert answer.backend is Backend.CUDA
    latent = 7 * (512 + 64) * 2 * 16_128
    states = 20 * 4 * (3 * 3 * 32 * 128 + 32 * 128 * 128)
    assert answer.memory.kv_cache_bytes == latent + states
    assert answer.decode is not None
    assert answer.decode.value > 50


def test_what_is_kept_of_setups_is_bounded_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [block_of("llama-3.1-8b", GPUS[start : start + 3]).decode_tok_s for start in range(0, 12, 3)]
    monkeypatch.setattr(coefficients, "_KEPT_PAIRS", 4 * len(QUANTS))
    made = Calibration(CALIBRATION.data, CALIBRATION.version)
    model = specs.architecture(CATALOG.models["llama-3.1-8b"])
    for _ in range(2):
        for start, speeds in zip(range(0, 12, 3), expected, strict=True):
            block = evaluate_block(model, GPUS[start : start + 3], QUANTS, WORKLOADS, (HOST,) * 3, made)
            np.testing.assert_array_equal(block.decode_tok_s, speeds)
            assert len(made._bases) == 1


def test_numbers_of_cards_share_their_coefficients() -> None:
    made = Calibration(CALIBRATION.data, CALIBRATION.version)
    model = specs.architecture(CATALOG.models["llama-3.1-8b"])
    request = EstimateRequest(quant=QUANTS[0], accelerator=GPUS[0], host=HOST)
    for count in (1, 2, 4):
        sweep(model, replace(request, gpu_count=count), GPUS[:5], QUANTS, made)
    assert len(made._bases) == 1


@pytest.mark.parametrize("users", [2, 8])
def test_no_user_is_answered_sooner_or_in_less_memory_beside_others(users: int) -> None:
    gpus = GPUS[::7]
    alone = tuple(situation_of(workload) for workload in WORKLOADS)
    loaded = tuple(replace(situation, batch=users, expected_occupancy=True) for situation in alone)
    for slug in ("llama-3.1-8b", "gpt-oss-20b", "qwen3-0.6b"):
        asked = specs.architecture(CATALOG.models[slug]), gpus, QUANTS
        single_user = outline(*asked, alone, (HOST,) * len(gpus), CALIBRATION)
        many = outline(*asked, loaded, (HOST,) * len(gpus), CALIBRATION, Overrides(offloads=False))
        on_device = many.available[:, :, None] & (many.status <= FITS_TIGHTLY)
        assert on_device.any()
        assert not (on_device & (single_user.status > many.status)).any()
        assert (many.decode_tok_s[on_device] <= single_user.decode_tok_s[on_device] * (1 + 1e-6)).all()
        assert (many.ttft_ms[on_device] >= single_user.ttft_ms[on_device] * (1 - 1e-6)).all()


def test_an_outline_has_the_figures_of_a_block() -> None:
    gpus, model = GPUS[::9], specs.architecture(CATALOG.models["qwen3-30b-a3b"])
    block = evaluate_block(model, gpus, QUANTS, WORKLOADS, (HOST,) * len(gpus), CALIBRATION)
    situations = tuple(situation_of(workload) for workload in WORKLOADS)
    outlined = outline(model, gpus, QUANTS, situations, (HOST,) * len(gpus), CALIBRATION)
    for field in fields(outlined):
        np.testing.assert_array_equal(getattr(outlined, field.name), getattr(block, field.name))
