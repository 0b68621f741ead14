"""Models with several residual streams: hyper-connections, pooled indexers and n-gram embeddings as extra parameters.

Source of the shapes: the ``modeling_glm5_next``, ``modeling_hy_v4`` and ``modeling_qwen4_exp`` modules of transformers 5.24.
With the keys of the published checkpoints they give the published counts of GLM-5.3-Flash, Hy4 and Qwen3.8-Flash-Next to
the parameter; Xing 4.0 mixes its streams as GLM-5-Next does.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import Any

from db.imports.errors import ImportFactsError, needed, whole

_WIDTH, _HEADS, _TOKENS = 4_194_304, 65_536, 1 << 28


def stream_parameters(values: Mapping[str, Any], name: str, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """``extra_params`` of GLM-5-Next, Hy4, Qwen4-Exp and Xing 4. Raises :class:`ImportFactsError`."""
    attending = facts["attention"]["layer_pattern"].count("F")
    hidden, layers = facts["hidden_size"], facts["n_layers"]
    streams = facts["attention"]["hc_mult"]
    wide = streams * hidden
    if name == "HYV4ForCausalLM":
        mixed = 2 * streams
        parts, head = 2 * layers * (mixed * wide + mixed + 2), streams * wide + streams + 1
        return [
            {"name": "hyper-connections", "params": parts + head},
            {"name": "sinks", "params": layers * facts["n_heads"]},
        ]
    mixed = (streams + 2) * streams
    if name == "Xing4_0ForCausalLM":
        return [{"name": "hyper-connections", "params": 2 * layers * (mixed * wide + mixed + 3)}]
    if name == "Glm5NextForConditionalGeneration":
        width = needed(values, "index_head_dim", 1, _WIDTH)
        pool = needed(values, "index_kpool", 1, _WIDTH)
        return [
            {"name": "hyper-connections", "params": 2 * layers * (mixed * wide + mixed + 3)},
            {"name": "key pooling of the indexer", "params": attending * width * (hidden + pool)},
        ]
    rank = needed(values, "hc_lowrank", 1, _WIDTH)
    mixer = wide * (2 * rank + 1)
    extras: list[dict[str, Any]] = [
        {"name": "hyper-connections", "params": 2 * layers * (mixer + streams * wide) + mixer},
    ]
    heads = whole(values, "indexer_n_heads", 1, _HEADS)
    if heads:
        width = needed(values, "indexer_head_dim", 1, _WIDTH)
        extras.append({"name": "indexer", "params": attending * ((heads + 1) * width * hidden + 2 * width)})
    return extras + _ngram_embeddings(values, hidden, wide)


def _ngram_embeddings(values: Mapping[str, Any], hidden: int, wide: int) -> list[dict[str, Any]]:
    """Tables of n-gram embeddings, and the projections and convolutions of the layers that read them."""
    listed = values.get("ple_layer_ids") or []
    if not isinstance(listed, list) or len(listed) > 64:
        raise ImportFactsError("'ple_layer_ids' must list at most 64 layers", "ple_layer_ids")
    if not listed:
        return []
    width = whole(values, "ple_embed_dim", 1, _WIDTH, hidden) or hidden
    heads = (needed(values, "ngram_size", 2, 64) - 1) * needed(values, "heads_per_ngram", 1, 64)
    if width % heads:
        raise ImportFactsError(f"'ple_embed_dim' must be a multiple of the {heads} heads of n-grams", "ple_embed_dim")
    first = needed(values, "ngram_vocab_size_base", 2, _TOKENS)
    divisor = needed(values, "make_ngram_vocab_size_divisible_by", 1, _TOKENS)
    primes = _primes(first, heads * len(listed))
    sums = [sum(primes[index * heads : (index + 1) * heads]) for index in range(len(listed))]
    rows = sum(-(-total // divisor) * divisor for total in sums)
    kernel = needed(values, "ple_conv_kernel_size", 1, 64)
    reading = wide * width + hidden * width + 3 * wide + kernel * wide
    return [
        {"name": "n-gram embedding table (lookup)", "params": rows * (width // heads), "lookup_row": width // heads},
        {"name": "n-gram embeddings of a layer", "params": reading * len(listed)},
    ]


def _primes(first: int, count: int) -> list[int]:
    primes: list[int] = []
    number = first
    while len(primes) < count:
        if number == 2 or (number % 2 and all(number % divisor for divisor in range(3, isqrt(number) + 1, 2))):
            primes.append(number)
        number += 1
    return primes
