"""Catalog facts from a GGUF header: the structure from its metadata and from which tensors there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from db.imports.context import extension_of_gguf
from db.imports.errors import ImportFactsError, needed, whole
from db.imports.gguf.architectures import ARCHITECTURES, FILE_TYPES, OTHER_KINDS, Architecture
from db.imports.gguf.header import GgufHeader, parse_gguf
from db.imports.gguf.layers import HEADS, LAYERS, WIDTH, feed_forwards, mixers, norms, numbers, own_values, width_of
from db.imports.gguf.parts import compressed, experts, gate_of_output, latent, linear, qk_norm, sinks, state_space
from db.imports.gguf.split import joined
from db.imports.gguf.tensors import EXPERT_PART, Tensors, placed, tensors_of
from db.imports.hub.config import extend_context, with_counts
from db.imports.hub.own_parts import order_of_core, order_of_stacks, run_in_order
from estimator.structure.files import StoredLayers


@dataclass(frozen=True, slots=True)
class GgufFacts:
    """Facts of the model, and the exact sizes of this very file: its tensors by layer, header bytes, type of most
    weights, and the file type that it states (None when it states none that is known)."""

    facts: dict[str, Any]
    tensor_bytes: int
    header_bytes: int
    file_type: str | None
    stored: StoredLayers


def facts_from_gguf(*parts: bytes, slug: str = "custom") -> GgufFacts:
    """Facts from the first bytes of a GGUF file (the whole header), or of each part of a split file.

    Raises:
        ImportFactsError: the header cannot be read, or its architecture is not one that can be described.
    """
    header = joined([parse_gguf(part) for part in parts])
    kind = header.metadata.get("general.architecture")
    if other := OTHER_KINDS.get(str(kind)):
        raise ImportFactsError(
            f"{kind!r} is {'an' if other[0] in 'aei' else 'a'} {other}; only models that generate text token by token are "
            "estimated",
            "general.architecture",
        )
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        near = " or ".join(get_close_matches(str(kind)[:80], ARCHITECTURES, 3))
        raise ImportFactsError(
            f"the architecture {kind!r:.80} is not read{near and f'; near names are {near}'}", "general.architecture"
        )
    if not header.tensors:
        raise ImportFactsError("the header describes no tensors", "tensors")
    values = {key.removeprefix(f"{kind}."): value for key, value in header.metadata.items()}
    predicted = whole(values, "nextn_predict_layers", 0, 8, 0) or 0
    order = _order(kind, values)
    layers = max(order) + 1 if order else needed(values, "block_count", 1, LAYERS) - predicted
    if layers < 1:
        raise ImportFactsError("'block_count' must be above 'nextn_predict_layers'", "block_count")
    tensors = tensors_of(header, layers)
    facts = _facts(values, ARCHITECTURES[kind], tensors, slug)
    if not set(facts["attention"]["layer_pattern"] + facts["mlp_pattern"]) - {"N"}:
        raise ImportFactsError("the header describes no attention and no feed-forward part of any layer", "tensors")
    facts = _with_rest(facts, tensors)
    stored = _stored(header, layers)
    if order:
        run_in_order(facts, order, keeps_last=values.get("recurrent_kv_cache_mode") == "last_loop")
        facts, stored = with_counts(facts), _in_order(stored, order)
    file_type = FILE_TYPES.get(whole(values, "general.file_type", 0, 1 << 32, -1) or 0)
    return GgufFacts(facts, header.tensor_bytes, header.header_bytes, file_type, stored)


def _order(kind: str, values: Mapping[str, Any]) -> list[int]:
    """Numbers of the layers of a model that loops over them, in the order in which they run; empty for others (``dory.cpp``,
    ``ouro.cpp`` and ``hrm-text.cpp`` of llama.cpp)."""
    if kind == "hrm-text":
        stack = needed(values, "hrm.layers_per_stack", 1, LAYERS)
        cycles = {f"{part}_cycles": values.get(f"hrm.{part.lower()}_cycles") for part in "HL"}
        return order_of_stacks(cycles, 2 * stack)
    layers = needed(values, "block_count", 1, LAYERS)
    if kind == "dory":
        counts = {f"n_{part}_layers": values.get(f"{part}_layer_count") for part in ("input", "recurrent", "output")}
        return order_of_core(counts | {"n_recurrent_loops": values.get("recurrent_loop_count")}, layers)
    times = whole(values, "num_loops", 1, 64, 1) or 1
    return list(range(layers)) * times if times > 1 else []


def _in_order(stored: StoredLayers, order: list[int]) -> StoredLayers:
    """``stored`` with the bytes of a layer at the first time that it is run."""
    first = {layer: index for index, layer in reversed(list(enumerate(order)))}
    layers, experts = (
        tuple(part[layer] if first[layer] == index else 0 for index, layer in enumerate(order))
        for part in (stored.layers, stored.experts)
    )
    return replace(stored, layers=layers, experts=experts)


def _stored(header: GgufHeader, layers: int) -> StoredLayers:
    """Bytes of the file's tensors by layer; what prediction heads hold beyond the layers is stored and never loaded."""
    own, routed, largest = [0] * layers, [0] * layers, 0
    embedding = lookup = output = stored = 0
    names = {tensor.name for tensor in header.tensors}
    table = "token_embd.weight" if "token_embd.weight" in names else "output.weight"
    for tensor, layer, part in placed(header):
        if layer is None:
            if part == table:
                embedding += tensor.size_bytes
            elif part == "per_layer_token_embd.weight":
                lookup += tensor.size_bytes
            else:
                output += tensor.size_bytes
        elif layer >= layers:
            stored += tensor.size_bytes
        else:
            place = routed if EXPERT_PART.fullmatch(part) else own
            place[layer] += tensor.size_bytes
            largest = max(largest, tensor.size_bytes)
    file = header.header_bytes + header.tensor_bytes
    return StoredLayers(file, tuple(own), tuple(routed), embedding, output, lookup, stored, largest)


