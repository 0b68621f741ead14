"""Pairs as people type them: model, accelerator, and what they mean.

A meaning is a slug, with ``+`` and a quantization or ``*`` and a count where the text states one, ``~`` before it when the
answer must say what the text was taken as, or ``?`` when the catalog must ask back.
"""

PAIRS = """
qwen3 32b | 2x 3090 | qwen3-32b | rtx-3090*2
Qwen3-32B | RTX 4090 | qwen3-32b | rtx-4090
qwn3 32b | 4090 | ~qwen3-32b | rtx-4090
unsloth/Qwen3-32B-GGUF | NVIDIA GeForce RTX 4090 | qwen3-32b | rtx-4090
Qwen/Qwen3-32B-AWQ | NVIDIA H100 80GB HBM3 | qwen3-32b+awq-int4 | h100-sxm5-80-gb
mlx-community/Qwen3-32B-4bit | Apple M4 Pro | qwen3-32b+mlx-4bit | ~apple-m4-pro-20c-64gb
qwen3:32b-q4_K_M | 7900 xtx | qwen3-32b+q4-k-m | rx-7900-xtx
llama3.1:70b | 8x h100 | llama-3.1-70b | ~h100-sxm5-80-gb*8
llama 3.1 8b | h100 x8 | llama-3.1-8b | ~h100-sxm5-80-gb*8
Llama-3.3-70B-Instruct | dual 3090 | llama-3.3-70b | rtx-3090*2
llama3 | rtx 3060 12gb | ? | rtx-3060-12-gb
smollm | steam deck | ? | ~steam-deck-lcd
llama3 | apple silicon | ? | ?
coder qwen3 | mac studio | ? | ?
Qwen3-Coder-30B-A3B-Instruct-Q4_K_M.gguf | macbook pro m3 max | qwen3-coder-30b-a3b+q4-k-m | ~apple-m3-max-40c-128gb
Qwen2.5-7B-Instruct-Q8_0.gguf | RTX 3060 | qwen2.5-7b+q8-0 | ~rtx-3060-12-gb
gpt-oss | mac mini m4 | ? | ~apple-m4-10c-32gb
gpt oss 20b | Mac mini M4 16 GB | gpt-oss-20b | ~apple-m4-10c-16gb
gptoss120b | strix halo 128 | gpt-oss-120b | ~strix-halo-8060s-128gb
openai/gpt-oss-120b | Strix Halo | gpt-oss-120b | ~strix-halo-8060s-128gb
gemma 3 27b | Arc B60 | gemma-3-27b | ~arc-pro-b60-24-gb
gemma-3-27b-it-qat-q4_0.gguf | arc b580 | gemma-3-27b+q4-0 | arc-b580-12-gb
gemma3:4b-it-q8_0 | radeon 780m | gemma-3-4b+q8-0 | radeon-780m
gemma 4 3b | RTX PRO 6000 WS | ? | ~rtx-pro-6000-blackwell-workstation-edition
gemma 4 | RTX 6000 Pro | ? | ~rtx-pro-6000-blackwell-workstation-edition
gemma 2 9b | RTX Titan | gemma-2-9b | titan-rtx
mistral 7b | R9700 PRO | ~mistral-7b-v0.3 | ~radeon-ai-pro-r9700
mistral | AMD Radeon RX 7900 XTX (RADV NAVI31) | ? | rx-7900-xtx
mixtral 8x7b | AMD Radeon Graphics (RADV GFX1151) | mixtral-8x7b | ?
mistral small 3.2 | m4 max | mistral-small-3.2-24b | ~apple-m4-max-40c-128gb
devstral | v100 32gb | ? | ~tesla-v100-sxm2-32-gb
codestral | Tesla V100-SXM2-32GB | codestral-22b | tesla-v100-sxm2-32-gb
deepseek r1 | 8xH200 | deepseek-r1 | ~h200-sxm-141-gb*8
deepseek r1 distill 32b | a6000 | ~deepseek-r1-distill-qwen-32b | rtx-a6000
R1 Distill Llama 70B | 2 x A6000 | deepseek-r1-distill-llama-70b | rtx-a6000*2
deepseek v3 | 8x B200 | deepseek-v3 | b200*8
DeepSeek-V3-0324 | H200 SXM | deepseek-v3-0324 | h200-sxm-141-gb
deepseek coder v2 lite | gtx 1080ti | deepseek-coder-v2-lite | gtx-1080-ti
kimi k2.5 | M3 Ultra 512GB | kimi-k2.5 | apple-m3-ultra-80c-512gb
kimi linear 48b | V100 32GB | kimi-linear-48b-a3b | ~tesla-v100-sxm2-32-gb
glm 4.5 air | 4x 3090 | glm-4.5-air | rtx-3090*4
glm4.6 | m2 ultra 192 | glm-4.6 | ~apple-m2-ultra-76c-192gb
phi4 | rtx4060ti 16gb | phi-4 | rtx-4060-ti-16-gb
phi-4-mini | 4060 ti | ~phi-4-mini-instruct | ~rtx-4060-ti-16-gb
microsoft/phi-4-gguf | RTX 4060 Ti 8GB | phi-4 | rtx-4060-ti-8-gb
phi3 | NVIDIA GeForce RTX 4070 Laptop GPU | ? | rtx-4070-laptop
qwen3 coder | 4090 laptop | ? | rtx-4090-laptop
qwen 2.5 coder 32b | 4090 mobile | qwen2.5-coder-32b | rtx-4090-laptop
qwen coder 32b | NVIDIA A100-SXM4-80GB | ~qwen2.5-coder-32b | a100-sxm4-80-gb
qwen2.5 72b | 4 x A100 | qwen2.5-72b | ~a100-sxm4-80-gb*4
qwq 32b | a100 pcie 40gb | qwq-32b | a100-pcie-40-gb
qwen3 30b | p40 | ~qwen3-30b-a3b | tesla-p40
qwen3 30b a3b 2507 | tesla p40 x2 | ~qwen3-30b-a3b-instruct-2507 | tesla-p40*2
qwen3 4b thinking | NVIDIA Jetson Orin Nano 8GB | ~qwen3-4b-thinking-2507 | jetson-orin-nano-8-gb
qwen3-next | NVIDIA GB10 | ~qwen3-next-80b-a3b-instruct | dgx-spark
qwen3-vl-8b | dgx spark | qwen3-vl-8b | dgx-spark
qwen3.5 9b | M1 16GB | qwen3.5-9b | ~apple-m1-8c-16gb
qwen3 5 9b | Apple M2 Max | ~qwen3.5-9b | ~apple-m2-max-38c-96gb
qwen3 | L4 | ? | l4
qwen | l40s | ? | l40s
llama 4 scout | 2x rtx pro 6000 | llama-4-scout | ~rtx-pro-6000-blackwell-workstation-edition*2
maverick | RTX PRO 6000 Blackwell Max-Q | ~llama-4-maverick | rtx-pro-6000-blackwell-max-q
llama 405b | mi300x | ~llama-3.1-405b | instinct-mi300x-192-gb
Meta-Llama-3.1-8B-Instruct | AMD Instinct MI300X OAM | llama-3.1-8b | instinct-mi300x-192-gb
llama-3-1-8b | mi300 | ~llama-3.1-8b | ?
lama 3.2 3b | mi50 32gb | ~llama-3.2-3b | instinct-mi50-32-gb
llama 3.3 8b | mi50 | ? | ~instinct-mi50-32-gb
llama3.1:70b-instruct-q4_K_M | Quadro RTX 6000 | llama-3.1-70b+q4-k-m | quadro-rtx-6000
TheBloke/Llama-2-70B-Chat-GPTQ | rtx 6000 | llama-2-70b+gptq-int4 | ?
nvidia/Llama-3.3-70B-Instruct-FP8 | rtx 6000 ada | llama-3.3-70b+fp8 | rtx-6000-ada-generation
code llama 34b | 7900 | codellama-34b | ?
tiny llama | t4 | tinyllama-1.1b | tesla-t4
tinylama | t4 x4 | ~tinyllama-1.1b | tesla-t4*4
olmo 3 7b | b580 | ~olmo-3-7b-instruct | arc-b580-12-gb
granite 4 h small | a770 | granite-4.0-h-small | ~arc-a770-16-gb
nemotron nano 9b | Intel(R) Arc(TM) A770 Graphics | nemotron-nano-9b-v2 | ~arc-a770-16-gb
command r+ | w7900 | command-r-plus-08-2024 | ~radeon-pro-w7900
command-r | rxt 4090 | ~command-r-v01 | ~rtx-4090
yi 34b | 3090 24gb | yi-34b | rtx-3090
solar | 3090 48gb | ? | ?
dbrx | 4090 48gb | dbrx-132b | rtx-4090-48-gb-modded
smollm2 1.7b | rtx 4091 | smollm2-1.7b | ?
SmolLM3 | 4090 super | ~smollm3-3b | ?
hunyuan a13b | rx 570 | hunyuan-a13b | ~rx-570-8-gb
hunyuan a13b | gaudi 3 | hunyuan-a13b | gaudi-3-128-gb
Qwen3-32B-merged-twice | trainium2 | ? | trainium2
huihui-ai/Qwen3-32B-abliterated | framework desktop | ~qwen3-32b | ?
Hermes-3-Llama-3.1-8B-Q4_K_M.gguf | GMKtec EVO-X2 128GB | ~llama-3.1-8b+q4-k-m | ~strix-halo-8060s-128gb
someone/Qwen3-32B-merged-GGUF | tpu v5e | ? | tpu-v5e
unsloth/Qwen3-14B-bnb-4bit | snapdragon x elite | qwen3-14b+bnb-nf4 | snapdragon-x-elite
gpt 4 | 24gb | ? | ?
claude | geforce rtx | ? | ?
32b | cpu | ? | ?
hf.co/unsloth/Qwen3-32B-GGUF:Q4_K_M | epyc | qwen3-32b+q4-k-m | ?
bartowski/Qwen_Qwen3-32B-GGUF | 5090 d | qwen3-32b | rtx-5090-d
Qwen3-32B.i1-Q4_K_M.gguf | rtx 5090 32gb | qwen3-32b+q4-k-m | rtx-5090
ollama run qwen3:8b | two 3090s | qwen3-8b | rtx-3090*2
https://huggingface.co/Qwen/Qwen3-8B | 2 3090s | qwen3-8b | rtx-3090*2
Qwen3-8B-MLX-4bit | m3 max 40 core 128gb | qwen3-8b+mlx-4bit | apple-m3-max-40c-128gb
Qwen3 8B Q4_K_M | (2x) 4090 | qwen3-8b+q4-k-m | rtx-4090*2
minimax m2 | 4x h100 nvl | minimax-m2 | h100-nvl-94-gb*4
ernie 300b | 100 | ~ernie-4.5-300b-a47b | ?
deepseek | titan | ? | ?
magistral | gtx 1070 laptop | ~magistral-small-24b | gtx-1070-laptop
falcon h1 34b | 1080 | falcon-h1-34b | gtx-1080
qwen3.6 27b | gtx 4090 | qwen3.6-27b | ?
qwen3.6 35b | AMD Ryzen AI 9 HX 370 w/ Radeon 890M | qwen3.6-35b-a3b | radeon-890m
gemma 3n e4b | Ryzen 7 7840HS | gemma-3n-e4b | radeon-780m
phi-4 | ryzen 7 7800x3d | phi-4 | ~cpu-ddr5-5200-2ch
phi-4 | i9-14900k | phi-4 | ?
phi-4 | RTX PRO 4500 WS | phi-4 | rtx-pro-4500-blackwell
kimi k3 | 8x M5 Ultra | kimi-k3 | ~apple-m5-ultra-80c-512gb*8
QWEN3_32B | rtx-4090 | qwen3-32b | rtx-4090
"""
