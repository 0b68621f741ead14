"""Preferences that a knowledgeable user holds: on this machine, for this work, one setup before another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from api.answers.choices.machine import machine_of, resolved
from api.answers.choices.models import Question, preferred
from db.entries import specs
from db.entries.files import Catalog
from estimator import accuracy
from estimator.calibration.coefficients import Calibration
from estimator.types import OperatingMode

DEFAULT_PATH = Path(accuracy.__path__[0]) / "preferences.jsonl"


@dataclass(frozen=True, slots=True)
class Preference:
    """``before`` and ``after`` are a model's slug, or ``model@quantization``.

    ``tuned``: the charges were chosen with this preference in sight.
    """

    gpu: str
    count: int
    host_memory_gb: float | None
    workload: str
    mode: str
    users: int | None
    before: str
    after: str
    why: str
    tuned: bool

    @property
    def text(self) -> str:
        cards = self.gpu if self.count == 1 else f"{self.count} x {self.gpu}"
        users = "" if self.users is None else f", {self.users} users at once"
        mode = "" if self.mode == "balanced" else f", {self.mode}"
        return f"{cards}, {self.workload}{mode}{users}: {self.before} before {self.after}"


def preferences() -> list[Preference]:
    return [Preference(**json.loads(line)) for line in DEFAULT_PATH.read_text(encoding="utf-8").splitlines()]


def is_met(catalog: Catalog, calibration: Calibration, held: Preference) -> bool:
    """Whether the choice among both sides alone takes ``before``.

    Raises:
        QuestionError: the catalog has no such accelerator, workload, model or quantization.
    """
    sides = [_setup(catalog, side) for side in (held.before, held.after)]
    machine = machine_of(catalog, [held.gpu], held.count, host_memory_gb=held.host_memory_gb)
    workload = specs.workload(catalog.workloads[resolved(catalog, "workload", held.workload)])
    question = Question(machine, workload, OperatingMode(held.mode), users=held.users)
    return preferred(catalog, calibration, question, sides) == sides[0]


def share_met(met: Sequence[bool]) -> float:
    """Share of preferences that are met; 1 where there are none."""
    return sum(met) / len(met) if met else 1.0


def _setup(catalog: Catalog, side: str) -> tuple[str, str | None]:
    """Slugs of a model and of its quantization, None for any."""
    model, _, quant = side.partition("@")
    return resolved(catalog, "model", model), resolved(catalog, "quant", quant) if quant else None
