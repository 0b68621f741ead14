"""Measured losses as the fit sees them: the log of a divergence, and the conditions of its measurement."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from estimator.calibration.capability_prior import ModelTraits
from estimator.calibration.divergence import CACHE_BITS, QuantForm
from estimator.structure.training import REFERENCE_YEAR

#: Perplexity tells divergence only where it rises by more than its own noise, and not near 8 bits.
_LEAST_PERPLEXITY_RISE, _MOST_PERPLEXITY_BITS = 0.004, 5.3
#: KLD = d * (1.08 + 0.5 * exp(-d / 0.12)) with d the rise of log perplexity: through the medians of 716 rows with both.
_PERPLEXITY_CURVE = (1.08, 0.5, 0.12)
_CORPORA = (("ubergarm", "ubergarm"), ("wiki", "wikitext"), ("nsloth", "unsloth"))
_CACHE_TYPES: Mapping[str, float] = {
    **{name.value: bits for name, bits in CACHE_BITS.items()},
    "mlx affine 8": 8.5, "mlx affine 8 g64": 8.5, "mlx affine 4": 4.5, "mlx affine 4 g64": 4.5, "int8": 8.5, "q4": 4.5,
    "int4": 4.5, "q4 (hadamard)": 4.5, "q4_0 + hadamard": 4.5, "f16": 16.0, "fp16": 16.0,
}  # fmt: skip
_SIXTEEN_BITS = 16.0
#: Scores that a guess has, in percent, by the name of a benchmark as the rows have it; averages repeat single ones.
_GUESSED: Mapping[str, float] = {
    "mmlu": 25, "mmlu_humanities": 25, "mmlu_stem": 25, "mmlu_pro": 10, "arc_challenge": 25, "arc_easy": 25,
    "hellaswag": 25, "winogrande": 50, "piqa": 50, "boolq": 50, "openbookqa": 25, "obqa": 25, "truthfulqa_mc1": 20,
    "lambada": 0, "lambada_openai": 0, "gsm8k": 0, "ifeval": 0, "humaneval_instruct": 0, "mbpp_instruct": 0,
}  # fmt: skip
#: Score above chance, in percent, from which a change of it is told from noise, and the least share that is left.
_LEAST_ABOVE_CHANCE, _LEAST_LEFT = 20.0, 0.02


@dataclass(frozen=True, slots=True)
class LossRow:
    """One measured divergence of a quantization. ``pure``: every tensor in one type, without a recipe."""

    model: ModelTraits
    form: QuantForm
    bits: float
    without_imatrix: bool
    pure: bool
    corpus: str
    from_perplexity: bool
    log_divergence: float

    @property
    def conditions(self) -> str:
        """Rows of one model under the same conditions share an error."""
        return f"{self.model.slug}|{self.corpus}|{self.from_perplexity}|{self.pure}"


@dataclass(frozen=True, slots=True)
class CacheRow:
    """One measured divergence of a KV-cache type. ``sides``: 2 when keys and values are stored so, else 1."""

    model: ModelTraits
    bits: float
    floating: bool
    rotated: bool
    sides: int
    from_perplexity: bool
    log_divergence: float


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One measured score of a quantization, of short answers: minus the log of the share above chance that is left, and how
    far above chance the original weights score, in percent."""

    model: ModelTraits
    form: QuantForm
    bits: float
    lost_log: float
    above_percent: float


def loss_rows(rows: Iterable[Mapping[str, Any]], models: Mapping[str, ModelTraits]) -> list[LossRow]:
    """Rows that the law can learn from: known form, size and bits, not suspect, in a fixed order."""
    rows = [row for row in rows if row["suspect"] is None and row["family"] and row["bits_per_weight"]]
    rows.sort(key=_order)
    measured = {_measurement(row) for row in rows if row["metric"] == "kld_mean"}
    learned = []
    for row in rows:
        model = _model_of(row, models)
        divergence = _divergence(row, measured)
        if model is None or divergence is None:
            continue
        corpus = next((name for part, name in _CORPORA if part in (row["dataset"] or "")), "other")
        learned.append(
            LossRow(
                model, QuantForm(row["family"], row["type"]), row["bits_per_weight"], row["imatrix"] is False,
                row["pure"], corpus, row["metric"] != "kld_mean", math.log(divergence),
            )
        )  # fmt: skip
    return learned


