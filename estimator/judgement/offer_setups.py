"""The best setup of each offer: models and quantizations on what can be bought, judged against a need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from estimator import verdict
from estimator.calibration.capability_prior import ModelTraits
from estimator.calibration.coefficients import Calibration
from estimator.fleet import Overrides
from estimator.grid import Outline, outline
from estimator.judgement.buying import Offer
from estimator.judgement.needs import NEAR, Miss, Need, Needs
from estimator.judgement.setups import Pace, Setups, most, usable_setups
from estimator.judgement.worth import THINKING, WorthTable, worth_table
from estimator.placement.demand import situation_of
from estimator.placement.layer_sums import model_tables
from estimator.quant_choice import customary, drawbacks, unpaged_points
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.arrays import Ints
from estimator.structure.checkpoints import is_offered
from estimator.types import ENGINES, Accelerator, Engine, EstimatorError, Host, OperatingMode, Quant
from estimator.usability import relaxed


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


#: Machines are dropped from further estimates when no more than this part of them is open.
_SHRINKS = 0.3


class _Laid(NamedTuple):
    """A model on machines, those ``at`` these places of a group; rows of the block and the pace are in this order."""

    m: int
    block: Outline
    pace: Pace
    at: Ints


class _Candidate(NamedTuple):
    """The best setup of a machine so far. A higher ``rank`` is better: nearer to the need, rating, worth, time, recency."""

    rank: tuple[float, ...]
    laid: _Laid
    row: int
    way: int
    quant: int
    seconds: float


class OfferJudge:
    """Models, quantizations and needs, against which offers are judged in groups of equal count.

    No model is estimated on a machine where a better one meets the need than it can be at most. What is best on a machine
    does not depend on its price, so it is kept for further offers.
    """

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
        self.streams = needs.streams(max((_thinking(subject.traits) for subject in subjects), default=0.0))
        traits = [subject.traits for subject in subjects]
        bits = np.array([_bits_per_weight(subject.architecture, self.quants) for subject in subjects])
        self.table = worth_table(needs.workload.kind, traits, self.quants, bits.reshape(-1, len(quants)))
        self.most_rating, _ = most(needs.workload, traits, mode)
        #: The best setup on each machine and what it misses; None where nothing comes near the need.
        self._found: dict[Machine, Found | None] = {}

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
        found = self._found
        self._find((*key, host) for key, host in roomiest.items())
        smaller = []
        for offer in offers:
            count, accelerator = key = offer.count, offer.ware.accelerator
            known = found[count, accelerator, roomiest[key]]
            if known is None or not known[0].offloads:
                found[count, accelerator, offer.host] = known
            else:
                smaller.append((count, accelerator, offer.host))
        self._find(smaller)
        judged = ((offer, found[offer.count, offer.ware.accelerator, offer.host]) for offer in offers)
        return [(offer, *setup) for offer, setup in judged if setup is not None]

    def _find(self, machines: Iterable[Machine]) -> None:
        """Find what is best on machines that were not asked about before."""
        groups: dict[int, list[tuple[Accelerator, Host]]] = {}
        for machine in dict.fromkeys(machines):
            if machine not in self._found:
                groups.setdefault(machine[0], []).append(machine[1:])
        for count, alike in groups.items():
            self._found |= {(count, *alike[g]): setup for g, setup in enumerate(self._best(count, alike))}

    def _best(self, count: int, machines: Sequence[tuple[Accelerator, Host]]) -> list[Found | None]:
        """The best setup on each machine that meets the need, else the nearest of those that nearly do."""
        best: dict[int, _Candidate] = {}
        least = np.full(len(machines), -np.inf)
        laid: list[_Laid] = []
        at, asked = np.arange(len(machines)), tuple(machines)
        for m in np.argsort(-self.most_rating, kind="stable"):
            open_to = np.flatnonzero(least <= self.most_rating[m])
            if not len(open_to) or self.most_rating[m] == -np.inf:
                break
            # What estimates of the same machines share is kept, so a few closed ones are taken along.
            if len(open_to) <= len(at) * _SHRINKS:
                at, asked = open_to, tuple(machines[int(g)] for g in open_to)
            on = self._laid_out(int(m), count, asked, at)
            if on is not None:
                laid.append(on)
                self._compare(best, on, at, 1.0)
                least[list(best)] = [candidate.rank[1] for candidate in best.values()]
        unmet = np.setdiff1d(np.arange(len(machines)), list(best))
        for on in laid:
            self._compare(best, on, unmet, NEAR)
        return [self._made(best[g]) if g in best else None for g in range(len(machines))]

    def _laid_out(self, m: int, count: int, machines: Sequence[tuple[Accelerator, Host]], at: Ints) -> _Laid | None:
        """A model on ``count`` of each accelerator in its host; None without an estimate.

        Setups that serve several users hold everything on the devices.
        """
        workload, model = self.needs.workload, self.subjects[m].architecture
        situation = replace(situation_of(workload), batch=self.streams, expected_occupancy=True)
        must_be_whole = self.streams > 1
        try:
            block = outline(
                model, tuple(device for device, _ in machines), self.quants, (situation,),
                tuple(host for _, host in machines), self.calibration, Overrides(gpu_count=count, offloads=not must_be_whole),
            )  # fmt: skip
        except EstimatorError:
            return None
        status = block.status[:, :, 0]
        pace = Pace(
            runs=block.available
            & [is_offered(quant, model) for quant in self.quants]
            & (status <= (verdict.FITS_TIGHTLY if must_be_whole else verdict.FITS_WITH_OFFLOAD)),
            tight=status == verdict.FITS_TIGHTLY,
            offloads=status == verdict.FITS_WITH_OFFLOAD,
            decode_tok_s=block.decode_tok_s[:, :, 0].astype(np.float64),
            ttft_ms=block.ttft_ms[:, :, 0].astype(np.float64),
            bits_per_weight=np.broadcast_to(block.bits_per_weight, status.shape),
            drawback_points=drawbacks(
                status == verdict.FITS_TIGHTLY,
                status == verdict.FITS_WITH_OFFLOAD,
                unpaged_points(self.quants, [device for device, _ in machines], self.streams, count),
                model.is_moe,
            ),
        )
        return _Laid(m, block, pace, at)

    def _compare(self, best: dict[int, _Candidate], laid: _Laid, at: Ints, slack: float) -> None:
        """Put the setups of a model on the machines ``at`` that are better into ``best``, needs relaxed by ``slack``."""
        rows = np.flatnonzero(np.isin(laid.at, at) & laid.pace.runs.any(axis=1))
        if not len(rows):
            return
        pace, table = laid.pace.of_rows(rows), self.table.of_model(laid.m, len(rows))
        allowed = np.where(table.loss <= self.needs.loss_points * slack, table.value, np.nan)
        setups = usable_setups(replace(table, value=allowed), pace, relaxed(self.needs.workload, slack), self.mode)
        distance = self._distance(setups, pace, table) if slack > 1 else np.zeros(len(setups.model))
        recency = self.subjects[laid.m].traits.released
        for n in setups.best(np.zeros(len(rows)), self.custom):
            row = int(rows[setups.model[n]])
            g = int(laid.at[row])
            rank = -distance[n], setups.rating[n], setups.worth[n], -setups.seconds[n], recency, -laid.m
            if g not in best or rank > best[g].rank:
                best[g] = _Candidate(
                    rank, laid, row, int(setups.way[n]), int(setups.quant[n]), float(setups.seconds[n])
                )

    def _distance(self, setups: Setups, pace: Pace, table: WorthTable) -> NDArray[np.float64]:
        """How far each setup is from the need: the sum of the logarithms of what it misses."""
        workload, at = self.needs.workload, (setups.model, setups.quant)
        ratios = (
            workload.minimum_decode_tok_s / pace.decode_tok_s[at],
            pace.ttft_ms[at] / workload.usable_ttft_ms,
            setups.seconds / workload.usable_answer_s,
            # A loss of nothing misses nothing, also where none is allowed.
            table.loss[setups.model, setups.way, setups.quant] / (self.needs.loss_points or 1.0),
        )
        return np.asarray(np.sum([np.log(np.maximum(ratio, 1.0)) for ratio in ratios], axis=0))

    def _made(self, candidate: _Candidate) -> Found:
        laid, row, q = candidate.laid, candidate.row, candidate.quant
        m, block, pace = laid.m, laid.block, laid.pace
        _, rating, worth, *_ = candidate.rank
        setup = Setup(
            subject=m,
            quant=self.quants[q],
            engine=ENGINES[int(block.engine[row, q])],
            thinks=candidate.way == THINKING,
            worth=float(worth),
            loss_points=float(self.table.loss[m, candidate.way, q]),
            decode_tok_s=float(pace.decode_tok_s[row, q]),
            ttft_ms=float(pace.ttft_ms[row, q]),
            answer_s=candidate.seconds,
            host_bytes=int(block.host_bytes[row, q, 0]),
            offloads=int(block.status[row, q, 0]) == verdict.FITS_WITH_OFFLOAD,
            rating=float(rating),
        )
        return setup, self._misses(setup)

    def _misses(self, setup: Setup) -> tuple[Miss, ...]:
        workload = self.needs.workload
        least = Miss(Need.DECODE, workload.minimum_decode_tok_s, setup.decode_tok_s)
        most = (
            Miss(Need.TTFT, workload.usable_ttft_ms, setup.ttft_ms),
            Miss(Need.ANSWER, workload.usable_answer_s, setup.answer_s),
            Miss(Need.LOSS, self.needs.loss_points, setup.loss_points),
        )
        return (*((least,) if least.has < least.needed else ()), *(miss for miss in most if miss.has > miss.needed))


def _bits_per_weight(model: ModelArchitecture, quants: tuple[Quant, ...]) -> NDArray[np.float64]:
    """Those of whole files, (quants,); of 16 bits where a size cannot be told, as nothing is estimated there."""
    try:
        return model_tables(model, quants).bits_per_weight
    except EstimatorError:
        return np.full(len(quants), 16.0)


def _thinking(traits: ModelTraits) -> float:
    return 0.0 if traits.thinking == "never" else traits.thinking_length
