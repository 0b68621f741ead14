"""Keys of a configuration under common names, and the defaults of the configuration class for keys that are absent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from db.imports.errors import ImportFactsError

#: Keys that name one thing in several ways -> the name that the reader asks for.
COMMON_NAMES: dict[str, str] = {
    "n_embd": "hidden_size", "n_embed": "hidden_size", "d_model": "hidden_size",
    "model_dim": "hidden_size",
    "n_layer": "num_hidden_layers", "n_layers": "num_hidden_layers", "num_layers": "num_hidden_layers",
    "num_transformer_layers": "num_hidden_layers",
    "n_head": "num_attention_heads", "n_heads": "num_attention_heads", "num_heads": "num_attention_heads",
    "layers": "num_hidden_layers", "embed_dim": "hidden_size", "dim_head": "head_dim", "dim_ff": "intermediate_size",
    "attention_heads": "num_attention_heads", "intermediate_multiple_size": "expansion_ratio",
    "num_kv_heads": "num_key_value_heads", "n_head_kv": "num_key_value_heads", "n_kv_heads": "num_key_value_heads",
    "num_attention_groups": "num_key_value_heads", "num_query_groups": "num_key_value_heads",
    "attention_q_lora_dim": "q_lora_rank", "attention_kv_lora_dim": "kv_lora_rank", "attention_v_dim": "v_head_dim",
    "attention_qk_dim": "qk_nope_head_dim", "attention_qk_rope_dim": "qk_rope_head_dim",
    "sandwich_norm": "use_sandwich_norm",
    "attention_head_dim": "head_dim", "hidden_size_per_head": "head_dim", "kv_channels": "head_dim",
    "n_positions": "max_position_embeddings", "max_sequence_length": "max_position_embeddings",
    "max_seq_len": "max_position_embeddings", "seq_length": "max_position_embeddings",
    "model_max_length": "max_position_embeddings", "n_ctx": "max_position_embeddings",
    "max_context_length": "max_position_embeddings",
    "context_window_size": "max_position_embeddings", "sliding_window_size": "sliding_window",
    "attention_window_size": "sliding_window", "attention_n_heads": "num_attention_heads",
    "attention_n_kv_heads": "num_key_value_heads", "activation_hidden_dim": "intermediate_size",
    "mlp_hidden_size": "intermediate_size",
    "lightning_nh": "linear_num_heads", "lightning_head_dim": "linear_head_dim",
    "n_inner": "intermediate_size", "inner_hidden_size": "intermediate_size", "ffn_hidden_size": "intermediate_size",
    "ffn_dim": "intermediate_size",
    "ff_intermediate_size": "intermediate_size",
    "dff": "intermediate_size",
    "padded_vocab_size": "vocab_size", "embedding_size": "vocab_size",
    "d_inner": "mamba_inner_size", "tie_embedding": "tie_word_embeddings", "weight_tying": "tie_word_embeddings",
    "share_input_output_layers": "tie_word_embeddings", "normalize_qk_projections": "use_qk_norm",
    "attention_layer_norm": "use_qk_norm",
    "n_routed_experts": "num_experts", "num_local_experts": "num_experts", "moe_num_experts": "num_experts",
    "moe_num_primary_experts": "num_experts", "moe_num_active_primary_experts": "num_experts_per_tok",
    "num_experts_per_token": "num_experts_per_tok", "experts_per_token": "num_experts_per_tok",
    "moe_k": "num_experts_per_tok", "moe_topk": "num_experts_per_tok", "top_k_experts": "num_experts_per_tok",
    "moe_top_k": "num_experts_per_tok",
    "n_shared_experts": "num_shared_experts", "num_shared_expert": "num_shared_experts",
    "moe_num_shared_experts": "num_shared_experts",
    "expert_ffn_hidden_size": "moe_intermediate_size", "moe_ffn_hidden_size": "moe_intermediate_size",
    "share_expert_dim": "shared_expert_intermediate_size", "shared_intermediate_size": "shared_expert_intermediate_size",
    "moe_shared_expert_intermediate_size": "shared_expert_intermediate_size",
    "num_routed_experts": "num_experts", "router_enable_expert_bias": "moe_router_enable_expert_bias",
    "shared_experts_intermediate_size": "shared_expert_intermediate_size",
    "num_dense_layers": "first_k_dense_replace",
    "qkv_bias": "attention_bias", "use_qkv_bias": "attention_bias", "add_qkv_bias": "attention_bias",
    "layers_block_type": "hybrid_override_pattern", "_sliding_window_pattern": "sliding_window_pattern",
    "num_expert_group": "n_group",
    "mamba_d_state": "ssm_state_size", "state_size": "ssm_state_size",
    "mamba_d_conv": "conv_kernel", "sconv_kernel_size": "conv_kernel_size", "mamba_n_groups": "n_groups",
    "mamba_n_heads": "mamba_num_heads", "n_mamba_heads": "mamba_num_heads", "mamba_headdim": "mamba_head_dim",
    "mamba_ngroups": "n_groups", "mamba_d_head": "mamba_head_dim",
    "mamba_dt_rank": "time_step_rank", "mamba_expand": "expand",
}  # fmt: skip
#: The key of the context, which training and serving state in different lengths.
CONTEXT = "max_position_embeddings"
#: Switches that a class either has by the name in the file or ignores.
_SWITCHES = frozenset({"attention_bias", "mlp_bias", "use_qk_norm"})
#: Sizes that differ between any two models of a class.
ESSENTIAL = frozenset({"hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"})


@cache
def table() -> dict[str, Any]:
    """The stored defaults: ``types`` by model type, and ``refused`` with the kind of each that is no decoder.

    ``text`` of a type is that of its language model; ``usual_text`` is it where the section of the language model names none.
    """
    return dict(json.loads(Path(__file__).with_suffix(".json").read_bytes()))


@cache
def type_of_class() -> dict[str, str]:
    """Name of a modelling class -> its model type; of several types, the one whose name the class has."""
    types = {name: entry["class"] for name, entry in table()["types"].items() if "class" in entry}
    own = {kind: name for name, kind in types.items() if kind.casefold().startswith(name.replace("_", ""))}
    return {kind: name for name, kind in reversed(types.items())} | own


class ConfigValues(Mapping[str, Any]):
    """A configuration under common names. A key that is absent takes the class's default; null stays null.

    ``read`` are the keys that were asked for, ``from_class`` those of them that a default answered.
    """

    def __init__(self, own: Mapping[str, Any], model_type: str | None, *, type_is_stated: bool = True) -> None:
        """Raises :class:`ImportFactsError` when two names of one thing have different values."""
        entry = table()["types"].get(model_type, {})
        #: Lengths of context by the keys that state one.
        self.contexts = {
            key: value for key, value in own.items() if COMMON_NAMES.get(key, key) == CONTEXT and type(value) is int
        }
        known = entry.get("defaults", {})
        own = {key: value for key, value in own.items() if not known or _is_of_class(key, known)}
        if "attention_head_dim" in own:
            # Zamba states a width of channels that its attention over two inputs side by side does not have.
            own.pop("kv_channels", None)
        self.own = _renamed(own)
        defaults = _renamed(known)
        # A configuration that names no type must give the sizes that tell one model of a class from another.
        self._defaults = {key: value for key, value in defaults.items() if type_is_stated or key not in ESSENTIAL}
        self.read: set[str] = set()
        self.from_class: set[str] = set()
        self._parts: dict[str, Part] = {}

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        if key in self.own:
            value = self.own[key]
            return self._parts.setdefault(key, Part(value)) if isinstance(value, dict) else value
        value = self._defaults[key]
        if value is not None:
            self.from_class.add(key)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter({**self._defaults, **self.own})

    def __len__(self) -> int:
        return len({**self._defaults, **self.own})

    def default(self, key: str) -> Any:
        """The class's default of ``key``; None when it has none."""
        return self._defaults.get(key)

    def unread(self) -> Iterator[tuple[str, Any]]:
        """Keys that nobody asked for, with their values; those of a part that was read as ``part.key``."""
        for key, value in self.own.items():
            if key not in self.read:
                yield key, value
        for name, part in self._parts.items():
            for key, value in part.items():
                if key not in part.read:
                    yield f"{name}.{key}", value


