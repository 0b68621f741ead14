"""Parts that one class alone has: several residual streams, shared blocks, low-rank gates, layers that are run several times.

Source of the shapes: the ``modeling_*`` modules of transformers 5.24. With the keys of the published checkpoints they give the
published counts of GLM-5.3-Flash, Hy4 and Qwen3.8-Flash-Next to the parameter; Xing 4.0 mixes its streams as GLM-5-Next does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isqrt
from typing import Any

from db.imports.errors import ImportFactsError, needed, whole

_WIDTH, _HEADS, _TOKENS, _LAYERS = 4_194_304, 65_536, 1 << 28, 1_000


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


def shared_blocks(values: Mapping[str, Any], facts: Mapping[str, Any], *, has_adapters: bool) -> list[tuple[str, int]]:
    """Transformer blocks of Zamba, which read hidden state and embedding side by side and serve every hybrid layer; each
    layer has a projection of its own, and in Zamba 2 a low-rank part (``modeling_zamba2`` of transformers)."""
    hidden, hybrid = facts["hidden_size"], facts["attention"]["layer_pattern"].count("P")
    width = needed(values, "intermediate_size", 1, _WIDTH)
    inner = facts["n_heads"] * facts["head_dim_k"]
    if values.get("attention_hidden_size") not in (None, 2 * hidden):
        raise ImportFactsError(f"'attention_hidden_size' must be {2 * hidden}", "attention_hidden_size")
    blocks = whole(values, "num_mem_blocks", 1, 64, 1) or 1
    block = (
        3 * hidden * inner + 4 * hidden * facts["n_kv_heads"] * facts["head_dim_k"] + 3 * hidden * width + 3 * hidden
    )
    extras = [("shared transformer blocks", blocks * block), ("projections of the shared blocks", hybrid * hidden**2)]
    if has_adapters:
        rank = needed(values, "adapter_rank", 1, _WIDTH)
        low_rank = rank * (hidden + 2 * width)
        if values.get("use_shared_attention_adapter") is True:
            low_rank += 3 * rank * (2 * hidden + inner)
        extras.append(("adapters of the shared blocks", hybrid * low_rank))
    return extras


def blocks_of_zamba(values: Mapping[str, Any]) -> list[str]:
    """Zamba's blocks where no key lists them: two and a hybrid one, then hybrid ones in equal steps (``ZambaConfig``)."""
    layers = needed(values, "num_hidden_layers", 3, _LAYERS)
    period, offset = needed(values, "attn_layer_period", 1, _LAYERS), needed(values, "attn_layer_offset", 0, _LAYERS)
    spaced = ["hybrid" if index % period == offset else "mamba" for index in range(layers - 3)]
    return ["mamba", "mamba", "hybrid", *spaced]


def prompts(values: Mapping[str, Any], facts: Mapping[str, Any]) -> list[tuple[str, int]]:
    """CPM-Ant: rows of the embedding for prompts, rows for segments, and biases of positions and segments by head."""
    hidden, heads = facts["hidden_size"], facts["n_heads"]
    segments = needed(values, "segment_types", 1, _HEADS)
    rows = needed(values, "prompt_types", 1, _HEADS) * needed(values, "prompt_length", 1, _HEADS)
    biases = segments * segments + needed(values, "position_bias_num_buckets", 1, _TOKENS)
    return [("rows of prompts and segments", (rows + segments) * hidden), ("biases of positions", biases * heads)]


def altup(values: Mapping[str, Any], facts: Mapping[str, Any]) -> list[tuple[str, int]]:
    """LAuReL and AltUp of Gemma 3n."""
    layers, hidden = facts["n_layers"], facts["hidden_size"]
    rank = needed(values, "laurel_rank", 1, _WIDTH)
    inputs = needed(values, "altup_num_inputs", 1, 64)
    return [
        ("laurel", layers * (2 * hidden * rank + hidden)),
        ("AltUp of the layers", layers * (inputs**2 + inputs**3 + hidden * (inputs + 2))),
        ("AltUp projections", 2 * (inputs - 1) * hidden * hidden),
    ]


