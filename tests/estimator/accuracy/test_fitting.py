"""The fit recovers constants that made synthetic rows, shrinks thin ones, and gives ranges that hold."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

import numpy as np
import pytest

from db.entries import specs
from estimator.accuracy import crossval
from estimator.accuracy.fitting import PRIOR_SPREAD, Fitter, Observation, effect_names, fit, prior_spread, weights
from estimator.accuracy.spread import fit_spread, spread
from estimator.calibration.coefficients import Calibration
from estimator.calibration.effects import DECODE_FACTORS, NOMINAL_GPU_HZ, factor_values, family_of, unit_clocks_s
from estimator.calibration.intervals import DEPTH
from estimator.calibration.old_builds import GRAPHS_AGE_YEARS
from estimator.placement.engines import EngineChoices
from estimator.speed.coefficients import depth_log
from estimator.speed.roofline import DECODE_TERMS
from estimator.structure.architecture import HYPER_CONNECTED_LAUNCHES
from estimator.types import Accelerator, Backend, Engine, Quant, QuantFormat
from tests.support.catalogs import CATALOG

QUANT = Quant("q4-k-m", "Q4_K_M", QuantFormat.GGUF, "Q4_K_M", 4.0, None, None, None, None, None)


def accelerator(slug: str, architecture: str = "Ada Lovelace", **changes: object) -> Accelerator:
    facts: dict[str, object] = {
        "slug": slug, "name": slug, "vendor": "nvidia", "architecture": architecture, "kind": "desktop",
        "memory_bytes": 24 << 30, "usable_fraction": None, "unified_memory": False, "bandwidth_bytes_s": 1e12,
        "matrix_flops": 1.6e14, "int8_ops": None, "fp8_flops": None, "fp4_flops": None, "fp32_flops": 8e13,
        "compute_units": 128, "compute_capability": 8.9, "gfx_target": None, "pcie_bytes_s": None,
        "link_bytes_s": None, "tdp_w": None, "msrp_usd": None, "backends": (Backend.CUDA,), "engines": (),
        "boost_hz": 2.5e9,
    }  # fmt: skip
    return Accelerator(**{**facts, **changes})  # type: ignore[arg-type]


def observation(gpu: str, model: str, gigabytes: float, slowdown: float) -> Observation:
    """A dense row whose weights are read ``slowdown`` times slower than the peak and that costs nothing else."""
    terms = tuple(gigabytes / 1000.0 if term == "dense" else 0.0 for term in DECODE_TERMS)
    device = accelerator(gpu)
    return Observation(
        terms=terms,
        log_seconds=math.log(gigabytes / 1000.0 * slowdown),
        factors=factor_values(device, Backend.CUDA, "llama.cpp", QUANT, False, "LlamaForCausalLM", model),
        age_years=0.0,
        gpu=gpu,
        model=model,
    )


def rows(slowdowns: dict[str, float], models: int = 12) -> list[Observation]:
    return [
        observation(gpu, f"model-{index}", 1.0 + index, slowdown)
        for gpu, slowdown in slowdowns.items()
        for index in range(models)
    ]


def test_recovers_the_slowdown_that_made_the_rows() -> None:
    data = rows({"gpu-a": 1.5, "gpu-b": 1.5})
    fitted = fit(data, DECODE_FACTORS, {})
    assert fitted.predict(data) == pytest.approx([case.log_seconds for case in data], abs=0.01)


def test_an_unseen_device_gets_what_its_family_shows() -> None:
    fitted = fit(rows({f"gpu-{index}": 1.4 for index in range(6)}), DECODE_FACTORS, {})
    unseen = observation("gpu-new", "model-3", 4.0, 1.4)
    assert fitted.predict([unseen])[0] == pytest.approx(unseen.log_seconds, abs=0.03)


def test_the_fit_is_deterministic() -> None:
    data = rows({"gpu-a": 1.3, "gpu-b": 1.7})
    assert fit(data, DECODE_FACTORS, {}).effects == fit(data, DECODE_FACTORS, {}).effects


def test_one_wild_row_hardly_moves_the_others() -> None:
    data = [*rows({"gpu-a": 1.5}), observation("gpu-a", "model-wild", 5.0, 30.0)]
    predicted = fit(data, DECODE_FACTORS, {}).predict(data[:-1])
    assert predicted == pytest.approx([case.log_seconds for case in data[:-1]], abs=0.08)


def test_repeated_rows_of_a_pair_count_less_each() -> None:
    single, many = observation("gpu-a", "model-0", 1.0, 1.5), [observation("gpu-b", "model-0", 1.0, 1.5)] * 9
    weight = weights([single, *many])
    assert weight[0] > weight[1]
    assert weight[1:].sum() > weight[0]


def test_every_effect_has_a_prior() -> None:
    for name in effect_names(rows({"gpu-a": 1.5}), DECODE_FACTORS):
        assert prior_spread(name) > 0
    assert prior_spread("unpack") == PRIOR_SPREAD["unpack"] < prior_spread("dense")


def test_ranges_hold_the_share_that_they_promise_on_other_data() -> None:
    rng = np.random.default_rng(7)
    gpus, ones = [f"gpu-{index % 60}" for index in range(3000)], np.ones(3000)
    bounds = crossval.range_of(rng.normal(0.0, 0.2, 3000), ones, 0.1)
    assert bounds is not None
    assert bounds[0] < 0 < bounds[1]
    assert 0.78 < crossval.inside(rng.normal(0.0, 0.2, 20_000), np.ones(20_000), bounds).mean() < 0.82
    held = crossval.held_coverage(gpus, rng.normal(0.0, 0.2, 3000), ones, 0.1)
    assert held is not None
    assert 0.76 < held < 0.84


def test_ranges_grow_until_they_hold_rows_of_gpus_that_did_not_set_them() -> None:
    rng = np.random.default_rng(11)
    gpus = [f"gpu-{index % 12}" for index in range(1200)]
    own = {gpu: rng.normal(0.0, 0.3) for gpu in set(gpus)}
    residual = np.array([own[gpu] for gpu in gpus]) + rng.normal(0.0, 0.03, 1200)
    tail = crossval.fair_tail(gpus, residual, np.ones(1200))
    assert tail < crossval.TAILS[0]
    held = [crossval.held_coverage(gpus, residual, np.ones(1200), share) for share in (crossval.TAILS[0], tail)]
    assert held[0] is not None
    assert held[1] is not None
    assert held[0] < crossval.COVERAGE <= held[1] or tail == crossval.TAILS[-1]


def test_a_range_holds_rows_of_sources_that_did_not_set_it() -> None:
    rng = np.random.default_rng(3)
    sources = [str(index % 8) for index in range(800)]
    residual = rng.normal(0.0, 0.2, 800) + np.array([0.2 * (int(name) % 3 - 1) for name in sources])
    (low, high), inside = crossval.held_range(sources, residual)
    assert low < 1.0 < high
    share = crossval.share_of(inside)
    assert share == pytest.approx(crossval.COVERAGE, abs=0.03)
    own = np.exp(-residual)
    assert ((own >= low) & (own <= high)).mean() >= share
    assert crossval.held_range(sources[:1] * 9, residual[:9])[1] is None


def test_a_range_narrows_until_it_leaves_out_rows_of_other_sources() -> None:
    """Few rows far off must not widen what holds for most: a tenth on either side can hold nine rows of ten of a source."""
    residual = np.tile(np.r_[np.zeros(84), np.full(8, 1.0), np.full(8, -1.0)], 8)
    sources = [str(index // 100) for index in range(800)]
    (low, high), inside = crossval.held_range(sources, residual)
    assert (low, high) == (1.0, 1.0)
    assert crossval.share_of(inside) == pytest.approx(0.84)


def test_a_case_is_as_well_known_as_what_is_not_left_out_with_it() -> None:
    data = [
        replace(observation(gpu, "model", 1.0, 1.0), stack=stack, source=source)
        for gpu, stack, source in (("a", "x", "1"), ("a", "x", "2"), ("a", "y", "2"), ("b", "y", "3"))
    ]
    families = {case.factors["family"] for case in data}
    assert len(families) == 1
    assert crossval.known_as(data, "source") == ["gpu", "gpu", "family", "family"]
    assert crossval.known_as(data[:2], "gpu") == ["none", "none"]


def test_a_spread_makes_wide_and_narrow_kinds_comparable() -> None:
    rng = np.random.default_rng(5)
    data = [
        replace(observation(f"gpu-{index % 40}", f"model-{index}", 4.0, 1.5), depth_tokens=depth)
        for index, depth in enumerate([0.0, 32768.0] * 1500)
    ]
    wide = np.array([3.0 if case.depth_tokens else 1.0 for case in data])
    residual = rng.normal(0.0, 0.1, len(data)) * wide
    effects = fit_spread(data, residual)
    assert effects[DEPTH] * depth_log(32768.0) == pytest.approx(math.log(3.0), abs=0.25)
    gaps = []
    for size in (np.ones(len(data)), spread(data, effects)):
        bounds = crossval.range_of(residual, size, 0.1)
        assert bounds is not None
        held = crossval.inside(residual, size, bounds)
        gaps.append(abs(held[wide > 1].mean() - held[wide == 1].mean()))
    assert gaps[0] > 0.25
    assert gaps[1] < 0.1


def test_deep_contexts_never_narrow_a_range() -> None:
    data = [
        replace(observation(f"gpu-{index % 40}", f"model-{index}", 4.0, 1.5), depth_tokens=depth)
        for index, depth in enumerate([0.0, 32768.0] * 100)
    ]
    residual = np.array([0.01 if case.depth_tokens else 0.3 for case in data])
    assert fit_spread(data, residual)[DEPTH] == 0.0


def test_too_few_residuals_make_no_range() -> None:
    few = crossval.MINIMUM_RESIDUALS - 1
    assert crossval.range_of(np.zeros(few), np.ones(few), 0.1) is None
    assert crossval.fair_tail(["gpu-a"] * few, np.zeros(few), np.ones(few)) == crossval.TAILS[0]


def test_terms_that_stand_in_for_one_another_still_converge() -> None:
    data = rows({f"gpu-{index}": 1.2 + 0.1 * index for index in range(6)})
    fitter = Fitter(data, DECODE_FACTORS, {})
    theta = fitter.solve()
    assert np.abs(fitter.solve(first=theta) - theta).max() < 0.02


def test_a_measured_pair_is_trusted_more_the_more_rows_it_has() -> None:
    assert 0 < crossval.measured_shift([0.2]) < crossval.measured_shift([0.2] * 10) < 0.2


def test_left_out_groups_do_not_train_their_own_prediction() -> None:
    data = rows({f"gpu-{index}": 1.5 for index in range(8)})
    odd = [observation("gpu-odd", "model-0", 2.0, 6.0)]
    residual = crossval.cross_validate([*data, *odd], DECODE_FACTORS, {}, "gpu")
    assert residual[-1] == pytest.approx(math.log(4.0), abs=0.1)


@pytest.mark.parametrize("missing", ["boost_hz", "compute_units"])
def test_unit_clocks_fall_back_to_the_arithmetic_peak(missing: str) -> None:
    full = unit_clocks_s(accelerator("gpu-a"))
    assert full == pytest.approx(128 * 2.5e9)
    assert unit_clocks_s(accelerator("gpu-a", **{missing: None})) == pytest.approx(8e13 / 256)


def test_units_without_a_clock_or_a_peak_run_at_a_usual_clock() -> None:
    """Decode on them was bound by arithmetic: RTX PRO 5000 laptops were at a third of their pace."""
    bare = accelerator("gpu-a", boost_hz=None, fp32_flops=None, matrix_flops=None)
    assert unit_clocks_s(bare) == pytest.approx(128 * NOMINAL_GPU_HZ)
    entries = (entry for entry in CATALOG.gpus.values() if entry["kind"] != "cpu" and entry["vendor"] != "apple")
    clocks = [entry["boost_mhz"] * 1e6 for entry in entries if entry["compute_units"] and entry["boost_mhz"]]
    assert pytest.approx(statistics.median(clocks), rel=0.05) == NOMINAL_GPU_HZ


@pytest.mark.parametrize(
    ("architecture", "capability", "bandwidth", "family"),
    [
        ("Ampere", 8.0, 1.9e12, "ampere-hbm"),
        ("Ampere", 8.0, 0.93e12, "ampere-hbm"),
        ("Ampere", 8.6, 0.7e12, "ampere"),
        ("Blackwell", 10.0, 8e12, "blackwell-hbm"),
        ("Blackwell Ultra", 10.3, 8e12, "blackwell-hbm"),
        ("Blackwell", 12.0, 1.8e12, "blackwell"),
        ("Rubin", None, 2.2e13, "blackwell-hbm"),
        ("Blackwell", None, 0.9e12, "blackwell"),
        ("Hopper", 9.0, 3.4e12, "hopper"),
    ],
)
def test_the_chip_and_not_the_slot_tells_hbm_from_gddr(
    architecture: str, capability: float | None, bandwidth: float, family: str
) -> None:
    card = accelerator(
        "card", architecture, kind="datacenter", compute_capability=capability, bandwidth_bytes_s=bandwidth
    )
    assert family_of(card) == family


@pytest.mark.parametrize(
    ("architecture", "backend", "graphs", "value"),
    [
        ("Ada Lovelace", Backend.CUDA, True, None),
        ("Ada Lovelace", Backend.CUDA, False, "yes"),
        ("Ada Lovelace", Backend.VULKAN, False, None),
        ("Pascal", Backend.CUDA, True, "yes"),
        ("Pascal", Backend.VULKAN, True, None),
    ],
)
def test_who_launches_kernels_one_by_one(architecture: str, backend: Backend, graphs: bool, value: str | None) -> None:
    device = accelerator("card", architecture)
    values = factor_values(device, backend, "llama.cpp", QUANT, False, "", "", cuda_graphs=graphs)
    assert values["no-graphs"] == value
    assert factor_values(device, backend, "vllm", QUANT, False, "", "", cuda_graphs=graphs)["no-graphs"] is None


def test_builds_from_before_cuda_graphs_pay_for_each_layer() -> None:
    calibration = Calibration.load()
    model = specs.architecture(CATALOG.models["llama-3.2-1b"])
    gpus = accelerator("ada"), accelerator("pascal", "Pascal", compute_capability=6.1)
    code = np.zeros((2, 1), dtype=np.uint8)
    setup = EngineChoices(
        gpus, (QUANT,), code + list(Engine).index(Engine.LLAMA_CPP), code + list(Backend).index(Backend.CUDA), False
    )
    now, old = (calibration.table(model, setup, years).layer for years in (0.0, GRAPHS_AGE_YEARS + 0.1))
    assert old[0] > now[0]
    assert old[1] == now[1] > now[0]


def test_hyper_connections_cost_launches() -> None:
    model = specs.architecture(CATALOG.models["deepseek-v4-flash"])
    assert model.residual_streams == 4
    assert model.launches_per_layer == HYPER_CONNECTED_LAUNCHES
    plain = replace(model, slug="plain", residual_streams=1)
    setup = EngineChoices((accelerator("ada"),), (QUANT,), *(np.zeros((1, 1), dtype=np.uint8) for _ in range(2)), True)
    table = Calibration.load().table
    assert table(model, setup).layer == pytest.approx(HYPER_CONNECTED_LAUNCHES * table(plain, setup).layer)
