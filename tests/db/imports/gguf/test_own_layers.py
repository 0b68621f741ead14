"""Headers of models that loop over their layers, whose layers have latent rows of several kinds, or that are no decoders."""

from __future__ import annotations

import copy
from math import prod
from typing import Any

import pytest

from db.imports.errors import ImportFactsError
from db.imports.gguf.architectures import OTHER_KINDS
from db.imports.gguf.facts import facts_from_gguf
from db.imports.hub.config import facts_from_config
from estimator.structure.architecture import ModelArchitecture, architecture_from_facts
from estimator.structure.kv_cache import cache_shape
from tests.support.gguf_files.files import header, tensor
from tests.support.gguf_files.shapes import metadata, tensors

SMALL: dict[str, Any] = {
    "hidden_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64,
    "intermediate_size": 512, "vocab_size": 512, "max_position_embeddings": 4096, "tie_word_embeddings": False,
}  # fmt: skip
OURO = {"architectures": ["OuroForCausalLM"], **SMALL, "num_key_value_heads": 4}
NANBEIGE = {"architectures": ["NanbeigeForCausalLM"], **SMALL}


def _model(*parts: bytes) -> ModelArchitecture:
    return architecture_from_facts(facts_from_gguf(*parts).facts)


def _header(facts: dict[str, Any], arch: str, named: Any = None, **own: Any) -> bytes:
    keys = {"context_length": 4096, **metadata(facts, arch), **own}
    pairs = {"general.architecture": arch, **{f"{arch}.{key}": value for key, value in keys.items()}}
    named = tensors(facts, arch) if named is None else named
    return header(pairs, [tensor(name, list(shape), 0) for name, shape in named])


@pytest.mark.parametrize(
    ("config", "arch", "key"), [(OURO, "ouro", "total_ut_steps"), (NANBEIGE, "nanbeige", "num_loops")]
)
def test_a_looped_model_comes_out_of_its_own_header(config: dict[str, Any], arch: str, key: str) -> None:
    once = facts_from_config(config | {key: 1})
    file = facts_from_gguf(_header(once, arch, num_loops=4))
    own, looped = architecture_from_facts(file.facts), architecture_from_facts(facts_from_config(config | {key: 4}))
    assert own.total_parameters == looped.total_parameters
    assert own.layers == looped.layers
    assert len(own.layers) == 12
    assert [size > 0 for size in file.stored.layers] == [True] * 3 + [False] * 9
    assert sum(file.stored.layers) == 4 * (own.total_parameters - 2 * 256 * 512 - 256) - 4 * (arch == "ouro") * 257
    with pytest.raises(ImportFactsError, match="num_loops"):
        facts_from_gguf(_header(once, arch, num_loops=65))


def test_two_stacks_are_expanded_in_their_order() -> None:
    config = {"model_type": "hrm_text", **SMALL, "num_key_value_heads": 4, "num_hidden_layers": 2}
    facts = facts_from_config(config)
    stacks = copy.deepcopy(facts) | {"n_layers": 4, "mlp_pattern": "DDDD"}
    stacks["attention"] |= {"layer_pattern": "FFFF", "per_layer": []}
    cycles = {"hrm.layers_per_stack": 2, "hrm.h_cycles": 2, "hrm.l_cycles": 3, "block_count": 16}
    model = _model(_header(stacks, "hrm-text", **cycles))
    assert model.layers == architecture_from_facts(facts).layers
    assert model.total_parameters == facts["params_computed"]["text_total"]


