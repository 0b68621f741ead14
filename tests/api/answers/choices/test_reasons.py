"""Sentences on why a setup stands where it stands."""

from __future__ import annotations

from api.answers.choices.reasons import Standing, beside, reason, seconds_text

PICK = Standing("Good 30B", "Q4_K_M", False, 75.0, 80.0, 70.0)


def test_the_pick_says_what_it_is_worth() -> None:
    assert reason(PICK, PICK, None) == "Best answers for their time here: worth 75.0 points in 80 s."


def test_what_is_beaten_names_what_beats_it() -> None:
    slow = Standing("Old 30B", "Q4_K_M", False, 70.0, 160.0, 65.0)
    assert reason(slow, PICK, PICK) == "Good 30B (Q4_K_M) answers 2.0 times as fast and better by 5.0 points."
    alike = Standing("Old 30B", "Q4_K_M", False, 70.0, 82.0, 65.0)
    assert reason(alike, PICK, PICK) == "Good 30B (Q4_K_M) answers as fast and better by 5.0 points."


def test_what_beats_a_setup_that_is_rated_higher_is_less_sure() -> None:
    surer = Standing("Measured 30B", "Q4_K_M", False, 74.0, 82.0, 73.0)
    unsure = "Good 30B (Q4_K_M) answers as fast and better by 1.0 points, but its worth is less certain."
    assert reason(surer, PICK, PICK) == unsure
    full = Standing("Full 30B", "Q4_K_M", False, 74.0, 41.0, 72.0, tight=True)
    expected = "Full 30B (Q4_K_M) answers 2.0 times as fast and no worse, but it fills the memory."
    assert reason(surer, PICK, full) == expected
    spilled = Standing("Spilled 30B", "Q4_K_M", False, 74.0, 41.0, 72.0, offloads=True, drawback_points=5.0)
    assert reason(surer, PICK, spilled).endswith("but it lies in system memory in part.")
    unpaged = Standing("Unpaged 30B", "Q4_K_M", False, 74.0, 41.0, 72.0, drawback_points=4.0)
    assert reason(surer, PICK, unpaged).endswith("but its engine has no paged memory.")


def test_what_is_on_the_frontier_is_compared_with_the_pick() -> None:
    small = Standing("Small 4B", "Q6_K", True, 60.0, 20.0, 55.0)
    assert reason(small, PICK, None) == "Answers 4.0 times as fast as Good 30B, for 15.0 points less."
    large = Standing("Large 200B", "Q2_K", False, 77.0, 240.0, 72.0)
    assert reason(large, PICK, None) == "Better than Good 30B by 2.0 points, for 3.0 times the time."


def test_times_are_in_the_unit_that_people_use() -> None:
    assert [seconds_text(seconds) for seconds in (0.42, 42.4, 150)] == ["0.4 s", "42 s", "2.5 min"]


def test_machines_are_compared_in_time_loss_and_price() -> None:
    text = beside("Old card", (60.0, 30.0), (0.5, 0.2), (1000.0, 1800.0))
    assert text == "Answers 2.0 times as fast as Old card, better by 0.3 points, for $800 more."
    assert (
        beside("Old card", (60.0, 61.0), (0.5, 0.5), (1000.0, 900.0)) == "Answers as fast as Old card, for $100 less."
    )
    assert (
        beside("Old card", (60.0, 61.0), (0.5, 0.9), (None, 900.0))
        == "Answers as fast as Old card, worse by 0.4 points."
    )


def test_a_slower_machine_takes_longer_and_no_fraction_of_a_speed() -> None:
    assert beside("Fast card", (30.0, 45.0), (0.5, 0.5), (None, None)) == "Takes 1.5 times as long as Fast card."


def test_times_that_are_about_the_same_are_called_so() -> None:
    near = Standing("Near 30B", "Q4_K_M", False, 74.5, 78.0, 69.5)
    assert reason(near, PICK, None) == "Answers as fast as Good 30B, for 0.5 points less."
    better = Standing("Better 30B", "Q4_K_M", False, 76.0, 82.0, 71.0)
    assert reason(better, PICK, None) == "Better than Good 30B by 1.0 points, in the same time."
