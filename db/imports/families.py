"""What a ``config.json`` does not say: traits that the modelling code of each architecture fixes.

Source: the ``modeling_*`` modules of the transformers library, as the catalog's models of the same architecture state.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """Traits of one architecture. ``window_every`` n: layer n, 2n, ... attend to everything, the others to the window;
    0: windows only where the configuration lists them; -1: every layer has the window that the configuration gives.
    ``optional_qk_norm`` is what ``use_qk_norm`` switches on.
    """

    qk_norm: str = "none"
    optional_qk_norm: str = "per_head"
    qkv_bias: bool = False
    o_bias: bool = False
    output_gate: str | None = None
    sinks: bool = False
    gated_mlp: bool = True
    mlp_bias: bool = False
    norm_type: str = "RMSNorm"
    norms: int = 2
    norm_bias: bool = False
    router_bias: bool = False
    shared_gate: bool = False
    expert_bias: bool = False
    tied: bool = False
    window_every: int = 0
    mla: bool = False
    linear: str | None = None


_PLAIN = Family()
_BIASED = Family(qkv_bias=True)
_NORMED = Family(qk_norm="per_head")
_LATENT = Family(mla=True, router_bias=True)
_GEMMA3 = Family(qk_norm="per_head", norms=4, tied=True, window_every=6)
_DELTA = Family(qk_norm="per_head", output_gate="q_doubled", shared_gate=True, linear="GatedDeltaNet")

#: ``architectures[0]`` -> traits.
FAMILIES: dict[str, Family] = {
    "ArceeForCausalLM": Family(gated_mlp=False),
    "BailingMoeForCausalLM": _PLAIN,
    "BailingMoeV2ForCausalLM": Family(qk_norm="per_head", router_bias=True),
    "Cohere2ForCausalLM": Family(norm_type="LayerNorm (no bias)", norms=1, tied=True, window_every=4),
    "CohereForCausalLM": Family(optional_qk_norm="full", norm_type="LayerNorm (no bias)", norms=1, tied=True),
    "DeepseekForCausalLM": _PLAIN,
    "DeepseekV2ForCausalLM": Family(mla=True),
    "DeepseekV3ForCausalLM": _LATENT,
    "Dots1ForCausalLM": Family(qk_norm="per_head", router_bias=True),
    "Ernie4_5ForCausalLM": _PLAIN,
    "Ernie4_5_MoeForCausalLM": Family(router_bias=True),
    "Exaone4ForCausalLM": Family(qk_norm="per_head", window_every=4),
    "Gemma2ForCausalLM": Family(norms=4, tied=True, window_every=2),
    "Gemma3ForCausalLM": _GEMMA3,
    "Gemma3ForConditionalGeneration": _GEMMA3,
    "GemmaForCausalLM": Family(tied=True),
    "Glm4ForCausalLM": Family(norms=4),
    "Glm4MoeForCausalLM": Family(qkv_bias=True, router_bias=True),
    "GlmForCausalLM": _BIASED,
    "GptOssForCausalLM": Family(
        qkv_bias=True, o_bias=True, sinks=True, router_bias=True, expert_bias=True, window_every=2
    ),
    "GraniteForCausalLM": _PLAIN,
    "GraniteMoeForCausalLM": _PLAIN,
    "HunYuanDenseV1ForCausalLM": _NORMED,
    "HunYuanMoEV1ForCausalLM": _NORMED,
    "InternLM2ForCausalLM": _PLAIN,
    "InternLM3ForCausalLM": _PLAIN,
    "KimiK25ForConditionalGeneration": _LATENT,
    "KimiLinearForCausalLM": Family(mla=True, router_bias=True, linear="KDA"),
    "LlamaForCausalLM": _PLAIN,
    "MiMoForCausalLM": _BIASED,
    "MiniMaxM2ForCausalLM": Family(qk_norm="full", router_bias=True),
    "Ministral3ForCausalLM": _PLAIN,
    "Mistral3ForConditionalGeneration": _PLAIN,
    "MistralForCausalLM": Family(window_every=-1),
    "MixtralForCausalLM": _PLAIN,
    "Olmo2ForCausalLM": Family(qk_norm="full"),
    "Olmo3ForCausalLM": Family(qk_norm="full", window_every=4),
    "OlmoeForCausalLM": Family(qk_norm="full"),
    "Phi3ForCausalLM": _PLAIN,
    "Qwen2ForCausalLM": _BIASED,
    "Qwen2MoeForCausalLM": Family(qkv_bias=True, shared_gate=True),
    "Qwen2_5_VLForConditionalGeneration": _BIASED,
    "Qwen3ForCausalLM": _NORMED,
    "Qwen3MoeForCausalLM": _NORMED,
    "Qwen3NextForCausalLM": _DELTA,
    "Qwen3VLForConditionalGeneration": _NORMED,
    "Qwen3VLMoeForConditionalGeneration": _NORMED,
    "Qwen3_5ForConditionalGeneration": _DELTA,
    "Qwen3_5MoeForConditionalGeneration": _DELTA,
    "SeedOssForCausalLM": _BIASED,
    "SmolLM3ForCausalLM": Family(tied=True),
    "SolarForCausalLM": _PLAIN,
    "StableLmForCausalLM": Family(norm_type="LayerNorm", norm_bias=True),
    "Starcoder2ForCausalLM": Family(
        qkv_bias=True, o_bias=True, gated_mlp=False, mlp_bias=True, norm_type="LayerNorm", norm_bias=True, tied=True,
        window_every=-1,
    ),
}  # fmt: skip
