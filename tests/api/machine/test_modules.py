"""Places of memory modules as board makers write them."""

from __future__ import annotations

import pytest

from api.machine.modules import Channels, Module, channel_of, together


@pytest.mark.parametrize(
    ("place", "channel"),
    [
        ("P0 CHANNEL A DIMM 1", "A"),
        ("BANK 0 Controller0-ChannelA-DIMM0", "0 A"),
        ("BANK 1 Controller1-ChannelA-DIMM0", "1 A"),
        ("BANK 2 ChannelB-DIMM0", "B"),
        ("Not Specified DIMM_B2", "B"),
        ("NODE 1 DIMM_A1", "1 A"),
        ("BANK 0 DIMM 0", None),
    ],
)
def test_channel_of_a_place(place: str, channel: str | None) -> None:
    assert channel_of(place) == channel


def test_two_modules_of_a_channel_count_once_and_the_slowest_sets_the_rate() -> None:
    modules = [Module("DDR4", 3200, 64, "A"), Module("DDR4", 2666, 64, "A"), Module("DDR4", 3200, 64, "B")]
    assert together(modules) == Channels("DDR4", 128, 2666)


def test_modules_without_a_channel_leave_the_width_open() -> None:
    modules = [Module("DDR4", 3200, 64, None), Module("DDR4", 3200, 64, None)]
    assert together(modules) == Channels("DDR4", None, 3200)
    assert together([]) == Channels()


def test_a_single_module_is_its_own_channel() -> None:
    assert together([Module("DDR5", 4800, 64, None)]) == Channels("DDR5", 64, 4800)
