"""The choices of a knowledgeable user: nearly all are met, also of those that no charge was chosen by."""

from __future__ import annotations

import pytest

from api.answers.choices.preferences import is_met, preferences, share_met
from estimator.calibration.coefficients import Calibration
from tests.support.catalogs import CATALOG

LEAST_SHARE = 0.95
HELD = preferences()


@pytest.mark.parametrize("tuned", [True, False], ids=["tuned on", "held out"])
def test_most_choices_are_those_of_a_knowledgeable_user(tuned: bool) -> None:
    catalog, calibration = CATALOG, Calibration.load()
    asked = [held for held in HELD if held.tuned is tuned]
    assert len(asked) >= 40
    met = [is_met(catalog, calibration, held) for held in asked]
    unmet = [f"{held.text} ({held.why})" for held, is_so in zip(asked, met, strict=True) if not is_so]
    print(f"{share_met(met):.0%} met")
    assert share_met(met) >= LEAST_SHARE, unmet
