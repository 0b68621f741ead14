"""The best setup of each offer: models and quantizations on what can be bought, judged against a need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from estimator import verdict
from estimator.calibration.capability_prior import ModelTraits
from estimator.calibration.coefficients import Calibration
from estimator.estimate import thresholds_of
from estimator.fleet import Overrides
from estimator.grid import FitBlock, evaluate
from estimator.judgement.buying import Offer
from estimator.judgement.needs import NEAR, Miss, Need, Needs
from estimator.judgement.setups import Pace, Setups, usable_setups
from estimator.judgement.worth import THINKING, WorthTable, worth_table
from estimator.placement.demand import Situation
from estimator.quant_choice import customary
from estimator.structure.architecture import ModelArchitecture
from estimator.types import ENGINES, Accelerator, Engine, EstimatorError, Host, OperatingMode, Quant, Workload


@dataclass(frozen=True, slots=True)
class Subject:
    """A model that may be run: its architecture and what its capability follows from."""

    slug: str
    name: str
    architecture: ModelArchitecture
    traits: ModelTraits


@dataclass(frozen=True, slots=True)
class Setup:
    """One model on one offer: speeds of each user, loss and worth in points, seconds to a whole answer."""

    subject: int
    quant: Quant
    engine: Engine
    thinks: bool
    worth: float
    loss_points: float
    decode_tok_s: float
    ttft_ms: float
    answer_s: float
    host_bytes: int
    offloads: bool
    rating: float


#: A number of equal accelerators in a computer.
Machine: TypeAlias = tuple[int, Accelerator, Host]
#: A setup and what it misses.
Found: TypeAlias = tuple[Setup, tuple[Miss, ...]]


class OfferJudge:
    """Models, quantizations and needs, against which offers are judged in groups of equal count."""

    def __init__(
        self,
        subjects: Sequence[Subject],
        quants: Sequence[Quant],
        needs: Needs,
        calibration: Calibration,
        mode: OperatingMode,
    ) -> None:
        self.subjects, self.quants, self.needs = subjects, tuple(quants), needs
        self.calibration, self.mode = calibration, mode
        self.custom = np.array([customary(quant) for quant in quants])
        self.recency = np.array([subject.traits.released for subject in subjects])
        self.streams = needs.streams(max((_thinking(subject.traits) for subject in subjects), default=0.0))
        self._table: WorthTable | None = None

    def setups(self, offers: Sequence[Offer]) -> list[tuple[Offer, Setup, tuple[Miss, ...]]]:
        """Each offer on which a model comes near the need, with its best setup and what that misses.

        The computer with most memory is asked about first: what is best there without host memory is best in the others,
        and what comes near the need in none of its memory comes near it in no less.
        """
        roomiest: dict[tuple[int, Accelerator], Host] = {}
        for offer in offers:
            key = offer.count, offer.ware.accelerator
            if key not in roomiest or offer.host.memory_bytes > roomiest[key].memory_bytes:
                roomiest[key] = offer.host
        best = self._on((*key, host) for key, host in roomiest.items())
        smaller = []
        for offer in offers:
            count, accelerator = key = offer.count, offer.ware.accelerator
            known = best[count, accelerator, roomiest[key]]
            if known is None or not known[0].offloads:
                best[count, accelerator, offer.host] = known
            else:
                smaller.append((count, accelerator, offer.host))
        best |= self._on(machine for machine in dict.fromkeys(smaller) if machine not in best)
        judged = ((offer, best[offer.count, offer.ware.accelerator, offer.host]) for offer in offers)
        return [(offer, *setup) for offer, setup in judged if setup is not None]

    def _on(self, machines: Iterable[Machine]) -> dict[Machine, Found | None]:
        """The best setup on each machine and what it misses; None where nothing comes near the need."""
        groups: dict[int, list[tuple[Accelerator, Host]]] = {}
        for count, accelerator, host in machines:
            groups.setdefault(count, []).append((accelerator, host))
        best: dict[Machine, Found | None] = {}
        for count, alike in groups.items():
            blocks = self._blocks(count, alike)
            paces = _paces(blocks, len(alike), len(self.quants), whole=self.streams > 1)
            best |= {
                (count, *machine): self._best(blocks, pace, g)
                for g, (machine, pace) in enumerate(zip(alike, paces, strict=True))
            }
        return best

    def _blocks(self, count: int, machines: Sequence[tuple[Accelerator, Host]]) -> list[FitBlock | None]:
        """Estimates of each model on ``count`` of each accelerator in its host; None for a model without an estimate."""
        workload = self.needs.workload
        devices, hosts = tuple(device for device, _ in machines), tuple(host for _, host in machines)
        situation = Situation(
            workload.prompt_tokens, workload.output_tokens, workload.context_tokens, workload.decode_depth_tokens,
            batch=self.streams, expected_occupancy=True,
        )  # fmt: skip
        overrides = Overrides(gpu_count=count)
        blocks: list[FitBlock | None] = []
        for subject in self.subjects:
            try:
                blocks.append(
                    evaluate(
                        subject.architecture, devices, self.quants, (situation,),
                        thresholds_of(workload, situation), hosts, self.calibration, overrides,
                    )
                )  # fmt: skip
            except EstimatorError:
                blocks.append(None)
        return blocks

    def _best(self, blocks: Sequence[FitBlock | None], pace: Pace, g: int) -> Found | None:
        """The best setup that meets the need, else the nearest of those that nearly do; None where nothing does."""
        if not pace.runs.any():
            return None
        table = self._worth(blocks)
        for slack in (1.0, NEAR):
            allowed = np.where(table.loss <= self.needs.loss_points * slack, table.value, np.nan)
            setups = usable_setups(replace(table, value=allowed), pace, _relaxed(self.needs.workload, slack), self.mode)
            best = setups.best(self.recency, self.custom)
            if len(best):
                if slack > 1:
                    best = best[np.argsort(self._distance(setups, pace, table)[best], kind="stable")]
                setup = self._made(blocks, pace, table, setups, int(best[0]), g)
                return setup, self._misses(setup)
        return None

    def _distance(self, setups: Setups, pace: Pace, table: WorthTable) -> NDArray[np.float64]:
        """How far each setup is from the need: the sum of the logarithms of what it misses."""
        workload, at = self.needs.workload, (setups.model, setups.quant)
        ratios = (
            workload.minimum_decode_tok_s / pace.decode_tok_s[at],
            pace.ttft_ms[at] / workload.usable_ttft_ms,
            setups.seconds / workload.usable_answer_s,
            table.loss[setups.model, setups.way, setups.quant] / self.needs.loss_points,
        )
        return np.asarray(np.sum([np.log(np.maximum(ratio, 1.0)) for ratio in ratios], axis=0))

    def _made(
        self, blocks: Sequence[FitBlock | None], pace: Pace, table: WorthTable, setups: Setups, n: int, g: int
    ) -> Setup:
        m, way, q = int(setups.model[n]), int(setups.way[n]), int(setups.quant[n])
        block = blocks[m]
        assert block is not None
        return Setup(
            subject=m,
            quant=self.quants[q],
            engine=ENGINES[int(block.engine[g, q])],
            thinks=way == THINKING,
            worth=float(setups.worth[n]),
            loss_points=float(table.loss[m, way, q]),
            decode_tok_s=float(pace.decode_tok_s[m, q]),
            ttft_ms=float(pace.ttft_ms[m, q]),
            answer_s=float(setups.seconds[n]),
            host_bytes=int(block.host_bytes[g, q, 0]),
            offloads=int(block.status[g, q, 0]) == verdict.FITS_WITH_OFFLOAD,
            rating=float(setups.rating[n]),
        )

    def _misses(self, setup: Setup) -> tuple[Miss, ...]:
        workload = self.needs.workload
        least = Miss(Need.DECODE, workload.minimum_decode_tok_s, setup.decode_tok_s)
        most = (
            Miss(Need.TTFT, workload.usable_ttft_ms, setup.ttft_ms),
            Miss(Need.ANSWER, workload.usable_answer_s, setup.answer_s),
            Miss(Need.LOSS, self.needs.loss_points, setup.loss_points),
        )
        return (*((least,) if least.has < least.needed else ()), *(miss for miss in most if miss.has > miss.needed))

    def _worth(self, blocks: Sequence[FitBlock | None]) -> WorthTable:
        """Worth of every model and quantization; the same for every group."""
        if self._table is None:
            bits = np.array([_row(block, "bits_per_weight", len(self.quants)) for block in blocks])
            traits = [subject.traits for subject in self.subjects]
            self._table = worth_table(self.needs.workload.kind, traits, self.quants, bits)
        return self._table


def _thinking(traits: ModelTraits) -> float:
    return 0.0 if traits.thinking == "never" else traits.thinking_length


def _relaxed(workload: Workload, slack: float) -> Workload:
    return replace(
        workload,
        minimum_decode_tok_s=workload.minimum_decode_tok_s / slack,
        usable_ttft_ms=workload.usable_ttft_ms * slack,
        usable_answer_s=workload.usable_answer_s * slack,
    )


def _row(block: FitBlock | None, name: str, quants: int) -> NDArray[np.float64]:
    return np.full(quants, 16.0) if block is None else np.asarray(getattr(block, name), np.float64)


def _paces(blocks: Sequence[FitBlock | None], machines: int, quants: int, *, whole: bool) -> list[Pace]:
    """Arrays (models, quants) of each machine; setups that serve several users hold everything on the devices."""
    worst = verdict.FITS_TIGHTLY if whole else verdict.FITS_WITH_OFFLOAD
    shape = machines, len(blocks), quants
    runs, tight = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    decode, ttft = np.zeros(shape), np.zeros(shape)
    bits = np.array([_row(block, "bits_per_weight", quants) for block in blocks])
    for m, block in enumerate(blocks):
        if block is not None:
            status = block.status[:, :, 0]
            runs[:, m] = block.available & block.has_weights & (status <= worst)
            tight[:, m] = status == verdict.FITS_TIGHTLY
            decode[:, m], ttft[:, m] = block.decode_tok_s[:, :, 0], block.ttft_ms[:, :, 0]
    return [Pace(*arrays, bits) for arrays in zip(runs, tight, decode, ttft, strict=True)]
