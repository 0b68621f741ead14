"""The mixture of experts that a configuration describes."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from typing import Any

from db.imports.errors import ImportFactsError, needed, whole
from db.imports.hub.class_defaults import ConfigValues
from db.imports.hub.families import Family

_WIDTH, _EXPERTS = 4_194_304, 65_536
#: Classes that have no form without experts.
_NEVER_DENSE = frozenset(
    {"HunYuanMoEV1ForCausalLM", "JetMoeForCausalLM", "MuseSparkForConditionalGeneration", "ZayaForCausalLM"}
)


def experts(values: Mapping[str, Any], family: Family, name: str) -> dict[str, Any] | None:
    """Facts of the experts; None for a dense model.

    Raises:
        ImportFactsError: a size is missing or out of range.
    """
    ffn = values.get("ffn_config")
    if isinstance(ffn, Mapping):
        values = ChainMap(_of_ffn(ffn), values)  # type: ignore[arg-type]
    count = whole(values, "num_experts", 0, _EXPERTS)
    if name in _NEVER_DENSE and (not count or count < 2):
        raise ImportFactsError("'num_experts' is missing; it must be an integer from 2 to 65,536", "num_experts")
    if name == "HunYuanMoEV1ForCausalLM":
        _require_one_width(values)
    if not count or count < 2 or values.get("enable_moe_block") is False or values.get("is_moe") is False:
        return None
    if name == "DogeForCausalLM":
        raise ImportFactsError("'is_moe' is not read for this architecture", "is_moe")
    width = _width(values, name)
    shared, shared_width = _shared(values, family, name)
    per_token = needed(values, "num_experts_per_tok", 1, _EXPERTS)
    if per_token > count:
        raise ImportFactsError(
            f"'num_experts_per_tok' is {per_token}, but there are {count} experts", "num_experts_per_tok"
        )
    own_bias, enabled = values.get("use_expert_bias"), values.get("moe_router_enable_expert_bias")
    bias = own_bias if family.router_bias and own_bias is not None else enabled
    moe = {
        "n_experts": count,
        "experts_per_token": per_token,
        "n_shared_experts": shared,
        "moe_intermediate_size": width,
        "shared_intermediate_size": (shared_width or shared * width) if shared else None,
        "first_k_dense": whole(values, "first_k_dense_replace", 0, 1_000, 0),
        "router_bias": family.router_bias if bias is None else bool(bias),
        "shared_gate": family.shared_gate,
    }
    latent = whole(values, ("moe_latent_size", "routed_expert_hidden_size", "moe_hidden_size"), 1, _WIDTH)
    if latent:
        moe["latent_size"] = latent
    if name.startswith(("Gemma4", "LongcatFlash", "Arctic")) or values.get("residual_moe") is True:
        moe["dense_parallel"] = True
    if idle := whole(values, "zero_expert_num", 0, _EXPERTS):
        # Experts that return their input: a token visits as many as chance gives.
        moe["experts_per_token"] = max(round(per_token * count / (count + idle)), 1)
    if name == "GroveMoeForCausalLM":
        # A narrow expert for two of the others, as wide as a head (grovemoe.py of llama.cpp's converter).
        moe |= {"n_grouped_experts": count // 2, "grouped_intermediate_size": needed(values, "head_dim", 1, _WIDTH)}
    if family.expert_bias:
        # Biases of gate, up and down of one expert.
        moe["expert_bias_params"] = 2 * width + needed(values, "hidden_size", 8, _WIDTH)
    return moe


def _width(values: Mapping[str, Any], name: str) -> int:
    """Width of one expert."""
    if isinstance(values, ConfigValues) and values.own.get("moe_intermediate_size", 0) is None:
        # Where the class has a width of experts it does not fall back to that of the dense layers.
        is_of_class = values.default("moe_intermediate_size") is not None
        return needed(values, "moe_intermediate_size" if is_of_class else "intermediate_size", 1, _WIDTH)
    is_beside = name.startswith("Inkling") and values.get("dense_intermediate_size") is not None
    names = "intermediate_size" if is_beside else ("moe_intermediate_size", "intermediate_size")
    return needed(values, names, 1, _WIDTH)


def _shared(values: Mapping[str, Any], family: Family, name: str) -> tuple[int, int | None]:
    """Shared experts, and the width of all of them together where a key states it."""
    shared = whole(values, "num_shared_experts", 0, 1024, family.shared_experts) or 0
    width = whole(values, "shared_expert_intermediate_size", 0, _WIDTH)
    if name == "Dots3NoteForCausalLM" and width is not None:
        # Its key is the width of one.
        width *= shared
        return (shared if width else 0), width
    if values.get("use_shared_expert") is False:
        return 0, 0
    if width:
        shared = max(shared, 1)
    if name == "HYV3ForCausalLM" and not shared:
        # Its class gives a shared expert of no width that of the dense layers.
        raise ImportFactsError(
            "'num_shared_experts' must be an integer from 1 to 1,024 here, not 0", "num_shared_experts"
        )
    return shared, width


def _require_one_width(values: Mapping[str, Any]) -> None:
    """Refuse a Hunyuan with two widths: its first code takes ``moe_intermediate_size``, the library's class
    ``intermediate_size``."""
    stated = values.own if isinstance(values, ConfigValues) else values
    width, of_experts = (whole(stated, key, 1, _WIDTH) for key in ("intermediate_size", "moe_intermediate_size"))
    if width is not None and of_experts is not None and width != of_experts:
        raise ImportFactsError(
            f"'moe_intermediate_size' is {of_experts} and 'intermediate_size' {width}; its experts have one width",
            "moe_intermediate_size",
        )


def _of_ffn(ffn: Mapping[str, Any]) -> dict[str, Any]:
    """DBRX's ``ffn_config``."""
    return {
        "num_experts": ffn.get("moe_num_experts"),
        "hidden_size": ffn.get("hidden_size"),
        "num_experts_per_tok": ffn.get("moe_top_k"),
        "moe_intermediate_size": ffn.get("ffn_hidden_size"),
    }