def _is_of_class(key: str, defaults: Mapping[str, Any]) -> bool:
    return COMMON_NAMES.get(key, key) not in _SWITCHES or key in defaults


class Part(dict[str, Any]):
    """A nested object that remembers the keys that were asked for."""

    def __init__(self, own: Mapping[str, Any]) -> None:
        super().__init__(own)
        self.read: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        """As of any mapping."""
        self.read.add(key)
        return super().get(key, default)


def _renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    renamed: dict[str, Any] = {}
    for key, value in values.items():
        name = COMMON_NAMES.get(key, key)
        value = _scalar(value) if name in _ONE_VALUE else value
        known = renamed.get(name)
        if known is None or (name == CONTEXT and name == key):
            renamed[name] = value
        elif value is not None and value != known and name != CONTEXT:
            raise ImportFactsError(f"{key!r} is {value!r:.60}, but another key for the same has {known!r:.60}", key)
    return renamed


_ONE_VALUE = frozenset(
    {"num_experts_per_tok", "num_shared_experts", "moe_intermediate_size", "num_experts", "intermediate_size"}
)


def _scalar(value: Any) -> Any:
    """The value of a list with one equal value a layer; anything else as it is."""
    if isinstance(value, list) and value and all(item == value[0] for item in value):
        return value[0]
    return value
