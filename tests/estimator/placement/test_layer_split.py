"""Whole layers on several cards, against every way to cut a list of layers."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import numpy as np

from db.entries import specs
from estimator.calibration.coefficients import Calibration
from estimator.estimate import estimate, situation_of_request
from estimator.placement.demand import Situation, needs
from estimator.placement.layer_split import Parts, compute_of_cards, reached
from estimator.placement.layer_sums import ModelTables, model_tables
from estimator.structure.arrays import Floats
from estimator.types import Backend, EstimateRequest, Status
from tests.support.catalogs import CATALOG

CALIBRATION = Calibration.load()
HOST = specs.host(CATALOG.hosts[CATALOG.default_host])
RUNNING = (Status.FITS, Status.FITS_TIGHTLY)


def most_by_hand(sizes: list[int], rooms: list[int]) -> int:
    """Most parts from the end of which some cut into consecutive runs, one a card, leaves each within its room."""
    if min(rooms) < 0:
        return -1
    for count in range(len(sizes), 0, -1):
        own = sizes[:count][::-1]
        for cuts in itertools.combinations_with_replacement(range(count + 1), len(rooms) - 1):
            ends = (0, *cuts, count)
            if all(sum(own[a:b]) <= room for a, b, room in zip(ends, ends[1:], rooms, strict=False)):
                return count
    return 0


def test_filling_from_the_end_holds_the_most_that_any_cut_does() -> None:
    pick = random.Random(1)
    counts = set()
    for _ in range(500):
        sizes = [pick.randint(0, 9) for _ in range(pick.randint(1, 8))]
        rooms = [pick.randint(-1, 14) for _ in range(pick.randint(1, 4))]
        sums = np.concatenate([[0.0], np.cumsum(sizes)])[None]
        held = int(reached(sums, np.array(rooms, dtype=np.float64)[:, None])[0])
        expected = most_by_hand(sizes, rooms)
        # Parts of no size are held or not held alike.
        assert held == expected or (0 <= expected < held and sum(sizes[expected:held]) == 0), (sizes, rooms)
        counts.add(held)
    assert {-1, 0, 1, 8} <= counts


def all_stay(tables: ModelTables, cache: Floats, moved: int, free: Floats) -> bool:
    """Front to back, each card as full as it gets: for given experts elsewhere this finds a way if there is any."""
    weights = tables.weights
    experts = np.where(np.arange(len(cache)) >= moved, weights.experts[0], 0)
    sizes = [*(weights.layers[0] + experts + cache), float(weights.output[0])]
    at = 0
    for room in free:
        left = float(room)
        while at < len(sizes) and sizes[at] <= left:
            left -= sizes[at]
            at += 1
    return at == len(sizes)


def test_fewest_experts_move_that_let_every_layer_stay() -> None:
    pick = random.Random(2)
    moved_some = impossible = 0
    for slug in ("qwen3-30b-a3b", "deepseek-v3", "kimi-linear-48b-a3b"):
        model = specs.architecture(CATALOG.models[slug])
        tables = model_tables(model, (specs.quant(CATALOG.quants["q4-k-m"]),))
        need = needs(model, (Situation(512, 128, 8192, 4096.0),))
        zero = np.zeros(1, dtype=np.int64)
        parts = Parts.of(tables, need, zero, zero)
        cache = np.diff(need.kv_last[0])[::-1]
        for _ in range(40):
            cards = pick.choice((2, 3, 4))
            free = np.array(
                [
                    [pick.choice((0.02, 0.3, 1.1)) * pick.random() * float(tables.device[0]) / cards]
                    for _ in range(cards)
                ]
            )
            expected = next(
                (moved for moved in range(model.n_layers + 1) if all_stay(tables, cache, moved, free[:, 0])), -2
            )
            assert int(parts.fewest_moved(free)[0]) == expected
            moved_some += expected > 0
            impossible += expected == -2
    assert min(moved_some, impossible) > 5


def test_a_safe_context_of_several_cards_fits_and_a_longer_one_does_not() -> None:
    pick, checked, short = random.Random(3), 0, 0
    cards = ("rtx-3060-12-gb", "rtx-3090", "rtx-4090", "rx-7900-xtx")
    for _ in range(100):
        model = specs.architecture(
            CATALOG.models[pick.choice(("qwen3-32b", "llama-3.3-70b", "gemma-3-27b", "llama-3.1-8b"))]
        )
        request = EstimateRequest(
            quant=specs.quant(CATALOG.quants[pick.choice(("q4-k-m", "q8-0"))]),
            accelerator=specs.accelerator(CATALOG.gpus[pick.choice(cards)]),
            host=HOST,
            gpu_count=pick.choice((2, 3)),
            context_tokens=4096,
        )
        answer = estimate(model, request, CALIBRATION)
        safe = answer.safe_context_tokens
        if answer.status not in RUNNING:
            continue
        longest = estimate(model, replace(request, context_tokens=safe), CALIBRATION)
        assert longest.status in RUNNING
        assert longest.safe_context_tokens >= safe
        checked += 1
        if model.context_tokens is not None and safe < model.context_tokens:
            # Cache and weights are counted to the byte; buffers by a slope that is a little steep, to be safe.
            beyond = estimate(model, replace(request, context_tokens=safe + safe // 50 + 512), CALIBRATION)
            assert beyond.status not in RUNNING
            short += 1
    assert min(checked, short) > 5


def test_copies_of_the_inputs_give_way_before_layers_do() -> None:
    """Measured to run whole on two cards of 32 GB: kyuz0/amd-r9700-ai-toolboxes, llama-bench with 32,768 tokens of depth."""
    request = EstimateRequest(
        quant=specs.quant(CATALOG.quants["bf16"]),
        accelerator=specs.accelerator(CATALOG.gpus["radeon-ai-pro-r9700"]),
        host=HOST,
        gpu_count=2,
        backend=Backend.ROCM,
        depth_tokens=32_768,
        prompt_tokens=2048,
        micro_batch_tokens=2048,
        # The bench reserves logits of a whole micro-batch, as servers of that time did.
        build_age_years=0.75,
    )
    model = specs.architecture(CATALOG.models["qwen3-coder-30b-a3b"])
    tight = estimate(model, request, CALIBRATION)
    roomy = estimate(model, replace(request, gpu_count=3), CALIBRATION)
    assert tight.status in RUNNING
    assert roomy.status in RUNNING
    situation = situation_of_request(request)
    need = needs(model, (situation,))
    assert tight.memory.compute_bytes == compute_of_cards(need, 2, pipelined=False).sum()
    assert roomy.memory.compute_bytes == compute_of_cards(need, 3, pipelined=True).sum()
    # Weights in system memory: llama.cpp does not pipeline at all.
    split = estimate(model, replace(request, gpu_layers=20), CALIBRATION)
    assert split.status is Status.FITS_WITH_OFFLOAD
    assert split.memory.compute_bytes < compute_of_cards(need, 2, pipelined=True).sum()
