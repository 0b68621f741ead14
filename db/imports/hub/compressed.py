"""Compressed attention of DeepSeek V4 and V4.1: one key head, K equals V, and a cache of compressed tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from db.imports.errors import ImportFactsError, needed, whole

_WIDTH, _LAYERS, _HEADS = 4_194_304, 1_000, 65_536

#: Layers of DeepSeek V4 that route by a hash, where no key says it (``DeepseekV4Config``).
_HASHED_LAYERS = 3


def compressed(values: Mapping[str, Any], facts: dict[str, Any]) -> None:
    """Compressed attention of DeepSeek V4: one key head, K equals V, and a compressor in most layers."""
    layers = facts["n_layers"]
    ratios = values.get("compress_ratios")
    kinds = values.get("layer_types")
    if ratios is None and isinstance(kinds, list):
        rates = {"compressed_sparse_attention": 4, "heavily_compressed_attention": 128}
        ratios = [rates.get(str(kind), 0) for kind in kinds]
    if ratios is None:
        # The class's own list: two layers of 128, then 4 and 128 in turn.
        ratios = [128 if index < 2 or index % 2 == 0 else 4 for index in range(layers)]
    if not isinstance(ratios, list) or len(ratios) < layers:
        raise ImportFactsError(f"'compress_ratios' must list one for each of the {layers} layers", "compress_ratios")
    if not all(type(ratio) is int and 0 <= ratio <= 1 << 20 for ratio in ratios):
        raise ImportFactsError("'compress_ratios' must hold integers", "compress_ratios")
    ratios = ratios[:layers]
    streams = whole(values, "hc_mult", 1, 64, 1) or 1
    attention = facts["attention"]
    index = attention.pop("indexer", {})
    attention |= {"compress_ratios": ratios, "hc_mult": streams, **index}
    attention["layer_pattern"] = "F" * layers
    attention["sliding_window"] = whole(values, "sliding_window", 1, 1 << 31, 128)
    facts["head_dim_v"], facts["n_kv_heads"] = facts["head_dim_k"], 1
    facts["mlp_pattern"] = "E" * layers
    total = sum(_compressed_layer(values, facts, index, ratio, streams) for ratio in ratios)
    # Layers that route by a table of token hashes have no router bias.
    kinds = values.get("mlp_layer_types")
    listed = kinds[:layers].count("hash_moe") if isinstance(kinds, list) else min(_HASHED_LAYERS, layers)
    hashed = whole(values, ("num_hash_layers", "num_hash_moe_layers"), 0, layers, listed) or 0
    total -= hashed * facts["moe"]["n_experts"]
    head = {"name": "head of the residual streams", "params": streams**2 * facts["hidden_size"] + streams + 1}
    facts["extra_params"].append(head)
    facts["attention_parameters"] = total


def _compressed_layer(
    values: Mapping[str, Any], facts: Mapping[str, Any], index: Mapping[str, int], ratio: int, streams: int
) -> int:
    hidden, width = int(facts["hidden_size"]), int(facts["head_dim_k"])
    query = needed(values, "q_lora_rank", 1, _WIDTH)
    mixed = streams * streams + 2 * streams
    size = _low_rank_projections(values, facts, query) + int(facts["n_heads"])
    size += 2 * (mixed * streams * hidden + mixed + 3)
    if ratio:
        doubled = 2 if ratio < 16 else 1
        size += doubled * width * (2 * hidden + ratio) + width
        if doubled == 2:
            inner, rows = index.get("index_head_dim", 0), index.get("index_n_heads", 0)
            size += 2 * inner * (2 * hidden + ratio) + inner + rows * inner * query + rows * hidden
    return size


def _low_rank_projections(values: Mapping[str, Any], facts: Mapping[str, Any], query: int) -> int:
    """Parameters of the projections of queries, key and output, with their norms."""
    hidden, heads, width = int(facts["hidden_size"]), int(facts["n_heads"]), int(facts["head_dim_k"])
    groups = needed(values, "o_groups", 1, _HEADS)
    output = groups * needed(values, "o_lora_rank", 1, _WIDTH)
    size = hidden * query + query + query * heads * width + hidden * width + width
    return size + output * (heads * width // groups) + output * hidden


def compressed_by_source(values: Mapping[str, Any], facts: dict[str, Any]) -> None:
    """DeepSeek V4.1: few layers keep the compressed cache that the others read, and two look n-grams up in tables.

    Source: its configuration and its list of tensors (deepseek-ai/DeepSeek-V4.1-Flash, revision dba1be0a), whose count this
    gives to the parameter. Raises :class:`ImportFactsError` for one without experts.
    """
    if not facts["moe"]:
        raise ImportFactsError(
            "'n_routed_experts' is missing; every layer of this class has experts", "n_routed_experts"
        )
    layers, hidden = facts["n_layers"], int(facts["hidden_size"])
    sources, indexed = (_numbers(values, f"{kind}_source_layer_ids", layers) for kind in ("kv", "index"))
    listed = _numbers(values, "compress_ratios", 1 << 20)
    if len(listed) < layers:
        raise ImportFactsError(f"'compress_ratios' must list one for each of the {layers} layers", "compress_ratios")
    ratios = [listed[layer] if layer in sources else 0 for layer in range(layers)]
    attention, streams = facts["attention"], needed(values, "hc_mult", 1, 64)
    index = attention.pop("indexer", {})
    attention |= {"compress_ratios": ratios, "hc_mult": streams, "layer_pattern": "F" * layers, **index}
    attention["sliding_window"] = needed(values, "sliding_window", 1, 1 << 31)
    facts["head_dim_v"], facts["n_kv_heads"] = facts["head_dim_k"], 1
    facts["mlp_pattern"] = "E" * layers
    key, inner, rows = facts["head_dim_k"], index.get("index_head_dim", 0), index.get("index_n_heads", 0)
    query, mixed = needed(values, "q_lora_rank", 1, _WIDTH), streams * streams + 2 * streams
    every_layer = _low_rank_projections(values, facts, query) + facts["n_heads"]
    every_layer += 2 * (mixed * streams * hidden + mixed + 3) + facts["moe"]["n_experts"]
    compressors = sum((2 if ratio > 1 else 1) * key * hidden + key + inner * (key + 1) for ratio in ratios if ratio)
    facts["attention_parameters"] = layers * every_layer + compressors + len(indexed) * rows * (inner * query + hidden)
    facts["extra_params"] += _ngram_tables(values, hidden, streams)


def _ngram_tables(values: Mapping[str, Any], hidden: int, streams: int) -> list[dict[str, Any]]:
    tables = _numbers(values, "engram_num_embeddings", 1 << 34)
    width, heads = needed(values, "engram_head_dim", 1, _WIDTH), needed(values, "engram_n_heads", 1, _HEADS)
    rows_width = (needed(values, "engram_max_ngram_size", 2, 64) - 1) * heads * width
    projections = len(tables) * ((streams + 1) * hidden * rows_width + 2 * streams * hidden)
    return [
        {"name": "n-gram tables (lookup)", "params": sum(tables) * width, "lookup_row": width},
        {"name": "projections of the n-gram tables", "params": projections},
    ]


def _numbers(values: Mapping[str, Any], key: str, limit: int) -> list[int]:
    listed = values.get(key)
    if not isinstance(listed, list) or len(listed) > _LAYERS or not all(type(number) is int for number in listed):
        raise ImportFactsError(f"{key!r} must be a list of integers", key)
    if not all(0 <= number < limit for number in listed):
        raise ImportFactsError(f"{key!r} must hold integers from 0 to {limit - 1:,}", key)
    return listed