def _facts(values: Mapping[str, Any], architecture: Architecture, tensors: Tensors, slug: str) -> dict[str, Any]:
    pattern, parts = mixers(values, architecture, tensors), feed_forwards(tensors)
    common = _common(values, tensors, pattern)
    facts: dict[str, Any] = {
        "slug": slug,
        "name": str(values.get("general.name") or slug)[:200],
        "architecture": architecture.name,
        "n_layers": len(tensors.layers),
        **common,
        "vocab_size": _vocabulary(tensors),
        "context_length": whole(values, "context_length", 1, 1 << 31),
        "tie_word_embeddings": not {"token_embd.weight", "output.weight"} <= tensors.model.keys(),
        "attention": _attention(values, architecture, tensors, pattern, common),
        "mlp": {"gated": _gated(tensors), "bias": tensors.any_layer("ffn_up.bias")},
        "norms": {
            "type": "LayerNorm" if tensors.any_layer("attn_norm.bias") else "RMSNorm",
            "per_layer": norms(tensors),
            "bias": tensors.any_layer("attn_norm.bias"),
            "final": int(any(name in tensors.model for name in ("output_norm.weight", "token_embd_norm.weight"))),
        },
        "moe": experts(values, tensors, common["hidden_size"]) if "E" in parts else None,
        "mlp_pattern": parts,
        "mtp": {"params": tensors.beyond, "n_layers": whole(values, "nextn_predict_layers", 0, 8)}
        if tensors.beyond
        else None,
        "extra_params": [],
        "native_dtype": "",
    }
    extend_context(facts, extension_of_gguf(values, facts["context_length"]))
    return facts


