"""The engine and backend of every accelerator and quant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from estimator.memo import kept_within
from estimator.placement.hardware import ENGINE_RULES, choose_engine
from estimator.structure.weights import NATIVE_EXPERT_TYPES
from estimator.types import BACKENDS, ENGINES, Accelerator, Backend, Engine, Quant

NO_ENGINE = 255


@dataclass(frozen=True, eq=False)
class EngineChoices:
    """Accelerators and quants with the engine and backend of each pair, codes of shape (G, Q), 255 where none runs.

    Compared by identity: coefficients of one are kept for as long as somebody holds it.
    ``software`` names a fork or front with speeds of its own, ``architecture`` is a :func:`named_architecture`.
    """

    gpus: tuple[Accelerator, ...]
    quants: tuple[Quant, ...]
    engine: NDArray[np.uint8]
    backend: NDArray[np.uint8]
    is_moe: bool
    software: str | None = None
    architecture: str = ""


@kept_within(1 << 20)
def engine_choices(
    architecture: str,
    is_moe: bool,
    gpus: tuple[Accelerator, ...],
    quants: tuple[Quant, ...],
    engine: Engine | None,
    backend: Backend | None,
    software: str | None,
) -> EngineChoices:
    """The choices for a :func:`named_architecture`; ``engine`` and ``backend`` narrow them."""
    # Coefficients are kept by identity: questions that differ in memory alone share the choices.
    codes = engine_codes(architecture, is_moe, gpus, quants, engine, backend)
    return EngineChoices(gpus, quants, *codes, is_moe, software, architecture)


#: Architectures that a rule of engines or of kernels names.
_NAMED = frozenset(NATIVE_EXPERT_TYPES).union(*(rule.unsupported_architectures for rule in ENGINE_RULES))


def named_architecture(architecture: str) -> str:
    """The architecture, when a rule of engines or of kernels names it; few are named, and all others share one table."""
    return architecture if architecture in _NAMED else ""


@kept_within(1 << 20)
def engine_codes(
    architecture: str,
    is_moe: bool,
    gpus: tuple[Accelerator, ...],
    quants: tuple[Quant, ...],
    engine: Engine | None,
    backend: Backend | None,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Engine and backend code of every (gpu, quant), ``NO_ENGINE`` where none runs; shapes (G, Q)."""
    engines = np.full((len(gpus), len(quants)), NO_ENGINE, dtype=np.uint8)
    backends = np.full_like(engines, NO_ENGINE)
    for g, gpu in enumerate(gpus):
        for q, quant in enumerate(quants):
            choice = choose_engine(architecture, gpu, quant, engine, backend, is_moe=is_moe)
            if choice is not None:
                engines[g, q], backends[g, q] = ENGINES.index(choice[0]), BACKENDS.index(choice[1])
    return engines, backends
