"""Catalog facts from a GGUF header: the structure from its metadata and from which tensors there are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from db.imports.errors import ImportFactsError, needed, whole
from db.imports.gguf.header import GgufHeader, parse_gguf
from db.imports.hub.config import with_counts
from estimator.types import StoredLayers

_WIDTH, _HEADS, _LAYERS, _EXPERTS = 4_194_304, 65_536, 1_000, 65_536
_BLOCK = re.compile(r"blk\.(\d{1,4})\.(.+)")
#: ``general.architecture`` -> (architecture class, layer n, 2n, ... attends to everything; 0: no window).
ARCHITECTURES: dict[str, tuple[str, int]] = {
    "llama": ("LlamaForCausalLM", 0),
    "mistral3": ("Mistral3ForConditionalGeneration", 0),
    "qwen2": ("Qwen2ForCausalLM", 0),
    "qwen2moe": ("Qwen2MoeForCausalLM", 0),
    "qwen3": ("Qwen3ForCausalLM", 0),
    "qwen3moe": ("Qwen3MoeForCausalLM", 0),
    "gemma": ("GemmaForCausalLM", 0),
    "gemma2": ("Gemma2ForCausalLM", 2),
    "gemma3": ("Gemma3ForCausalLM", 6),
    "phi3": ("Phi3ForCausalLM", 0),
    "command-r": ("CohereForCausalLM", 0),
    "cohere2": ("Cohere2ForCausalLM", 4),
    "deepseek2": ("DeepseekV2ForCausalLM", 0),
    "glm4": ("Glm4ForCausalLM", 0),
    "glm4moe": ("Glm4MoeForCausalLM", 0),
    "gpt-oss": ("GptOssForCausalLM", 2),
    "granite": ("GraniteForCausalLM", 0),
    "granitemoe": ("GraniteMoeForCausalLM", 0),
    "olmo2": ("Olmo2ForCausalLM", 0),
    "olmoe": ("OlmoeForCausalLM", 0),
    "starcoder2": ("Starcoder2ForCausalLM", 0),
    "smollm3": ("SmolLM3ForCausalLM", 0),
    "exaone4": ("Exaone4ForCausalLM", 4),
    "seed_oss": ("SeedOssForCausalLM", 0),
    "minimax-m2": ("MiniMaxM2ForCausalLM", 0),
    "dots1": ("Dots1ForCausalLM", 0),
    "ernie4_5": ("Ernie4_5ForCausalLM", 0),
    "ernie4_5-moe": ("Ernie4_5_MoeForCausalLM", 0),
    "hunyuan-moe": ("HunYuanMoEV1ForCausalLM", 0),
    "hunyuan-dense": ("HunYuanDenseV1ForCausalLM", 0),
    "internlm2": ("InternLM2ForCausalLM", 0),
}


#: ``general.file_type`` -> name of the file type (``llama_ftype``).
FILE_TYPES: dict[int, str] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 38: "MXFP4_MOE",
}  # fmt: skip
_EXPERT_PART = re.compile(r"ffn_(up|gate|down|gate_up)_exps\.weight")


@dataclass(frozen=True, slots=True)
class GgufFacts:
    """Facts of the model, and the exact sizes of this very file: its tensors by layer, header bytes, type of most
    weights, and the file type that it states (None when it states none that is known)."""

    facts: dict[str, Any]
    tensor_bytes: int
    header_bytes: int
    main_type: str
    file_type: str | None
    stored: StoredLayers


def facts_from_gguf(data: bytes, slug: str = "custom") -> GgufFacts:
    """Facts from the first bytes of a GGUF file (the whole header).

    Raises:
        ImportFactsError: the header cannot be read, or its architecture is not one that can be described.
    """
    header = parse_gguf(data)
    values = header.metadata
    kind = values.get("general.architecture")
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        known = ", ".join(sorted(ARCHITECTURES))
        raise ImportFactsError(f"the architecture {kind!r:.80} is not read; these are: {known}", "general.architecture")
    if not header.tensors:
        raise ImportFactsError("the header describes no tensors; is it the first part of a split file?", "tensors")
    parts = whole(values, "split.count", 0, 65_535, 0) or 0
    if parts > 1:
        raise ImportFactsError(f"the file is one of {parts} parts; a header must describe all tensors", "split.count")
    facts = with_counts(_facts(header, kind, slug))
    file_type = FILE_TYPES.get(whole(values, "general.file_type", 0, 1 << 32, -1) or 0)
    stored = _stored(header, int(facts["n_layers"]))
    return GgufFacts(facts, header.tensor_bytes, header.header_bytes, _main_type(header), file_type, stored)


def _stored(header: GgufHeader, layers: int) -> StoredLayers:
    """Bytes of the file's tensors by layer; what prediction heads hold beyond the layers is stored and never loaded."""
    own, experts, largest = [0] * layers, [0] * layers, 0
    embedding = lookup = output = stored = 0
    for tensor in header.tensors:
        found = _BLOCK.fullmatch(tensor.name)
        if found is None:
            if tensor.name == "token_embd.weight":
                embedding += tensor.size_bytes
            elif tensor.name == "per_layer_token_embd.weight":
                lookup += tensor.size_bytes
            else:
                output += tensor.size_bytes
        elif int(found.group(1)) >= layers:
            stored += tensor.size_bytes
        else:
            place = experts if _EXPERT_PART.fullmatch(found.group(2)) else own
            place[int(found.group(1))] += tensor.size_bytes
            largest = max(largest, tensor.size_bytes)
    file = header.header_bytes + header.tensor_bytes
    return StoredLayers(file, tuple(own), tuple(experts), embedding, output, lookup, stored, largest)