def _common(values: Mapping[str, Any], tensors: Tensors, pattern: str) -> dict[str, Any]:
    """Sizes of the layers; where layers differ, the largest."""
    layers = len(tensors.layers)
    hidden = needed(values, "embedding_length", 8, WIDTH)
    width = max(map(width_of, tensors.layers)) or max(numbers(values, "feed_forward_length", layers, 0, WIDTH))
    common = {"hidden_size": hidden, "intermediate_size": width or None}
    if not any(letter in "FSCP" for letter in pattern):
        return {**common, "n_heads": 0, "n_kv_heads": 0, "head_dim_k": 0, "head_dim_v": 0}
    heads = max(numbers(values, "attention.head_count", layers, 0)) or needed({}, "attention.head_count", 1, HEADS)
    key_heads = max(numbers(values, "attention.head_count_kv", layers, heads)) or heads
    is_latent = tensors.any_layer("attn_kv_a_mqa.weight")
    names = ("attention.key_length_mla", "attention.key_length")
    key = whole(values, names, 1, WIDTH, max(hidden // heads, 1)) or 1
    value = whole(values, ("attention.value_length_mla", "attention.value_length"), 1, WIDTH, key)
    if is_latent:
        attending = next(shapes for shapes in tensors.layers if "attn_kv_a_mqa.weight" in shapes)
        value = attending.get("attn_output.weight", (heads * key,))[0] // heads
    return {
        **common,
        "n_heads": heads,
        "n_kv_heads": heads if is_latent else key_heads,
        "head_dim_k": key,
        "head_dim_v": value,
    }


def _attention(
    values: Mapping[str, Any], architecture: Architecture, tensors: Tensors, pattern: str, common: Mapping[str, Any]
) -> dict[str, Any]:
    is_latent = tensors.any_layer("attn_kv_a_mqa.weight")
    facts: dict[str, Any] = {
        "kind": "MLA" if is_latent else "GQA",
        "layer_pattern": pattern,
        "sliding_window": whole(values, "attention.sliding_window", 1, 1 << 31) if "S" in pattern else None,
        "chunk_size": architecture.chunk if "C" in pattern else None,
        "qk_norm": qk_norm(tensors, common["head_dim_k"]),
        "qkv_bias": tensors.any_layer("attn_q.bias", "attn_qkv.bias"),
        "o_bias": tensors.any_layer("attn_output.bias"),
        "output_gate": gate_of_output(tensors, pattern, common),
        "sinks": sinks(tensors, pattern),
    }
    own = own_values(values, tensors, pattern, common)
    if any(own):
        facts["per_layer"] = own
    if is_latent:
        facts["mla"] = latent(values, tensors, common)
        # Of these llama.cpp has a graph for both forms (src/models/deepseek2.cpp).
        facts["kv_b_split"] = tensors.any_layer("attn_k_b.weight") or architecture.name != "DeepseekV2ForCausalLM"
    if "L" in pattern:
        facts["linear"] = linear(values, tensors, common["n_heads"])
    if "M" in pattern or "P" in pattern:
        facts["ssm"] = state_space(values, tensors)
    if "V" in pattern:
        facts["short_conv"] = {
            "kind": "gated short convolution", "kernel": needed(values, "shortconv.l_cache", 1, 64),
        }  # fmt: skip
    if values.get("attention.indexer.top_k") is not None:
        facts["indexer"] = {
            "index_n_heads": needed(values, "attention.indexer.head_count", 1, HEADS),
            "index_head_dim": needed(values, "attention.indexer.key_length", 1, WIDTH),
            "index_topk": needed(values, "attention.indexer.top_k", 1, 1 << 31),
            "layers": "".join("f" if "indexer.attn_k.weight" in shapes else "s" for shapes in tensors.layers),
        }
    shared = whole(values, "attention.shared_kv_layers", 0, len(pattern), 0)
    if shared:
        facts |= {"kv_shared_layers": shared, "kv_shared_keeps_weights": "attn_k.weight" in tensors.layers[-1]}
    return facts | compressed(values, tensors)


def _with_rest(facts: dict[str, Any], tensors: Tensors) -> dict[str, Any]:
    """``facts`` with the parameters of tensors outside the common structure, so that all of them are counted.

    Raises:
        ImportFactsError: the structure needs tensors that are not there.
    """
    table = tensors.model.get("per_layer_token_embd.weight")
    if table is not None:
        entry = {"name": "per-layer embedding table (lookup)", "params": table[0] * table[1], "lookup_row": table[0]}
        facts["extra_params"] = [entry]
    if "compress_ratios" in facts["attention"]:
        facts["attention_parameters"] = 0
    counted = with_counts(dict(facts))["params_exact_checkpoint"]
    rest = tensors.parameters - counted
    if rest < 0:
        raise ImportFactsError(
            f"the tensors have {-rest:,} parameters fewer than the layers need; the header must describe all tensors",
            "tensors",
        )
    if "compress_ratios" in facts["attention"]:
        facts["attention_parameters"] = rest
    elif rest:
        facts["extra_params"] = [
            *facts["extra_params"],
            {"name": "tensors beyond the common structure", "params": rest},
        ]
    return with_counts(facts)


def _vocabulary(tensors: Tensors) -> int:
    # CodeShell's one table may go under the other name.
    shape = tensors.model.get("token_embd.weight") or tensors.model.get("output.weight", ())
    if len(shape) == 2 and shape[1] <= WIDTH:
        return shape[1]
    raise ImportFactsError("there is no token embedding 'token_embd.weight' with two dimensions", "tensors")


def _gated(tensors: Tensors) -> bool:
    if tensors.any_layer("ffn_gate.weight", "ffn_gate_exps.weight", "ffn_gate_up_exps.weight"):
        return True
    up, down = tensors.first("ffn_up.weight"), tensors.first("ffn_down.weight")
    return up is not None and down is not None and up[-1] == 2 * down[0]
