"""Published formulas of other calculators, for the validation report."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from estimator.accuracy.observations import MeasuredRow
from estimator.placement.layer_sums import model_tables

#: Gigabytes per billion parameters that the seed page used, by quant (reconstructed from its stored pages).
SEED_GB_PER_BILLION: Mapping[str, float] = {
    "q2-k": 0.39, "q3-k-s": 0.49, "nvfp4": 0.56, "q4-k-m": 0.61, "q5-k-m": 0.72, "q6-k": 0.82, "q8-0": 1.07,
    "f16": 2.05, "bf16": 2.05, "bf16-safetensors": 2.05,
}  # fmt: skip
_GB = 1e9


def _bandwidth(case: MeasuredRow) -> float:
    return case.accelerator.bandwidth_bytes_s or 0.0


def naive(case: MeasuredRow) -> float | None:
    """Bandwidth over active bytes."""
    return _bandwidth(case) / float(model_tables(case.model, (case.quant,)).active[0])


def nominal_bits(case: MeasuredRow) -> float | None:
    """0.55 x bandwidth over active bytes at nominal bits."""
    return 0.55 * _bandwidth(case) / (case.model.active_parameters * case.quant.nominal_bits / 8.0)


def padded_weights(case: MeasuredRow) -> float | None:
    """0.7 x bandwidth over 1.1 x weights + 0.5 GB."""
    weights = float(model_tables(case.model, (case.quant,)).weights.file[0])
    return 0.7 * _bandwidth(case) / (1.1 * weights + 0.5 * _GB)


def seed_page(case: MeasuredRow) -> float | None:
    """The seed page's: 0.81 (dense) or 0.6 (MoE) x bandwidth over its weight table; None outside the table."""
    per_billion = SEED_GB_PER_BILLION.get(case.quant.slug)
    if per_billion is None:
        return None
    weights = case.model.total_parameters / 1e9 * per_billion * _GB
    return (0.6 if case.model.is_moe else 0.81) * _bandwidth(case) / weights


BASELINES: Mapping[str, Callable[[MeasuredRow], float | None]] = {
    "bandwidth / active bytes": naive,
    "0.55 x bandwidth / active bytes at nominal bits": nominal_bits,
    "0.7 x bandwidth / (1.1 x weights + 0.5 GB)": padded_weights,
    "the seed page's": seed_page,
}
