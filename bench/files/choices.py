"""Rules for verdicts and choices over the whole catalog: `python -m bench.files.choices`.

Every model on every accelerator in every precomputed quantization for every workload, against the rules of
``tests.estimator.test_whole_catalog`` (a test asks every fifth model); and pairs of accelerators of one family, of which one is
at least as good in every fact: how often it is estimated to be slower with the same engine and backend, by which a device's
own correction is too large.
"""

from __future__ import annotations

import sys
from collections import Counter
from itertools import permutations

import numpy as np

from estimator.calibration.siblings import is_better
from estimator.grid import evaluate_block
from estimator.verdict import FITS_TIGHTLY
from tests.estimator.test_whole_catalog import GPUS, QUANTS, RULES, USES, Cells
from tests.support import answers

#: Parts of a speed by which the better accelerator may be slower before it counts.
NOTICEABLE = 0.05
#: Pairs that are printed.
WORST = 10


def main() -> int:
    """Returns 1 when a rule is broken; contradictions of accelerators are counted alone."""
    better, worse = np.array(
        [pair for pair in permutations(range(len(GPUS)), 2) if is_better(GPUS[pair[0]], GPUS[pair[1]])]
    ).T
    broken, cells, compared = Counter[str](), 0, 0
    slower, largest = np.zeros(len(better), np.int64), np.zeros(len(better))
    for slug in answers.MODELS:
        traits = answers.TRAITS[slug]
        block = evaluate_block(answers.architecture(slug), GPUS, QUANTS, USES, answers.ALL_HOSTS, answers.CALIBRATION)
        asked = Cells(block, traits.thinking_length if traits.thinking == "always" else 0.0)
        cells += int(asked.runs.sum())
        for rule in RULES:
            broken[rule.__name__] += int(rule(asked).sum())
        whole = asked.runs & (block.status <= FITS_TIGHTLY)
        alike = (block.engine[better] == block.engine[worse]) & (block.backend[better] == block.backend[worse])
        both = whole[better] & whole[worse] & alike[:, :, None]
        gain = np.where(both, asked.decode[worse] / np.maximum(asked.decode[better], 1e-9) - 1, 0.0)
        compared += int(both.sum())
        slower += (gain > NOTICEABLE).sum(axis=(1, 2))
        largest = np.maximum(largest, gain.max(axis=(1, 2)))
    print(
        f"choices: {len(answers.MODELS)} models, {len(GPUS)} accelerators, {cells:,} cells that run; broken: {dict(broken)}"
    )
    print(
        f"  {len(better):,} pairs of a better and a worse accelerator, {compared:,} cells: the better one decodes slower by more "
        f"than {NOTICEABLE:.0%} in {slower.sum():,} ({slower.sum() / compared:.1%}) of {np.count_nonzero(slower)} pairs"
    )
    for place in np.argsort(-largest)[:WORST]:
        print(
            f"  {GPUS[better[place]].slug} behind {GPUS[worse[place]].slug}: up to {largest[place]:.0%}, {slower[place]:,} cells"
        )
    return 1 if broken.total() else 0


if __name__ == "__main__":
    sys.exit(main())
