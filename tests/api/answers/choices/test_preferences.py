"""The choices of a knowledgeable user: nearly all are met, also of those that no charge was chosen by."""

from __future__ import annotations

import pytest

from api.answers.choices.preferences import Preference, is_met, preferences, share_met
from db.entries import specs
from estimator.calibration.coefficients import Calibration
from estimator.structure.checkpoints import is_offered
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


@pytest.mark.parametrize(
    ("gpu", "users", "before", "after"),
    [
        ("raspberry-pi-5", None, "qwen3.5-2b@q4-k-m", "qwen3-8b@q4-k-m"),  # neither is fast enough
        ("rtx-4090", 16, "qwen3-14b@awq-int4", "qwen3-14b@q4-k-m"),  # neither holds so many contexts
    ],
)
def test_where_nothing_is_usable_what_comes_nearest_is_preferred(
    gpu: str, users: int | None, before: str, after: str
) -> None:
    held = Preference(gpu, 1, None, "chat", "balanced", users, before, after, "", tuned=False)
    assert is_met(CATALOG, Calibration.load(), held)
    turned = Preference(gpu, 1, None, "chat", "balanced", users, after, before, "", tuned=False)
    assert not is_met(CATALOG, Calibration.load(), turned)


def test_sound_weights_that_are_a_little_slow_are_preferred_to_ruined_ones_in_time() -> None:
    sound, ruined = "glm-5.1@q3-k-m", "glm-5.1@iq2-xxs"  # first tokens after 43 and 40 s; 40 s are usable
    mac = "apple-m3-ultra-80c-512gb"
    held = Preference(mac, 1, None, "coding", "balanced", None, sound, ruined, "", tuned=False)
    assert is_met(CATALOG, Calibration.load(), held)
    turned = Preference(mac, 1, None, "coding", "balanced", None, ruined, sound, "", tuned=False)
    assert not is_met(CATALOG, Calibration.load(), turned)


def test_a_named_quantization_takes_part_whether_or_not_anybody_publishes_it() -> None:
    entry = CATALOG.models["glm-5.2"]
    assert not is_offered(specs.quant(CATALOG.quants["awq-int4"]), specs.architecture(entry))
    held = Preference(
        "h100-sxm5-80-gb", 8, None, "coding", "balanced", None, "glm-5.2@awq-int4", "glm-5.2@q6-k", "", tuned=False
    )
    assert is_met(CATALOG, Calibration.load(), held)


def test_a_named_quantization_takes_part_though_the_bulk_run_leaves_it_out() -> None:
    held = Preference(
        "rtx-4060-ti-16-gb", 1, None, "chat", "balanced", None, "mistral-small-3.2-24b@q4-k-s", "mistral-7b-v0.3@f16",
        "three times the model in the same memory", False,
    )  # fmt: skip
    assert not specs.is_precomputed(CATALOG.quants["q4-k-s"])
    assert is_met(CATALOG, Calibration.load(), held)
