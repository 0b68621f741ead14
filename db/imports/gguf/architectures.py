"""Architectures and file types of GGUF files under the names that the catalog has for them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Architecture:
    """A value of ``general.architecture``: the class that the catalog names, and the windows that llama.cpp fixes in
    code. ``full_every`` n: layers n, 2n, ... attend to everything where the file lists no windows (0: all layers do);
    ``chunk`` is the length in tokens of chunks in place of windows."""

    name: str
    full_every: int = 0
    chunk: int | None = None


#: ``general.architecture`` -> architecture, as llama.cpp loads it (``src/llama-arch.cpp`` and ``src/models/``).
ARCHITECTURES: dict[str, Architecture] = {
    "afmoe": Architecture("AfmoeForCausalLM", 4),
    "apertus": Architecture("ApertusForCausalLM"),
    "arcee": Architecture("ArceeForCausalLM"),
    "baichuan": Architecture("BaichuanForCausalLM"),
    "bailingmoe": Architecture("BailingMoeForCausalLM"),
    "bailingmoe2": Architecture("BailingMoeV2ForCausalLM"),
    "bailingmoe3": Architecture("BailingHybridForCausalLM"),
    "bitnet": Architecture("BitNetForCausalLM"),
    "bloom": Architecture("BloomForCausalLM"),
    "chatglm": Architecture("GlmForCausalLM"),
    "cohere2": Architecture("Cohere2ForCausalLM", 4),
    "command-r": Architecture("CohereForCausalLM"),
    "dbrx": Architecture("DbrxForCausalLM"),
    "deci": Architecture("DeciLMForCausalLM"),
    "deepseek": Architecture("DeepseekForCausalLM"),
    "deepseek2": Architecture("DeepseekV2ForCausalLM"),
    "deepseek2-ocr": Architecture("DeepseekV2ForCausalLM"),
    "deepseek32": Architecture("DeepseekV32ForCausalLM"),
    "deepseek4": Architecture("DeepseekV4ForCausalLM"),
    "dots1": Architecture("Dots1ForCausalLM"),
    "ernie4_5": Architecture("Ernie4_5ForCausalLM"),
    "ernie4_5-moe": Architecture("Ernie4_5_MoeForCausalLM"),
    "exaone": Architecture("ExaoneForCausalLM"),
    "exaone4": Architecture("Exaone4ForCausalLM", 4),
    "exaone-moe": Architecture("ExaoneMoEForCausalLM", 4),
    "falcon": Architecture("FalconForCausalLM"),
    "falcon-h1": Architecture("FalconH1ForCausalLM"),
    "gemma": Architecture("GemmaForCausalLM"),
    "gemma2": Architecture("Gemma2ForCausalLM", 2),
    "gemma3": Architecture("Gemma3ForCausalLM", 6),
    "gemma3n": Architecture("Gemma3nForConditionalGeneration", 5),
    "gemma4": Architecture("Gemma4ForConditionalGeneration", 6),
    "glm4": Architecture("Glm4ForCausalLM"),
    "glm4moe": Architecture("Glm4MoeForCausalLM"),
    "glm-dsa": Architecture("GlmMoeDsaForCausalLM"),
    "glm5next": Architecture("Glm5NextForConditionalGeneration"),
    "gpt2": Architecture("GPT2LMHeadModel"),
    "gptneox": Architecture("GPTNeoXForCausalLM"),
    "gpt-oss": Architecture("GptOssForCausalLM", 2),
    "granite": Architecture("GraniteForCausalLM"),
    "granitehybrid": Architecture("GraniteMoeHybridForCausalLM"),
    "granitemoe": Architecture("GraniteMoeForCausalLM"),
    "hunyuan-dense": Architecture("HunYuanDenseV1ForCausalLM"),
    "hunyuan-moe": Architecture("HunYuanMoEV1ForCausalLM"),
    "hy_v3": Architecture("HYV3ForCausalLM"),
    "hy_v4": Architecture("HYV4ForCausalLM"),
    "internlm2": Architecture("InternLM2ForCausalLM"),
    "jamba": Architecture("JambaForCausalLM"),
    "k2-horizon": Architecture("K2HorizonForCausalLM"),
    "kimi-k3": Architecture("KimiK3ForConditionalGeneration"),
    "kimi-linear": Architecture("KimiLinearForCausalLM"),
    "laguna": Architecture("LagunaForCausalLM"),
    "lfm2": Architecture("Lfm2ForCausalLM"),
    "lfm2moe": Architecture("Lfm2MoeForCausalLM"),
    "llama": Architecture("LlamaForCausalLM"),
    "llama4": Architecture("Llama4ForConditionalGeneration", 4, chunk=8192),
    "mamba": Architecture("MambaForCausalLM"),
    "mamba2": Architecture("Mamba2ForCausalLM"),
    "mimo2": Architecture("MiMoV2FlashForCausalLM"),
    "minicpm": Architecture("MiniCPMForCausalLM"),
    "minicpm3": Architecture("MiniCPM3ForCausalLM"),
    "minimax-m2": Architecture("MiniMaxM2ForCausalLM"),
    "minimax-m3": Architecture("MiniMaxM3ForCausalLM"),
    "mistral3": Architecture("Mistral3ForConditionalGeneration"),
    "mistral4": Architecture("Mistral3ForConditionalGeneration"),
    "mpt": Architecture("MptForCausalLM"),
    "muse-glimmer": Architecture("MuseGlimmerForConditionalGeneration", 4),
    "nemotron": Architecture("NemotronForCausalLM"),
    "nemotron_h": Architecture("NemotronHForCausalLM"),
    "nemotron_h_moe": Architecture("NemotronHForCausalLM"),
    "olmo": Architecture("OlmoForCausalLM"),
    "olmo2": Architecture("Olmo2ForCausalLM", 4),
    "olmoe": Architecture("OlmoeForCausalLM"),
    "orion": Architecture("OrionForCausalLM"),
    "pangu-embedded": Architecture("PanguEmbeddedForCausalLM"),
    "phi2": Architecture("PhiForCausalLM"),
    "phi3": Architecture("Phi3ForCausalLM"),
    "phimoe": Architecture("PhiMoEForCausalLM"),
    "qwen": Architecture("QWenLMHeadModel"),
    "qwen2": Architecture("Qwen2ForCausalLM"),
    "qwen2moe": Architecture("Qwen2MoeForCausalLM"),
    "qwen2vl": Architecture("Qwen2VLForConditionalGeneration"),
    "qwen3": Architecture("Qwen3ForCausalLM"),
    "qwen35": Architecture("Qwen3_5ForConditionalGeneration"),
    "qwen35moe": Architecture("Qwen3_5MoeForConditionalGeneration"),
    "qwen3moe": Architecture("Qwen3MoeForCausalLM"),
    "qwen3next": Architecture("Qwen3NextForCausalLM"),
    "qwen3vl": Architecture("Qwen3VLForConditionalGeneration"),
    "qwen3vlmoe": Architecture("Qwen3VLMoeForConditionalGeneration"),
    "qwen4exp": Architecture("Qwen4ExpForConditionalGeneration"),
    "rwkv6": Architecture("Rwkv6ForCausalLM"),
    "rwkv7": Architecture("RWKV7ForCausalLM"),
    "seed_oss": Architecture("SeedOssForCausalLM"),
    "smollm3": Architecture("SmolLM3ForCausalLM"),
    "spark2_5": Architecture("Spark2_5ForCausalLM", 4),
    "stablelm": Architecture("StableLmForCausalLM"),
    "starcoder": Architecture("GPTBigCodeForCausalLM"),
    "starcoder2": Architecture("Starcoder2ForCausalLM"),
    "step35": Architecture("Step3p5ForCausalLM", 4),
}

#: ``general.file_type`` -> name of the file type (``llama_ftype``).
FILE_TYPES: dict[int, str] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 38: "MXFP4_MOE",
}  # fmt: skip
