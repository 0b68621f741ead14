"""Fits what a nat of divergence costs in scores, by family of formats.

Formats round unlike each other: at the same divergence FP8 leaves scores as they are, post-hoc MXFP4 does not. The weight
of a family is its cost beside that of short answers at large; a family with few measured files stays near 1.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import mean

from estimator.accuracy.loss.fit import ridge
from estimator.accuracy.loss.rows import TaskRow
from estimator.calibration.divergence import divergence_terms, log_divergence
from estimator.calibration.scale import SHORT_ANSWER_RETENTION, felt_nats

#: Prior spread of a family's weight; noise of one score in percent; share by which the law's divergence of a file errs,
#: which all scores of the file have in common.
_SPREAD, _NOISE_PERCENT, _LAW_ERROR = 1.0, 0.7, 0.4
_LEAST_WEIGHT = 0.1
#: Families without scores, and the one that rounds as they do: to groups with a scale and an offset, to a grid of vectors.
_ROUNDED_AS = {"mlx": "int4-group", "mlx-mixed": "int4-group", "ik-quant": "i-quant"}
#: Divergence in nats up to which the law of shares holds; beyond, answers break down.
_MOST_NATS = 1.0


def fit_task_weights(rows: Sequence[TaskRow], law: Mapping[str, float]) -> dict[str, float]:
    """Weight by family; ``law`` gives the divergences."""
    files: dict[tuple[str, float], list[TaskRow]] = defaultdict(list)
    for row in rows:
        nats = math.exp(log_divergence(divergence_terms(row.model, row.form, row.bits), law))
        if nats <= _MOST_NATS:
            files[row.form.family, SHORT_ANSWER_RETENTION * felt_nats(nats)].append(row)
    terms, beyond = [], []
    for (family, expected), scores in files.items():
        noise = math.hypot(*(_NOISE_PERCENT / row.above_percent / len(scores) for row in scores), _LAW_ERROR * expected)
        terms.append({f"family:{family}": expected / noise})
        beyond.append((mean(row.lost_log for row in scores) - expected) / noise)
    weights = ridge(terms, beyond, {"family": _SPREAD}, 1.0)
    fitted = {name.removeprefix("family:"): max(1.0 + weight, _LEAST_WEIGHT) for name, weight in weights.items()}
    return fitted | {family: fitted[like] for family, like in _ROUNDED_AS.items() if like in fitted}
