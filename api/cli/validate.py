"""`fitgraph validate`: write the validation reports and their plots."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from api.cli.calibrate import entities_of
from api.cli.choices.report import judgement_report
from db.entries.files import load_catalog
from db.entries.measurements import measured_rows, memory_rows, serving_rows
from estimator.accuracy.report import MINIMUM_ROWS, Report, report
from estimator.calibration.coefficients import Calibration
from estimator.calibration.effects import family_of

DEFAULT_REPORT = Path("docs/validation.md")
JUDGEMENT_REPORT = "validation-judgement.md"


def validate_command(output: Path | None, *, judgement_only: bool) -> int:
    """Write the report on the judgement and, unless ``judgement_only``, that on speeds to ``output``. Returns 0.

    Plots and the report on the judgement go beside ``output``.
    """
    path = output or DEFAULT_REPORT
    beside = path.with_name(JUDGEMENT_REPORT)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside.write_text(judgement_report(), encoding="utf-8")
    print(f"wrote {beside}")
    if judgement_only:
        return 0
    validation = report(
        entities_of(load_catalog()), Calibration.load(), list(measured_rows()), list(serving_rows()), memory_rows
    )
    path.write_text(validation.text, encoding="utf-8")
    _draw(path, validation)
    print(validation.head)
    print(f"wrote {path}")
    return 0


def _draw(path: Path, validation: Report) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    for kind, (measured, residual) in validation.residuals.items():
        tok_s = np.array([row.tok_s for row in measured])
        estimated = tok_s * np.exp(residual)
        figure, axes = plt.subplots(1, 3, figsize=(15, 4.6))
        moe = np.array([row.model.is_moe for row in measured])
        for mask, name, colour in ((~moe, "dense", "#2563eb"), (moe, "mixture of experts", "#d97706")):
            axes[0].loglog(tok_s[mask], estimated[mask], ".", ms=3, alpha=0.5, label=name, color=colour)
        ends = [tok_s.min(), tok_s.max()]
        axes[0].loglog(ends, ends, "k-", lw=0.8)
        axes[0].set(xlabel="measured tok/s", ylabel="estimated tok/s (left out by pair)", title=f"{kind} speed")
        axes[0].legend()
        families: dict[str, list[float]] = defaultdict(list)
        for row, value in zip(measured, residual, strict=True):
            families[family_of(row.accelerator)].append(abs(float(np.expm1(value))))
        names = sorted(name for name, values in families.items() if len(values) >= MINIMUM_ROWS)
        axes[1].barh(names, [float(np.median(families[name])) * 100 for name in names], color="#2563eb")
        axes[1].set(xlabel="median error, %", title="error by hardware family")
        shares = np.linspace(0.1, 0.95, 18)
        sorted_errors = np.sort(np.abs(residual))
        axes[2].plot(
            shares * 100,
            [float(np.expm1(sorted_errors[int(share * (len(sorted_errors) - 1))])) * 100 for share in shares],
        )
        axes[2].set(xlabel="share of rows, %", ylabel="error below, %", title="error distribution")
        figure.tight_layout()
        figure.savefig(path.with_name(f"validation-{kind}.png"), dpi=80)
        plt.close(figure)
