"""`fitgraph calibrate`: fit the open constants on the measurements, cross-validate, write calibration.json."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from api.observations import MeasuredRow, Observer
from db.catalog_files import Catalog, load_catalog
from db.measurements import speed_rows
from estimator import crossval
from estimator.calibration import DEFAULT_PATH, PER_WEIGHT_TERMS, Calibration
from estimator.effects import DECODE_FACTORS, PREFILL_FACTORS
from estimator.fitting import Observation, fit
from estimator.speed import DECODE_TERMS

FAILED = 1
#: First guess of each term's own level, log; the prior is wide, so this only says where to start.
STARTS: Mapping[str, Mapping[str, float]] = {
    "decode": {"dense": math.log(1.35), "routed": math.log(2.0), "cache": math.log(2.0)},
    "prefill": {"linear": math.log(2.8), "attention": math.log(4.0)},
}
FACTORS: Mapping[str, Mapping[str, tuple[str, ...]]] = {"decode": DECODE_FACTORS, "prefill": PREFILL_FACTORS}
#: Constants that no row of the measurements can give, with where they come from.
TTFT_FIXED_S = 0.015
DEFAULT_LINK_BYTES_S = 15.75e9
LINK_COEFFICIENT = 1.35
_SMALL_EFFECT = 5e-4


def data_hash(rows: Sequence[Mapping[str, Any]]) -> str:
    """Hash of the measured rows that a calibration was fitted on."""
    return hashlib.sha256(b"\n".join(orjson.dumps(row, option=orjson.OPT_SORT_KEYS) for row in rows)).hexdigest()


def calibrate(catalog: Catalog, say: Callable[[str], None] = print) -> dict[str, Any]:
    """The whole calibration as the JSON object of ``calibration.json``; reproducible to the digit."""
    from api.offload import fit_offload

    rows = list(speed_rows())
    measured = Observer(catalog).observe(rows)
    result: dict[str, Any] = {
        "data_hash": data_hash(rows),
        "rows": len(rows),
        "reference": "fitted by `fitgraph calibrate` on db/catalog/measurements/speed",
        "ttft_fixed_s": TTFT_FIXED_S,
    }
    for kind in ("decode", "prefill"):
        own = [each for each in measured if each.kind == kind]
        result[kind] = _fit_kind(kind, own, say)
    result["offload"] = {
        "host": 1.4,
        "host_layer": 4.0,
        "host_expert": 1.4,
        "host_expert_layer": 4.0,
        "low": 0.7,
        "high": 1.3,
        "link": LINK_COEFFICIENT,
        "default_link_bytes_s": DEFAULT_LINK_BYTES_S,
    }
    result["offload"].update(fit_offload(catalog, rows, result, say))
    return result


def _fit_kind(kind: str, measured: Sequence[MeasuredRow], say: Callable[[str], None]) -> dict[str, Any]:
    observations = [each.observation for each in measured]
    quants = [each.quant.slug for each in measured]
    factors, start = FACTORS[kind], STARTS[kind]
    fitted = fit(observations, factors, start)
    shipped = shipped_terms(kind, measured)
    effects = {name: value for name, value in fitted.effects.items() if abs(value) >= _SMALL_EFFECT}
    answered = shipped(range(len(observations)), fitted.effects)
    residual = np.array([each.log_seconds for each in observations]) - fitted.predict(answered)
    validated: dict[str, Any] = {}
    residuals: dict[str, Any] = {}
    is_moe = np.array([each.factors["moe"] is not None for each in observations])
    for scheme, key in crossval.SCHEMES.items():
        residuals[scheme] = crossval.cross_validate(observations, factors, start, key, shipped)
        validated[scheme] = crossval.error_summary(observations, residuals[scheme])
        for name, mask in (("moe", is_moe), ("dense", ~is_moe)):
            chosen = [int(index) for index in np.flatnonzero(mask)]
            validated[f"{scheme} {name}"] = crossval.error_summary(
                [observations[index] for index in chosen], residuals[scheme][chosen]
            )
        say(f"{kind:8} left out by {scheme:7} {validated[scheme]}")
    return {
        "effects": effects,
        "measured": _measured(observations, quants, residual),
        "seen": {
            "gpu": sorted({each.gpu for each in observations}),
            "family": sorted({str(each.factors["family"]) for each in observations}),
        },
        "ranges": _ranges(observations, quants, residual, residuals, is_moe),
        "cross_validation": validated,
    }


def shipped_terms(kind: str, measured: Sequence[MeasuredRow]) -> crossval.Shipped:
    """What the estimator makes of measured rows under given effects: it evens file types that thin data put out of
    order, which the fit does not know of."""

    def shipped(at: Sequence[int], effects: Mapping[str, float]) -> Sequence[Observation]:
        if kind != "decode":
            return [measured[index].observation for index in at]
        calibration = Calibration({"decode": {"effects": effects}, "prefill": {"effects": {}}}, "shipped")
        memo: dict[Any, float] = {}
        out = []
        for index in at:
            row = measured[index]
            key = (row.accelerator.slug, row.backend, row.engine, row.quant.slug, row.model.is_moe)
            if key not in memo:
                asked = (row.accelerator, row.backend, row.engine, row.quant, row.model.is_moe)
                memo[key] = math.exp(calibration.evening(*asked))
            terms = tuple(
                seconds * memo[key] if term in PER_WEIGHT_TERMS else seconds
                for term, seconds in zip(DECODE_TERMS, row.observation.terms, strict=True)
            )
            out.append(replace(row.observation, terms=terms))
        return out

    return shipped


def _measured(
    observations: Sequence[Observation], quants: Sequence[str], residual: Any
) -> dict[str, dict[str, tuple[float, list[str]]]]:
    """Model -> GPU -> (shrunk residual of the pair, quants measured)."""
    pairs: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, each in enumerate(observations):
        pairs[each.model, each.gpu].append(index)
    out: dict[str, dict[str, tuple[float, list[str]]]] = defaultdict(dict)
    for (model, gpu), members in sorted(pairs.items()):
        shift = crossval.measured_shift([float(residual[index]) for index in members])
        out[model][gpu] = (shift, sorted({quants[index] for index in members}))
    return dict(out)


def _ranges(
    observations: Sequence[Observation], quants: Sequence[str], residual: Any, residuals: Mapping[str, Any], is_moe: Any
) -> dict[str, dict[str, tuple[float, float]]]:
    """Kind of model -> stratum -> multipliers of tok/s; a stratum with few rows takes the next wider one's."""
    out: dict[str, dict[str, tuple[float, float]]] = {}
    for name, mask in (("dense", ~is_moe), ("moe", is_moe)):
        chosen = [int(index) for index in np.flatnonzero(mask)]
        subset = [observations[index] for index in chosen]
        kept, values = crossval.leave_one_out(subset, [quants[index] for index in chosen], residuals["pair"][chosen])
        found = {
            "measured": crossval.multipliers([subset[index] for index in kept], values),
            "gpu": crossval.multipliers(subset, residuals["pair"][chosen]),
            "family": crossval.multipliers(subset, residuals["gpu"][chosen]),
            "none": crossval.multipliers(subset, residuals["family"][chosen]),
        }
        wider = found["none"] or (0.4, 2.5)
        row: dict[str, tuple[float, float]] = {}
        for stratum in ("none", "family", "gpu", "measured"):
            wider = found[stratum] or wider
            row[stratum] = wider
        out[name] = row
    return out


def calibrate_command(*, check: bool, path: Path = DEFAULT_PATH) -> int:
    """Fit and write, or with ``check`` compare with the committed file. Returns 1 when it is not reproduced."""
    result = calibrate(load_catalog())
    text = json.dumps(result, indent=1, sort_keys=True) + "\n"
    if check:
        same = path.read_text() == text
        print("reproduced to the digit" if same else f"{path.name} differs from what the measurements give")
        return 0 if same else FAILED
    path.write_text(text)
    print(f"wrote {path.name}: {len(text):,} bytes", file=sys.stderr)
    return 0


def validate_command(output: Path | None) -> int:
    """Write the validation report. Returns 0."""
    from api.validation import write_report

    write_report(output)
    return 0
