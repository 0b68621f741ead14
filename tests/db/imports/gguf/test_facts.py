"""Facts from GGUF headers: every architecture of the catalog that llama.cpp loads, and the sizes of a file by layer."""

from __future__ import annotations

import random
from itertools import groupby
from typing import Any

import numpy as np
import pytest

from db.entries import specs
from db.imports.errors import ImportFactsError
from db.imports.gguf.architectures import ARCHITECTURES
from db.imports.gguf.facts import facts_from_gguf
from db.imports.gguf.header import parse_gguf
from db.imports.hub.class_names import OTHER_NAMES
from db.imports.hub.config import facts_from_config
from db.imports.hub.families import FAMILIES
from estimator.placement.hardware import LLAMA_CPP_UNSUPPORTED
from estimator.structure.architecture import ModelArchitecture, architecture_from_facts
from estimator.structure.kv_cache import cache_shape
from estimator.structure.tensors import inventory
from estimator.types import MissingFactError
from tests.support.catalogs import CATALOG
from tests.support.gguf_files.files import header, llama, tensor
from tests.support.gguf_files.shapes import converted_to, header_of, metadata, tensors

#: Classes whose tensors' names in a file no source here tells.
UNNAMED = {
    "Apertus1p5ForConditionalGeneration", "DeepseekV41ForCausalLM", "Grok1ForCausalLM", "InklingForConditionalGeneration",
    "Xing4_0ForCausalLM",
}  # fmt: skip
LOADED = {
    name: list(entries)
    for name, entries in groupby(
        sorted(CATALOG.models.values(), key=lambda entry: entry["architecture"]),
        key=lambda entry: entry["architecture"],
    )
    if name not in LLAMA_CPP_UNSUPPORTED | UNNAMED and OTHER_NAMES.get(name, name) in FAMILIES
}


@pytest.mark.parametrize("name", LOADED)
def test_a_catalog_model_comes_out_of_its_own_header(name: str) -> None:
    compared = 0
    for entry in LOADED[name]:
        try:
            catalog = specs.architecture(entry)
        except MissingFactError:
            continue
        _assert_equal(architecture_from_facts(facts_from_gguf(header_of(entry)).facts), catalog)
        compared += 1
    assert compared


def _assert_equal(own: ModelArchitecture, catalog: ModelArchitecture) -> None:
    assert own.total_parameters == catalog.total_parameters == _trunk_parameters(catalog) == _trunk_parameters(own)
    assert own.active_parameters == catalog.active_parameters
    for part in (
        "feed_forward",
        "window",
        "heads",
        "kv_heads",
        "key_dim",
        "value_dim",
        "ffn_width",
        "norms",
        "shares_kv",
    ):
        of_layers = [[getattr(layer, part) for layer in model.layers] for model in (own, catalog)]
        assert of_layers[0] == of_layers[1], part
    assert [layer.has_attention for layer in own.layers] == [layer.has_attention for layer in catalog.layers]
    shapes = cache_shape(own), cache_shape(catalog)
    for part in ("full_elements", "window_elements", "window_tokens", "state_bytes"):
        assert np.array_equal(*(getattr(shape, part) for shape in shapes)), part


def _trunk_parameters(model: ModelArchitecture) -> int:
    tensors = inventory(model)
    return int(tensors.elements[tensors.layer < model.n_layers].sum())


