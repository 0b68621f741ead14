"""Verdicts and recommended quantizations of models on every accelerator for every workload, against plain rules.

`python -m bench.files.choices` asks the same of every model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from estimator.calibration.scale import KIND_OF_WORKLOAD, RETENTION_PER_NAT, points_lost, retained_share
from estimator.grid import FitBlock, evaluate_block
from estimator.placement.hardware import HOST_RESERVE_BYTES
from estimator.quant_choice import ALIKE_POINTS, CHARGES
from estimator.types import OperatingMode
from estimator.verdict import DOES_NOT_FIT, FITS, FITS_WITH_OFFLOAD, grade
from tests.support import answers as support

GPUS = tuple(map(support.accelerator, support.GPUS))
QUANTS = tuple(map(support.quant, support.QUANTS))
USES = tuple(map(support.workload, support.WORKLOADS))
LETTERS = np.array([grade(hundredths / 100) for hundredths in range(10_001)])
EIGHT = support.QUANTS.index("q8-0")
Flags = Any


def asked(name: str) -> np.ndarray:
    return np.array([float(getattr(use, name)) for use in USES])


class Cells:
    """One block with what the rules below need: arrays (G, Q, S)."""

    def __init__(self, block: FitBlock, thinking: float) -> None:
        self.block = block
        self.runs = block.available[:, :, None] & (block.status < DOES_NOT_FIT)
        self.decode = block.decode_tok_s.astype(np.float64)
        self.wait = np.where(block.ttft_ms > 0, block.ttft_ms.astype(np.float64), asked("usable_ttft_ms"))
        written = asked("answer_tokens") + thinking * asked("thinking_tokens")
        self.seconds = self.wait / 1000 + written / np.maximum(self.decode, 1e-9)
        usable = self.runs & (self.decode >= asked("minimum_decode_tok_s")) & (self.wait <= asked("usable_ttft_ms"))
        self.usable = usable & (self.seconds <= asked("usable_answer_s"))
        self.letters = LETTERS[np.rint(block.score * 100).astype(int)]
        known = self.runs & block.has_weights[:, None]
        self.known = known | (self.runs & ~known.any(axis=1, keepdims=True))
        wide = (block.bits_per_weight >= 8)[:, None] & known
        self.outrun = wide & (np.where(wide, self.decode, 0).max(axis=1, keepdims=True) >= 1.15 * self.decode)


def yes_is_comfortable(cells: Cells) -> Flags:
    """S, A and B are given to what is comfortable, and to nothing else."""
    comfortable_s = asked("patience_ttft_ms") / 1000 + asked("output_tokens") / asked("comfortable_decode_tok_s")
    answers = cells.usable & (cells.seconds <= comfortable_s)
    # Within the rounding of single precision a word may be either.
    return (np.isin(cells.letters, list("SAB")) != answers) & (np.abs(cells.seconds / comfortable_s - 1) > 1e-6)


def slowly_is_usable(cells: Cells) -> Flags:
    """C or better is given to what is usable, and to nothing else; what does not run has no points."""
    return (np.isin(cells.letters, list("SABC")) != cells.usable) | (~cells.runs & (cells.block.score > 0))


def offload_is_held(cells: Cells) -> Flags:
    """No load lies in memory that the computer around the accelerator does not have."""
    memory = np.array([host.memory_bytes for host in support.ALL_HOSTS])[:, None, None]
    shared = np.array([gpu.unified_memory for gpu in GPUS])[:, None, None]
    offloads = cells.runs & (cells.block.status == FITS_WITH_OFFLOAD)
    return offloads & (shared | (cells.block.host_bytes > memory - HOST_RESERVE_BYTES))


def one_is_recommended(cells: Cells) -> Flags:
    """One quantization of a pairing is recommended where one is usable, and only a usable one."""
    allowed = cells.usable & cells.known & ~cells.outrun
    several = cells.block.recommended.sum(axis=1, keepdims=True) != allowed.any(axis=1, keepdims=True)
    return (cells.block.recommended & ~allowed) | several


def sixteen_bits_are_no_waste(cells: Cells) -> Flags:
    """16 bits are never recommended where Q8_0 fits and is noticeably faster."""
    block = cells.block
    picked = block.recommended & (block.bits_per_weight > 15)[:, None]
    return picked & cells.runs[:, EIGHT, None] & (cells.decode[:, EIGHT, None] >= 1.15 * cells.decode)


def time_buys_quality(cells: Cells) -> Flags:
    """Half of the time is never paid for a step of quality that nobody notices."""
    block = cells.block
    retention = np.array([RETENTION_PER_NAT[KIND_OF_WORKLOAD[use.kind]] for use in USES])
    loss = np.broadcast_to(points_lost(retained_share(retention, block.task_nats)), cells.seconds.shape)
    unnoticeable = CHARGES[OperatingMode.BALANCED].within - ALIKE_POINTS
    own = np.argmax(block.recommended, axis=1)[:, None, :]
    seconds, lost = (np.take_along_axis(values, own, axis=1) for values in (cells.seconds, loss))
    roomy = cells.usable & cells.known & ~cells.outrun & (block.status == FITS)
    better = roomy & (cells.seconds <= seconds / 2) & (loss - lost < unnoticeable - 1e-3)
    return better & block.recommended.any(axis=1, keepdims=True)


RULES: tuple[Callable[[Cells], Flags], ...] = (
    yes_is_comfortable, slowly_is_usable, offload_is_held, one_is_recommended, sixteen_bits_are_no_waste, time_buys_quality,
)  # fmt: skip


@cache
def whole_catalog() -> tuple[dict[str, list[str]], Counter[str]]:
    """By rule the models that break it, and how often each letter and each kind of cell was met."""
    broken: dict[str, list[str]] = {rule.__name__: [] for rule in RULES}
    met: Counter[str] = Counter()
    for slug in support.MODELS[::5]:
        model = support.architecture(slug)
        traits = support.TRAITS[slug]
        block = evaluate_block(model, GPUS, QUANTS, USES, support.ALL_HOSTS, support.CALIBRATION)
        cells = Cells(block, traits.thinking_length if traits.thinking == "always" else 0.0)
        for rule in RULES:
            if rule(cells).any():
                broken[rule.__name__].append(slug)
        values, counts = np.unique(cells.letters, return_counts=True)
        met.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        met["recommended"] += int(cells.block.recommended.sum())
        met["16 bits"] += int((cells.block.recommended & (cells.block.bits_per_weight > 15)[:, None]).sum())
        met["offloaded"] += int((cells.runs & (cells.block.status == FITS_WITH_OFFLOAD)).sum())
    return broken, met


@pytest.mark.parametrize("rule", [rule.__name__ for rule in RULES])
def test_no_model_breaks_a_rule(rule: str) -> None:
    assert whole_catalog()[0][rule] == []


def test_the_rules_meet_every_kind_of_cell() -> None:
    met = whole_catalog()[1]
    assert all(met[kind] > 100 for kind in (*"SABCDF", "recommended", "offloaded")), met
    assert met["16 bits"] > 5, met
