"""The frontier, the pick and what beats an entry, of 500 random machines against brute force."""

from __future__ import annotations

import numpy as np

from api.answers.choices.judged import Judged
from estimator.sentences import SentenceCode
from estimator.types import OperatingMode
from tests.api.answers.choices.test_leading import NAMES, QUANTS, TABLE, TRAITS, WORKLOAD, alone_and_loaded


def test_only_listed_setups_beat_a_listed_one() -> None:
    rng, unsure = np.random.default_rng(26), 0
    for machine in range(500):
        pace, mode = alone_and_loaded(rng)[0], list(OperatingMode)[machine % 4]
        judged = Judged(NAMES, TRAITS, QUANTS, pace, TABLE, WORKLOAD, mode, by_quant=machine % 10 == 9)
        worth, seconds, rating = (getattr(judged.setups, name)[judged.order] for name in ("worth", "seconds", "rating"))
        better = (worth >= worth[:, None]) & (seconds <= seconds[:, None])
        better &= (worth > worth[:, None]) | (seconds < seconds[:, None])
        assert (judged.frontier[judged.order] == ~better.any(axis=1)).all()
        assert not np.delete(judged.frontier, judged.order).any()
        assert judged.pick == (judged.order[rating.argmax()] if len(rating) else None)
        for place, n in enumerate(judged.order[:10].tolist()):
            beaten_by = judged.dominator(n)
            if beaten_by is not None:
                first = int(np.flatnonzero(better[place])[0])
                assert beaten_by == judged.order[first]
                less_sure = judged.judgement(n).reason.code is SentenceCode.BEATEN_LESS_SURELY
                assert less_sure == (rating[first] < rating[place])
                unsure += less_sure
    assert unsure > 0
