"""Broken files of models: `python -m bench.files [VARIANTS] [SEED]`.

``tests.support.file_variants`` breaks configurations, GGUF headers, safetensors headers and indexes. Each variant must get an
answer or a typed error. The bench prints the counts, the slowest variant in CPU time (bar: 2 s) and the growth of the
process's memory (bar: 256 MB).
"""

from __future__ import annotations

import resource
import sys
import time
import traceback
from collections import Counter
from itertools import islice

from api.answers.questions import Answerer
from db.entries.files import load_catalog
from estimator.calibration.coefficients import Calibration
from tests.support.file_variants import outcome, variants

VARIANTS = 20_000
SLOWEST_S = 2.0
GROWTH_MB = 256.0


def memory_mb() -> float:
    """The largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(arguments: list[str]) -> int:
    """Returns 1 when a variant fails otherwise, or breaks a bar."""
    count, seed = map(int, [*arguments, *(str(VARIANTS), "1")[len(arguments) :]])
    answerer = Answerer(load_catalog(), Calibration.load())
    outcome(answerer, {"model": "llama-3.1-8b", "quant": "q4-k-m"})
    before, counts, wrong = memory_mb(), Counter[str](), Counter[str]()
    slowest: tuple[float, str] = (0.0, "")
    for question in islice(variants(seed), count):
        began = time.process_time()
        try:
            counts[outcome(answerer, question)] += 1
        except Exception:
            wrong["".join(traceback.format_exc().splitlines(keepends=True)[-6:]) + repr(question)[:1500]] += 1
        slowest = max(slowest, (time.process_time() - began, repr(question)[:500]))
    for text in list(wrong)[:20]:
        print(f"  WRONG {text}")
    growth = memory_mb() - before
    print(f"files: {count:,} variants: {dict(counts)}, without a typed error: {wrong.total()} (bar: 0)")
    print(f"  slowest: {slowest[0]:.2f} s of CPU (bar: {SLOWEST_S:g} s) for {slowest[1]}")
    print(f"  memory grew by {growth:.0f} MB (bar: {GROWTH_MB:.0f} MB)")
    return 1 if wrong or slowest[0] > SLOWEST_S or growth > GROWTH_MB else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
