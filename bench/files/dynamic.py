"""Fit the factors by part of Unsloth's dynamic files on published sizes, and write them into the quantizations' files.

    python -m bench.files.dynamic [--write]

Prints for each quantization its factors, and the errors on files of families that the fit did not see.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from db.entries import specs
from db.entries.files import CATALOG_ROOT, load_catalog
from estimator.accuracy.dynamic_files import dynamic_files, fit_factors
from estimator.structure.weights import PARTS

#: Files from which a 90th percentile is told.
LEAST_FILES = 10


def main() -> None:
    catalog = load_catalog()
    models = {
        slug: specs.architecture(entry)
        for slug, entry in catalog.models.items()
        if not specs.missing_facts(entry) and entry.get("published_files")
    }
    errors = []
    print(f"{'quantization':14} files  median  90th percentile of the error  factors: {', '.join(PARTS)}")
    for slug, entry in catalog.quants.items():
        if entry["part_factors"] is None:
            continue
        recipe = entry["part_factors"]["file_type"]
        fit = fit_factors(dynamic_files(models, catalog.models, slug, recipe))
        error = np.abs(fit.left_out_errors)
        errors += error.tolist()
        middle, most = (f"{np.quantile(error, q):6.2%}" if len(error) else "     -" for q in (0.5, 0.9))
        shown = " ".join(f"{factor:5.2f}" for factor in fit.factors.values())
        print(f"{entry['name']:14} {fit.files:5}  {middle}  {most}  {shown}")
        if "--write" in sys.argv[1:]:
            path = CATALOG_ROOT / "quants" / f"{slug}.json"
            error_90 = round(float(np.quantile(error, 0.9)), 3) if len(error) >= LEAST_FILES else None
            mix = {"file_type": recipe, "left_out_error": error_90, **fit.factors}
            text = json.dumps({**entry, "part_factors": mix}, indent=2, ensure_ascii=False)
            path.write_text(f"{text}\n", encoding="utf-8")
    print(f"{len(errors)} files, left out by family: {np.median(errors):.2%}, {np.quantile(errors, 0.9):.2%}")


if __name__ == "__main__":
    main()