def _facts(header: GgufHeader, kind: str, slug: str) -> dict[str, Any]:
    name, every = ARCHITECTURES[kind]
    values = {key.removeprefix(f"{kind}."): value for key, value in header.metadata.items()}
    tensors = {tensor.name for tensor in header.tensors}
    layers = needed(values, "block_count", 1, _LAYERS) - (whole(values, "nextn_predict_layers", 0, 8, 0) or 0)
    if layers < 1:
        raise ImportFactsError("'block_count' must be above 'nextn_predict_layers'", "block_count")
    hidden = needed(values, "embedding_length", 8, _WIDTH)
    heads = _per_layer_maximum(values, "attention.head_count", None)
    moe, mlp_pattern = _experts(values, tensors, layers, hidden)
    latent = whole(values, "attention.kv_lora_rank", 1, _WIDTH) is not None
    key_dim = whole(values, ("attention.key_length_mla", "attention.key_length"), 1, _WIDTH, max(hidden // heads, 1))
    window = whole(values, "attention.sliding_window", 0, 1 << 31) or None
    pattern = (
        "F" * layers
        if window is None or every == 0
        else "".join("F" if (index + 1) % every == 0 else "S" for index in range(layers))
    )
    blocks = _block_parts(tensors)
    return {
        "slug": slug,
        "name": str(header.metadata.get("general.name") or slug)[:200],
        "architecture": name,
        "hidden_size": hidden,
        "n_layers": layers,
        "n_heads": heads,
        "n_kv_heads": heads if latent else _per_layer_maximum(values, "attention.head_count_kv", heads),
        "head_dim_k": key_dim,
        "head_dim_v": whole(values, ("attention.value_length_mla", "attention.value_length"), 1, _WIDTH, key_dim),
        "intermediate_size": _per_layer_maximum(values, "feed_forward_length", 0, high=_WIDTH) or None,
        "vocab_size": _vocabulary(header),
        "context_length": whole(values, "context_length", 1, 1 << 31),
        "tie_word_embeddings": "output.weight" not in tensors,
        "attention": {
            "kind": "MLA" if latent else "GQA",
            "layer_pattern": pattern,
            "sliding_window": window if "S" in pattern else None,
            "chunk_size": None,
            "qk_norm": _qk_norm(header, key_dim or 0),
            "qkv_bias": "attn_q.bias" in blocks or "attn_qkv.bias" in blocks,
            "o_bias": "attn_output.bias" in blocks,
            "output_gate": None,
            "sinks": "attn_sinks.weight" in blocks or "attn_sinks" in blocks,
            **({"mla": _latent(values, key_dim or 0)} if latent else {}),
        },
        "mlp": {"gated": _gated(blocks, moe), "bias": "ffn_up.bias" in blocks},
        "norms": {
            "type": "LayerNorm" if "attn_norm.bias" in blocks else "RMSNorm",
            "per_layer": sum(1 for part in blocks if part.endswith("norm.weight") and _is_layer_norm(part)),
            "bias": "attn_norm.bias" in blocks,
            "final": 1,
        },
        "moe": moe,
        "mlp_pattern": mlp_pattern,
        "mtp": None,
        "extra_params": [],
        "native_dtype": "",
    }


def _experts(
    values: Mapping[str, Any], tensors: set[str], layers: int, hidden: int
) -> tuple[dict[str, Any] | None, str]:
    count = whole(values, "expert_count", 0, _EXPERTS, 0) or 0
    if count < 2:
        return None, "D" * layers
    pattern = "".join("E" if f"blk.{index}.ffn_gate_inp.weight" in tensors else "D" for index in range(layers))
    width = whole(values, "expert_feed_forward_length", 1, _WIDTH) or _per_layer_maximum(
        values, "feed_forward_length", None, high=_WIDTH
    )
    per_token = needed(values, "expert_used_count", 1, count)
    blocks = _block_parts(tensors)
    shared = "ffn_up_shexp.weight" in blocks
    shared_count = whole(values, "expert_shared_count", 0, 1024, 1 if shared else 0) or (1 if shared else 0)
    shared_width = whole(values, "expert_shared_feed_forward_length", 1, _WIDTH) or width * shared_count
    return {
        "n_experts": count,
        "experts_per_token": per_token,
        "n_shared_experts": shared_count if shared else 0,
        "moe_intermediate_size": width,
        "shared_intermediate_size": shared_width if shared else None,
        "first_k_dense": whole(values, "leading_dense_block_count", 0, _LAYERS, 0),
        "router_bias": "exp_probs_b.bias" in blocks or "ffn_gate_inp.bias" in blocks,
        "shared_gate": "ffn_gate_inp_shexp.weight" in blocks,
        "expert_bias_params": 2 * width + hidden if "ffn_up_exps.bias" in blocks else 0,
    }, pattern


def _latent(values: Mapping[str, Any], key_dim: int) -> dict[str, Any]:
    rope = needed(values, "rope.dimension_count", 1, _WIDTH)
    rank = needed(values, "attention.kv_lora_rank", 1, _WIDTH)
    # Files from before the per-head lengths were stored give key_length without MLA's compression.
    nope = key_dim - rope if key_dim > rope else 0
    if nope < 1:
        raise ImportFactsError(
            "'attention.key_length_mla' must be larger than 'rope.dimension_count'", "key_length_mla"
        )
    return {
        "q_lora_rank": whole(values, "attention.q_lora_rank", 1, _WIDTH),
        "kv_lora_rank": rank,
        "qk_nope_head_dim": nope,
        "qk_rope_head_dim": rope,
        "v_head_dim": needed(values, ("attention.value_length_mla", "attention.value_length"), 1, _WIDTH),
    }


def _vocabulary(header: GgufHeader) -> int:
    for tensor in header.tensors:
        if tensor.name == "token_embd.weight" and len(tensor.dimensions) == 2 and tensor.dimensions[1] <= _WIDTH:
            return tensor.dimensions[1]
    raise ImportFactsError("there is no token embedding 'token_embd.weight' with two dimensions", "tensors")


def _block_parts(tensors: set[str]) -> set[str]:
    """Names inside the layers, without the layer's number."""
    return {found.group(2) for found in map(_BLOCK.fullmatch, tensors) if found}


def _qk_norm(header: GgufHeader, key_dim: int) -> str:
    for tensor in header.tensors:
        if tensor.name.endswith("attn_q_norm.weight"):
            return "per_head" if tensor.elements == key_dim else "full"
    return "none"


def _is_layer_norm(part: str) -> bool:
    return not any(word in part for word in ("attn_q_norm", "attn_k_norm", "attn_q_a_norm", "attn_kv_a_norm"))


def _gated(blocks: set[str], moe: Mapping[str, Any] | None) -> bool:
    fused = "ffn_up.weight" in blocks and "ffn_gate.weight" not in blocks and "attn_qkv.weight" in blocks
    return fused or "ffn_gate.weight" in blocks or (moe is not None and "ffn_gate_exps.weight" in blocks)


def _per_layer_maximum(values: Mapping[str, Any], name: str, default: int | None, high: int = _HEADS) -> int:
    """A value that may be one number or a list with one a layer; its largest."""
    value = values.get(name)
    if isinstance(value, list):
        found = [whole({name: each}, name, 0, high) or 0 for each in value]
        return max(found, default=0) or needed({}, name, 1, high)
    if default is None:
        return needed(values, name, 1, high)
    return whole(values, name, 0, high, default) or default


def _main_type(header: GgufHeader) -> str:
    sizes: dict[str, int] = {}
    for tensor in header.tensors:
        sizes[tensor.type_name] = sizes.get(tensor.type_name, 0) + tensor.elements
    return max(sizes, key=lambda name: sizes[name])
