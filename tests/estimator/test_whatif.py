"""Several and mixed accelerators, drafts and projectors: sums that add up, limits that hold, and the grid's own numbers
where the grid has them."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from estimator.estimate import cell_of, estimate
from estimator.joint_load import Outcome
from estimator.speed.mixed_gpus import _split
from estimator.speed.speculative import Draft, expected_tokens
from estimator.types import STATUSES, EstimateRequest, EstimatorError, Status, UnsupportedError
from estimator.whatif import Extras, mixed_blocks, what_if
from tests.support.answers import CALIBRATION, HOST, accelerator, quant, workload
from tests.support.answers import architecture as model

RUNNING = (Status.FITS, Status.FITS_TIGHTLY, Status.FITS_WITH_OFFLOAD)
CARDS = ("rtx-3090", "rtx-4060-ti-16-gb", "rtx-4090", "rtx-3060-12-gb", "tesla-v100-pcie-32-gb", "rtx-5090")
MODELS = ("llama-3.1-8b", "qwen3-32b", "qwen3-30b-a3b", "llama-3.3-70b", "gemma-3-27b", "gpt-oss-120b", "mixtral-8x7b")
QUANTS = ("q4-k-m", "q8-0", "q6-k", "iq4-xs")


def request(card: str, name: str = "q4-k-m", **fields: Any) -> EstimateRequest:
    return EstimateRequest(quant=quant(name), accelerator=accelerator(card), host=HOST, **fields)


def ask(slug: str, cards: tuple[str, ...], name: str = "q4-k-m", use: str | None = "coding", **fields: Any) -> Outcome:
    extras = Extras(devices=tuple(map(accelerator, cards)), draft=fields.pop("draft", None))
    asked = request(cards[0], name, **fields)
    return what_if(model(slug), asked, extras, CALIBRATION, None if use is None else workload(use))


def draft(slug: str = "llama-3.2-1b", tokens: int = 5, rate: float = 0.8) -> Draft:
    return Draft(model(slug), quant("q8-0"), tokens, rate)


def test_one_card_is_the_grid() -> None:
    for slug, card, name in itertools.product(MODELS, CARDS[:4], QUANTS[:2]):
        own = what_if(model(slug), request(card, name), Extras(), CALIBRATION, workload("coding"))
        assert own == Outcome(estimate(model(slug), request(card, name), CALIBRATION, workload("coding")))


def test_equal_cards_are_the_same_as_a_count() -> None:
    pick, offloaded, refused = random.Random(4), 0, 0
    for _ in range(300):
        slug, card, name, count = (
            pick.choice((*MODELS, "deepseek-v3")), pick.choice(CARDS), pick.choice(QUANTS), pick.choice((2, 3, 4, 8)),
        )  # fmt: skip
        use = pick.choice(("chat", "coding", "rag"))
        counted = estimate(model(slug), request(card, name, gpu_count=count), CALIBRATION, workload(use))
        own = ask(slug, (card,) * count, name, use)
        assert own.estimate == counted, (slug, card, name, count, use)
        check_loads(own)
        offloaded += counted.status is Status.FITS_WITH_OFFLOAD
        refused += counted.status is Status.DOES_NOT_FIT
    assert min(offloaded, refused) > 10


def test_a_fixed_split_is_the_same_for_equal_cards_and_a_count() -> None:
    pick, ran, refused = random.Random(8), 0, 0
    for _ in range(150):
        slug, card, count = pick.choice(MODELS), pick.choice(CARDS), pick.choice((2, 3, 4))
        split = {"gpu_layers": pick.choice((None, 0, 1, 12, 24, 99)), "cpu_moe_layers": pick.choice((None, 3, 99))}
        counted = estimate(
            model(slug), request(card, "q4-k-m", gpu_count=count, **split), CALIBRATION, workload("chat")
        )
        own = ask(slug, (card,) * count, "q4-k-m", "chat", **split)
        assert own.estimate == counted, (slug, card, count, split)
        check_loads(own)
        ran += counted.status in RUNNING
        refused += counted.status is Status.DOES_NOT_FIT
    assert ran > 100
    assert refused > 3


def test_cards_that_only_differ_in_name_take_as_long_as_equal_ones() -> None:
    """The sum over devices is the speed model itself when all devices have the same pace."""
    twin = replace(accelerator("rtx-3090"), name="another RTX 3090")
    for slug, name in itertools.product(MODELS, QUANTS[:2]):
        asked = request("rtx-3090", name)
        pair = what_if(
            model(slug), asked, Extras(devices=(accelerator("rtx-3090"), twin)), CALIBRATION, workload("coding")
        )
        same = what_if(model(slug), asked, Extras(devices=(twin, twin)), CALIBRATION, workload("coding"))
        assert pair.estimate.status is same.estimate.status
        assert pair.estimate.memory == same.estimate.memory
        assert [load.layers for load in pair.devices] == [load.layers for load in same.devices]
        if pair.estimate.decode and same.estimate.decode:
            assert pair.estimate.decode.value == pytest.approx(same.estimate.decode.value, rel=1e-5)
            if pair.estimate.ttft_ms and same.estimate.ttft_ms:
                # Whole layers do not halve: micro-batches wait for the device that holds more.
                assert 1.0 - 1e-5 <= pair.estimate.ttft_ms / same.estimate.ttft_ms < 1.1


def check_loads(outcome: Outcome) -> None:
    """The parts of the devices add up to the whole, and each is within its device."""
    memory = outcome.estimate.memory
    if outcome.estimate.status not in RUNNING:
        assert outcome.devices == ()
        return
    for name in ("weights_bytes", "kv_cache_bytes", "compute_bytes"):
        assert sum(getattr(load, name) for load in outcome.devices) == getattr(memory, name)
    extra = memory.draft_bytes + (memory.projector_bytes or 0)
    assert sum(load.overhead_bytes for load in outcome.devices) == memory.overhead_bytes + extra
    assert sum(load.total_bytes for load in outcome.devices) == memory.total_bytes
    assert sum(load.layers for load in outcome.devices) == outcome.estimate.placement.gpu_layers
    for load in outcome.devices:
        assert load.total_bytes <= load.usable_bytes


def test_mixed_cards_hold_what_they_are_given() -> None:
    pick = random.Random(7)
    ran = 0
    for _ in range(150):
        cards = tuple(pick.choice(CARDS) for _ in range(pick.choice((2, 2, 3, 4))))
        outcome = ask(pick.choice(MODELS), cards, pick.choice(QUANTS), pick.choice(("chat", "coding", "rag")))
        check_loads(outcome)
        ran += outcome.estimate.status in RUNNING
        assert outcome.estimate.safe_context_tokens >= 0
    assert ran > 100


def test_quantizations_at_once_are_those_asked_one_by_one() -> None:
    cards = tuple(map(accelerator, ("rtx-3090", "rtx-3060-12-gb")))
    quants, met = [quant(name) for name in ("q2-k", "q4-k-m", "awq-int4", "q8-0", "bf16")], set()
    for slug in ("qwen3-32b", "gpt-oss-120b", "llama-3.3-70b"):
        blocks = mixed_blocks(model(slug), request("rtx-3090"), quants, cards, CALIBRATION, workload("coding"))
        for positions, block in blocks:
            for at, q in enumerate(positions):
                alone = ask(slug, ("rtx-3090", "rtx-3060-12-gb"), quants[q].slug).estimate
                assert cell_of(block, 0, at, 0, alone.context_tokens).decode == alone.decode
                assert STATUSES[int(block.status[0, at, 0])] is alone.status
                met.add((quants[q].slug, alone.status))
    assert {slug for slug, _ in met} == {"q2-k", "q4-k-m", "q8-0", "bf16"}
    assert {status for _, status in met} >= {Status.FITS, Status.FITS_WITH_OFFLOAD, Status.DOES_NOT_FIT}


def test_a_mixture_is_between_its_cards() -> None:
    slow, fast = ask("qwen3-32b", ("rtx-4060-ti-16-gb",) * 2), ask("qwen3-32b", ("rtx-3090",) * 2)
    both = ask("qwen3-32b", ("rtx-3090", "rtx-4060-ti-16-gb"))
    assert slow.estimate.decode
    assert both.estimate.decode
    assert fast.estimate.decode
    assert slow.estimate.decode.value < both.estimate.decode.value < fast.estimate.decode.value
    assert both.estimate.ttft_ms
    assert fast.estimate.ttft_ms
    assert both.estimate.ttft_ms > fast.estimate.ttft_ms
    assert both.devices[0].layers > both.devices[1].layers
    alone = estimate(model("qwen3-32b"), request("rtx-4060-ti-16-gb"), CALIBRATION, workload("coding"))
    assert alone.status is Status.FITS_WITH_OFFLOAD
    assert both.estimate.status in (Status.FITS, Status.FITS_TIGHTLY)


def test_the_split_is_the_best_of_all() -> None:
    """Against every split: the fullest device is as empty as it can be."""
    rng = np.random.default_rng(3)
    for _ in range(200):
        sizes = rng.integers(1, 50, 8).astype(float)
        free = rng.integers(20, 200, 3).astype(float)

        def fullest(
            cuts: tuple[int, ...], sizes: NDArray[np.float64] = sizes, free: NDArray[np.float64] = free
        ) -> float:
            starts = (0, *cuts[:-1])
            return max(float(sizes[a:b].sum() / room) for a, b, room in zip(starts, cuts, free, strict=True))

        best = min(fullest((a, b, 8)) for a in range(9) for b in range(a, 9))
        on, fits = _split(sizes[None], free[:, None])
        assert fits[0] == (best <= 1)
        if fits[0]:
            assert fullest(tuple(on[:, 0].sum(axis=1).cumsum())) == pytest.approx(best, rel=1e-9)


def test_a_safe_context_really_fits_every_card() -> None:
    for cards in (("rtx-3090", "rtx-4060-ti-16-gb"), ("rtx-3060-12-gb", "rtx-4090"), ("rtx-4090", "rtx-3060-12-gb")):
        for slug in ("qwen3-32b", "gemma-3-27b", "qwen3-30b-a3b", "llama-3.1-8b"):
            outcome = ask(slug, cards)
            if outcome.estimate.status in (Status.FITS, Status.FITS_TIGHTLY):
                longest = ask(slug, cards, context_tokens=outcome.estimate.safe_context_tokens)
                assert longest.estimate.status in (Status.FITS, Status.FITS_TIGHTLY), (cards, slug)


@pytest.mark.parametrize(
    ("slug", "cards", "name", "match"),
    [
        ("llama-3.1-8b", ("rtx-3090", "apple-m3-max-40c-64gb"), "q4-k-m", "memory of their own"),
        ("llama-3.1-8b", ("rtx-3090", "rtx-4090"), "awq-int4", "splits a model evenly"),
        ("llama-3.1-8b", ("rtx-3090", "rx-7900-xtx"), "mlx-4bit", "no engine drives"),
    ],
)
def test_mixtures_that_nothing_runs(slug: str, cards: tuple[str, ...], name: str, match: str) -> None:
    with pytest.raises(UnsupportedError, match=match):
        ask(slug, cards, name)


def test_cards_of_two_makers_share_vulkan() -> None:
    outcome = ask("qwen3-32b", ("rtx-3090", "rx-7900-xtx"))
    assert outcome.estimate.backend is not None
    assert outcome.estimate.backend.value == "Vulkan"
    check_loads(outcome)


def test_tokens_of_a_step_by_the_share_that_engines_print() -> None:
    """llama.cpp printed 912 tokens drafted and 313 accepted in 58 steps of 371 tokens (ggml-org/llama.cpp#10455)."""
    assert expected_tokens(0.0, 5) == 1.0
    assert expected_tokens(1.0, 5) == 6.0
    steps = 371 - 313
    assert expected_tokens(313 / 912, 16) == pytest.approx(371 / steps, rel=0.02)


def test_a_draft_takes_memory_and_gives_speed() -> None:
    plain, drafted = (
        ask("llama-3.3-70b", ("h100-sxm5-80-gb",)),
        ask("llama-3.3-70b", ("h100-sxm5-80-gb",), draft=draft()),
    )
    assert drafted.speculation is not None
    assert plain.estimate.decode
    assert drafted.estimate.decode
    done = drafted.speculation
    assert done.speedup > 1.3
    assert drafted.estimate.decode.value == pytest.approx(plain.estimate.decode.value * done.speedup, rel=1e-4)
    assert drafted.estimate.decode.value == pytest.approx(
        done.tokens_per_step / (5 * done.draft_token_s + done.check_s), rel=1e-4
    )
    memory = drafted.estimate.memory
    assert memory.draft_bytes == done.draft_bytes > 10**9
    assert memory.total_bytes == plain.estimate.memory.total_bytes + memory.draft_bytes
    parts = memory.weights_bytes + memory.kv_cache_bytes + memory.compute_bytes + memory.overhead_bytes
    assert memory.total_bytes == parts + memory.draft_bytes
    assert drafted.estimate.safe_context_tokens < plain.estimate.safe_context_tokens
    assert plain.estimate.ttft_ms
    assert drafted.estimate.ttft_ms
    assert drafted.estimate.ttft_ms > plain.estimate.ttft_ms


def test_with_a_check_as_long_as_a_token_it_is_the_papers_formula() -> None:
    """Theorem 3.8: tokens of a step over g c + 1; a dense model at the memory's limit comes close to it.

    Products and sampling of the checked tokens make a check take longer than a token.
    """
    speculation = ask("llama-3.3-70b", ("h100-sxm5-80-gb",), draft=draft(tokens=4, rate=0.7)).speculation
    assert speculation is not None
    cost = speculation.draft_token_s / speculation.plain_token_s
    paper = (1 + 4 * 0.7) / (4 * cost + 1)
    assert paper * 0.6 < speculation.speedup < paper * 1.02


def test_a_useless_draft_slows_down_and_a_better_one_is_faster() -> None:
    speeds = [
        outcome.estimate.decode.value
        for rate in (0.0, 0.3, 0.6, 0.9)
        if (outcome := ask("qwen3-32b", ("rtx-4090",), draft=draft("qwen3-0.6b", 4, rate))).estimate.decode
    ]
    plain = ask("qwen3-32b", ("rtx-4090",)).estimate.decode
    assert plain is not None
    assert speeds == sorted(speeds)
    assert speeds[0] < plain.value < speeds[-1]


def test_checking_several_tokens_touches_more_experts() -> None:
    sparse = ask("qwen3-30b-a3b", ("rtx-4090",), draft=draft("qwen3-0.6b")).speculation
    dense = ask("qwen3-32b", ("rtx-4090",), draft=draft("qwen3-0.6b")).speculation
    assert sparse is not None
    assert dense is not None
    assert sparse.check_s > 1.5 * sparse.plain_token_s
    assert dense.check_s < 1.2 * dense.plain_token_s


def test_a_draft_may_push_layers_off_the_card() -> None:
    drafted, plain = ask("qwen3-32b", ("rtx-3090",), draft=draft("qwen3-4b")), ask("qwen3-32b", ("rtx-3090",))
    assert plain.estimate.status in (Status.FITS, Status.FITS_TIGHTLY)
    assert drafted.estimate.status is Status.FITS_WITH_OFFLOAD
    two = ask("qwen3-32b", ("rtx-3090", "rtx-4060-ti-16-gb"), draft=draft("qwen3-4b"))
    assert two.estimate.status in (Status.FITS, Status.FITS_TIGHTLY)
    check_loads(two)
    huge = ask("qwen3-32b", ("rtx-3060-12-gb",), draft=draft("qwen3-32b"))
    assert huge.estimate.status is Status.DOES_NOT_FIT
    assert huge.estimate.decode is None


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"draft": draft("qwen3-0.6b")}, "vocabulary"),
        ({"draft": draft(tokens=0)}, "1 to 64"),
        ({"draft": draft(rate=1.5)}, "from 0 to 1"),
        ({"draft": draft(), "batch": 4}, "one sequence"),
    ],
)
def test_drafts_that_cannot_be(change: dict[str, Any], match: str) -> None:
    with pytest.raises(EstimatorError, match=match):
        ask("llama-3.1-8b", ("rtx-4090",), **change)


def test_a_projector_takes_its_bytes() -> None:
    plain = what_if(model("gemma-3-27b"), request("rtx-4090"), Extras(), CALIBRATION)
    with_vision = what_if(model("gemma-3-27b"), request("rtx-4090"), Extras(projector_bytes=850_000_000), CALIBRATION)
    assert with_vision.estimate.memory.projector_bytes == 850_000_000
    assert with_vision.estimate.memory.total_bytes == plain.estimate.memory.total_bytes + 850_000_000
    assert with_vision.estimate.memory.overhead_bytes == plain.estimate.memory.overhead_bytes
    assert with_vision.estimate.safe_context_tokens < plain.estimate.safe_context_tokens
    unknown = what_if(model("gemma-3-27b"), request("rtx-4090"), Extras(projector_bytes=None), CALIBRATION)
    assert unknown.estimate.memory.projector_bytes is None
    assert unknown.estimate.memory.total_bytes == plain.estimate.memory.total_bytes
