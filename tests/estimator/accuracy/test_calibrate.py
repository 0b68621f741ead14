"""The committed calibration belongs to the committed measurements, and its own figures keep what is promised."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from api.cli.calibrate import data_hash
from db.entries.measurements import measured_rows
from estimator.accuracy.calibrate import FACTORS, STARTS, shipped_terms
from estimator.accuracy.fitting import Fit, fit
from estimator.accuracy.observations import MeasuredRow, micro_batch_of, observe, stated_of
from estimator.calibration.coefficients import Calibration
from estimator.calibration.intervals import DEPTH, STRATA, range_ends
from estimator.calibration.siblings import siblings_of
from estimator.estimate import estimate
from estimator.placement.engines import engine_choices
from estimator.types import Backend, Engine, EstimateRequest, Status, UnsupportedError
from tests.estimator.entities import ENTITIES

ACCELERATORS = tuple(ENTITIES.accelerators.values())[::5]
QUANTS = tuple(ENTITIES.quants.values())


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return list(measured_rows())


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return Calibration.load()


def test_the_calibration_was_fitted_on_the_committed_rows(rows: list[dict[str, Any]], calibration: Calibration) -> None:
    assert calibration.data["data_hash"] == data_hash(rows)
    assert calibration.data["rows"] == len(rows)


def test_fitting_a_subset_twice_gives_the_same_constants(rows: list[dict[str, Any]]) -> None:
    measured = [measured_row for measured_row in observe(ENTITIES, rows[::25]) if measured_row.kind == "decode"]
    observations = [measured_row.observation for measured_row in measured]
    first = fit(observations, FACTORS["decode"], STARTS["decode"])
    assert fit(observations, FACTORS["decode"], STARTS["decode"]).effects == first.effects


@pytest.mark.parametrize("kind", ["decode", "prefill"])
def test_every_stratum_has_a_range_around_the_estimate(calibration: Calibration, kind: str) -> None:
    ranges = calibration.data[kind]["ranges"]
    assert set(ranges) == set(STRATA)
    for stratum in STRATA:
        assert ranges[stratum]["low"] < 0 < ranges[stratum]["high"]
        assert ranges[stratum]["spread"][DEPTH] >= 0
    # Widths of a stratum go by backend and kind of model, too: a pair's own ends are those that must not narrow.
    for is_moe in (False, True):
        choices = engine_choices("", is_moe, ACCELERATORS, QUANTS, None, None, None)
        low, high = range_ends(ranges, choices)
        assert (np.diff(high - low, axis=0) >= 0).all()
        assert (high[-1] - low[-1] > 1.2 * (high[0] - low[0])).all()


@pytest.mark.parametrize(
    ("kind", "scheme", "median", "p90"),
    [
        ("decode", "pair", 0.10, 0.27),
        ("decode", "gpu", 0.15, 0.40),
        ("decode", "pair moe", 0.13, 0.30),
        ("prefill", "pair", 0.20, 0.60),
    ],
)
def test_cross_validated_errors_stay_within_what_is_promised(
    calibration: Calibration, kind: str, scheme: str, median: float, p90: float
) -> None:
    summary = calibration.data[kind]["cross_validation"][scheme]
    assert summary["median"] < median
    assert summary["p90"] < p90


def shift_of(calibration: Calibration, measured: MeasuredRow) -> float:
    """The shift that rows of the same model, accelerator, engine and backend have shown."""
    of_gpu = calibration.data[measured.kind]["measured"][measured.model.slug][measured.accelerator.slug]
    return float(of_gpu[measured.observation.stack][0])


def test_slow_hosts_of_localscore_do_not_slow_the_estimates_of_their_gpus(
    rows: list[dict[str, Any]], calibration: Calibration
) -> None:
    """An H100 that only such hosts measured with this model was once said to be as slow as they are."""
    wide = [row for row in observe(ENTITIES, rows) if row.kind == "decode" and row.observation.factors["wide-host"]]
    assert len(wide) > 10
    shifts = [shift_of(calibration, row) for row in wide]
    assert np.median(np.abs(shifts)) < 0.2
    assert calibration.data["decode"]["effects"]["whole/wide-host:yes"] > 0


@pytest.mark.parametrize("kind", ["decode", "prefill"])
def test_the_estimator_answers_what_was_fitted(rows: list[dict[str, Any]], calibration: Calibration, kind: str) -> None:
    engines = {engine.value: engine for engine in Engine}
    plain = [row for row in rows if row.get("quant_match") == "exact" and row["kind"] == kind][::20]
    # An estimate knows neither the options that slowed a row nor its number of threads.
    chosen = [
        row
        for row in observe(ENTITIES, plain)
        if row.engine in engines
        and not stated_of(row.row, row.engine, row.backend)
        and not (row.backend is Backend.CPU and row.row.get("threads"))
    ]
    effects = calibration.data[kind]["effects"]
    shipped = shipped_terms(kind, chosen, siblings_of(ENTITIES.accelerators.values()))
    fitted = Fit(effects, FACTORS[kind]).predict(list(shipped(range(len(chosen)), effects)))
    compared = 0
    for chosen_row, log_seconds in zip(chosen, fitted, strict=True):
        shift = shift_of(calibration, chosen_row)
        tokens = 1 if kind == "decode" else int(chosen_row.row.get("n_prompt") or 512)
        request = EstimateRequest(
            quant=chosen_row.quant,
            accelerator=chosen_row.accelerator,
            host=ENTITIES.default_host,
            engine=engines[chosen_row.engine],
            backend=chosen_row.backend,
            build_age_years=chosen_row.observation.age_years,
            depth_tokens=int(chosen_row.row.get("depth") or 0),
            prompt_tokens=tokens if kind == "prefill" else None,
            output_tokens=int(chosen_row.row.get("n_gen") or 128),
            flash_attention=chosen_row.row.get("flash_attn") is not False,
            micro_batch_tokens=micro_batch_of(chosen_row.row),
        )
        try:
            answer = estimate(chosen_row.model, request, calibration)
        except UnsupportedError:
            continue
        speed = answer.decode if kind == "decode" else answer.prefill
        if speed is not None and answer.status is not Status.FITS_WITH_OFFLOAD:
            compared += 1
            assert speed.value == pytest.approx(tokens / float(np.exp(log_seconds + shift)), rel=0.01)
    assert compared > 30