def test_layers_have_the_latent_rows_of_their_own_tensors() -> None:
    config = {
        "model_type": "dots3_note_text", "num_hidden_layers": 6, "hidden_size": 512, "vocab_size": 512,
        "num_attention_heads": 8, "num_key_value_heads": 8, "intermediate_size": 256, "moe_intermediate_size": 64,
        "n_routed_experts": 4, "num_experts_per_tok": 2, "shared_experts_intermediate_size": 64, "q_lora_rank": 128,
        "swa_num_attention_heads": 4, "swa_q_lora_rank": 128, "index_n_heads": 4,
    }  # fmt: skip
    facts = facts_from_config(config)
    window = copy.deepcopy(facts)
    window["attention"]["mla"] |= facts["attention"]["swa"]["mla"]
    window |= {"n_heads": 4, "head_dim_k": 256}
    pattern = facts["attention"]["layer_pattern"]
    sliding = tuple(f"blk.{index}." for index, letter in enumerate(pattern) if letter == "S")
    named = [
        *((name, shape) for name, shape in tensors(facts, "dots3note") if not name.startswith(sliding)),
        *((name, shape) for name, shape in tensors(window, "dots3note") if name.startswith(sliding)),
    ]
    heads = [4 if letter == "S" else 8 for letter in pattern]
    flags = [int(letter == "S") for letter in pattern]
    own = {"attention.head_count": heads, "attention.sliding_window": 512, "attention.sliding_window_pattern": flags}
    shape = cache_shape(_model(_header(facts, "dots3note", named, **own)))
    expected = cache_shape(architecture_from_facts(facts))
    assert shape.full_elements.tolist() == expected.full_elements.tolist() == [576, 576, 0, 0, 0, 576]
    assert shape.window_elements.tolist() == expected.window_elements.tolist() == [0, 0, 1088, 1088, 1088, 0]


_EXPERTS = {**SMALL, "num_experts_per_tok": 2, "moe_intermediate_size": 128, "num_experts": 4}


@pytest.mark.parametrize(
    ("arch", "own"),
    [
        ("arctic", {"architectures": ["ArcticForCausalLM"]}),
        ("cohere2moe", {"model_type": "cohere2_moe", "sliding_window": 512}),
        ("grok", {"architectures": ["Grok1ForCausalLM"]}),
    ],
)
def test_a_class_that_no_model_of_the_catalog_has_comes_out_of_its_header(arch: str, own: dict[str, Any]) -> None:
    facts = facts_from_config(_EXPERTS | own)
    model, expected = _model(_header(facts, arch)), architecture_from_facts(facts)
    assert model.layers == expected.layers
    assert model.total_parameters == expected.total_parameters
    assert model.active_parameters == expected.active_parameters


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_a_file_of_another_kind_is_refused_as_what_it_is(kind: str) -> None:
    with pytest.raises(ImportFactsError, match=f"{kind!r} is an? {OTHER_KINDS[kind]}"):
        facts_from_gguf(header({"general.architecture": kind}, [tensor("token_embd.weight", [64, 64], 0)]))


_TABLES = [("token_embd.weight", (128, 300)), ("output.weight", (128, 300))]
_MLP = [("ffn_gate.weight", (128, 256)), ("ffn_up.weight", (128, 256)), ("ffn_down.weight", (256, 128))]


def _of_blocks(arch: str, keys: dict[str, Any], *blocks: list[tuple[str, tuple[int, ...]]]) -> ModelArchitecture:
    named = [*_TABLES, *((f"blk.{index}.{part}", size) for index, block in enumerate(blocks) for part, size in block)]
    sizes = {"embedding_length": 128, "feed_forward_length": 256, "context_length": 4096} | keys
    own = {f"{arch}.{key}": value for key, value in sizes.items()}
    data = header({"general.architecture": arch, **own}, [tensor(name, list(size), 0) for name, size in named])
    model = _model(data)
    assert model.total_parameters == sum(prod(size) for _, size in named)
    return model


