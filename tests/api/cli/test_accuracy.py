"""The committed calibration belongs to the committed measurements, and its own figures keep what is promised."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from api.accuracy import FACTORS, STARTS, data_hash, shipped_terms
from api.observations import CLEARLY_FITS, MeasuredRow, Observer, micro_batch_of, stated_of, why_left_out
from api.offload import STARTS as HOST_STARTS
from api.offload import solve, stated_placement
from db.entries import specs
from db.entries.files import load_catalog
from db.entries.measurements import speed_rows
from estimator.accuracy.fitting import Fit, fit
from estimator.calibration.coefficients import Calibration
from estimator.calibration.intervals import DEPTH, STRATA
from estimator.estimate import estimate
from estimator.types import Backend, Engine, EstimateRequest, Status, UnsupportedError


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return list(speed_rows())


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return Calibration.load()


def test_the_calibration_was_fitted_on_the_committed_rows(rows: list[dict[str, Any]], calibration: Calibration) -> None:
    assert calibration.data["data_hash"] == data_hash(rows)
    assert calibration.data["rows"] == len(rows)


def test_fitting_a_subset_twice_gives_the_same_constants(rows: list[dict[str, Any]]) -> None:
    measured = [each for each in Observer(load_catalog()).observe(rows[::25]) if each.kind == "decode"]
    observations = [each.observation for each in measured]
    first = fit(observations, FACTORS["decode"], STARTS["decode"])
    assert fit(observations, FACTORS["decode"], STARTS["decode"]).effects == first.effects


@pytest.mark.parametrize("kind", ["decode", "prefill"])
def test_every_stratum_has_a_range_around_the_estimate(calibration: Calibration, kind: str) -> None:
    ranges = calibration.data[kind]["ranges"]
    assert set(ranges) == set(STRATA)
    for stratum in STRATA:
        assert ranges[stratum]["low"] < 0 < ranges[stratum]["high"]
        assert ranges[stratum]["spread"][DEPTH] >= 0
    width = [ranges[stratum]["high"] - ranges[stratum]["low"] for stratum in STRATA]
    assert width == sorted(width)


@pytest.mark.parametrize(
    ("kind", "scheme", "median", "p90"),
    [
        ("decode", "pair", 0.10, 0.27),
        ("decode", "gpu", 0.15, 0.40),
        ("decode", "pair moe", 0.12, 0.30),
        ("prefill", "pair", 0.20, 0.60),
    ],
)
def test_cross_validated_errors_stay_within_what_is_promised(
    calibration: Calibration, kind: str, scheme: str, median: float, p90: float
) -> None:
    summary = calibration.data[kind]["cross_validation"][scheme]
    assert summary["median"] < median
    assert summary["p90"] < p90


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"suspect": "power limit"}, "its table states a reason to doubt it"),
        ({"gpu_count": 2}, "several GPUs"),
        ({"offload": "n_cpu_moe=2"}, "weights in system memory"),
        ({"offload": "unknown (not recorded)"}, None),
        ({"model_slug": None}, "no catalog entity for its model"),
    ],
)
def test_rows_are_left_out_by_what_they_state(change: dict[str, Any], reason: str | None) -> None:
    row = {"gpu_slug": "g", "model_slug": "m", "quant_slug": "q", "tok_s": 1.0, **change}
    assert why_left_out(row) == reason


def test_a_row_that_does_not_state_offload_counts_only_when_it_clearly_fits(rows: list[dict[str, Any]]) -> None:
    unstated = [row for row in rows if str(row.get("offload") or "").startswith("unknown")]
    kept = Observer(load_catalog()).observe(unstated)
    assert 0 < len(kept) < len(unstated)
    for each in kept:
        assert each.accelerator.memory_bytes is not None
        stated = each.row.get("weights_gib")
        if stated:
            assert stated * 1024**3 < (CLEARLY_FITS + 0.1) * each.accelerator.memory_bytes


def test_no_row_counts_that_cannot_have_been_on_its_device(rows: list[dict[str, Any]]) -> None:
    observer = Observer(load_catalog())
    row = next(row for row in rows if row.get("quant_slug") == "q8-0" and row.get("gpu_slug") == "rtx-4090")
    row = {**row, "model_slug": "llama-3-8b", "offload": None, "suspect": None, "depth": 0}
    assert len(observer.observe([row])) == 1
    assert observer.observe([{**row, "model_slug": "llama-3-70b"}]) == []
    assert observer.observe([{**row, "depth": 200_000}]) == []


def test_no_decode_counts_that_its_memory_cannot_give(rows: list[dict[str, Any]]) -> None:
    observer = Observer(load_catalog())
    row = next(
        row
        for row in rows
        if row["kind"] == "decode" and row.get("gpu_slug") == "rtx-4090" and row.get("gpu_count") == 1
    )
    # 8.0 GB at 1,008 GB/s are read 126 times a second at most, 139 with overclocked memory.
    row = {
        **row,
        "model_slug": "llama-3-8b",
        "quant_slug": "q8-0",
        "quant_match": "exact",
        "offload": None,
        "suspect": None,
    }
    row |= {"depth": 0, "n_gen": 128}
    assert len(observer.observe([{**row, "tok_s": 130.0}])) == 1
    assert observer.observe([{**row, "tok_s": 145.0}]) == []


@pytest.mark.parametrize(
    ("host", "wide", "windows"),
    [
        ("AMD EPYC 9354 32-Core Processor (znver4), 755.6 GB, Linux", True, False),
        ("AMD Ryzen 9 9950X3D 16-Core Processor, 60.4 GB, Linux", True, False),
        ("AMD Ryzen 9 5900X 12-Core Processor (znver3), 127.9 GB, Windows", False, True),
        ("Intel Xeon Platinum 8352Y CPU @ 2.20GHz (icelake-server), 2015.5 GB, Linux", False, False),
    ],
)
def test_what_a_localscore_row_states_of_its_host(host: str, wide: bool, windows: bool) -> None:
    row = {"source_note": f"LocalScore run 1 via a table; average over 9 prompt/gen mixes; host {host}"}
    said = {name for name, applies in (("wide-host", wide), ("windows", windows)) if applies}
    assert stated_of(row, "llamafile (LocalScore)", Backend.CUDA) == said
    assert stated_of(row, "llama.cpp", Backend.CUDA) == frozenset()


@pytest.mark.parametrize(
    ("note", "backend", "slowed"),
    [
        ("sweep build=llama.cpp-hip fa= hipblaslt= b=; file a.gguf; ub=512", Backend.ROCM, True),
        ("sweep build=llama.cpp-hip fa= hipblaslt=1 b=; file a.gguf; ub=512", Backend.ROCM, False),
        ("llama-bench log; rocm-7-nightly__hblt0__fa1__single", Backend.ROCM, True),
        ("sweep build=llama.cpp-vulkan fa= hipblaslt= b=; file a.gguf", Backend.VULKAN, False),
    ],
)
def test_a_row_states_that_it_went_without_hipblaslt(note: str, backend: Backend, slowed: bool) -> None:
    found = stated_of({"source_note": note}, "llama.cpp", backend)
    assert found == ({"no-hipblaslt"} if slowed else frozenset())


def shift_of(calibration: Calibration, each: MeasuredRow) -> float:
    """What rows of the model, accelerator, engine and backend of this one have shown."""
    of_gpu = calibration.data[each.kind]["measured"][each.model.slug][each.accelerator.slug]
    return float(of_gpu[each.observation.stack][0])


def test_slow_hosts_of_localscore_do_not_slow_the_estimates_of_their_gpus(
    rows: list[dict[str, Any]], calibration: Calibration
) -> None:
    """An H100 that only such hosts measured with this model was once said to be as slow as they are."""
    wide = [
        each
        for each in Observer(load_catalog()).observe(rows)
        if each.kind == "decode" and each.observation.factors["wide-host"]
    ]
    assert len(wide) > 10
    shifts = [shift_of(calibration, each) for each in wide]
    assert np.median(np.abs(shifts)) < 0.2
    assert calibration.data["decode"]["effects"]["whole/wide-host:yes"] > 0


@pytest.mark.parametrize(
    ("text", "placement"),
    [
        ("llama.cpp fit: ngl=49, offloaded(moe) layers=48 to host DDR5", (49, 48)),
        ("llama.cpp fit: ngl=8, offloaded(moe) layers=7 to host DDR5", (8, 48)),
        ("llama.cpp fit: ngl=20, offloaded(moe) layers= to host DDR5", (20, None)),
        ("n_cpu_moe=4, host DDR4-3200 dual channel", (None, 4)),
        ("cpu-moe all, host DDR4-3200 dual channel", (None, 48)),
        ("probable partial offload", None),
    ],
)
def test_stated_placements(text: str, placement: tuple[int | None, int | None] | None) -> None:
    assert stated_placement(text, 48) == placement


def test_the_constants_of_system_memory_are_recovered() -> None:
    rng = np.random.default_rng(3)
    unit = rng.uniform(0.0, 0.05, (300, len(HOST_STARTS)))
    device = rng.uniform(0.005, 0.02, 300)
    true = np.array([1.9, 4.0, 1.2, 6.0])
    found = solve(device, unit, device + unit @ true, np.ones(300))
    assert found == pytest.approx(true, rel=0.05)


@pytest.mark.parametrize("kind", ["decode", "prefill"])
def test_the_estimator_answers_what_was_fitted(rows: list[dict[str, Any]], calibration: Calibration, kind: str) -> None:
    catalog = load_catalog()
    host = specs.host(catalog.hosts[catalog.default_host])
    engines = {engine.value: engine for engine in Engine}
    plain = [row for row in rows if row.get("quant_match") == "exact" and row["kind"] == kind][::20]
    # What slowed a row by its options is known of no estimate.
    chosen = [
        each
        for each in Observer(catalog).observe(plain)
        if each.engine in engines and not stated_of(each.row, each.engine, each.backend)
    ]
    effects = calibration.data[kind]["effects"]
    fitted = Fit(effects, FACTORS[kind]).predict(list(shipped_terms(kind, chosen)(range(len(chosen)), effects)))
    compared = 0
    for each, log_seconds in zip(chosen, fitted, strict=True):
        shift = shift_of(calibration, each)
        tokens = 1 if kind == "decode" else int(each.row.get("n_prompt") or 512)
        request = EstimateRequest(
            quant=each.quant,
            accelerator=each.accelerator,
            host=host,
            engine=engines[each.engine],
            backend=each.backend,
            build_age_years=each.observation.age_years,
            depth_tokens=int(each.row.get("depth") or 0),
            prompt_tokens=tokens if kind == "prefill" else None,
            output_tokens=int(each.row.get("n_gen") or 128),
            flash_attention=each.row.get("flash_attn") is not False,
            micro_batch_tokens=micro_batch_of(each.row),
        )
        try:
            answer = estimate(each.model, request, calibration)
        except UnsupportedError:
            continue
        speed = answer.decode if kind == "decode" else answer.prefill
        if speed is not None and answer.status is not Status.FITS_WITH_OFFLOAD:
            compared += 1
            assert speed.value == pytest.approx(tokens / float(np.exp(log_seconds + shift)), rel=0.01)
    assert compared > 30


@pytest.mark.parametrize(
    ("note", "tokens"),
    [
        ("llama-bench log; toolbox rocm6_4_4; n_ubatch=2048, mmap=0", 2048),
        ("llama-bench curve; rocm-7.14; file a.gguf; ub=1024", 1024),
        ("perplexity sweep, ubatch=4096", 4096),
        ("sweep build=llama.cpp-vulkan fa= hipblaslt= b=-b 256; file a.gguf; ub=512", 256),
        ("README; threads=12, n_batch=1024, type_k=q8_0", 512),
        ("README; threads=12", None),
    ],
)
def test_a_rows_micro_batch_is_read_from_its_note(note: str, tokens: int | None) -> None:
    assert micro_batch_of({"source_note": note}) == tokens
