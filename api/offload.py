"""Constants of system memory: fitted on rows whose weights were partly there, with the planner's own placement."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from db import specs
from db.catalog_files import Catalog
from estimator.calibration import Calibration
from estimator.estimate import estimate
from estimator.types import Backend, EstimateRequest, EstimatorError, Host, Status

#: Candidate coefficients on ideal seconds of system memory and on crossings; the best by median error is taken.
HOST_CANDIDATES = tuple(round(0.8 * 1.12**k, 4) for k in range(14))
CROSSING_CANDIDATES = (0.0, 1.0, 2.0, 4.0, 6.0, 9.0, 13.0, 18.0)
_BACKENDS = {backend.value: backend for backend in Backend}


def offload_rows(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Decode rows on one GPU that state that weights were in system memory."""
    return [
        row
        for row in rows
        if row["kind"] == "decode"
        and row.get("offload")
        and not row.get("suspect")
        and (row.get("gpu_count") or 1) == 1
        and all(row.get(key) for key in ("gpu_slug", "model_slug", "quant_slug"))
        and "host" in str(row["offload"])
    ]


def predicted_tok_s(catalog: Catalog, calibration: Calibration, row: Mapping[str, Any], host: Host) -> float | None:
    """Decode speed under the planner's placement, None when it does not offload or cannot be estimated."""
    try:
        answer = estimate(
            specs.architecture(catalog.models[row["model_slug"]]),
            EstimateRequest(
                quant=specs.quant(catalog.quants[row["quant_slug"]]),
                accelerator=specs.accelerator(catalog.gpus[row["gpu_slug"]]),
                host=host,
                backend=_BACKENDS.get(str(row.get("backend") or "")),
                depth_tokens=int(row.get("depth") or 0),
                output_tokens=int(row.get("n_gen") or 128),
            ),
            calibration,
        )
    except EstimatorError:
        return None
    if answer.status is not Status.FITS_WITH_OFFLOAD or answer.decode is None:
        return None
    return answer.decode.value


def fit_offload(
    catalog: Catalog, rows: Sequence[Mapping[str, Any]], result: Mapping[str, Any], say: Callable[[str], None]
) -> dict[str, Any]:
    """The pair of coefficients with the smallest median error, by (GPU, model, quant) group."""
    host = specs.host(catalog.hosts[catalog.default_host])
    chosen = offload_rows(rows)
    best: tuple[float, float, float] | None = None
    for coefficient in HOST_CANDIDATES:
        for crossing in CROSSING_CANDIDATES:
            data = {**result, "offload": {**result["offload"], "host": coefficient, "host_layer": crossing}}
            calibration = Calibration(data, "candidate")
            errors = []
            for row in chosen[:: max(1, len(chosen) // 120)]:
                value = predicted_tok_s(catalog, calibration, row, host)
                if value is not None:
                    errors.append(abs(math.log(value / float(row["tok_s"]))))
            if errors and (best is None or float(np.mean(errors)) < best[0]):
                best = (float(np.mean(errors)), coefficient, crossing)
    if best is None:
        return {}
    say(f"offload  mean log error {best[0]:.3f} with host {best[1]}, crossing {best[2]}")
    return {"host": best[1], "host_layer": best[2], "mean_log_error": round(best[0], 4), "rows": len(chosen)}
