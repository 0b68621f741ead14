"""vLLM's blocks against what its logs state for a request."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from db.entries import specs
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.paged_cache import request_bytes
from estimator.types import CacheType
from tests.support.catalogs import CATALOG

GIB = 1024**3


@cache
def model_of(slug: str) -> ModelArchitecture:
    return specs.architecture(CATALOG.models[slug])


def held(slug: str, context: int, cache: CacheType = CacheType.F16, ranks: int = 1, steps: int = 8192) -> float:
    return float(request_bytes(model_of(slug), cache, ranks)(np.array([float(context)]), steps)[0])


@pytest.mark.parametrize(
    ("slug", "context", "cache", "ranks", "steps", "pool_gib", "requests"),
    [
        # vllm-project/vllm#40388: 15.18 GiB, "Maximum concurrency for 32,768 tokens per request: 12.73x".
        ("gemma-4-26b-a4b", 32_768, CacheType.FP8, 1, 8192, 15.18, 12.73),
        # Two Arc Pro B70: 10.12 GiB a device, 1.03 requests of 163,840 tokens.
        ("gemma-4-31b", 163_840, CacheType.F16, 2, 8192, 10.12, 1.03),
        # Llama 3.1 8B on a 22 GB card: 4.6 GiB, 37,696 tokens.
        ("llama-3.1-8b", 131_072, CacheType.F16, 1, 2048, 4.6, 37_696 / 131_072),
        # vllm-project/vllm#21348: 8.11 GiB a device of four, 178,880 tokens.
        ("qwen3-235b-a22b", 40_960, CacheType.F16, 4, 8192, 8.11, 178_880 / 40_960),
        # vllm-project/recipes#12: 62.00 GiB a replica for 262,144 tokens.
        ("qwen3-coder-480b-a35b", 262_144, CacheType.F16, 1, 8192, 62.0, 1.0),
    ],
)
def test_a_pool_holds_the_requests_of_its_log(
    slug: str, context: int, cache: CacheType, ranks: int, steps: int, pool_gib: float, requests: float
) -> None:
    assert pool_gib * GIB / held(slug, context, cache, ranks, steps) == pytest.approx(requests, rel=0.015)


@pytest.mark.parametrize(("context", "gib"), [(30_000, 6.66), (13_528, 5.44)])
def test_a_compressed_context_with_its_windows_and_states(context: int, gib: float) -> None:
    """vllm-project/vllm#44376: 6.66 GiB a device are needed for 30,000 tokens, and 5.44 GiB are enough for 13,528."""
    for ranks in (1, 2):
        assert held("deepseek-v4-flash", context, CacheType.FP8, ranks, 16_384) / GIB == pytest.approx(gib, abs=0.006)


def test_a_window_reserves_a_step_and_a_block() -> None:
    model = model_of("gpt-oss-20b")
    window, layer = 128, model.layers[0]
    token = layer.kv_heads * (layer.key_dim + layer.value_dim) * 2
    blocks = np.ceil((window - 1 + 2048) / 16) + 1
    assert held("gpt-oss-20b", 65_536, steps=2048) == 12 * token * (65_536 + 16 * blocks)
    # Before the window is full, a block more than without one.
    assert held("gpt-oss-20b", 1024, steps=2048) == 12 * token * (1024 + 1024 + 16)


@pytest.mark.parametrize("slug", ["qwen3-next-80b-a3b-instruct", "qwen3.6-35b-a3b"])
def test_a_state_takes_a_block_and_lengthens_those_of_attention(slug: str) -> None:
    """A block holds a state: vLLM logs 1,056 tokens with 16-bit convolutions; ours are F32 throughout."""
    block = 1072
    model = model_of(slug)
    layer = next(layer for layer in model.layers if layer.has_attention)
    full = sum(layer.has_attention for layer in model.layers)
    token = layer.kv_heads * (layer.key_dim + layer.value_dim) * 2
    states = model.n_layers - full
    held_bytes = held(slug, block)
    assert held_bytes == pytest.approx((full + states) * block * token, rel=0.02)
    assert held(slug, block + 1) > held_bytes


def test_sparse_attention_keeps_the_keys_of_its_indexer() -> None:
    """DeepSeek V3.2 in vLLM: 656 bytes of latent row and 132 of indexer a token and layer in FP8."""
    assert held("deepseek-v3.2", 65_536, CacheType.FP8) == 61 * (656 + 132) * 65_536
    assert held("deepseek-v3.2", 65_536) == 61 * (1152 + 132) * 65_536


@pytest.mark.parametrize(
    "slug", ["llama-3.1-8b", "gemma-3-27b", "deepseek-v4-flash", "qwen3.6-35b-a3b", "falcon3-mamba-7b", "llama-4-scout"]
)
def test_a_request_grows_with_its_length_and_shrinks_with_more_devices(slug: str) -> None:
    contexts = np.array([1.0, 16, 17, 1000, 8192, 100_000])
    for ranks in (1, 2, 4):
        sizes = request_bytes(model_of(slug), CacheType.F16, ranks)(contexts, 8192)
        assert (np.diff(sizes) >= 0).all()
        assert (sizes <= request_bytes(model_of(slug), CacheType.F16, 1)(contexts, 8192) * 1.001).all()