def cache_rows(rows: Iterable[Mapping[str, Any]], models: Mapping[str, ModelTraits]) -> list[CacheRow]:
    """Rows of plain cache types with a divergence or a perplexity."""
    learned = []
    for row in sorted(rows, key=lambda row: (row["model_name"], row["k_type"], row["v_type"], row["value"])):
        sides = [_CACHE_TYPES.get(row[key].casefold()) for key in ("k_type", "v_type")]
        model = _model_of(row, models)
        if row["suspect"] is not None or None in sides or model is None:
            continue
        stored = [bits for bits in sides if bits is not None and bits < _SIXTEEN_BITS]
        divergence = _cache_divergence(row)
        if not stored or len(set(stored)) > 1 or divergence is None:
            continue
        kind = row["k_type"].casefold()
        learned.append(
            CacheRow(
                model, stored[0], kind == "fp8", "hadamard" in kind, len(stored), row["metric"] != "kld_mean",
                math.log(divergence),
            )
        )  # fmt: skip
    return learned


def task_rows(rows: Iterable[Mapping[str, Any]], models: Mapping[str, ModelTraits]) -> list[TaskRow]:
    """Scores of known form, size and bits, beside those of the original weights."""
    learned = []
    for row in sorted(rows, key=_order):
        chance, baseline = _GUESSED.get(row["metric"]), row["baseline_value"]
        if row["suspect"] is not None or row["family"] is None or chance is None or baseline is None:
            continue
        model, bits = _model_of(row, models), row["bits_per_weight"]
        above = baseline - chance
        if model is None or bits is None or above < _LEAST_ABOVE_CHANCE:
            continue
        left = max((row["value"] - chance) / above, _LEAST_LEFT)
        learned.append(TaskRow(model, QuantForm(row["family"], row["type"] or ""), bits, -math.log(left), above))
    return learned


def _order(row: Mapping[str, Any]) -> tuple[str, str, str, str, float]:
    return (row["model_name"], row["quant"], row["metric"], row["source"], row["value"])


def _measurement(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return (row["model_name"], row["quant"], row["source"])


def _model_of(row: Mapping[str, Any], models: Mapping[str, ModelTraits]) -> ModelTraits | None:
    if row["model_slug"] in models:
        return models[row["model_slug"]]
    if not row["total_b"]:
        return None
    active = row.get("active_b") or row["total_b"]
    return ModelTraits(row["model_name"], row["total_b"], active, REFERENCE_YEAR, publisher=row["publisher"] or "")


def _divergence(row: Mapping[str, Any], measured: set[tuple[str, str, str]]) -> float | None:
    """Nats, from the divergence itself or from perplexities where only they are known."""
    if row["metric"] == "kld_mean":
        return row["value"] if row["value"] > 0 else None
    if _measurement(row) in measured or row["bits_per_weight"] > _MOST_PERPLEXITY_BITS:
        return None
    return _from_perplexity(row)


def _cache_divergence(row: Mapping[str, Any]) -> float | None:
    if row["metric"] == "kld_mean":
        return row["value"] if row["value"] > 0 else None
    return _from_perplexity(row)


def _from_perplexity(row: Mapping[str, Any]) -> float | None:
    if row["metric"] == "ppl_ratio":
        ratio = row["value"]
    elif row["metric"] == "ppl" and row["baseline_value"]:
        ratio = row["value"] / row["baseline_value"]
    else:
        return None
    rise = math.log(ratio)
    if rise <= _LEAST_PERPLEXITY_RISE:
        return None
    level, extra, scale = _PERPLEXITY_CURVE
    return rise * (level + extra * math.exp(-rise / scale))
