"""Constants of system memory: stated placements are read, and constants recovered."""

from __future__ import annotations

import numpy as np
import pytest

from estimator.accuracy.fit_offload import STARTS, solve, starts_of, stated_placement, stated_rows
from estimator.estimate import estimate
from estimator.placement.demand import needs
from estimator.speed import roofline
from estimator.structure import kv_cache
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.kv_cache import cache_shape
from estimator.types import EstimateRequest
from tests.estimator.entities import ENTITIES
from tests.support.answers import CALIBRATION


@pytest.mark.parametrize(
    ("text", "placement"),
    [
        ("llama.cpp fit: ngl=49, offloaded(moe) layers=48 to host DDR5", (49, 48)),
        ("llama.cpp fit: ngl=8, offloaded(moe) layers=7 to host DDR5", (8, 48)),
        ("llama.cpp fit: ngl=20, offloaded(moe) layers= to host DDR5", (20, None)),
        ("n_cpu_moe=4, host DDR4-3200 dual channel", (None, 4)),
        ("cpu-moe all, host DDR4-3200 dual channel", (None, 48)),
        ("n-cpu-moe 999", (None, 48)),
        ("n-cpu-moe 30, ngl 40", (None, 30)),
        ("ngl 25 of 65 layers on the GPU", (25, None)),
        ("ot exps=CPU", (None, 48)),
        (r"ot blk\.[3-9]\.ffn_.*=CUDA0 exps=CPU", (None, 41)),
        (r"ot blk\.(3|4)\.ffn_.*=CUDA0 blk\.(5|6|7)\.ffn_.*=CUDA1 exps=CPU", (None, 43)),
        (r"ot blk\.[0-5]\.ffn_.*=CUDA0 blk\.[0-9]+\.ffn.*=CPU", (None, 42)),
        ("probable partial offload", None),
    ],
)
def test_stated_placements(text: str, placement: tuple[int | None, int | None] | None) -> None:
    assert stated_placement(text, 48) == placement


def test_the_constants_of_system_memory_are_recovered() -> None:
    rng = np.random.default_rng(3)
    starts = STARTS["decode"]
    unit = rng.uniform(0.0, 0.05, (9000, len(starts)))
    device = rng.uniform(0.005, 0.02, 9000)
    true = np.array([1.9, 4.0, 1.2, 6.0])
    solved = solve(device, unit, device + unit @ true, np.ones(9000), starts)
    assert solved == pytest.approx(true, rel=0.05)


def test_a_few_rows_of_one_slow_computer_say_less_than_processors_have_shown() -> None:
    starts = starts_of("decode", CALIBRATION.data)
    unit = np.full((4, len(starts)), [0.02, 0.0, 0.01, 0.0])
    device = np.full(4, 0.005)
    shown = np.array(list(starts.values()))
    slow = device + 2.0 * unit @ shown
    solved = solve(device, unit, slow, np.full(4, 0.5), starts)
    assert 1.0 < solved[0] / shown[0] < 1.3
    assert 1.4 < starts["host"] < 1.8
    assert 1.8 < starts["host_expert"] < 2.4


def test_a_processor_passes_the_state_of_linear_layers_many_times(monkeypatch: pytest.MonkeyPatch) -> None:
    hybrid, plain = ENTITIES.models["qwen3.5-122b-a10b"], ENTITIES.models["qwen3-30b-a3b"]
    assert hybrid is not None
    assert plain is not None

    def seconds(gpu: str, model: ModelArchitecture, gpu_layers: int | None) -> float:
        request = EstimateRequest(
            quant=ENTITIES.quants["q4-k-m"],
            accelerator=ENTITIES.accelerators[gpu],
            host=ENTITIES.hosts["server-ddr5-6000-12ch-768gb"],
            gpu_layers=gpu_layers,
        )
        decode = estimate(model, request, CALIBRATION).decode
        assert decode is not None
        return 1.0 / decode.value

    cases = [
        ("cpu-ddr5-5600-2ch", hybrid, None),
        ("rtx-4090", hybrid, 10),
        ("cpu-ddr5-5600-2ch", plain, None),
        ("rtx-4090", plain, 10),
        ("rtx-pro-6000-blackwell-workstation-edition", hybrid, None),
    ]
    many = [seconds(*case) for case in cases]
    monkeypatch.setattr(kv_cache, "PROCESSOR_STATE_PASSES", 1.0)
    needs.clear()
    once = [seconds(*case) for case in cases]
    needs.clear()
    states = cache_shape(hybrid).linear_bytes
    assert many[0] - once[0] > 11 * states.sum() / 89.6e9
    assert many[1] - once[1] > 11 * states[:39].sum() / 576e9
    assert many[2:] == once[2:]


@pytest.mark.parametrize(
    ("stated", "host"),
    [
        ({}, ENTITIES.default_host.slug),
        ({"host_cpu": "AMD Ryzen 5 5600X"}, "desktop-ddr4-3200-64gb"),
        ({"host_cpu": "AMD EPYC 9355 (NPS1)", "host_memory": "12-channel DDR5"}, "server-ddr5-6000-12ch-768gb"),
    ],
)
def test_a_row_is_asked_about_on_the_computer_that_it_states(stated: dict[str, str], host: str) -> None:
    row = {
        "gpu_slug": "rtx-3090", "model_slug": "qwen3-30b-a3b", "quant_slug": "q4-k-m", "engine": "ik_llama.cpp",
        "kind": "prefill", "n_prompt": 4096, "ubatch": 2048, "offload": "n-cpu-moe 20", "tok_s": 500.0, **stated,
    }  # fmt: skip
    (stated_row,) = stated_rows(ENTITIES, [row])
    assert stated_row.request.host is not None
    assert stated_row.request.host.slug == host
    assert (stated_row.tokens, stated_row.request.micro_batch_tokens, stated_row.request.cpu_moe_layers) == (
        4096,
        2048,
        20,
    )


def test_a_prompt_waits_for_the_experts_that_it_uses_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ENTITIES.models["qwen3.5-122b-a10b"]
    assert model is not None
    request = EstimateRequest(
        quant=ENTITIES.quants["q4-k-m"],
        accelerator=ENTITIES.accelerators["rtx-4090"],
        host=ENTITIES.hosts["server-ddr5-6000-12ch-768gb"],
        cpu_moe_layers=model.n_layers,
        prompt_tokens=4096,
    )
    used = estimate(model, request, CALIBRATION).prefill
    monkeypatch.setattr(roofline, "USED_EXPERTS", 1.0)
    everything = estimate(model, request, CALIBRATION).prefill
    assert used is not None
    assert everything is not None
    assert 1.2 * everything.value < used.value < everything.value / 0.65
