"""Recommendations of random machines against brute force: `python -m bench.files.frontier [MACHINES] [SEED]`.

Each machine has random accelerators of the catalog, a random number of them, random system memory, workload and mode. All models
are laid out on it and judged together; each setup is compared with each other one. What is recommended is laid out only as far
as it can matter, so that both must agree in setups, order, frontier and pick, and no setup of the frontier may be beaten.
"""

from __future__ import annotations

import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from itertools import count, islice

import numpy as np

from api.answers.choices import models as choices
from api.answers.choices.machine import machine_of
from api.answers.choices.models import Question, Recommended
from api.errors import QuestionError
from db.entries import specs
from db.entries.files import load_catalog
from estimator.calibration.coefficients import Calibration
from estimator.types import EstimatorError, OperatingMode

MACHINES, SEED = 500, 20
#: Recommendations that are compared.
FIRST = 20
_COUNTS, _COUNT_SHARES = (1, 2, 4, 8), (0.6, 0.2, 0.1, 0.1)
_HOST_MEMORY_GB = (None, 16.0, 64.0, 256.0)
CATALOG, CALIBRATION = load_catalog(), Calibration.load()


def random_question(rng: np.random.Generator) -> Question | None:
    """A random machine and use; None where the accelerator lacks a fact, or comes alone and several were drawn."""
    gpu = str(rng.choice(list(CATALOG.gpus)))
    cards = int(rng.choice(_COUNTS, p=_COUNT_SHARES))
    workload = specs.workload(CATALOG.workloads[str(rng.choice(list(CATALOG.workloads)))])
    mode = list(OperatingMode)[int(rng.integers(len(OperatingMode)))]
    host_memory_gb = _HOST_MEMORY_GB[int(rng.integers(len(_HOST_MEMORY_GB)))]
    with suppress(QuestionError, EstimatorError):
        return Question(machine_of(CATALOG, [gpu], cards, host_memory_gb=host_memory_gb), workload, mode)
    return None


def faults_of(question: Question) -> Counter[str]:
    """Disagreements with brute force by kind, and the setups that were compared."""
    quants = choices._quants(CATALOG, question.machine)
    evaluate_model = choices._evaluator(quants, CALIBRATION, question)
    evaluated = []
    for candidate in choices._candidates(CATALOG, quants, question):
        with suppress(EstimatorError):
            evaluated.append(choices._Evaluated(candidate, evaluate_model(candidate.entry)))
    judged = choices._judged(evaluated, quants, question)
    choice = choices.recommended_models(CATALOG, CALIBRATION, question, FIRST)
    if judged is None or not len(judged.order):
        return Counter(differences=len(choice.entries))
    worth, seconds = judged.setups.worth[judged.order], judged.setups.seconds[judged.order]
    beaten = (worth >= worth[:, None]) & (seconds <= seconds[:, None])
    beaten &= (worth > worth[:, None]) | (seconds < seconds[:, None])
    leads: list[bool] = np.logical_not(beaten.any(axis=1)).tolist()
    whole = [judged.judgement(int(n)) for n in judged.order[:FIRST]]
    names = [(evaluated[own.model].candidate.traits.slug, quants[own.quant].slug, own.thinks) for own in whole]
    listed = [_named(entry) for entry in choice.entries]
    pick = judged.order[int(np.argmax(leads))]
    return Counter(
        setups=len(judged.order),
        frontier=sum(leads),
        dominated=sum(
            entry.judgement.on_frontier and not lead for entry, lead in zip(choice.entries, leads, strict=False)
        ),
        differences=int(names != listed)
        + int(judged.frontier[judged.order].tolist() != leads)
        + int(any(entry.judgement.on_frontier != lead for entry, lead in zip(choice.entries, leads, strict=False)))
        + int(
            choice.pick is None or _named(choice.pick)[0] != evaluated[judged.setups.model[pick]].candidate.traits.slug
        ),
    )


def _named(entry: Recommended) -> tuple[str, str, bool]:
    return entry.model["slug"], entry.quant.slug, entry.judgement.thinks


def main() -> int:
    """Returns 1 when a setup of a frontier is beaten, or when brute force finds something else."""
    machines = int(sys.argv[1]) if len(sys.argv) > 1 else MACHINES
    rng = np.random.default_rng(int(sys.argv[2]) if len(sys.argv) > 2 else SEED)
    draws = (random_question(rng) for _ in count())
    questions = list(islice((question for question in draws if question is not None), machines))
    total = Counter[str]()
    with ProcessPoolExecutor() as pool:
        for question, faults in zip(questions, pool.map(faults_of, questions), strict=True):
            if faults["dominated"] or faults["differences"]:
                machine = question.machine
                print(
                    f"  {len(machine.devices)} x {machine.devices[0].slug}, {question.workload.slug}, "
                    f"{question.mode.value}: {faults}"
                )
            total += faults
    print(
        f"frontier: {len(questions)} random machines, {total['setups']:,} setups, {total['frontier']:,} on a frontier; dominated "
        f"{total['dominated']}, differences from brute force {total['differences']}"
    )
    return 1 if total["dominated"] or total["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
