"""Classes that loop over their layers, or whose layers have latent rows of several kinds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from db.entries import specs
from db.imports.errors import ImportFactsError
from db.imports.hub.config import facts_from_config
from estimator.placement.layer_sums import model_tables, weight_sources
from estimator.structure.architecture import ModelArchitecture, architecture_from_facts
from estimator.structure.kv_cache import cache_shape
from tests.support.catalogs import CATALOG

#: ByteDance/Ouro-2.6B: its checkpoint has 2,667,974,657 parameters.
OURO: dict[str, Any] = {
    "architectures": ["OuroForCausalLM"], "model_type": "ouro", "hidden_size": 2048, "num_hidden_layers": 48,
    "num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 128, "intermediate_size": 5632,
    "max_position_embeddings": 65536, "total_ut_steps": 4, "vocab_size": 49152, "tie_word_embeddings": False,
}  # fmt: skip
#: Model type -> parameters of its class with the defaults, as the library counts them (transformers 5.24, no memory), and
#: elements of biases of routers, which it counts as none.
CLASSES = {
    "dory": (3_975_229_440, 0),
    "dots3_note_text": (279_551_718_016, 45 * 256),
    "hrm_text": (1_447_822_848, 0),
    "inkling2_loop_text": (26_068_156_416, 3_072),
    "inkling2_text": (593_718_478_848, 18_432),
    "mistral_large4_text": (1_050_118_202_912, 0),
    "modernbert-decoder": (149_655_232, 0),
    "muse_spark_text": (819_990_536_192, 62 * 256),
    "zaya": (8_840_488_784, 0),
}


def _model(config: dict[str, Any]) -> ModelArchitecture:
    return architecture_from_facts(facts_from_config(config))


@pytest.mark.parametrize("kind", CLASSES)
def test_a_class_has_the_parameters_that_the_library_counts(kind: str) -> None:
    parameters, biases = CLASSES[kind]
    assert _model({"model_type": kind}).total_parameters == parameters + biases


def test_each_time_that_a_layer_is_run_has_a_cache_of_its_own_and_the_same_weights() -> None:
    once, looped = _model(OURO | {"total_ut_steps": 1}), _model(OURO)
    assert once.total_parameters == looped.total_parameters == 2_667_974_657
    assert (once.n_layers, looped.n_layers) == (48, 192)
    assert cache_shape(looped).full_elements.sum() == 4 * cache_shape(once).full_elements.sum()
    assert weight_sources(looped).tolist() == list(range(48)) * 4


def test_weights_are_stored_once_and_read_and_multiplied_each_time() -> None:
    quants = (specs.quant(CATALOG.quants["q8-0"]), specs.quant(CATALOG.quants["fp8"]))
    once, looped = (model_tables(_model(OURO | {"total_ut_steps": steps}), quants) for steps in (1, 4))
    np.testing.assert_array_equal(looped.device, once.device)
    np.testing.assert_allclose(looped.passes, 4.0)
    layers = once.active_layers[:, -1]
    np.testing.assert_allclose(looped.active - once.active, 3 * layers)
    products = 48 * (4 * 2048**2 + 3 * 2048 * 5632)
    assert looped.flops_per_token - once.flops_per_token == pytest.approx(3 * 2 * products, rel=1e-3)


def test_weights_in_system_memory_are_read_there_each_time() -> None:
    quants = (specs.quant(CATALOG.quants["q8-0"]),)
    once, looped = (model_tables(_model(OURO | {"total_ut_steps": steps}), quants) for steps in (1, 4))
    # Only the last 12 of the 48 layers that have weights are on the device.
    np.testing.assert_allclose(looped.active_layers[:, 192 - 36], 4 * once.active_layers[:, 12])
    assert not looped.active_layers[:, : 192 - 48 + 1].any()
    assert not looped.device_layers[:, : 192 - 48 + 1].any()


def test_the_low_stack_runs_several_times_for_each_run_of_the_high_one() -> None:
    sources = weight_sources(_model({"model_type": "hrm_text", "num_hidden_layers": 1})).tolist()
    assert sources == [0, 0, 0, 3, 0, 0, 0, 3]
    saved = {"model_type": "hrm_text", "num_hidden_layers": 128, "num_layers_per_stack": 16}
    assert _model(saved) == _model({"model_type": "hrm_text"})
    with pytest.raises(ImportFactsError, match="'num_hidden_layers' must be"):
        facts_from_config(saved | {"num_hidden_layers": 64})


def test_layers_at_both_ends_run_once_and_a_pair_of_parts_is_a_layer() -> None:
    kinds = ["sliding_attention", "mlp", "full_attention", "mlp"] * 2
    counts = {"num_hidden_layers": 8, "n_input_layers": 2, "n_recurrent_layers": 4, "n_output_layers": 2}
    config = {"model_type": "dory", "layer_types": kinds, "n_recurrent_loops": 3, **counts}
    model = _model(config)
    assert weight_sources(model).tolist() == [0, 1, 2, 1, 2, 1, 2, 7]
    shared = _model(config | {"recurrent_kv_cache_mode": "last_loop"})
    assert [layer.shares_kv for layer in shared.layers] == [False] + [True] * 4 + [False] * 3
    assert shared.total_parameters == model.total_parameters
    with pytest.raises(ImportFactsError, match="must make 4 layers"):
        facts_from_config(config | {"n_input_layers": 4})


def test_passes_run_over_the_core_alone() -> None:
    config = {"model_type": "inkling2_loop_text", "loop_num_passes": 2}
    assert _model(config).n_layers == 24 + 12
    with pytest.raises(ImportFactsError, match="loop_config"):
        facts_from_config(config | {"loop_config": {"num_passes": 4}})


#: Keys of Nanbeige/Nanbeige4.2-3B.
NANBEIGE: dict[str, Any] = {
    "architectures": ["NanbeigeForCausalLM"], "model_type": "nanbeige", "hidden_size": 3072, "num_hidden_layers": 22,
    "num_attention_heads": 48, "num_key_value_heads": 8, "head_dim": 128, "kv_channels": 128, "intermediate_size": 10752,
    "vocab_size": 166_144, "max_position_embeddings": 262_144, "num_loops": 2, "loop_loss_weights": [],
    "skip_loop_final_norm": False, "pretraining_tp": 1, "tie_word_embeddings": False,
}  # fmt: skip


def test_losses_of_passes_count_them() -> None:
    layer = 3072 * (2 * 48 + 2 * 8) * 128 + 3 * 3072 * 10752 + 2 * 3072
    model = _model(NANBEIGE)
    assert model.total_parameters == 22 * layer + 2 * 166_144 * 3072 + 3072
    assert cache_shape(model).full_elements.sum() == 44 * 2 * 8 * 128
    assert _model(NANBEIGE | {"loop_loss_weights": [0.5, 0.5]}).n_layers == 66


@pytest.mark.parametrize(
    ("key", "value"), [("n_loops", 2), ("loop_share_kv", True), ("enable_depth_attention", True), ("num_loops", 65)]
)
def test_a_loop_that_is_not_read_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ImportFactsError, match=f"'{key}'"):
        facts_from_config(NANBEIGE | {key: value})


def test_layers_whose_keys_are_not_rotated_keep_shorter_rows() -> None:
    rows = cache_shape(_model({"model_type": "mistral_large4_text", "num_hidden_layers": 8})).full_elements
    assert rows.tolist() == [576, 576, 576, 512] * 2
    with pytest.raises(ImportFactsError, match="kv_source_layers"):
        facts_from_config({"model_type": "mistral_large4_text", "num_hidden_layers": 2, "kv_source_layers": [0, 0]})


def test_sliding_layers_have_latent_rows_of_their_own() -> None:
    shape = cache_shape(_model({"model_type": "dots3_note_text", "num_hidden_layers": 6}))
    assert shape.full_elements.tolist() == [576, 576, 0, 0, 0, 576]
    assert shape.window_elements.tolist() == [0, 0, 1088, 1088, 1088, 0]
    assert set(shape.window_tokens[2:5].tolist()) == {512}
    narrow = _model({"model_type": "dots3_note_text", "num_hidden_layers": 6, "swa_kv_lora_rank": 256})
    assert cache_shape(narrow).window_elements.sum() == 3 * (256 + 64)


@pytest.mark.parametrize(
    ("own", "indexed"), [({}, 6), ({"index_topk_freq": 4}, 3), ({"index_topk_pattern": "FSSFSS"}, 2)]
)
def test_indexers_are_spaced_as_the_configuration_says(own: dict[str, Any], indexed: int) -> None:
    model = _model({"model_type": "glm_moe_dsa", "num_hidden_layers": 6, **own})
    assert sum(layer.has_indexer for layer in model.layers) == indexed


GEMMA4: dict[str, Any] = {
    "model_type": "gemma4_text", "hidden_size": 512, "intermediate_size": 1024, "num_hidden_layers": 6, "head_dim": 64,
    "num_attention_heads": 8, "num_key_value_heads": 4, "vocab_size": 1000, "hidden_size_per_layer_input": 64,
    "vocab_size_per_layer_input": 1000, "num_kv_shared_layers": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("own", "parameters"),
    [
        ({}, 21_164_224),
        ({"per_layer_config": {}}, 15_658_304),
        ({"per_layer_config": {"05": {"head_dim": 128}}}, 16_444_864),
        (
            {"per_layer_config": {"5": {"head_dim": 128, "num_key_value_heads": 2}}, "attention_k_eq_v": True},
            16_051_648,
        ),
        ({"global_head_dim": 128, "num_global_key_value_heads": 2, "attention_k_eq_v": True}, 16_051_648),
    ],
)
def test_a_saved_configuration_lists_the_layers_that_differ(own: dict[str, Any], parameters: int) -> None:
    """The counts are those of the class (transformers 5.24, no memory), with one scalar a layer, which it counts as none."""
    assert _model(GEMMA4 | own).total_parameters == parameters + 6


def test_a_listed_layer_has_latent_rows_and_experts_of_the_rest() -> None:
    own = {"2": {"kv_lora_rank": 256, "num_attention_heads": 32, "head_dim": 256}}
    config = {"model_type": "dots3_note_text", "num_hidden_layers": 6, "per_layer_config": own}
    assert cache_shape(_model(config)).window_elements.tolist() == [0, 0, 256 + 64, 576, 576, 0]
    mixtral = {
        "model_type": "mixtral",
        "num_hidden_layers": 2,
        "hidden_size": 512,
        "num_attention_heads": 8,
        "vocab_size": 64,
    }
    for stated in ({"1": {"num_local_experts": 4}}, {"2": {}}, {"x": {}}, {"0": 3}, [1]):
        with pytest.raises(ImportFactsError, match="layer"):
            facts_from_config(mixtral | {"per_layer_config": stated})


def test_a_latent_row_without_a_size_and_heads_without_a_width_are_refused() -> None:
    config = {
        "model_type": "dots3_note_text",
        "num_hidden_layers": 6,
        "per_layer_config": {"2": {"kv_lora_rank": None}},
    }
    with pytest.raises(ImportFactsError, match="kv_lora_rank"):
        facts_from_config(config)
    with pytest.raises(ImportFactsError, match="twice 'hidden_size'"):
        facts_from_config(
            {"model_type": "zamba2", "num_attention_heads": 32_000, "layers_block_type": ["mamba", "hybrid"]}
        )


def test_a_later_pass_of_iquest_keeps_a_window_of_its_own() -> None:
    config = {
        "architectures": ["IQuestLoopCoderForCausalLM"], "model_type": "iquestloopcoder", "hidden_size": 5120,
        "num_hidden_layers": 80, "num_attention_heads": 40, "num_key_value_heads": 8, "head_dim": 128,
        "intermediate_size": 27648, "vocab_size": 76800, "loop_num": 2, "loop_window_size": 64, "tie_word_embeddings": False,
        "attention_bias": False, "mlp_bias": False, "max_position_embeddings": 131072,
    }  # fmt: skip
    model = _model(config)
    # The checkpoint of the model without loops has 39,794,283,520 parameters; each head of a layer has a gate.
    assert model.total_parameters == 39_794_283_520 + 80 * 40 * 129
    shape = cache_shape(model)
    assert shape.full_elements.tolist() == [2048] * 80 + [0] * 80
    assert shape.window_elements.tolist() == [0] * 80 + [2048] * 80
    assert set(shape.window_tokens[80:].tolist()) == {64}
