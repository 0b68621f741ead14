"""Constants of system memory: stated placements are read, and constants recovered."""

from __future__ import annotations

import numpy as np
import pytest

from estimator.accuracy.fit_offload import STARTS, solve, stated_placement


@pytest.mark.parametrize(
    ("text", "placement"),
    [
        ("llama.cpp fit: ngl=49, offloaded(moe) layers=48 to host DDR5", (49, 48)),
        ("llama.cpp fit: ngl=8, offloaded(moe) layers=7 to host DDR5", (8, 48)),
        ("llama.cpp fit: ngl=20, offloaded(moe) layers= to host DDR5", (20, None)),
        ("n_cpu_moe=4, host DDR4-3200 dual channel", (None, 4)),
        ("cpu-moe all, host DDR4-3200 dual channel", (None, 48)),
        ("probable partial offload", None),
    ],
)
def test_stated_placements(text: str, placement: tuple[int | None, int | None] | None) -> None:
    assert stated_placement(text, 48) == placement


def test_the_constants_of_system_memory_are_recovered() -> None:
    rng = np.random.default_rng(3)
    unit = rng.uniform(0.0, 0.05, (300, len(STARTS)))
    device = rng.uniform(0.005, 0.02, 300)
    true = np.array([1.9, 4.0, 1.2, 6.0])
    found = solve(device, unit, device + unit @ true, np.ones(300))
    assert found == pytest.approx(true, rel=0.05)