def relative_positions(values: Mapping[str, Any], facts: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Position biases, short convolutions and router rows of Inkling (``modeling_inkling`` of transformers)."""
    hidden, pattern = facts["hidden_size"], facts["attention"]["layer_pattern"]
    window, width = facts["attention"]["swa"], needed(values, "d_rel", 1, _WIDTH)
    kernel, extent = needed(values, "conv_kernel_size", 1, 64), needed(values, "rel_extent", 1, 1 << 31)
    near, far = pattern.count("S"), pattern.count("F")
    reach = facts["attention"]["sliding_window"] or 0
    heads = near * window["n_heads"] + far * facts["n_heads"]
    key_width = near * window["n_kv_heads"] * window["head_dim_k"] + far * facts["n_kv_heads"] * facts["head_dim_k"]
    routed, shared = facts["mlp_pattern"].count("E"), (facts["moe"] or {}).get("n_shared_experts", 0)
    return [
        ("projections of relative positions", heads * width * hidden),
        ("relative position biases", width * (near * reach + far * extent)),
        ("short convolutions of keys, values and sublayers", 2 * kernel * (key_width + len(pattern) * hidden)),
        ("router rows of the shared experts", routed * shared * hidden),
        ("norm of the embedding and global scales", hidden + len(pattern)),
    ]


def gated_norms(values: Mapping[str, Any], facts: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Low-rank gates of the norms of A.X K2, and its output gate, which is computed with the queries from twice their rank
    (``modeling_axk2`` of transformers)."""
    hidden, layers, mla = facts["hidden_size"], facts["n_layers"], facts["attention"]["mla"]
    rank = needed(values, "gated_norm_rank", 1, _WIDTH)
    key = mla["qk_nope_head_dim"] + mla["qk_rope_head_dim"]
    wider = facts["n_heads"] * needed(values, "q_lora_rank", 1, _WIDTH) * (2 * (key + mla["v_head_dim"]) - key)
    return [
        ("gates of the norms", 2 * rank * hidden * (layers + facts["mlp_pattern"].count("E"))),
        ("output gate and wider query projection", layers * wider),
    ]


def sparse_index(values: Mapping[str, Any], facts: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Query and key projection, and both head norms, of the block index of MiniMax M3."""
    layers, hidden = facts["n_layers"], facts["hidden_size"]
    sparse = values.get("sparse_attention_config")
    if not isinstance(sparse, Mapping):
        return []
    heads = needed(sparse, "sparse_num_index_heads", 1, _HEADS)
    width = needed(sparse, "sparse_index_dim", 1, _WIDTH)
    listed = sparse.get("sparse_attention_freq")
    indexed = sum(1 for flag in listed[:layers] if flag == 1) if isinstance(listed, list) else layers
    return [("block index", indexed * ((heads + 1) * width * hidden + 2 * width))]


def inkling2(values: Mapping[str, Any], facts: Mapping[str, Any]) -> list[tuple[str, int]]:
    """What Inkling 2 has beside attention and experts: queries over the outputs of earlier blocks, short convolutions of keys,
    values and sublayers, position biases and, where layers are looped, gates of the messages between passes."""
    hidden, pattern, layers = facts["hidden_size"], facts["attention"]["layer_pattern"], facts["n_layers"]
    window, width = facts["attention"]["swa"], needed(values, "d_rel", 1, _WIDTH)
    kernel, extent = needed(values, "conv_kernel_size", 1, 64), needed(values, "rel_extent", 1, 1 << 31)
    near, far = pattern.count("S"), pattern.count("F")
    heads = near * window["n_heads"] + far * facts["n_heads"]
    near_keys = window["n_kv_heads"] * window["head_dim_k"]
    far_keys = facts["n_kv_heads"] * facts["head_dim_k"]
    queries = layers + 3 * far + near - (pattern[:1] == "S")
    dynamic = 2 * far * kernel * (far_keys + facts["n_kv_heads"] * hidden)
    extras = [
        ("queries over earlier blocks and norms of their results", hidden * (queries + 2 * far + 2)),
        ("head norms", near * window["n_heads"] * window["head_dim_k"] + far * facts["n_heads"] * facts["head_dim_k"]),
        ("sinks", heads * hidden),
        (
            "relative position biases",
            heads * width * (hidden + 1) + width * (near * (facts["attention"]["sliding_window"] or 0) + far * extent),
        ),
        ("short convolutions", 2 * kernel * (near * near_keys + layers * hidden) + dynamic),
    ]
    first, last = (whole(values, f"loop_layer_index_{end}", 0, 1_000, 0) or 0 for end in ("start", "end"))
    if (looped := max(last - first, 0)) and values.get("loop_gate_rank") is not None:
        rank = needed(values, "loop_gate_rank", 1, _WIDTH)
        extras.append(("gates of the messages between passes", looped * 4 * hidden * (4 * rank + 1)))
    return extras


def cca(values: Mapping[str, Any], facts: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Compressed convolutional attention of ZAYA, its scaled residuals and the perceptron that routes (arXiv:2510.04476)."""
    hidden, layers, width = facts["hidden_size"], facts["n_layers"], facts["head_dim_k"]
    heads, experts = facts["n_heads"] + facts["n_kv_heads"], (facts["moe"] or {}).get("n_experts", 0)
    depthwise, grouped = (needed(values, f"cca_time{part}", 1, 64) for part in (0, 1))
    rank = needed(values, "router_hidden_size", 1, _WIDTH)
    router = hidden * rank + rank + rank + 2 * (rank * rank + rank) + (experts + 1) * rank
    mixing = heads * width * (depthwise + 1 + grouped * width + 1) + facts["n_kv_heads"]
    return [
        ("convolutions of queries and keys", layers * mixing),
        ("scales and biases of the residuals", (8 * layers + 2) * hidden),
        ("router", layers * (router - hidden * experts) + (layers - 1) * rank),
    ]


def with_cross_layers(values: Mapping[str, Any], facts: dict[str, Any]) -> None:
    """Put the layers of IDEFICS that attend to an image before every so many of the others; they keep no keys and values."""
    layers, every = facts["n_layers"], needed(values, "cross_layer_interval", 1, 1_000)
    if layers % every:
        raise ImportFactsError(f"'cross_layer_interval' must divide the {layers} layers", "cross_layer_interval")
    pattern = ("X" + "F" * every) * (layers // every)
    facts["n_layers"], facts["mlp_pattern"] = len(pattern), "D" * len(pattern)
    own = [{"shares_kv": True} if letter == "X" else {} for letter in pattern]
    facts["attention"] |= {"layer_pattern": pattern, "per_layer": own, "kv_shared_keeps_weights": False}


def of_cross_layers(values: Mapping[str, Any], facts: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Keys and values of an image, gates and head norms of the layers that attend to it, and rows for added tokens."""
    hidden, cross = facts["hidden_size"], facts["attention"]["layer_pattern"].count("X")
    stated = values.get("vision_config")
    seen = whole(stated, "embed_dim", 1, _WIDTH, 768) if isinstance(stated, Mapping) else 768
    gates = {"float": 1, "vector": hidden}.get(str(values.get("alpha_type")))
    if gates is None:
        raise ImportFactsError("'alpha_type' must be float or vector", "alpha_type")
    norms = 2 * facts["head_dim_k"] if values.get("qk_layer_norms") is True else 0
    added = whole(values, "additional_vocab_size", 0, _WIDTH, 0) or 0
    return [
        ("keys and values of images", 2 * cross * (seen or 768) * facts["n_heads"] * facts["head_dim_k"]),
        ("gates and head norms of cross attention", cross * (2 * gates + norms)),
        ("rows of added tokens", 2 * added * hidden),
    ]


def adapters_of_images(values: Mapping[str, Any], facts: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Low-rank parts of every projection of InternLM-XComposer 2, which tokens of images pass; their rank is no key
    (``modeling_internlm2`` of its repositories)."""
    hidden, query = facts["hidden_size"], facts["n_heads"] * facts["head_dim_k"]
    fused = query + 2 * facts["n_kv_heads"] * facts["head_dim_k"]
    widths = (hidden + fused) + (query + hidden) + 3 * (hidden + (facts["intermediate_size"] or 0))
    return [("low-rank parts for images", facts["n_layers"] * 256 * widths)]


def gates_of_passes(values: Mapping[str, Any], facts: Mapping[str, Any]) -> list[tuple[str, int]]:
    """IQuest-Coder Loop: a gate of each head, between its first pass and a window of the later one."""
    return [("gates of the passes", facts["n_layers"] * facts["n_heads"] * (facts["head_dim_k"] + 1))]


#: Classes with tensors beside the common structure -> their names and sizes.
PARTS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], list[tuple[str, int]]]] = {
    "AXK2ForCausalLM": gated_norms,
    "CpmAntForCausalLM": prompts,
    "Gemma3nForConditionalGeneration": altup,
    "IdeficsForVisionText2Text": of_cross_layers,
    "Inkling2ForCausalLM": inkling2,
    "Inkling2LoopForCausalLM": inkling2,
    "InklingForConditionalGeneration": relative_positions,
    "InternLMXComposer2ForCausalLM": adapters_of_images,
    "IQuestLoopCoderForCausalLM": gates_of_passes,
    "MiniMaxM3ForCausalLM": sparse_index,
    "ZayaForCausalLM": cca,
}


def repeat_layers(values: Mapping[str, Any], name: str, facts: dict[str, Any]) -> None:
    """Let the facts of a model that loops over its layers have one layer for each time that one is run: it has a cache of its
    own and the weights of the first time."""
    if name not in _ORDERS:
        return
    order = _ORDERS[name](values, facts["n_layers"])
    layers = facts["n_layers"]
    run_in_order(facts, order, keeps_last=values.get("recurrent_kv_cache_mode") == "last_loop")
    if name == "IQuestLoopCoderForCausalLM":
        # A later pass keeps a window of its own, and reads the cache of the first (iquest_loopcoder.py of vLLM).
        pattern = "F" * layers + "S" * (len(order) - layers)
        window = whole(values, "loop_window_size", 1, 1 << 31, 64)
        facts["attention"] |= {"layer_pattern": pattern, "sliding_window": window}


def run_in_order(facts: dict[str, Any], order: list[int], *, keeps_last: bool = False) -> None:
    """Let ``facts`` have a layer for each number of ``order``; ``keeps_last``: only the last time of each has a cache.

    Raises:
        ImportFactsError: there would be more layers than are read.
    """
    attention = facts["attention"]
    if not order or len(order) > _LAYERS:
        raise ImportFactsError(
            f"the loops make {len(order):,} layers; at most {_LAYERS:,} are read", "num_hidden_layers"
        )
    own = attention.get("per_layer") or [{}] * facts["n_layers"]
    last = {layer: index for index, layer in enumerate(order)} if keeps_last else {}
    layers, first = [], dict[int, int]()
    for index, layer in enumerate(order):
        again = {"weights_of": first[layer]} if layer in first else {}
        layers.append({**own[layer], **again, **({"shares_kv": True} if last.get(layer, index) != index else {})})
        first.setdefault(layer, index)
    for part, key in ((attention, "layer_pattern"), (facts, "mlp_pattern"), (facts["norms"], "per_layer")):
        if isinstance(part[key], str):
            part[key] = "".join(part[key][layer] for layer in order)
    facts["n_layers"], attention["per_layer"] = len(order), layers


def _times(layers: int, times: int | None) -> list[int]:
    return list(range(layers)) * (times or 1)


def _order_of_passes_over_all(values: Mapping[str, Any], layers: int) -> list[int]:
    """Nanbeige 4.2: one pass more than losses are listed, where a list of them is."""
    for key in ("loop_share_kv", "enable_depth_attention", "enable_double_loop_split"):
        if values.get(key) is True:
            raise ImportFactsError(f"{key!r} is not read for this architecture", key)
    losses, stated = values.get("loop_loss_weights"), whole(values, "num_loops", 1, 64, 1)
    if losses and isinstance(losses, list):
        return _times(layers, whole({"loop_loss_weights": len(losses) + 1}, "loop_loss_weights", 1, 64))
    return _times(layers, stated)


def order_of_stacks(values: Mapping[str, Any], layers: int) -> list[int]:
    """HRM: in each cycle of the high stack, which comes second, the low one is run several times."""
    low, high = list(range(layers // 2)), list(range(layers // 2, layers))
    cycles, inner = (needed(values, f"{stack}_cycles", 1, 64) for stack in "HL")
    return (low * inner + high) * cycles


def order_of_core(values: Mapping[str, Any], layers: int) -> list[int]:
    """Dory: layers at both ends are run once."""
    ends = [needed(values, f"n_{part}_layers", 0, _LAYERS) for part in ("input", "output")]
    core = whole(values, "n_recurrent_layers", 1, _LAYERS, max(layers - sum(ends), 0)) or 0
    if sum(ends) + core != layers or not core:
        raise ImportFactsError(
            f"'n_input_layers', 'n_recurrent_layers' and 'n_output_layers' must make {layers} layers",
            "n_recurrent_layers",
        )
    return _looped(layers, ends[0], ends[0] + core, whole(values, "n_recurrent_loops", 1, 64, 2) or 2)


def _order_of_passes(values: Mapping[str, Any], layers: int) -> list[int]:
    """Inkling 2 with loops."""
    if values.get("loop_config") is not None:
        raise ImportFactsError("'loop_config' is not read; state 'loop_layer_index_start' and the like", "loop_config")
    start, end = (needed(values, f"loop_layer_index_{part}", 0, layers) for part in ("start", "end"))
    return _looped(layers, start, max(start, end), needed(values, "loop_num_passes", 1, 64))


def _looped(layers: int, start: int, end: int, times: int) -> list[int]:
    numbers = list(range(layers))
    return numbers[:start] + numbers[start:end] * times + numbers[end:]


#: Classes that loop over their layers -> numbers of the layers in the order in which they run.
_ORDERS: dict[str, Callable[[Mapping[str, Any], int], list[int]]] = {
    "DoryForCausalLM": order_of_core,
    "HrmTextForCausalLM": order_of_stacks,
    "Inkling2LoopForCausalLM": _order_of_passes,
    "IQuestLoopCoderForCausalLM": lambda values, layers: _times(layers, whole(values, "loop_num", 1, 64, 2)),
    "NanbeigeForCausalLM": _order_of_passes_over_all,
    "OuroForCausalLM": lambda values, layers: _times(layers, whole(values, "total_ut_steps", 1, 64, 4)),
}
