"""Several devices: what a layer split and tensor parallel do to one device's time, over the real catalog."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise

import pytest

from db.entries import specs
from estimator.calibration.coefficients import Calibration
from estimator.calibration.effects import die_of
from estimator.calibration.intervals import DEPTH
from estimator.estimate import estimate
from estimator.speed.coefficients import depth_log
from estimator.speed.links import is_linked, peer_bytes_s, with_link
from estimator.speed.multi_gpu import HOP_S
from estimator.types import Accelerator, Backend, Engine, Estimate, EstimateRequest, Evidence, Status
from tests.support.catalogs import CATALOG

CALIBRATION = Calibration.load()
HOP = CALIBRATION.data["parallel"]["hop"] * HOP_S
HOST = specs.host(CATALOG.hosts[CATALOG.default_host])


def accelerator(slug: str) -> Accelerator:
    return specs.accelerator(CATALOG.gpus[slug])


def ask(
    model: str,
    gpu: str | Accelerator,
    quant: str,
    count: int,
    *,
    calibration: Calibration = CALIBRATION,
    **more: object,
) -> Estimate:
    device = accelerator(gpu) if isinstance(gpu, str) else gpu
    request = EstimateRequest(
        quant=specs.quant(CATALOG.quants[quant]),
        accelerator=device,
        gpu_count=count,
        host=HOST,
        **more,  # type: ignore[arg-type]
    )
    answer = estimate(specs.architecture(CATALOG.models[model]), request, calibration)
    assert answer.status in (Status.FITS, Status.FITS_TIGHTLY)
    return answer


def decode_s(answer: Estimate) -> float:
    assert answer.decode is not None
    return 1.0 / answer.decode.value


def prefill(answer: Estimate) -> float:
    assert answer.prefill is not None
    return answer.prefill.value


@pytest.mark.parametrize("gpu", ["rtx-3090", "h100-pcie-80-gb", "radeon-ai-pro-r9700"])
@pytest.mark.parametrize("model", ["llama-3.1-8b", "gpt-oss-20b", "gemma-3-12b"])
def test_a_layer_split_adds_a_hop_per_boundary_to_a_token(model: str, gpu: str) -> None:
    single_s = decode_s(ask(model, gpu, "q4-k-m", 1))
    for count in (2, 4, 7):
        assert decode_s(ask(model, gpu, "q4-k-m", count)) == pytest.approx(single_s + (count - 1) * HOP, rel=1e-5)


def test_a_prompt_of_many_micro_batches_is_worked_on_by_all_devices_at_once() -> None:
    for count in (2, 4):
        gains = [
            prefill(ask("llama-3.1-8b", "rtx-3090", "q4-k-m", count, prompt_tokens=tokens))
            / prefill(ask("llama-3.1-8b", "rtx-3090", "q4-k-m", 1, prompt_tokens=tokens))
            for tokens in (512, 1024, 4096, 16384)
        ]
        assert gains[0] < 1.0
        assert gains == sorted(gains)
        assert 1.2 < gains[-1] < count


def test_a_backend_without_queued_copies_gains_nothing_on_prompts() -> None:
    single, four = (
        prefill(ask("llama-3.1-8b", "rtx-3090", "q4-k-m", count, prompt_tokens=8192, backend=Backend.VULKAN))
        for count in (1, 4)
    )
    assert four <= single


@pytest.mark.parametrize("model", ["llama-3.1-8b", "qwen3-14b"])
def test_tensor_parallel_reads_shares_and_pays_for_sums(model: str) -> None:
    times = [decode_s(ask(model, "a100-sxm4-80-gb", "bf16-safetensors", count)) for count in (1, 2, 4, 8)]
    assert times == sorted(times, reverse=True)
    for before, after in pairwise(times):
        assert after > before / 2.0


def test_more_devices_than_kv_heads_keep_copies_of_the_cache() -> None:
    model = specs.architecture(CATALOG.models["llama-3.1-8b"])
    assert max(layer.kv_heads for layer in model.layers) == 8

    def cache_s(count: int) -> float:
        deep, shallow = (
            # No row shows this model on this device: that would count for one device alone.
            decode_s(ask("llama-3.1-8b", "h100-sxm5-80-gb", "bf16-safetensors", count, depth_tokens=depth))
            for depth in (100_000, 0)
        )
        return deep - shallow

    assert cache_s(8) == pytest.approx(cache_s(1) / 8.0, rel=1e-3)
    # Half the query heads each, and the same reads.
    assert 0.6 * cache_s(8) < cache_s(16) < cache_s(8)


@pytest.mark.parametrize(("model", "heads"), [("llama-3.1-8b", 8), ("kimi-linear-48b-a3b", 1)])
def test_tensor_parallel_beyond_the_kv_heads_takes_memory(model: str, heads: int) -> None:
    def held(count: int, tokens: int) -> int:
        return ask(model, "a100-sxm4-80-gb", "bf16-safetensors", count, context_tokens=tokens).memory.kv_cache_bytes

    for count in (4, 8, 16):
        grown = [held(tokens, 65536) - held(tokens, 8192) for tokens in (2, count)]
        # The cache grows by whole pages.
        assert grown[1] / grown[0] == pytest.approx(max(count / heads, 1.0) / max(2 / heads, 1.0), rel=5e-3)
    longest = ask(model, "a100-sxm4-80-gb", "bf16-safetensors", 16).safe_context_tokens
    full = ask(model, "a100-sxm4-80-gb", "bf16-safetensors", 16, context_tokens=longest)
    assert full.memory.total_bytes <= full.memory.usable_bytes


def test_without_flash_attention_the_cache_takes_longer_and_a_prompt_as_long() -> None:
    effects = CALIBRATION.data["decode"]["effects"]

    def asked(depth_tokens: int, flash_attention: bool) -> Estimate:
        options = {"depth_tokens": depth_tokens, "flash_attention": flash_attention}
        return ask("llama-3.1-8b", "strix-halo-8060s-128gb", "q4-k-m", 1, **options)

    (near_on, near_off), (far_on, far_off) = (
        [asked(depth, is_on) for is_on in (True, False)] for depth in (1000, 9000)
    )
    names = ("no-flash:yes", f"no-flash|family|backend:strix-halo|{far_on.backend.value if far_on.backend else ''}")
    slower = math.exp(sum(effects.get(f"cache/{name}", 0.0) for name in names))
    assert slower > 1.5
    # The slope over the depth is what is read of the cache, and a little arithmetic that stays as it is.
    grown = (decode_s(far_off) - decode_s(near_off)) / (decode_s(far_on) - decode_s(near_on))
    assert 1.5 < grown <= slower * (1 + 1e-6)
    assert prefill(far_off) == pytest.approx(prefill(far_on), rel=1e-6)


def test_cards_that_read_each_other_sum_a_prompt_sooner_than_through_the_host() -> None:
    card = replace(accelerator("rtx-a6000"), link_bytes_s=None)
    kept = replace(card, kind="consumer")

    def gain(device: Accelerator, count: int) -> float:
        prompts = [ask("qwen3-8b", device, "bf16-safetensors", cards, prompt_tokens=8192) for cards in (1, count)]
        return prefill(prompts[1]) / prefill(prompts[0])

    assert gain(card, 2) > gain(kept, 2)
    assert gain(card, 4) > gain(card, 2)
    # Each further card puts its sums on the same memory of the host.
    assert gain(card, 4) / gain(kept, 4) > gain(card, 2) / gain(kept, 2)


def test_prompts_gain_by_the_vendors_link() -> None:
    linked = accelerator("a100-sxm4-80-gb")
    unlinked = replace(linked, link_bytes_s=None)
    assert is_linked(linked)
    assert not is_linked(unlinked)
    assert not is_linked(accelerator("rtx-3090"))
    assert peer_bytes_s(linked, 1.0) > peer_bytes_s(unlinked, 1.0)
    assert peer_bytes_s(replace(unlinked, pcie_bytes_s=None), 7.0) == 7.0
    fast, slow = (
        prefill(ask("llama-3.1-8b", device, "bf16-safetensors", 4, prompt_tokens=8192)) for device in (linked, unlinked)
    )
    assert fast > slow


def test_cards_with_a_bridge_sum_sooner() -> None:
    card = accelerator("rtx-3090")
    bridged, apart = (with_link(card, link, 2) for link in ("NVLink", "PCIe"))
    for kind in (decode_s, lambda answer: 1.0 / prefill(answer)):
        assert kind(ask("qwen3-8b", bridged, "awq-int4", 2)) < kind(ask("qwen3-8b", apart, "awq-int4", 2))


@pytest.mark.parametrize(
    ("model", "quant"), [("qwen3-30b-a3b", "bf16-safetensors"), ("minicpm3-4b", "bf16-safetensors")]
)
def test_devices_beyond_the_heads_of_a_cache_share_its_arithmetic_and_not_its_reads(model: str, quant: str) -> None:
    def growth(count: int) -> float:
        return decode_s(ask(model, "h200-sxm-141-gb", quant, count, depth_tokens=30_000)) - decode_s(
            ask(model, "h200-sxm-141-gb", quant, count, depth_tokens=0)
        )

    # Four heads of keys and values, or one latent row: on eight devices each still reads one, for half the queries.
    assert 0.3 * growth(4) < growth(8) < 0.95 * growth(4)


@pytest.mark.parametrize(
    ("model", "grown_ms"), [("gemma-4-12b", 47.1), ("gemma-4-26b-a4b", 29.4), ("gemma-4-31b", 58.9)]
)
def test_wide_heads_of_a_deep_cache_are_read_by_few_units_at_a_time(model: str, grown_ms: float) -> None:
    """Two GeForce RTX 3090 with SGLang: what a token takes longer at 261,916 tokens than at 1,024 (mattbucci's tables)."""
    deep, shallow = (
        1e3
        * decode_s(ask(model, "rtx-3090", "awq-int4", 2, engine=Engine.SGLANG, depth_tokens=depth, kv_cache_type=None))
        for depth in (261_916, 1_024)
    )
    assert deep - shallow == pytest.approx(grown_ms, rel=0.3)


def test_heads_that_every_kernel_takes_are_read_by_the_whole_device() -> None:
    model, gpu = "qwen3-32b", "rtx-3090"
    deep = [
        decode_s(ask(model, gpu, "awq-int4", 2, engine=engine, depth_tokens=30_000))
        for engine in (Engine.SGLANG, Engine.VLLM)
    ]
    assert deep[0] == pytest.approx(deep[1], rel=0.3)


@pytest.mark.parametrize(("quant", "mode"), [("q4-k-m", "layers"), ("awq-int4", "tensor")])
def test_a_configuration_measured_on_one_device_is_not_measured_on_several(quant: str, mode: str) -> None:
    answer = ask("llama-3.1-8b", "rtx-3090", quant, 2)
    for kind, speed in (("decode", answer.decode), ("prefill", answer.prefill)):
        assert speed is not None
        assert speed.evidence is not Evidence.MEASURED
        low, high = CALIBRATION.data["parallel"]["ranges"][f"{kind} {mode}"]
        assert speed.low / speed.value == pytest.approx(low, rel=0.02)
        assert speed.high / speed.value == pytest.approx(high, rel=0.02)


def test_rows_on_one_device_say_nothing_of_tensor_parallel() -> None:
    shift, quants = CALIBRATION.data["decode"]["measured"]["gemma-4-12b"]["rtx-3090"]["vllm|CUDA"]
    assert "awq-int4" in quants
    assert abs(shift) > 0.1
    forgotten = json.loads(json.dumps(CALIBRATION.data))
    del forgotten["decode"]["measured"]["gemma-4-12b"]["rtx-3090"]
    without = Calibration(forgotten, "without")

    def both(count: int) -> tuple[float, float]:
        measured, other = (
            ask("gemma-4-12b", "rtx-3090", "awq-int4", count, calibration=calibration)
            for calibration in (CALIBRATION, without)
        )
        return decode_s(measured), decode_s(other)

    known, unknown = both(1)
    assert known / unknown == pytest.approx(math.exp(shift), rel=1e-3)
    known, unknown = both(2)
    assert known == pytest.approx(unknown, rel=1e-9)


@pytest.mark.parametrize("count", [1, 2])
def test_a_deeper_context_widens_the_range_on_one_device_and_on_several(count: int) -> None:
    shallow, deep = (ask("llama-3.1-8b", "rtx-3090", "q2-k", count, depth_tokens=depth) for depth in (0, 32768))
    assert shallow.decode is not None
    assert shallow.decode.evidence is Evidence.CALIBRATED
    slope = CALIBRATION.data["decode"]["ranges"]["gpu"]["spread"][DEPTH]
    # A decode is stated in the middle of its 128 tokens.
    wider = math.exp(slope * float(depth_log(32768 + 64) - depth_log(64)))
    assert wider > 1.0
    assert deep.decode is not None
    for end in ("low", "high"):
        logs = [math.log(getattr(speed, end) / speed.value) for speed in (shallow.decode, deep.decode)]
        assert logs[1] / logs[0] == pytest.approx(wider, rel=1e-3)


def test_a_split_load_keeps_its_own_range_at_every_depth() -> None:
    offload = CALIBRATION.data["offload"]
    for depth in (0, 16384):
        request = EstimateRequest(
            quant=specs.quant(CATALOG.quants["q4-k-m"]),
            accelerator=accelerator("rtx-3090"),
            host=HOST,
            depth_tokens=depth,
            gpu_layers=20,
        )
        answer = estimate(specs.architecture(CATALOG.models["llama-3.1-8b"]), request, CALIBRATION)
        assert answer.status is Status.FITS_WITH_OFFLOAD
        assert answer.decode is not None
        assert answer.decode.low / answer.decode.value == pytest.approx(offload["ranges"]["decode"][0], rel=1e-4)
        assert answer.decode.high / answer.decode.value == pytest.approx(offload["ranges"]["decode"][1], rel=1e-4)


def test_what_one_backend_has_shown_tells_nothing_of_another() -> None:
    measured = CALIBRATION.data["decode"]["measured"]["llama-2-7b"]["rtx-3090"]
    assert [stack for stack in measured if stack.startswith("llama.cpp|")] == ["llama.cpp|CUDA"]
    assert "q4-0" in measured["llama.cpp|CUDA"][1]
    cuda, vulkan = (
        ask("llama-2-7b", "rtx-3090", "q4-0", 1, backend=backend) for backend in (Backend.CUDA, Backend.VULKAN)
    )
    assert cuda.decode is not None
    assert vulkan.decode is not None
    assert cuda.decode.evidence is Evidence.MEASURED
    assert vulkan.decode.evidence is Evidence.EXTRAPOLATED


def test_parts_of_one_die_share_what_one_has_shown() -> None:
    effects = CALIBRATION.data["decode"]["effects"]
    name = max(
        (effect for effect in effects if effect.startswith("whole/chip:")), key=lambda effect: abs(effects[effect])
    )
    die = name.removeprefix("whole/chip:")
    twin = next(card for card in map(accelerator, CATALOG.gpus) if die_of(card) == die)
    other = replace(twin, slug="another-card")
    assert other.boost_hz is not None
    stranger = replace(other, boost_hz=other.boost_hz * 1.0001)
    known, unknown = (decode_s(ask("llama-3.2-1b", card, "q4-k-m", 1)) for card in (other, stranger))
    assert known / unknown == pytest.approx(math.exp(effects[name]), rel=1e-3)


@pytest.mark.parametrize(
    ("model", "quant"),
    [
        ("qwen3-32b", "fp8"),
        ("llama-3.1-8b", "f16"),
        ("gpt-oss-20b", "mxfp4"),
        ("qwen3-30b-a3b", "fp8"),
        ("qwen3-32b", "q4-k-m"),
    ],
)
def test_more_bandwidth_on_the_same_die_is_not_slower(model: str, quant: str) -> None:
    h100, h200 = (decode_s(ask(model, accelerator(slug), quant, 1)) for slug in ("h100-sxm5-80-gb", "h200-sxm-141-gb"))
    assert h200 < 1.02 * h100