def _old(model_type: str, **keys: Any) -> dict[str, Any]:
    sizes = {"hidden_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 500}
    return {"model_type": model_type, **sizes, "intermediate_size": 640, **keys}


@pytest.mark.parametrize(
    "config",
    [
        _old("baichuan", architectures=["BaichuanForCausalLM"]),
        _old("bloom"),
        _old("chameleon", num_key_value_heads=2),
        _old("codeshell", architectures=["CodeShellForCausalLM"], num_query_groups=2, group_query_attention=True),
        _old("gpt_refact", architectures=["GPTRefactForCausalLM"], intermediate_size=None, multi_query=True),
        _old("grove_moe", architectures=["GroveMoeForCausalLM"], num_key_value_heads=2, head_dim=128, num_experts=8,
             num_experts_per_tok=2, moe_intermediate_size=256),
        _old("jais", activation_function="swiglu", n_positions=128),
        _old("maincoder", architectures=["MaincoderForCausalLM"], num_key_value_heads=2, head_dim=64),
        _old("mellum", architectures=["MellumForCausalLM"], num_key_value_heads=2, head_dim=64, num_experts=8,
             num_experts_per_tok=2, moe_intermediate_size=64, sliding_window=128, num_hidden_layers=4,
             layer_types=["sliding_attention"] * 3 + ["full_attention"]),
        _old("minicpm3", q_lora_rank=64, kv_lora_rank=32, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=24),
        _old("minimax_text_01", num_key_value_heads=2, head_dim=96, num_local_experts=4, num_experts_per_tok=2,
             attn_type_list=[0, 0, 1]),
        _old("plamo", num_key_value_heads=1),
        _old("plamo2", num_hidden_layers=4, num_key_value_heads=1, hidden_size_per_head=64, mamba_num_heads=8,
             mamba_step=2, mamba_d_state=16, mamba_d_conv=4, full_attention_idx=[1, 3]),
        _old("plamo3", architectures=["Plamo3ForCausalLM"], num_hidden_layers=8, num_key_value_heads=2, head_dim=64,
             window_size=128, sliding_window_pattern=4),
        _old("plm", architectures=["PLMForCausalLM"], kv_lora_rank=32, qk_nope_head_dim=32, qk_rope_head_dim=16,
             v_head_dim=24),
        _old("chatglm", architectures=["ChatGLMModel"], add_qkv_bias=True, multi_query_attention=True,
             multi_query_group_num=2, kv_channels=64, padded_vocab_size=500, ffn_hidden_size=640),
        _old("falcon", new_decoder_architecture=True, num_kv_heads=2),
        _old("gpt2", n_positions=128),
        _old("gpt_bigcode", n_positions=128),
        _old("gpt_neox"),
        _old("gptj", n_positions=128, rotary_dim=32),
        _old("hunyuan_v1_moe", num_key_value_heads=2, head_dim=64, num_experts=4, moe_topk=2, moe_intermediate_size=640),
        _old("jais2", num_key_value_heads=2, head_dim=64),
        _old("mamba2", state_size=16, num_attention_heads=8, head_dim=64, n_groups=1, conv_kernel=4, expand=2),
        _old("mpt"),
        _old("olmo"),
        _old("olmo2"),
        _old("orion", architectures=["OrionForCausalLM"]),
        _old("phi"),
        _old("qwen", architectures=["QWenLMHeadModel"], intermediate_size=1280),
        _old("rwkv6", head_size=64),
        _old("rwkv7", head_dim=64, decay_low_rank_dim=32, a_low_rank_dim=32, v_low_rank_dim=16, gate_low_rank_dim=64),
        _old("openelm", architectures=["OpenELMForCausalLM"], num_query_heads=[2, 4, 4], num_kv_heads=[1, 2, 2],
             ffn_multipliers=[1.0, 2.0, 4.0], head_dim=64, normalize_qk_projections=True),
        _old("smallthinker", num_key_value_heads=2, head_dim=64, moe_ffn_hidden_size=64, moe_num_primary_experts=4,
             moe_num_active_primary_experts=2, sliding_window_size=128, sliding_window_layout=[0, 1, 1]),
        _old("stablelm", use_qkv_bias=True),
    ],
    ids=lambda config: config["model_type"],
)  # fmt: skip
def test_an_older_model_comes_out_of_its_own_header(config: dict[str, Any]) -> None:
    facts = facts_from_config(config)
    own = architecture_from_facts(facts_from_gguf(header_of(facts)).facts)
    _assert_equal(own, architecture_from_facts(facts))


def test_every_architecture_has_a_class_that_configurations_have() -> None:
    # What the files of these state is not in their configurations: ranks, or which layers attend.
    assert {kind.name for kind in ARCHITECTURES.values()} - FAMILIES.keys() == {
        "RWKV6Qwen2ForCausalLM", "RwkvHybridForCausalLM", "TalkieForCausalLM",
    }  # fmt: skip
    assert {converted_to(name) for name in LOADED} <= ARCHITECTURES.keys()


def test_facts_have_the_parameters_of_the_tensors() -> None:
    data = llama()
    imported = facts_from_gguf(data)
    header_ = parse_gguf(data)
    assert imported.facts["params_computed"]["text_total"] == header_.parameters
    assert imported.tensor_bytes == header_.tensor_bytes
    assert not imported.facts["tie_word_embeddings"]
    model = architecture_from_facts(imported.facts)
    assert model.layers[0].kv_heads == 2
    assert model.context_tokens == 4096


def test_a_file_knows_its_bytes_by_layer() -> None:
    imported = facts_from_gguf(llama(3))
    stored = imported.stored
    assert imported.file_type == "Q4_K_M"
    assert len(stored.layers) == 3
    assert len(set(stored.layers)) == 1
    assert stored.experts == (0, 0, 0)
    assert sum(stored.layers) + stored.embedding + stored.output == imported.tensor_bytes
    assert stored.largest_tensor == 512 * 1024 // 256 * 144


def test_experts_and_prediction_heads_are_told_apart() -> None:
    extra = [
        tensor("blk.0.ffn_gate_inp.weight", [512, 8], 0),
        tensor("blk.0.ffn_up_exps.weight", [512, 256, 8]),
        tensor("blk.0.ffn_gate_exps.weight", [512, 256, 8]),
        tensor("blk.0.ffn_down_exps.weight", [256, 512, 8]),
        tensor("blk.1.attn_norm.weight", [512], 0),
    ]
    pairs = {
        "general.architecture": "qwen3moe", "qwen3moe.block_count": 2, "qwen3moe.nextn_predict_layers": 1,
        "qwen3moe.embedding_length": 512, "qwen3moe.attention.head_count": 8, "qwen3moe.expert_count": 8,
        "qwen3moe.expert_used_count": 2, "qwen3moe.expert_feed_forward_length": 256,
    }  # fmt: skip
    imported = facts_from_gguf(header(pairs, [tensor("token_embd.weight", [512, 1000]), *extra]))
    assert imported.stored.experts == (3 * 512 * 256 * 8 // 256 * 144,)
    assert imported.stored.stored == 512 * 4
    assert imported.file_type is None


def test_key_heads_that_contradict_the_tensors_are_refused() -> None:
    with pytest.raises(ImportFactsError, match="has 128 rows, but the metadata state 4 key heads of 64"):
        facts_from_gguf(llama(1, **{"llama.attention.head_count_kv": 4}))


def test_tensors_that_are_missing_are_not_made_up() -> None:
    complete = llama(2)
    cut = complete.replace(b"blk.1.ffn_gate.weight", b"blk.7.ffn_gate.weight")
    with pytest.raises(ImportFactsError, match="524,288 parameters fewer than the layers need"):
        facts_from_gguf(cut)


def _broken(rng: random.Random, keys: dict[str, Any], named: list[tuple[str, tuple[int, ...]]]) -> None:
    """Take away, change or rename a few of the keys and tensors."""
    for _ in range(rng.randint(1, 3)):
        action, key, at = rng.randrange(5), rng.choice(list(keys)), rng.randrange(len(named))
        name, shape = named[at]
        if action == 0 and len(keys) > 1:
            del keys[key]
        elif action == 1:
            keys[key] = rng.choice([0, 1, 7, 64, 65535, 2**32 - 1, [0] * 3, [1] * 200, [64] * 200, 1.5, "x"])
        elif action == 2:
            named.pop(at)
        elif action == 3:
            named[at] = (name, (*shape[:-1], rng.choice([1, 3, 64, 100_000])))
        else:
            named[at] = (f"{name}.{at}", shape[:1])


@pytest.mark.parametrize("name", LOADED)
def test_a_broken_header_is_answered_or_a_typed_error(name: str) -> None:
    rng, arch = random.Random(name), converted_to(name)
    entry = min(
        (option for option in LOADED[name] if not specs.missing_facts(option)),
        key=lambda option: int(option["n_layers"]),
    )
    for _ in range(2):
        keys, named = metadata(entry, arch), list(tensors(entry, arch))
        _broken(rng, keys, named)
        pairs = {"general.architecture": arch, **{f"{arch}.{key}": value for key, value in keys.items()}}
        try:
            facts = facts_from_gguf(header(pairs, [tensor(part, list(shape), 0) for part, shape in named])).facts
        except ImportFactsError:
            continue
        assert cache_shape(architecture_from_facts(facts)).full_elements.min() >= 0
