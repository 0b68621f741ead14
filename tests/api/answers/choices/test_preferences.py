"""The choices of a knowledgeable user: most must be met, and none may be about a setup that does not exist."""

from __future__ import annotations

import pytest

from api.answers.choices.preferences import Preference, is_met, preferences
from db.entries.files import load_catalog
from estimator.calibration.coefficients import Calibration

CATALOG, CALIBRATION, HELD = load_catalog(), Calibration.load(), preferences()


@pytest.mark.parametrize("held", HELD, ids=[held.text for held in HELD])
def test_the_choice_is_that_of_a_knowledgeable_user(held: Preference) -> None:
    assert is_met(CATALOG, CALIBRATION, held), held.why