@pytest.mark.parametrize(("arch", "key_width"), [("rwkv6qwen2", 64), ("arwkv7", 128)])
def test_a_transformer_with_time_mixing_keeps_one_shifted_token(arch: str, key_width: int) -> None:
    mixing = ("time_mix_w0.weight", (128,)) if arch == "arwkv7" else ("time_mix_gate.weight", (128, 128))
    block = [
        ("attn_norm.weight", (128,)), ("ffn_norm.weight", (128,)), *_MLP, mixing,
        ("time_mix_key.weight", (128, key_width)), ("time_mix_value.weight", (128, key_width)),
        ("time_mix_receptance.weight", (128, 128)), ("time_mix_output.weight", (128, 128)),
        ("time_mix_w1.weight", (128, 32)), ("time_mix_w2.weight", (32, 128)),
    ]  # fmt: skip
    keys = {"block_count": 2, "attention.head_count": 0, "wkv.head_size": 32, "token_shift_count": 1}
    model = _of_blocks(arch, keys, block, block)
    shape = cache_shape(model)
    assert shape.full_elements.tolist() == [0, 0]
    assert shape.state_bytes.tolist() == [4 * (128 + 128 * 32)] * 2


def test_a_gain_of_the_queries_alone_is_no_head_norm() -> None:
    block = [
        *((f"attn_{part}.weight", (128, 128)) for part in ("q", "k", "v", "output")), ("attn_q_norm.weight", (1, 4)),
        *_MLP, ("layer_output_scale.weight", (1,)),
    ]  # fmt: skip
    keys = {"block_count": 2, "attention.head_count": 4, "attention.head_count_kv": 4}
    assert cache_shape(_of_blocks("talkie", keys, block, block)).full_elements.tolist() == [256, 256]


@pytest.mark.parametrize(("mode", "kept"), [("per_loop", [64, 0, 64, 0, 64]), ("last_loop", [0, 0, 64, 0, 64])])
def test_a_looped_core_keeps_what_its_mode_says(mode: str, kept: list[int]) -> None:
    attends = [
        ("attn_q.weight", (128, 128)), ("attn_gate.weight", (128, 128)), ("attn_output.weight", (128, 128)),
        ("attn_k.weight", (128, 32)), ("attn_v.weight", (128, 32)), ("dory_alpha.weight", (128,)),
    ]  # fmt: skip
    keys = {
        "block_count": 4, "attention.head_count": 4, "attention.head_count_kv": 1, "attention.sliding_window": 512,
        "input_layer_count": 1, "recurrent_layer_count": 2, "output_layer_count": 1, "recurrent_loop_count": 2,
        "recurrent_kv_cache_mode": mode, "layer_pattern": "S*-*",
    }  # fmt: skip
    model = _of_blocks("dory", keys, attends, attends, _MLP, attends)
    assert [layer.weights_of for layer in model.layers] == [None, None, None, 1, 2, None]
    shape = cache_shape(model)
    assert shape.window_elements.tolist() == [64, 0, 0, 0, 0, 0]
    assert shape.full_elements[1:].tolist() == kept
    assert model.layers[0].window == 512


def test_one_table_may_go_under_the_name_of_the_output() -> None:
    facts = facts_from_config(
        SMALL | {"architectures": ["CodeShellForCausalLM"], "num_query_groups": 2, "tie_word_embeddings": True}
    )
    named = [(name.replace("token_embd", "output"), size) for name, size in tensors(facts, "codeshell")]
    file = facts_from_gguf(_header(facts, "codeshell", named))
    assert architecture_from_facts(file.facts).total_parameters == facts["params_computed"]["text_total"]
    assert file.facts["tie_word_embeddings"]
    assert file.stored.embedding == 4 * 256 * 512


def test_experts_of_groups_are_experts_of_the_file() -> None:
    config = {**_EXPERTS, "architectures": ["GroveMoeForCausalLM"]}
    facts = facts_from_config(config)
    file = facts_from_gguf(_header(facts, "grovemoe"))
    assert file.stored.experts == (4 * 3 * 256 * (4 * 128 + 2 * 64),) * 3
    active = facts["params_computed"]["text_total"] - facts["params_computed"]["text_active"]
    assert active == 3 * 3 * 256 * (4 * 128 + 2 * 64) // 2
