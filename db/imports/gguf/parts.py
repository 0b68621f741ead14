"""Parts of the layers that a GGUF header describes: latent, linear and gated attention, state spaces, experts."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from db.imports.errors import ImportFactsError, needed, whole
from db.imports.gguf.layers import HEADS, LAYERS, WIDTH, is_lightning
from db.imports.gguf.tensors import Tensors

_EXPERTS = 65_536


def experts(values: Mapping[str, Any], tensors: Tensors, hidden: int) -> dict[str, Any]:
    """Facts of the experts. Raises :class:`ImportFactsError`."""
    router, down = tensors.first("ffn_gate_inp.weight"), tensors.first("ffn_down_exps.weight")
    if router is None or len(router) != 2 or down is None or len(down) != 3:
        raise ImportFactsError(
            "a router is there, but no experts 'ffn_down_exps.weight' with three dimensions", "tensors"
        )
    count, width = router[1], down[0]
    shared = tensors.first("ffn_down_shexp.weight")
    shared_count = whole(values, "expert_shared_count", 0, 1024, 1) or 1
    biases = sum(
        prod(shape)
        for part, shape in next((shapes for shapes in tensors.layers if "ffn_down_exps.bias" in shapes), {}).items()
        if part.endswith("_exps.bias")
    )
    facts = {
        "n_experts": count,
        "experts_per_token": needed(values, "expert_used_count", 1, count),
        "n_shared_experts": shared_count if shared else 0,
        "moe_intermediate_size": width,
        "shared_intermediate_size": shared[0] if shared else None,
        "first_k_dense": whole(values, "leading_dense_block_count", 0, LAYERS, 0),
        "router_bias": tensors.any_layer("exp_probs_b.bias", "exp_probs_b", "ffn_gate_inp.bias"),
        "shared_gate": tensors.any_layer("ffn_gate_inp_shexp.weight"),
        "expert_bias_params": biases // count,
    }
    if down[1] != hidden:
        facts["latent_size"] = down[1]
    grouped = tensors.first("ffn_down_chexps.weight")
    if grouped is not None:
        facts |= {"n_grouped_experts": grouped[-1], "grouped_intermediate_size": grouped[0]}
    if any("ffn_gate_inp.weight" in shapes and "ffn_down.weight" in shapes for shapes in tensors.layers):
        facts["dense_parallel"] = True
    return facts


def latent(values: Mapping[str, Any], tensors: Tensors, common: Mapping[str, Any]) -> dict[str, Any]:
    """Ranks and head sizes of latent attention. Raises :class:`ImportFactsError`."""
    rank = needed(values, "attention.kv_lora_rank", 1, WIDTH)
    projection = tensors.first("attn_kv_a_mqa.weight") or (0,)
    rope, key_dim = projection[-1] - rank, common["head_dim_k"]
    if rope < 0 or key_dim <= rope:
        raise ImportFactsError(
            "'attention.key_length_mla' must be larger than the rows of 'attn_kv_a_mqa' beyond 'attention.kv_lora_rank'",
            "key_length_mla",
        )
    queries = tensors.first("attn_q_a.weight")
    return {
        "q_lora_rank": queries[-1] if queries else None,
        "kv_lora_rank": rank,
        "qk_nope_head_dim": key_dim - rope,
        "qk_rope_head_dim": rope,
        "v_head_dim": common["head_dim_v"],
    }


def linear(values: Mapping[str, Any], tensors: Tensors, heads: int) -> dict[str, Any]:
    """Facts of the linear attention. Raises :class:`ImportFactsError`."""
    time_mix = tensors.first("time_mix_key.weight")
    if time_mix is not None:
        head = needed(values, "wkv.head_size", 1, WIDTH)
        kind = "RWKV7" if tensors.any_layer("time_mix_w0.weight") else "RWKV6"
        queries = tensors.first("time_mix_receptance.weight") or time_mix
        facts = {"kind": kind, "n_heads": queries[-1] // head, "n_key_heads": time_mix[-1] // head, "head_dim": head}
        return facts | {"shifted_tokens": whole(values, "token_shift_count", 1, 2, 2)}
    lightning = next((shapes for shapes in tensors.layers if is_lightning(shapes)), None)
    if lightning is not None:
        width = lightning["attn_norm_2.weight"][0]
        return {"kind": "LightningAttention", "n_heads": heads, "head_dim": width // heads}
    kernel = needed(values, "ssm.conv_kernel", 1, 64)
    if tensors.any_layer("ssm_conv1d_q.weight"):
        return {
            "kind": "KDA",
            "n_heads": heads,
            "head_dim": needed(values, "kda.head_dim", 1, WIDTH),
            "conv_kernel": kernel,
            "full_rank_gate": not tensors.any_layer("ssm_g_b.weight"),
            "full_rank_decay": not tensors.any_layer("ssm_f_b.weight"),
        }
    value_heads = needed(values, "ssm.time_step_rank", 1, HEADS)
    return {
        "kind": "GatedDeltaNet",
        "n_key_heads": needed(values, "ssm.group_count", 1, HEADS),
        "n_value_heads": value_heads,
        "key_head_dim": needed(values, "ssm.state_size", 1, WIDTH),
        "value_head_dim": needed(values, "ssm.inner_size", 1, WIDTH) // value_heads,
        "conv_kernel": kernel,
    }


def state_space(values: Mapping[str, Any], tensors: Tensors) -> dict[str, Any]:
    """Facts of the Mamba blocks. Raises :class:`ImportFactsError`."""
    inner, rank = needed(values, "ssm.inner_size", 1, WIDTH), needed(values, "ssm.time_step_rank", 1, WIDTH)
    steps = tensors.first("ssm_dt.weight")
    facts: dict[str, Any] = {
        "d_inner": inner,
        "d_state": needed(values, "ssm.state_size", 1, WIDTH),
        "conv_kernel": needed(values, "ssm.conv_kernel", 1, 64),
    }
    if steps is not None and len(steps) == 2 and steps[1] != inner:
        # Channels share their steps by head (plamo2.cpp of llama.cpp).
        return {"kind": "Mamba1", **facts, "n_heads": steps[1], "dt_rank": steps[0]}
    if tensors.any_layer("ssm_x.weight"):
        return {"kind": "Mamba1", **facts, "dt_rank": rank}
    groups = whole(values, "ssm.group_count", 1, HEADS, 1)
    gated = tensors.any_layer("ssm_norm.weight")
    return {
        "kind": "Mamba2",
        **facts,
        "n_heads": rank,
        "head_dim": inner // rank,
        "n_groups": groups,
        "gated_norm": gated,
    }


def qk_norm(tensors: Tensors, key_dim: int) -> str:
    """``per_head``, ``full`` or ``none``: what the norms of queries and keys run over."""
    shape = tensors.first("attn_q_norm.weight")
    sizes = {shapes["attn_q_norm.weight"] for shapes in tensors.layers if "attn_q_norm.weight" in shapes}
    if shape is None or not tensors.any_layer("attn_k_norm.weight"):
        return "none"
    return "per_head" if len(sizes) > 1 or prod(shape) == key_dim else "full"


def gate_of_output(tensors: Tensors, pattern: str, common: Mapping[str, Any]) -> str | None:
    """``per_head``, ``full``, ``q_doubled`` (half of the query projection) or None."""
    for shapes, letter in zip(tensors.layers, pattern, strict=True):
        if letter not in "FSCP":
            continue
        gate, query = shapes.get("attn_gate.weight"), shapes.get("attn_q.weight")
        if gate is not None:
            return "full" if gate[-1] == shapes.get("attn_output.weight", (0,))[0] else "per_head"
        is_doubled = query is not None and query[-1] == 2 * common["n_heads"] * common["head_dim_k"]
        return "q_doubled" if is_doubled else None
    return None


def sinks(tensors: Tensors, pattern: str) -> bool | str:
    """Whether the layers have attention sinks; ``swa_only_bias`` where only those with a window do."""
    having = {
        letter
        for shapes, letter in zip(tensors.layers, pattern, strict=True)
        if "attn_sinks.weight" in shapes or "attn_sinks" in shapes
    }
    return "swa_only_bias" if having == {"S"} and "F" in pattern else bool(having)


def compressed(values: Mapping[str, Any], tensors: Tensors) -> dict[str, Any]:
    """Facts of compressed attention and of several residual streams (DeepSeek V4); empty without them."""
    facts: dict[str, Any] = {}
    streams = whole(values, "hyper_connection.count", 1, 64, 1) or 1
    if streams > 1:
        facts["hc_mult"] = streams
    ratios, layers = values.get("attention.compress_ratios"), len(tensors.layers)
    if ratios is None or not tensors.any_layer("attn_kv.weight"):
        return facts
    if not isinstance(ratios, list) or len(ratios) < layers or not all(0 <= ratio <= 1 << 20 for ratio in ratios):
        raise ImportFactsError(
            f"'attention.compress_ratios' must list a number for each of the {layers} layers",
            "attention.compress_ratios",
        )
    return facts | {"compress_ratios": ratios[:layers]}
