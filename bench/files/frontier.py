"""Recommendations of random machines against brute force: `python -m bench.files.frontier [MACHINES] [SEED]`.

Each machine has random accelerators of the catalog, a random number of them, random system memory, workload and mode. All models
are laid out on it and judged together; each setup is compared with each other one. What is recommended is laid out only as far
as it can matter, so that both must agree in setups, order, frontier and pick, and no setup of the frontier may be beaten.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from itertools import count, islice
from typing import Any

import numpy as np

from api.answers.choices import models as choices
from api.answers.choices.judged import Judged
from api.answers.choices.machine import machine_of
from api.answers.choices.models import Question, Recommended
from api.errors import QuestionError
from db.entries import specs
from db.entries.files import load_catalog
from db.entries.traits import model_traits
from estimator.calibration.coefficients import Calibration
from estimator.fleet import Overrides
from estimator.grid import Outline, outline
from estimator.judgement.worth import WorthTable, worth_table
from estimator.placement.demand import situation_of
from estimator.structure.checkpoints import is_offered
from estimator.types import EstimatorError, OperatingMode

MACHINES, SEED = 500, 20
#: Recommendations that are compared.
FIRST = 20
_COUNTS, _COUNT_SHARES = (1, 2, 4, 8), (0.6, 0.2, 0.1, 0.1)
_HOST_MEMORY_GB = (None, 16.0, 64.0, 256.0)
CATALOG, CALIBRATION = load_catalog(), Calibration.load()
QUANTS = tuple(specs.quant(entry) for entry in CATALOG.quants.values() if specs.is_precomputed(entry))
MODELS = {slug: specs.architecture(entry) for slug, entry in CATALOG.models.items() if not specs.missing_facts(entry)}
TRAITS = model_traits(CATALOG)


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


@dataclass(frozen=True, slots=True)
class Load:
    """What laying out depends on beside the device: questions of one load are laid out together."""

    workload: str
    users: int
    cards: int

    @classmethod
    def of(cls, question: Question) -> Load:
        return cls(question.workload.slug, question.streams, len(question.machine.devices))


def faults_of(questions: Sequence[Question]) -> list[Counter[str]]:
    """Disagreements with brute force by kind, and the setups that were compared, of questions of one load."""
    first, machines = questions[0], [question.machine for question in questions]
    devices = tuple(machine.devices[0] for machine in machines)
    hosts = tuple(machine.host for machine in machines)
    situation = replace(situation_of(first.workload), batch=first.streams, expected_occupancy=True)
    overrides = Overrides(gpu_count=len(first.machine.devices))
    blocks: dict[str, Outline | None] = dict.fromkeys(MODELS)
    for slug, model in MODELS.items():
        with suppress(EstimatorError):
            blocks[slug] = outline(model, devices, QUANTS, (situation,), hosts, CALIBRATION, overrides)
    laid = {slug: block for slug, block in blocks.items() if block is not None}
    table = worth_table(
        first.workload.kind, [TRAITS[slug] for slug in laid], QUANTS, np.array([laid[slug].bits_per_weight for slug in laid])
    )  # fmt: skip
    return [_faults(question, g, laid, table) for g, question in enumerate(questions)]


def _faults(question: Question, g: int, laid: Mapping[str, Outline], table: WorthTable) -> Counter[str]:
    """Those of the ``g``-th machine that was laid out."""
    wanted = [candidate.traits.slug for candidate in choices._candidates(CATALOG, QUANTS, question)]
    slugs = [slug for slug in wanted if slug in laid]
    best = choices.recommended_models(CATALOG, CALIBRATION, question, FIRST)
    if not slugs:
        return Counter(differences=len(best))
    places = [list(laid).index(slug) for slug in slugs]
    rows = [
        choices._Laid(
            runs=laid[slug].available[g],
            known=laid[slug].available[g] & [is_offered(quant, MODELS[slug]) for quant in QUANTS],
            engine=laid[slug].engine[g],
            status=laid[slug].status[g, :, 0],
            decode_tok_s=laid[slug].decode_tok_s[g, :, 0].astype(np.float64),
            ttft_ms=laid[slug].ttft_ms[g, :, 0].astype(np.float64),
            bits_per_weight=laid[slug].bits_per_weight,
        )
        for slug in slugs
    ]
    traits = [TRAITS[slug] for slug in slugs]
    judged = Judged(
        slugs, traits, QUANTS, choices._pace(rows, traits, QUANTS, question), _of_models(table, places),
        question.workload, question.mode,
    )  # fmt: skip
    if not len(judged.order):
        return Counter(differences=len(best))
    worth, seconds = judged.setups.worth[judged.order], judged.setups.seconds[judged.order]
    beaten = (worth >= worth[:, None]) & (seconds <= seconds[:, None])
    beaten &= (worth > worth[:, None]) | (seconds < seconds[:, None])
    leads: list[bool] = np.logical_not(beaten.any(axis=1)).tolist()
    whole = [judged.judgement(int(n)) for n in judged.order[:FIRST]]
    names = [(slugs[own.model], QUANTS[own.quant].slug, own.thinks) for own in whole]
    listed = [_named(entry) for entry in best]
    return Counter(
        setups=len(judged.order),
        frontier=sum(leads),
        dominated=sum(entry.judgement.on_frontier and not lead for entry, lead in zip(best, leads, strict=False)),
        differences=int(names != listed)
        + int(judged.frontier[judged.order].tolist() != leads)
        + int(any(entry.judgement.on_frontier != lead for entry, lead in zip(best, leads, strict=False))),
    )


def _of_models(table: WorthTable, places: Sequence[int]) -> WorthTable:
    """The worth of the models at ``places``."""
    values = [getattr(table, field.name) for field in fields(table)]
    chosen: list[Any] = [
        value[list(places)] if isinstance(value, np.ndarray) else [value[m] for m in places] for value in values
    ]
    return WorthTable(*chosen)


def _named(entry: Recommended) -> tuple[str, str, bool]:
    return entry.model["slug"], entry.quant.slug, entry.judgement.thinks


def main() -> int:
    """Returns 1 when a setup of a frontier is beaten, or when brute force finds something else."""
    machines = int(sys.argv[1]) if len(sys.argv) > 1 else MACHINES
    rng = np.random.default_rng(int(sys.argv[2]) if len(sys.argv) > 2 else SEED)
    draws = (random_question(rng) for _ in count())
    questions = list(islice((question for question in draws if question is not None), machines))
    by_load: dict[Load, list[Question]] = {}
    for question in questions:
        by_load.setdefault(Load.of(question), []).append(question)
    total = Counter[str]()
    with ProcessPoolExecutor() as pool:
        for asked, answers in zip(by_load.values(), pool.map(faults_of, by_load.values()), strict=True):
            for question, faults in zip(asked, answers, strict=True):
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
