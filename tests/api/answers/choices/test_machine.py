"""Machines from names: counts, computers around them, and what no machine has."""

from __future__ import annotations

import pytest

from api.answers.choices.machine import host_with, machine_of
from api.errors import ErrorCode, QuestionError
from tests.support.catalogs import CATALOG

GIB = 1024**3


def test_a_laptop_has_the_host_of_a_laptop() -> None:
    laptop = machine_of(CATALOG, ["RTX 4060 Laptop"], 1)
    assert laptop.host.slug == "laptop-ddr5-5600-32gb"
    assert machine_of(CATALOG, ["RTX 4090"], 1).host.slug == CATALOG.default_host


def test_system_memory_is_that_of_the_question() -> None:
    machine = machine_of(CATALOG, ["RTX 4090"], 1, host_memory_gb=128.0)
    assert machine.host.memory_bytes == 128 * GIB
    assert machine.description == "GeForce RTX 4090 in Desktop, DDR5-5600 dual channel, 128 GB"
    assert host_with(machine.host, None, 60.0).name == "Desktop, memory of 60 GB/s, 128 GB"


def test_several_cards_are_named_once() -> None:
    machine = machine_of(CATALOG, ["RTX 3090"], 2)
    assert machine.name == "2 x GeForce RTX 3090"


@pytest.mark.parametrize(
    ("gpus", "count", "code"),
    [
        (["no such card"], 1, ErrorCode.NOT_FOUND),
        (["RTX 4090"], 17, ErrorCode.BAD_USER_INPUT),
        (["huawei-ascend-910b"], 1, ErrorCode.MISSING_FACT),
        (["apple-m4-max-40c-128gb"], 2, ErrorCode.UNSUPPORTED),
    ],
)
def test_what_is_no_machine_is_refused(gpus: list[str], count: int, code: ErrorCode) -> None:
    with pytest.raises(QuestionError) as error:
        machine_of(CATALOG, gpus, count)
    assert error.value.code is code
