"""Effects of a device by its facts."""

from __future__ import annotations

import pytest

from estimator.calibration.effects import barrier_scale, clock_log, die_of, threads_of, unit_clocks_s
from estimator.calibration.term_logs import TermLogs
from estimator.speed.roofline import DECODE_TERMS
from estimator.types import Backend, Engine
from tests.estimator.entities import ENTITIES

DESKTOP, SERVER, WIDE, BOARD = (
    ENTITIES.accelerators[slug]
    for slug in ("cpu-ddr5-5200-2ch", "cpu-ddr5-4800-8ch", "cpu-xeon6-mrdimm-8800-12ch", "raspberry-pi-5")
)


def test_a_processor_has_as_many_threads_at_work_as_its_memory_feeds_and_pay() -> None:
    assert [round(threads_of(processor)) for processor in (DESKTOP, SERVER, WIDE, BOARD)] == [9, 32, 32, 4]
    assert threads_of(SERVER, 52) == 52


def test_more_threads_of_a_processor_multiply_faster_and_wait_longer_for_each_other() -> None:
    assert unit_clocks_s(SERVER, 64) == pytest.approx(2 * unit_clocks_s(SERVER, 32))
    assert barrier_scale(SERVER, 64) == pytest.approx(4 * barrier_scale(SERVER, 16) * 2)
    gpu = ENTITIES.accelerators["rtx-4090"]
    assert barrier_scale(gpu, 88) == 1.0
    assert unit_clocks_s(gpu, 88) == unit_clocks_s(gpu)


def test_a_layer_of_a_wide_processor_costs_more() -> None:
    terms, stack = TermLogs({}, {}), [(Backend.CPU, Engine.LLAMA_CPP.value)]
    fixed, read = DECODE_TERMS.index("layer"), DECODE_TERMS.index("routed")
    quants = [ENTITIES.quants["q4-k-m"]]
    desktop, server = (terms.of_gpu(processor, stack, quants, True)[0] for processor in (DESKTOP, SERVER))
    assert server[fixed] > desktop[fixed] + 1.5
    assert server[read] == desktop[read]


@pytest.mark.parametrize(
    ("slug", "other", "alike"),
    [
        ("h100-sxm5-80-gb", "h200-sxm-141-gb", True),
        ("h100-pcie-80-gb", "h200-sxm-141-gb", False),
        ("rtx-4090", "rtx-4090-48-gb-modded", True),
        ("apple-m4-max-40c-48gb", "apple-m4-max-40c-64gb", True),
        ("cpu-ddr5-5600-2ch", "cpu-ddr5-5600-8ch", False),
    ],
)
def test_parts_that_differ_in_memory_alone_are_of_one_die(slug: str, other: str, alike: bool) -> None:
    assert (die_of(ENTITIES.accelerators[slug]) == die_of(ENTITIES.accelerators[other])) is alike


def test_fixed_costs_fall_with_the_clock_of_a_device_that_is_no_processor() -> None:
    slow, fast = (ENTITIES.accelerators[slug] for slug in ("tesla-p40", "rtx-4090"))
    assert clock_log(slow) < clock_log(fast)
    assert clock_log(DESKTOP) == 0.0
    stack, quants = [(Backend.CUDA, Engine.LLAMA_CPP.value)], [ENTITIES.quants["q4-k-m"]]
    layer = DECODE_TERMS.index("layer")
    plain, sloped = (TermLogs(effects, {}).of_gpu(fast, stack, quants, False)[0] for effects in ({}, {"clock": -0.5}))
    assert sloped[layer] == pytest.approx(plain[layer] - 0.5 * clock_log(fast))


@pytest.mark.parametrize(("slug", "inline"), [("l4", True), ("h100-sxm5-80-gb", False), ("rtx-4090", False)])
def test_graphics_memory_of_data_centres_keeps_check_bits_inline(slug: str, inline: bool) -> None:
    assert ENTITIES.accelerators[slug].inline_checks is inline
