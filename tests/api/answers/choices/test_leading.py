"""The first models for several users are those of the whole list, although not all are laid out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import pytest

from api.answers.choices.judged import Judged
from api.answers.choices.leading import Reach, leading
from db.entries import specs
from db.entries.traits import model_traits
from estimator.judgement.setups import Pace
from estimator.judgement.worth import worth_table
from estimator.quant_choice import TIGHT_POINTS
from estimator.types import OperatingMode
from tests.support.catalogs import CATALOG

TRAITS = list(model_traits(CATALOG).values())[::5]
NAMES = [traits.slug for traits in TRAITS]
QUANTS = [specs.quant(CATALOG.quants[slug]) for slug in ("bf16", "fp8", "q8-0", "q6-k", "q4-k-m", "mxfp4")]
BITS = np.tile([16.0, 8.0, 8.5, 6.6, 4.85, 4.25], (len(TRAITS), 1))
WORKLOAD = specs.workload(CATALOG.workloads["coding"])
TABLE = worth_table(WORKLOAD.kind, TRAITS, QUANTS, BITS)


def alone_and_loaded(rng: np.random.Generator) -> tuple[Pace, Pace]:
    """A random machine with one user, and with several: none of them is answered sooner, and less fits."""
    active, total = (np.array([[getattr(traits, name)] for traits in TRAITS]) for name in ("active_b", "total_b"))
    bandwidth, memory = rng.lognormal(6.5, 0.7), rng.lognormal(3.5, 0.7)
    decode = bandwidth / (active * BITS / 8.0)
    wait = np.broadcast_to(200 + 2e6 * active / bandwidth / 100, decode.shape)
    taken = total * BITS / 8.0
    slower, more = 1.0 + 3.0 * rng.random(decode.shape), taken * (1.0 + 0.3 * rng.random(decode.shape))
    full, fuller = (bytes_ > 0.95 * memory for bytes_ in (taken, more))
    alone = Pace(taken < memory, full, np.zeros_like(full), decode, wait, BITS, TIGHT_POINTS * full)
    loaded = Pace(
        more < memory, fuller, np.zeros_like(fuller), decode / slower, wait * slower, BITS, TIGHT_POINTS * fuller
    )
    return alone, loaded


@dataclass
class Loads:
    """Models of a pace that are laid out when they are asked for."""

    loaded: Pace
    known: Any = field(default_factory=lambda: np.zeros(len(TRAITS), dtype=np.bool_))

    def lay_out(self, places: Any) -> None:
        self.known[list(places)] = True

    def pace(self) -> Pace:
        return replace(self.loaded, runs=self.loaded.runs & self.known[:, None])


@pytest.mark.parametrize("by_speed", [False, True])
def test_the_first_models_of_random_machines_are_those_of_all(by_speed: bool) -> None:
    rng, spared = np.random.default_rng(20), 0
    for machine in range(40):
        mode = list(OperatingMode)[machine % 4]
        alone, loaded = alone_and_loaded(rng)

        def judge(pace: Any, mode: OperatingMode = mode) -> tuple[Judged, Any]:
            judged = Judged(NAMES, TRAITS, QUANTS, pace, TABLE, WORKLOAD, mode)
            places = np.array(judged.order, dtype=np.int64)
            if by_speed:
                places = places[np.argsort(-judged.setups.decode_tok_s[places], kind="stable")]
            return judged, places

        reach = Reach.of(TABLE, alone, WORKLOAD, mode)
        loads = Loads(loaded)
        judged, places = leading(cast(Any, loads), reach, 5, cast(Any, judge), by_speed=by_speed)
        complete, all_places = judge(loaded)
        assert [judged.judgement(n) for n in places[:5]] == [complete.judgement(n) for n in all_places[:5]]
        spared += int((~loads.known).sum())
    # Otherwise nothing was saved.
    assert spared > 0.25 * 40 * len(TRAITS)
