"""Traits that the modelling code of each architecture fixes and ``config.json`` does not state.

Source: the ``modeling_*`` modules of the transformers library, as the catalog's models of the same architecture state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Family:
    """Traits of one architecture. ``window_every`` n: layer n, 2n, ... attend to everything, the others to the window;
    0: windows only where the configuration lists them; -1: every layer has the window that the configuration gives.
    ``linear_every`` is the same for linear attention. ``full_rest``: layers beyond the
    last whole group of them attend to everything, too. ``full_at``: the place among the n layers of the one that attends to
    everything, -1 the last; ``full_layers``: these do in any case, the last is -1.
    ``own_o_bias``: a bias of the output projection that no key switches.
    ``optional_qk_norm`` is what ``use_qk_norm`` switches on. ``bias_keys`` switch the biases of query, key, value and
    output on, ``all_bias_keys`` also those of the feed-forward part. ``layers`` are letters of the layers where no key
    lists them: those before ``|`` come once, the others again and again. ``state_space`` is the Mamba version.
    ``head_bias``: the output head has a bias; ``position_offset``: learned positions, so many more than the context has;
    ``ffn_factor``: intermediate size over hidden size where no key gives it; ``doubled_ffn``: the key counts gate and up
    together; ``dense_layers``: layers before the first with experts where no key says so; ``sublayers``: layers of ours in
    each that the configuration counts; ``counted_back``: windows are spaced from the last layer on.
    """

    qk_norm: str = "none"
    optional_qk_norm: str = "per_head"
    qkv_bias: bool = False
    o_bias: bool = False
    own_o_bias: bool = False
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
    linear_every: int = 4
    full_rest: bool = False
    full_at: int = -1
    full_layers: tuple[int, ...] = ()
    mla: bool = False
    linear: str | None = None
    bias_keys: tuple[str, ...] = ()
    all_bias_keys: tuple[str, ...] = ()
    layers: str | None = None
    state_space: int = 0
    head_bias: bool = False
    position_offset: int | None = None
    ffn_factor: int | None = None
    doubled_ffn: bool = False
    final_norms: int = 1
    shared_experts: int = 0
    chunk_every: int = 0
    dense_layers: int = 0
    full_rank_gate: bool = False
    full_rank_decay: bool = False
    sublayers: int = 1
    counted_back: bool = False


_PLAIN = Family()
_BIASED = Family(qkv_bias=True)
_NORMED = Family(qk_norm="per_head")
_LATENT = Family(mla=True, router_bias=True)
_GEMMA3 = Family(qk_norm="per_head", norms=4, tied=True, window_every=6)
_OLD = Family(
    qkv_bias=True, o_bias=True, gated_mlp=False, mlp_bias=True, norm_type="LayerNorm", norm_bias=True, ffn_factor=4
)  # fmt: skip
_GPT2 = replace(_OLD, tied=True, position_offset=0)
_GPTJ = replace(_OLD, qkv_bias=False, o_bias=False, norms=1, head_bias=True)
_RWKV = Family(gated_mlp=False, norm_type="LayerNorm", norm_bias=True, layers="L")
_STEP = Family(qk_norm="per_head", output_gate="per_head", router_bias=True, window_every=4, dense_layers=3)
_DELTA = Family(qk_norm="per_head", output_gate="q_doubled", shared_gate=True, linear="GatedDeltaNet")

#: ``architectures[0]`` -> traits.
FAMILIES: dict[str, Family] = {
    "AfmoeForCausalLM": Family(qk_norm="per_head", norms=4, output_gate="full", router_bias=True, window_every=4),
    "Apertus1p5ForConditionalGeneration": Family(qk_norm="per_head", gated_mlp=False),
    "ApertusForCausalLM": Family(qk_norm="per_head", gated_mlp=False),
    "ArcticForCausalLM": Family(norms=3),
    "ArceeForCausalLM": Family(gated_mlp=False),
    "AriaForConditionalGeneration": _PLAIN,
    "AXK1ForCausalLM": replace(_LATENT, dense_layers=1),
    "AXK2ForCausalLM": replace(_LATENT, dense_layers=1),
    "BaichuanForCausalLM": _PLAIN,
    "BailingHybridForCausalLM": Family(
        mla=True, output_gate="per_head", router_bias=True, linear="KDA", full_rank_gate=True, full_rank_decay=True
    ),
    "BailingMoeForCausalLM": _PLAIN,
    "BailingMoeLinearV2ForCausalLM": Family(qk_norm="per_head", router_bias=True, linear="lightning", full_rest=True),
    "BailingMoeV2ForCausalLM": Family(qk_norm="per_head", router_bias=True),
    "BambaForCausalLM": Family(state_space=2),
    "BeamForCausalLM": Family(
        qk_norm="per_head", norms=4, output_gate="full", router_bias=True, window_every=6, full_layers=(-1,),
        dense_layers=3,
    ),
    "BioGptForCausalLM": replace(_GPT2, position_offset=2),
    "BitNetForCausalLM": Family(tied=True),
    "BloomForCausalLM": replace(_OLD, tied=True),
    "ChatGLMModel": Family(all_bias_keys=("add_bias_linear",)),
    "ChameleonForConditionalGeneration": Family(qk_norm="full"),
    "ChatGLM1Model": _OLD,
    "CodeGenForCausalLM": _GPTJ,
    "CodeShellForCausalLM": replace(_OLD, tied=True),
    "Cohere2ForCausalLM": Family(norm_type="LayerNorm (no bias)", norms=1, tied=True, window_every=4),
    "CohereCompassForCausalLM": Family(norm_type="LayerNorm (no bias)", norms=1, tied=True),
    "Cohere2MoeForCausalLM": Family(norm_type="LayerNorm (no bias)", norms=1, tied=True, window_every=4),
    "CohereForCausalLM": Family(optional_qk_norm="full", norm_type="LayerNorm (no bias)", norms=1, tied=True),
    "Cosmos3EdgeForConditionalGeneration": Family(gated_mlp=False),
    "CpmAntForCausalLM": _PLAIN,
    "CTRLLMHeadModel": replace(_OLD, tied=True, head_bias=True),
    "CwmForCausalLM": Family(window_every=4, full_at=0),
    "DbrxForCausalLM": Family(norm_type="LayerNorm (no bias)"),
    "DeciLMForCausalLM": _PLAIN,
    "DeepseekForCausalLM": _PLAIN,
    "DeepseekV2ForCausalLM": Family(mla=True),
    "DeepseekV32ForCausalLM": _LATENT,
    "DeepseekV3ForCausalLM": _LATENT,
    "DeepseekV41ForCausalLM": Family(router_bias=True),
    "DeepseekV4ForCausalLM": Family(router_bias=True),
    "DiffLlamaForCausalLM": _PLAIN,
    "DogeForCausalLM": _NORMED,
    "DoryForCausalLM": Family(output_gate="full", norms=0, final_norms=0, window_every=4),
    "Dots1ForCausalLM": Family(qk_norm="per_head", router_bias=True),
    "Dots3NoteForCausalLM": replace(
        _LATENT, output_gate="per_head", window_every=4, full_at=1, full_layers=(0,), dense_layers=1
    ),
    "Ernie4_5_MoeForCausalLM": Family(router_bias=True),
    "Ernie4_5_VLMoeForConditionalGeneration": Family(router_bias=True, tied=True, dense_layers=1),
    "Ernie4_5ForCausalLM": _PLAIN,
    "Exaone4_5_ForConditionalGeneration": Family(qk_norm="per_head", window_every=4),
    "Exaone4ForCausalLM": Family(qk_norm="per_head", window_every=4),
    "ExaoneForCausalLM": _PLAIN,
    "ExaoneMoEForCausalLM": Family(qk_norm="per_head", router_bias=True, window_every=4),
    "FalconForCausalLM": Family(
        gated_mlp=False, norm_type="LayerNorm", norm_bias=True, tied=True, all_bias_keys=("bias",), ffn_factor=4
    ),
    "FalconH1ForCausalLM": Family(layers="P", state_space=2),
    "FalconMambaForCausalLM": Family(norms=1, layers="M", state_space=1),
    "FlintForCausalLM": Family(
        qk_norm="per_head", sinks=True, window_every=4, full_at=1, full_layers=(0, -1), dense_layers=2
    ),
    "FlexOlmoForCausalLM": Family(qk_norm="full"),
    "Gemma2ForCausalLM": Family(norms=4, tied=True, window_every=2),
    "Gemma3ForCausalLM": _GEMMA3,
    "Gemma3ForConditionalGeneration": _GEMMA3,
    "Gemma3nForConditionalGeneration": Family(qk_norm="per_head", norms=4, tied=True, window_every=5),
    "Gemma4ForConditionalGeneration": replace(_GEMMA3, full_layers=(-1,)),
    "Gemma4UnifiedForConditionalGeneration": replace(_GEMMA3, full_layers=(-1,)),
    "GemmaForCausalLM": Family(tied=True),
    "Glm4ForCausalLM": Family(norms=4),
    "Glm4MoeForCausalLM": Family(qkv_bias=True, router_bias=True),
    "Glm4MoeLiteForCausalLM": replace(_LATENT, dense_layers=1),
    "Glm4vForConditionalGeneration": Family(qkv_bias=True, norms=4),
    "Glm5NextForConditionalGeneration": replace(_LATENT, linear="KDA", dense_layers=3),
    "GitForCausalLM": replace(_OLD, position_offset=0, final_norms=0, head_bias=True),
    "GlmForCausalLM": _BIASED,
    "GlmMoeDsaForCausalLM": _LATENT,
    "GPT2LMHeadModel": _GPT2,
    "GPTBigCodeForCausalLM": _GPT2,
    "GPTJForCausalLM": _GPTJ,
    "GPTNeoForCausalLM": replace(_GPT2, qkv_bias=False),
    "GPTNeoXForCausalLM": replace(_OLD, qkv_bias=False, o_bias=False, bias_keys=("attention_bias",)),
    "GPTNeoXJapaneseForCausalLM": Family(
        gated_mlp=False, norm_type="LayerNorm", norm_bias=True, tied=True, ffn_factor=4
    ),
    "GPTRefactForCausalLM": _PLAIN,
    "GptOssForCausalLM": Family(
        qkv_bias=True, o_bias=True, sinks=True, router_bias=True, expert_bias=True, window_every=2
    ),
    "Granite4VisionForConditionalGeneration": _PLAIN,
    "GraniteDoclingForConditionalGeneration": Family(tied=True),
    "GraniteForCausalLM": _PLAIN,
    "GraniteMoeForCausalLM": _PLAIN,
    "GraniteMoeHybridForCausalLM": Family(tied=True, state_space=2),
    "GraniteMoeSharedForCausalLM": Family(tied=True),
    "GraniteMoeSWAForCausalLM": Family(sinks=True, window_every=4, full_at=0),
    "GraniteSWAForCausalLM": Family(sinks=True, window_every=4, full_at=0),
    "Grok1ForCausalLM": Family(norms=4),
    "Grok1ModelForCausalLM": Family(norms=4, tied=True),
    "GroveMoeForCausalLM": _NORMED,
    "HeliumForCausalLM": _PLAIN,
    "HrmTextForCausalLM": Family(output_gate="full", norms=0, final_norms=0, sublayers=2),
    "HyperCLOVAXForCausalLM": Family(norms=4),
    "HunYuanDenseV1ForCausalLM": _NORMED,
    "HunYuanForCausalLM": Family(qk_norm="per_head", shared_experts=1),
    "HunYuanMoEV1ForCausalLM": Family(qk_norm="per_head", shared_experts=1),
    "HunYuanVLForConditionalGeneration": Family(qk_norm="per_head", tied=True),
    "HYV3ForCausalLM": Family(qk_norm="per_head", router_bias=True, dense_layers=1),
    "HYV4ForCausalLM": replace(_LATENT, output_gate="full", dense_layers=1, sinks=True),
    "IdeficsForVisionText2Text": _PLAIN,
    "InklingForConditionalGeneration": Family(qk_norm="per_head", router_bias=True, window_every=6),
    "Inkling2ForCausalLM": Family(output_gate="full", router_bias=True, window_every=6),
    "Inkling2LoopForCausalLM": Family(output_gate="full", router_bias=True, window_every=6),
    "InternLM2ForCausalLM": _PLAIN,
    "InternLM3ForCausalLM": _PLAIN,
    "InternLMForCausalLM": Family(bias_keys=("bias",)),
    "InternLMXComposer2ForCausalLM": _PLAIN,
    "IQuestLoopCoderForCausalLM": _PLAIN,
    "JAISLMHeadModel": Family(
        qkv_bias=True, o_bias=True, mlp_bias=True, norm_type="LayerNorm", norm_bias=True, tied=True
    ),
    "Jais2ForCausalLM": replace(_OLD, ffn_factor=None),
    "JambaForCausalLM": Family(state_space=1),
    "JetMoeForCausalLM": Family(tied=True),
    "KimiK25ForConditionalGeneration": _LATENT,
    "KimiK3ForConditionalGeneration": Family(mla=True, router_bias=True, linear="KDA", full_rank_gate=True),
    "KimiLinearForCausalLM": Family(mla=True, router_bias=True, linear="KDA", layers="L|LLLF", dense_layers=1),
    "KimiVLForConditionalGeneration": _LATENT,
    "Kolibri1ForCausalLM": Family(qk_norm="per_head", norms=4, router_bias=True, window_every=5),
    "Kosmos2ForConditionalGeneration": replace(_OLD, tied=True),
    "Kosmos2_5ForConditionalGeneration": replace(_OLD, tied=True),
    "K2HorizonForCausalLM": _PLAIN,
    "LagunaForCausalLM": Family(qk_norm="per_head", output_gate="per_head", router_bias=True, dense_layers=1),
    "LaraMiniForCausalLM": Family(qk_norm="per_head", linear="GatedDeltaNet", tied=True, layers="LSLFS"),
    "Lfm2ForCausalLM": Family(qk_norm="per_head", tied=True),
    "Lfm2MoeForCausalLM": Family(qk_norm="per_head", tied=True, router_bias=True),
    "Lfm3ForCausalLM": Family(qk_norm="per_head", norms=4, output_gate="per_head", tied=True, layers="V|VFVS"),
    "Llama4ForConditionalGeneration": Family(optional_qk_norm="none", shared_experts=1, chunk_every=4),
    "LlamaForCausalLM": _PLAIN,
    "LongcatFlashForCausalLM": Family(mla=True, router_bias=True, sublayers=2),
    "MaincoderForCausalLM": _NORMED,
    "Mamba2ForCausalLM": Family(norms=1, layers="M", state_space=2),
    "MambaForCausalLM": Family(norms=1, layers="M", state_space=1, tied=True),
    "MellumForCausalLM": _NORMED,
    "MiMoForCausalLM": _BIASED,
    "MiMoV2FlashForCausalLM": Family(router_bias=True, window_every=6, full_layers=(0,), dense_layers=1),
    "MiniCPM3ForCausalLM": Family(mla=True),
    "MiniCPMForCausalLM": Family(tied=True),
    "MiniCPMSALAForCausalLM": Family(output_gate="full", linear="lightning"),
    "MiniMaxM1ForCausalLM": Family(linear="lightning"),
    "MiniMaxM2ForCausalLM": Family(qk_norm="full", router_bias=True),
    "MiniMaxM3ForCausalLM": Family(qk_norm="per_head", router_bias=True),
    "MiniMaxText01ForCausalLM": Family(linear="lightning", linear_every=2, full_at=0),
    "MinistralForCausalLM": Family(window_every=-1),
    "Ministral3ForCausalLM": _PLAIN,
    "Mistral3ForConditionalGeneration": _PLAIN,
    "Mistral4ForCausalLM": Family(mla=True),
    "MistralLarge4ForConditionalGeneration": Family(mla=True, dense_layers=1),
    "MistralForCausalLM": Family(window_every=-1),
    "MixtralForCausalLM": Family(window_every=-1),
    "MllamaForConditionalGeneration": _PLAIN,
    "Molmo2ForConditionalGeneration": Family(qk_norm="per_head"),
    "ModernBertDecoderForCausalLM": Family(
        norm_type="LayerNorm (no bias)", tied=True, window_every=3, full_at=0
    ),
    "MolmoForCausalLM": Family(optional_qk_norm="full", qkv_bias=True, doubled_ffn=True),
    "MotifForCausalLM": _PLAIN,
    "MptForCausalLM": Family(gated_mlp=False, norm_type="LayerNorm (no bias)", tied=True, ffn_factor=4),
    "MuseGlimmerForConditionalGeneration": Family(norms=4, output_gate="full", window_every=4, counted_back=True),
    "MuseSparkForConditionalGeneration": Family(
        norms=3, output_gate="full", router_bias=True, window_every=4, counted_back=True
    ),
    "NanbeigeForCausalLM": _PLAIN,
    "NanoChatForCausalLM": Family(gated_mlp=False, norms=0, final_norms=0),
    "NemotronForCausalLM": Family(gated_mlp=False, norm_type="LayerNorm1P", norm_bias=True),
    "NemotronHForCausalLM": Family(gated_mlp=False, norms=1, router_bias=True, state_space=2),
    "Olmo2ForCausalLM": Family(qk_norm="full"),
    "Olmo3ForCausalLM": Family(qk_norm="full", window_every=4),
    "OlmoHybridForCausalLM": Family(qk_norm="full", linear="GatedDeltaNet"),
    "OlmoeForCausalLM": Family(qk_norm="full"),
    "OlmoForCausalLM": Family(norm_type="LayerNorm (no weight)", norms=0, final_norms=0),
    "OLMoForCausalLM": Family(
        optional_qk_norm="full", norm_type="LayerNorm (no weight)", norms=0, final_norms=0, doubled_ffn=True
    ),
    "OpenAIGPTLMHeadModel": replace(_GPT2, final_norms=0),
    "OpenELMForCausalLM": Family(tied=True),
    "OPTForCausalLM": replace(_GPT2, position_offset=2),
    "OrionForCausalLM": Family(norm_type="LayerNorm", norm_bias=True),
    "OuroForCausalLM": Family(norms=4),
    "PanguEmbeddedForCausalLM": Family(bias_keys=("bias",)),
    "PanguUltraMoEForCausalLM": Family(mla=True),
    "Param2MoEForCausalLM": Family(router_bias=True, shared_experts=1, dense_layers=1),
    "PersimmonForCausalLM": _OLD,
    "Phi3ForCausalLM": Family(window_every=-1),
    "Phi3SmallForCausalLM": Family(
        qkv_bias=True, o_bias=True, mlp_bias=True, norm_type="LayerNorm", norm_bias=True, tied=True
    ),
    "PhiForCausalLM": replace(_OLD, norms=1, head_bias=True),
    "PhiMoEForCausalLM": Family(
        norm_type="LayerNorm", norm_bias=True, bias_keys=("attention_bias",), window_every=-1
    ),
    "PlamoForCausalLM": Family(norms=1),
    "Plamo2ForCausalLM": Family(qk_norm="full", norms=4, tied=True, state_space=1),
    "Plamo3ForCausalLM": Family(qk_norm="per_head", norms=4, tied=True, window_every=8),
    "PLMForCausalLM": Family(mla=True, gated_mlp=False, tied=True),
    "Qwen2_5_VLForConditionalGeneration": _BIASED,
    "Qwen2ForCausalLM": _BIASED,
    "Qwen2MoeForCausalLM": Family(qkv_bias=True, shared_gate=True),
    "Qwen2VLForConditionalGeneration": _BIASED,
    "Qwen3_5ForConditionalGeneration": _DELTA,
    "Qwen3_5MoeForConditionalGeneration": _DELTA,
    "Qwen3ForCausalLM": _NORMED,
    "Qwen3MoeForCausalLM": _NORMED,
    "Qwen3NextForCausalLM": _DELTA,
    "Qwen3VLForConditionalGeneration": _NORMED,
    "Qwen3VLMoeForConditionalGeneration": _NORMED,
    "Qwen4ExpForConditionalGeneration": replace(_DELTA, norms=0, final_norms=0),
    "QWenLMHeadModel": Family(qkv_bias=True, doubled_ffn=True),
    "RecurrentGemmaForCausalLM": Family(
        own_o_bias=True, mlp_bias=True, doubled_ffn=True, tied=True, linear="RG-LRU", layers="LLS"
    ),
    "Rwkv5ForCausalLM": replace(_RWKV, linear="RWKV5"),
    "Rwkv6ForCausalLM": replace(_RWKV, linear="RWKV6"),
    "RWKV7ForCausalLM": replace(_RWKV, linear="RWKV7", ffn_factor=4),
    "RwkvForCausalLM": replace(_RWKV, linear="RWKV4", ffn_factor=4),
    "SarvamMLAForCausalLM": replace(_LATENT, qk_norm="none"),
    "SarvamMoEForCausalLM": Family(qk_norm="per_head", router_bias=True),
    "SeedOssForCausalLM": _BIASED,
    "SmallThinkerForCausalLM": _PLAIN,
    "SmolLM3ForCausalLM": Family(tied=True),
    "SolarForCausalLM": _PLAIN,
    "SolarOpenForCausalLM": Family(router_bias=True),
    "Spark2_5ForCausalLM": Family(output_gate="per_head", tied=True, window_every=4),
    "StableLmForCausalLM": Family(optional_qk_norm="full", norm_type="LayerNorm", norm_bias=True),
    "Starcoder2ForCausalLM": Family(
        qkv_bias=True, o_bias=True, gated_mlp=False, mlp_bias=True, norm_type="LayerNorm", norm_bias=True, tied=True,
        window_every=-1,
    ),
    "Step3TextForCausalLM": _PLAIN,
    "TelechatForCausalLM": Family(own_o_bias=True, tied=True),
    "UnlimitedOcrForConditionalGeneration": Family(dense_layers=1),
    "VaultGemmaForCausalLM": Family(tied=True, window_every=2),
    "XGLMForCausalLM": replace(_OLD, tied=True),
    "Xing4_0ForCausalLM": _LATENT,
    "YoutuForCausalLM": Family(mla=True),
    "YuanForCausalLM": Family(tied=True),
    "Zamba2ForCausalLM": Family(norms=1, state_space=2, tied=True),
    "ZayaForCausalLM": Family(tied=True),
    "ZambaForCausalLM": Family(norms=1, state_space=1, tied=True),
    "Step3p5ForCausalLM": _STEP,
    "Step3p7FlashForCausalLM": _STEP,
}  # fmt: skip
