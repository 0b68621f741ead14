"""Pairs as people type them: model, accelerator, and what they mean.

A meaning is a slug, with ``+`` and a quantization or ``*`` and a count where the text states one, ``~`` before it when the
answer must say what the text was taken as, or ``?`` when the catalog must ask back, or ``!`` when it says why
the name is not estimated.
"""

PAIRS = """
gpt-oss-20b (high) | Ryzen AI Max+ 395 128 | ~gpt-oss-20b | ~strix-halo-8060s-128gb
microsoft/codebert-base | Tesla T4, 15360 MiB, 550.54.15 | ! | tesla-t4
microsoft/wavlm-large | Threadripper 7970X 128GB, no GPU | ! | ~cpu-tr-ddr5-5200-4ch
tinyllama | Pi 4 Model B 4GB | tinyllama-1.1b | ~raspberry-pi-4
qwen3 32b | MacBook Pro M3 Max 14-core CPU 30-core GPU 36GB | qwen3-32b | apple-m3-max-30c-36gb
Mistral Medium 3.5 | 2x RTX 2080 Tis | mistral-medium-3.5-128b | rtx-2080-ti*2
Mistral Medium 3.1 on ollama | used RTX PRO 6000 Server | ! | rtx-pro-6000-blackwell-server-edition
llama 3.3 | HP Omen 16 (RTX 4070, 32GB RAM) | ~llama-3.3-70b | ~rtx-4070-laptop
l3.3 70b | Radeon RX7900XTX Merc 310 | llama-3.3-70b | ~rx-7900-xtx
wizard 8x22b | Instinct MI50/MI60 | ~mixtral-8x22b | ?
r1-1776:70b | rtx 4090x | ~deepseek-r1-distill-llama-70b | ~rtx-4090
Grok 2 | 2x Mac15,14 512GB | grok-2 | ~apple-m3-ultra-80c-512gb*2
gpt-oss 120b high | Mac15,9 | ~gpt-oss-120b | ~apple-m3-max-40c-128gb
C:\\models\\gemma-3-27b-it-Q4_K_M.gguf | NVIDIA GeForce RTX 3090, 24576 MiB | gemma-3-27b+q4-k-m | rtx-3090
models--Qwen--Qwen3-8B | GTX 1060, 3072 MiB | qwen3-8b | gtx-1060-3-gb
unsloth/Qwen3-235B-A22B-Instruct-2507-GGUF/UD-Q3_K_XL | A100-SXM4-40GB MIG 2g.10gb | qwen3-235b-a22b-instruct-2507+ud-q3-k-xl | !
Llama 3.3 70b Q4_K_M 40gb | NVIDIA A10-24Q | ~llama-3.3-70b+q4-k-m | !
general.name = Qwen3 8B | m3 max 16/40 128gb | qwen3-8b | apple-m3-max-40c-128gb
devstral | Apple M2 Ultra 24-Core CPU 60-Core GPU 192GB | ? | apple-m2-ultra-60c-192gb
deepseek r1 8b | Surface Laptop 7 X Elite | ? | ~snapdragon-x-elite
codestral | 01:00.0 VGA compatible controller: NVIDIA Corporation AD102 [GeForce RTX 4090] (rev a1) | codestral-22b | rtx-4090
deepseek-r1:32b | Chipset Model: Apple M2 Pro | deepseek-r1-distill-qwen-32b | ~apple-m2-pro-19c-32gb
deepseek-ai/DeepSeek-R1-Distill-Qwen-14B | 3060 12 go | deepseek-r1-distill-qwen-14b | rtx-3060-12-gb
Qwen3‑32B | RTX™ 4090 | qwen3-32b | rtx-4090
EXAONE 4.0 32B | 5090 FE | exaone-4.0-32b | rtx-5090
30B A3B Qwen3 | 3090, 2x | ~qwen3-30b-a3b | rtx-3090*2
qwen3,5 35b | rtx 4090, 24 Go | ~qwen3.5-35b-a3b | rtx-4090
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
llama-3-1-8b | mi300 | ~llama-3.1-8b | ~instinct-mi300x-192-gb
lama 3.2 3b | mi50 32gb | ~llama-3.2-3b | instinct-mi50-32-gb
llama 3.3 8b | mi50 | ~llama-3.1-8b | ~instinct-mi50-32-gb
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
solar | 3090 48gb | ~solar-10.7b | ?
dbrx | 4090 48gb | dbrx-132b | ~rtx-4090-48-gb-modded
smollm2 1.7b | rtx 4091 | smollm2-1.7b | ?
SmolLM3 | 4090 super | ~smollm3-3b | ?
hunyuan a13b | rx 570 | hunyuan-a13b | ~rx-570-8-gb
hunyuan a13b | gaudi 3 | hunyuan-a13b | gaudi-3-128-gb
Qwen3-32B-merged-twice | trainium2 | ?qwen3-32b | trainium2
huihui-ai/Qwen3-32B-abliterated | framework desktop | ~qwen3-32b | ?
Hermes-3-Llama-3.1-8B-Q4_K_M.gguf | GMKtec EVO-X2 128GB | ~llama-3.1-8b+q4-k-m | ~strix-halo-8060s-128gb
someone/Qwen3-32B-merged-GGUF | tpu v5e | ?qwen3-32b | tpu-v5e
unsloth/Qwen3-14B-bnb-4bit | snapdragon x elite | qwen3-14b+bnb-nf4 | snapdragon-x-elite
gpt 4 | 24gb | ! | ?
claude | geforce rtx | ! | ?
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
phi-4 | i9-14900k | phi-4 | ~cpu-ddr5-5600-2ch
phi-4 | RTX PRO 4500 WS | phi-4 | rtx-pro-4500-blackwell
kimi k3 | 8x M5 Ultra | kimi-k3 | ~apple-m5-ultra-80c-512gb*8
QWEN3_32B | rtx-4090 | qwen3-32b | rtx-4090
DeepSeek-R1-UD-IQ1_S-00001-of-00003.gguf | Trainium1 | deepseek-r1+ud-iq1-s | trainium1
r1 32b | P102-100 | ~deepseek-r1-distill-qwen-32b | ~p102-100-10-gb
seed oss | Arc 140T | seed-oss-36b | arc-140t
codellama:34b | Arc B390 | codellama-34b | arc-b390
gema3 12b | MI308X | ~gemma-3-12b | instinct-mi308x-192-gb
mistral small 24b | TX2 | ~mistral-small-3-24b | ~jetson-tx2-8-gb
Qwen3-235B-A22B-Instruct-2507-IQ4_KSS.gguf | gfx942 | qwen3-235b-a22b-instruct-2507+iq4-kss | ?
phi 3.5 mini | Ryzen AI Max+ 495 | phi-3.5-mini | gorgon-halo-8065s-192gb
gemma4:26b | Threadripper 7970X | gemma-4-26b-a4b | ~cpu-tr-ddr5-5200-4ch
gpt-oss:120b | Tesla P40 | gpt-oss-120b | tesla-p40
mistral-small3.2 | macbook pro m3 max 36gb | mistral-small-3.2-24b | apple-m3-max-30c-36gb
lama4 maverick | Radeon 8060S | ~llama-4-maverick | ~strix-halo-8060s-128gb
exaone-deep | Asus Ascent GX10 | ~exaone-deep-32b | ~dgx-spark
tinyllama | RTX 3050 Ti Laptop | tinyllama-1.1b | rtx-3050-ti-laptop
inkling | TPU v6e | inkling | tpu-v6e
deepseek v4.1 flash | HP ZBook Ultra G1a | deepseek-v4.1-flash | ~strix-halo-8060s-128gb
llama3.3:70b | Legion Go | llama-3.3-70b | ~radeon-780m
dolphin mistral 24b venice | Ryzen AI 9 HX 370 | ~mistral-small-3.1-24b | radeon-890m
unsloth/gpt-oss-20b-GGUF:F16 | Radeon 780M | gpt-oss-20b+f16 | radeon-780m
minimax m2.5 | Jetson Thor | minimax-m2.5 | ~jetson-thor-t5000
deepseek-r1:8b | GTX 1060 3GB | ? | gtx-1060-3-gb
TheBloke/deepseek-coder-33B-instruct-GPTQ | Snapdragon X2 Elite | deepseek-coder-33b+gptq-int4 | snapdragon-x2-elite
llama3.1:8b-instruct-q5_K_M | Apple M5 Ultra | llama-3.1-8b+q5-k-m | ~apple-m5-ultra-80c-512gb
hermes3:8b | Orange Pi 5 | ~llama-3.1-8b | rk3588
mlx-community/gpt-oss-120b-MXFP4-Q8 | NVIDIA A100-PCIE-40GB | gpt-oss-120b+mlx-mxfp4 | a100-pcie-40-gb
mistral:7b | RK3588 | ~mistral-7b-v0.3 | rk3588
lama 3.1 8b | Ryzen AI Max+ 395 | ~llama-3.1-8b | ~strix-halo-8060s-128gb
L3.3-70B-Euryale-v2.3 | NVIDIA RTX 6000 Ada Generation | ~llama-3.3-70b | rtx-6000-ada-generation
RedHatAI/Llama-3.3-70B-Instruct-quantized.w8a8 | NVIDIA GeForce RTX 4060 Laptop GPU | llama-3.3-70b+int8-w8a8 | rtx-4060-laptop
qwen 3.8 27b | Iris Xe | qwen3.8-27b | iris-xe-96eu
kimi-k2:1t | Jetson AGX Orin 64GB | ~kimi-k2-instruct | jetson-agx-orin-64-gb
qwen3 next 80b | Snapdragon X2 Elite Extreme | ~qwen3-next-80b-a3b-instruct | snapdragon-x2-elite-extreme
qwen/qwen3-coder-30b | AGX Xavier 64GB | qwen3-coder-30b-a3b | ~jetson-agx-xavier-64-gb
gemma 3 27b qat | Core Ultra 9 285K | gemma-3-27b | ~cpu-ddr5-6400-2ch
phi 4 | Xeon w9-3495X | phi-4 | ~cpu-ddr5-4800-8ch
ministral 8b | Mac Studio M3 Ultra | ~ministral-8b-2410 | ~apple-m3-ultra-80c-512gb
WizardLM-2-8x22B | Framework Desktop 128GB | ~mixtral-8x22b | ~strix-halo-8060s-128gb
gemma3:27b-it-qat | TPU v5e | gemma-3-27b | tpu-v5e
gpt-oss 20b mxfp4 | TPU v7 | gpt-oss-20b+mxfp4 | ~tpu-v7x
qwen next | MacBook Pro 16 M4 Max 128GB | ? | apple-m4-max-40c-128gb
nvidia/Llama-3.1-8B-Instruct-FP8 | UHD 770 | llama-3.1-8b+fp8 | uhd-770
mixtral-8x7b-instruct-v0.1.Q5_0.gguf | Ryzen AI Max 390 | mixtral-8x7b+q5-0 | ~strix-halo-8050s-64gb
Qwen/Qwen3-235B-A22B-GPTQ-Int4 | L40S | qwen3-235b-a22b+gptq-int4 | l40s
gemma3n:e4b | RTX Spark N1X | gemma-3n-e4b | ~rtx-spark-n1x-128gb
google/gemma-3-12b | m1 max 64gb | gemma-3-12b | ~apple-m1-max-32c-64gb
phi4-reasoning | BC-250 | phi-4-reasoning | bc-250-16-gb
llama3.1 70b | Inferentia2 | llama-3.1-70b | inferentia2
phi4-mini | M5 Ultra 80-core | ~phi-4-mini-instruct | ~apple-m5-ultra-80c-512gb
lmstudio-community/Qwen3-8B-MLX-4bit | MI325X | qwen3-8b+mlx-4bit | instinct-mi325x-256-gb
qwen2.5:7b | RTX 1000 Ada laptop | qwen2.5-7b | rtx-1000-ada-laptop
NousResearch/Hermes-4-14B | Raspberry Pi 4 | ~qwen3-14b | raspberry-pi-4
mistral-nemo | NVIDIA GB200 | ~mistral-nemo-12b | gb200
TheBloke/Llama-2-13B-chat-AWQ | Mac Studio M3 Ultra 512GB | llama-2-13b+awq-int4 | apple-m3-ultra-80c-512gb
gemma3:12b | Radeon 890M | gemma-3-12b | radeon-890m
scout | GTX 1650 Laptop | ~llama-4-scout | gtx-1650-laptop
lfm2 8b a1b | DGX Station | lfm2-8b-a1b | ~gb300-desktop
mlx-community/Qwen3-30B-A3B-4bit-DWQ | Apple M1 Pro | qwen3-30b-a3b+mlx-4bit-dwq | ~apple-m1-pro-16c-32gb
deepseek v3 0324 | Tesla V100-SXM2-16GB | deepseek-v3-0324 | tesla-v100-sxm2-16-gb
nvidia/DeepSeek-R1-0528-NVFP4 | DGX B200 | deepseek-r1-0528+nvfp4 | ~b200*8
gemma4 26b a4b | Quadro M6000 24GB | gemma-4-26b-a4b | quadro-m6000-24-gb
gpt-oss-120b-mxfp4-00001-of-00003.gguf | Radeon 680M | gpt-oss-120b+mxfp4 | radeon-680m
deepseek-v3.1:671b | 4090D | deepseek-v3.1 | rtx-4090-d
ggml-org/gpt-oss-120b-GGUF | GMKtec EVO-X2 | gpt-oss-120b | ~strix-halo-8060s-128gb
starcoder2:15b | inf2.xlarge | starcoder2-15b | ~inferentia2
olmo2:13b | RTX PRO 4500 Blackwell Server | olmo-2-13b | rtx-pro-4500-blackwell-server-edition
muse glimmer | NVIDIA RTX A2000 8GB Laptop GPU | ~muse-glimmer-30b | rtx-a2000-laptop-8-gb
unsloth/DeepSeek-R1-0528-GGUF | Jetson Orin Nano 4GB | deepseek-r1-0528 | jetson-orin-nano-4-gb
josiefied qwen3 8b | Raspberry Pi 5 | ~qwen3-8b | raspberry-pi-5
mlx-community/Llama-3.3-70B-Instruct-4bit | RTX 2050 | llama-3.3-70b+mlx-4bit | rtx-2050-laptop
ollama run qwen3:14b | p5.48xlarge | qwen3-14b | ~h100-sxm5-80-gb*8
mimo v2.5 pro | RX 580 | mimo-v2.5-pro | rx-580-8-gb
command-a | Jetson Nano | command-a-03-2025 | jetson-nano
openchat | EPYC 9654 | ? | ~cpu-epyc-ddr5-4800-12ch
qwq | Snapdragon X Elite | ~qwq-32b | snapdragon-x-elite
mistral-small:24b | M60 | ~mistral-small-3-24b | tesla-m60
glm4.5 air | Arc 140V | glm-4.5-air | arc-140v
meta-llama/Llama-3.1-405B-Instruct-FP8 | Tesla K80 | llama-3.1-405b+fp8 | tesla-k80
llama3.2:3b | Mac mini M4 | llama-3.2-3b | ~apple-m4-10c-32gb
exaone3.5:7.8b | Beelink GTR9 Pro | exaone-3.5-7.8b | ~strix-halo-8060s-128gb
nemotron 3 nano | GTX 1050 | ~nemotron-3-nano-30b-a3b | gtx-1050
qwen3 vl 8b | gfx90a | qwen3-vl-8b | ?
nemotron-nano | HGX B200 | ? | ~b200*8
gpt-oss120b | Ryzen 7 8700G | gpt-oss-120b | radeon-780m
deepseek v4 flash | Gaudi 3 | deepseek-v4-flash | gaudi-3-128-gb
unsloth/Qwen3-30B-A3B-Instruct-2507-GGUF | DDR5-5600 CPU | qwen3-30b-a3b-instruct-2507 | ~cpu-ddr5-5600-2ch
glm 4.6 | Framework Desktop | glm-4.6 | ?
glm4:9b | mac mini m4 pro 64gb | glm-4-9b | ~apple-m4-pro-20c-64gb
qwen coder 30b | gfx1100 | ~qwen3-coder-30b-a3b | ?
xing 4 | AMD Radeon Graphics (RADV RAPHAEL_MENDOCINO) | ~xing4.0-29b-a4b | ~radeon-610m
Midnight-Miqu-70B-v1.5 | Arc Pro B70 | ~llama-2-70b | arc-pro-b70-32-gb
hy4 | RTX 3080 20GB | hy4-preview | rtx-3080-20-gb-modded
deepseek-r1:32b | A18 Pro | deepseek-r1-distill-qwen-32b | apple-a18-pro-5c-8gb
mistral small | GTX 970 | ? | gtx-970
llama3.2-vision:11b | Steam Deck | llama-3.2-11b-vision | ~steam-deck-lcd
qwen3 30b moe | ROG Ally X | ~qwen3-30b-a3b | ~radeon-780m
deepseek-r1:671b | RTX 3000 Ada | ~deepseek-r1 | rtx-3000-ada-laptop
apertus 70b | Trainium2 | apertus-70b | trainium2
Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf | NVIDIA TITAN V | llama-3.1-8b+q4-k-m | titan-v
qwen/qwen3-30b-a3b-2507 | RX 5500 XT | ~qwen3-30b-a3b-instruct-2507 | ~rx-5500-xt-8-gb
qewn3 8b | Apple M6 | ~qwen3-8b | ~apple-m6-12c-32gb
yi:34b | Quadro RTX 8000 | yi-1.5-34b | quadro-rtx-8000
granite4:tiny-h | Radeon 8060S Graphics (RADV STRIX_HALO) | granite-4.0-h-tiny | ~strix-halo-8060s-128gb
ernie 4.5 21b | Arc A310 | ernie-4.5-21b-a3b | arc-a310-4-gb
command-r-plus | M2 Ultra 192 | command-r-plus-08-2024 | ~apple-m2-ultra-76c-192gb
gemma-3-27b-it-q4_0.gguf | NVIDIA GH200 480GB | gemma-3-27b+q4-0 | gh200-96-gb
qwen3 30b a3b q4_k_m | 3090 ti x2 | qwen3-30b-a3b+q4-k-m | rtx-3090-ti*2
qwen3:30b-a3b-instruct-2507-q4_K_M | m3 ultra 512 | qwen3-30b-a3b-instruct-2507+q4-k-m | ~apple-m3-ultra-80c-512gb
qwen3-coder:480b | 4x mi50 32gb | qwen3-coder-480b-a35b | instinct-mi50-32-gb*4
Qwen3-Coder-Next-UD-Q4_K_XL.gguf | strix halo 128gb | qwen3-coder-next+ud-q4-k-xl | strix-halo-8060s-128gb
qwen 3.6 27b nvfp4 | 5090 | qwen3.6-27b+nvfp4 | rtx-5090
qwen3.6 35b a3b awq | 2x 4090 | qwen3.6-35b-a3b+awq-int4 | rtx-4090*2
qwen3 8b iq4_xs | 3060 12gb laptop | qwen3-8b+iq4-xs | ?
unsloth/Qwen3.6-35B-A3B-GGUF:UD-Q4_K_XL | 5060ti 16gb | qwen3.6-35b-a3b+ud-q4-k-xl | rtx-5060-ti-16-gb
qwen3.5 122b | 4x rtx 3090 24gb | qwen3.5-122b-a10b | rtx-3090*4
qwen2.5-coder:32b-instruct-q8_0 | macbook m4 max 128gb | qwen2.5-coder-32b+q8-0 | apple-m4-max-40c-128gb
Qwen2.5 Coder 14B Instruct | rx 7900xtx 24gb | qwen2.5-coder-14b | rx-7900-xtx
qwen2.5vl:7b | rtx 4060 8gb | qwen2.5-vl-7b | rtx-4060
qwen3-vl:30b | 9070xt | ~qwen3-vl-30b-a3b | rx-9070-xt
qwen3-0.6b | raspberry pi 5 8gb | qwen3-0.6b | ~raspberry-pi-5
qwen3 235b thinking | epyc 9355 768gb | ~qwen3-235b-a22b-thinking-2507 | ~cpu-epyc-ddr5-6000-12ch
qwen3 next 80b thinking | 2x mi50 32gb | ~qwen3-next-80b-a3b-thinking | instinct-mi50-32-gb*2
Qwen_Qwen3-14B-Q5_K_M.gguf | rtx 5070 ti | qwen3-14b+q5-k-m | rtx-5070-ti
qwen3 14b q6k | 7800 xt | qwen3-14b+q6-k | rx-7800-xt
qwen3 32b exl3 4.0bpw | dual 3090 | qwen3-32b+exl3-4bpw | rtx-3090*2
Qwen/Qwen3-235B-A22B-Instruct-2507-FP8 | 8xh100 | qwen3-235b-a22b-instruct-2507+fp8 | ~h100-sxm5-80-gb*8
nvidia/Qwen3-235B-A22B-NVFP4 | 4x b200 | qwen3-235b-a22b+nvfp4 | b200*4
deepseek r1 0528 | 8x mi300x | deepseek-r1-0528 | instinct-mi300x-192-gb*8
deepseek-r1:1.5b | orange pi 5 | deepseek-r1-distill-qwen-1.5b | rk3588
deepseek-r1:14b | m1 pro 32gb | deepseek-r1-distill-qwen-14b | ~apple-m1-pro-16c-32gb
deepseek-r1:70b | m2 ultra 192gb | deepseek-r1-distill-llama-70b | ~apple-m2-ultra-76c-192gb
deepseek v3.1 terminus | h200 x8 | deepseek-v3.1-terminus | ~h200-sxm-141-gb*8
deepseek v3.2 fp8 | hgx h200 | deepseek-v3.2+fp8 | ~h200-sxm-141-gb*8
deepseek v4 flash nvfp4 | dgx spark | deepseek-v4-flash+nvfp4 | dgx-spark
deepseek coder 6.7b | gtx 1660 super | deepseek-coder-6.7b | gtx-1660-super
DeepSeek-R1-Distill-Llama-8B-Q4_K_M.gguf | rx 6700xt | deepseek-r1-distill-llama-8b+q4-k-m | rx-6700-xt
deepseek-coder-v2:16b | arc a770 16gb | deepseek-coder-v2-lite | arc-a770-16-gb
deepseek ocr | t4 | ! | tesla-t4
gpt-oss-20b-mxfp4.gguf | 16gb macbook air m4 | gpt-oss-20b+mxfp4 | ~apple-m4-10c-16gb
gpt oss 120 | ryzen ai max+ 395 | ~gpt-oss-120b | ~strix-halo-8060s-128gb
openai gpt-oss 120b mxfp4 | rtx pro 6000 blackwell workstation | gpt-oss-120b+mxfp4 | rtx-pro-6000-blackwell-workstation-edition
gpt-oss 120b | 3x3090 | gpt-oss-120b | rtx-3090*3
gptoss-20b | rtx 5060 ti 16g | gpt-oss-20b | rtx-5060-ti-16-gb
ggml-org/gpt-oss-20b-GGUF | arc b580 | gpt-oss-20b | arc-b580-12-gb
gemma 3 27b it qat q4_0 | 7900xt 20gb | gemma-3-27b+q4-0 | rx-7900-xt
gemma3:27b-it-qat | 4080 super | gemma-3-27b | rtx-4080-super
gemma-3-12b-it-Q4_K_M.gguf | 3080 10gb | gemma-3-12b+q4-k-m | rtx-3080
gemma 3n e2b | snapdragon 8 elite | gemma-3n-e2b | !
gemma4:31b | radeon pro w7900 | gemma-4-31b | radeon-pro-w7900
gemma 4 26b a4b | 9060xt | gemma-4-26b-a4b | ~rx-9060-xt-16-gb
google/gemma-2-27b-it | a100 40gb | gemma-2-27b | ~a100-sxm4-40-gb
medgemma 27b | l40s x2 | ~gemma-3-27b | l40s*2
embeddinggemma | cpu | ! | ?
llama 3.3 70b iq2_xs | 4090 | llama-3.3-70b+iq2-xs | rtx-4090
llama3.3:70b-instruct-q4_K_M | 2xp40 | llama-3.3-70b+q4-k-m | tesla-p40*2
Llama-3.3-70B-Instruct-Q4_K_M-00001-of-00002.gguf | m4 max 64gb | llama-3.3-70b+q4-k-m | apple-m4-max-40c-64gb
llama 3.1 405b fp8 | mi355x x8 | llama-3.1-405b+fp8 | instinct-mi355x-288-gb*8
llama3.1 8b fp16 | rtx 6000 ada | llama-3.1-8b+f16 | rtx-6000-ada-generation
llama 3.2 11b vision | rtx a6000 48gb | llama-3.2-11b-vision | rtx-a6000
llama3.2:1b | jetson orin nano super | llama-3.2-1b | jetson-orin-nano-super-8-gb
llama 4 maverick | m3 ultra 512gb | llama-4-maverick | apple-m3-ultra-80c-512gb
llama-2-13b-chat.Q5_K_M.gguf | 2080ti 22gb | llama-2-13b+q5-k-m | rtx-2080-ti-22-gb-modded
meta-llama/Llama-3.1-8B-Instruct | l4 x2 | llama-3.1-8b | l4*2
hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4 | 2x a6000 | llama-3.1-70b+awq-int4 | rtx-a6000*2
llama3-70b | quad 3090 | llama-3-70b | rtx-3090*4
lama 3 8b instruct | 1080ti | ~llama-3-8b | gtx-1080-ti
nemotron super 49b v1.5 | 5090 + 4090 | ~llama-3.3-nemotron-super-49b-v1.5 | ?
nvidia/Llama-3_3-Nemotron-Super-49B-v1_5 | 2x 5090 | llama-3.3-nemotron-super-49b-v1.5 | rtx-5090*2
nemotron 3 nano 30b | 7900 gre | nemotron-3-nano-30b-a3b | rx-7900-gre
nemotron 3 super 120b | gb10 | nemotron-3-super-120b-a12b | dgx-spark
mistral small 3.2 24b q6_k | rtx 4090 laptop | mistral-small-3.2-24b+q6-k | rtx-4090-laptop
mistral-small:22b | 4070 ti super | mistral-small-22b-2409 | rtx-4070-ti-super
Mistral-Small-3.2-24B-Instruct-2506-Q4_K_M.gguf | 3090ti | mistral-small-3.2-24b+q4-k-m | rtx-3090-ti
mistral large 2411 | 4x a100 80gb | mistral-large-2411 | ~a100-sxm4-80-gb*4
mistral large 3 | gb300 x8 | mistral-large-3-675b | gb300*8
mistral nemo | 5070 | ~mistral-nemo-12b | rtx-5070
magistral-small-2509 | rtx 5000 ada | magistral-small-24b | rtx-5000-ada-generation
devstral small 2507 | mac mini m4 pro 64gb | ~devstral-small-2505 | ~apple-m4-pro-20c-64gb
devstral small 2 24b | 5080 laptop | devstral-small-2-24b | rtx-5080-laptop
mistralai/Devstral-Small-2507 | rtx 4500 ada | ~devstral-small-2505 | rtx-4500-ada-generation
ministral 3 14b | 3070ti laptop | ministral-3-14b | rtx-3070-ti-laptop
mixtral 8x7b q4 | v100 16gb | ~mixtral-8x7b+q4-k-m | ~tesla-v100-sxm2-16-gb
pixtral 12b | rtx 4070 super | ~mistral-nemo-12b | rtx-4070-super
codestral 22b v0.1 | tesla p100 | codestral-22b | ~tesla-p100-pcie-16-gb
voxtral mini | 3060ti | voxtral-mini-3b | rtx-3060-ti
phi 4 14b | 4060 laptop 8gb | phi-4 | rtx-4060-laptop
phi-4-mini-instruct | iphone 16 pro | phi-4-mini-instruct | !
phi4-reasoning:plus | rtx 2060 12gb | phi-4-reasoning-plus | rtx-2060-12-gb
phi 3.5 moe | 5090m | phi-3.5-moe | rtx-5090-laptop
microsoft/Phi-3.5-mini-instruct | intel arc 140v | phi-3.5-mini | arc-140v
glm 4.6 ud q2_k_xl | 256gb mac studio m3 ultra | glm-4.6+ud-q2-k-xl | ~apple-m3-ultra-80c-256gb
glm-4.7-flash | 2x 5060 ti 16gb | glm-4.7-flash | rtx-5060-ti-16-gb*2
glm 4.5 air q4 | ryzen ai max 395 128 | ~glm-4.5-air+q4-k-m | ~strix-halo-8060s-128gb
zai-org/GLM-4.5-Air-FP8 | 2x h100 nvl | glm-4.5-air+fp8 | h100-nvl-94-gb*2
GLM-5.2 | 8x b200 | glm-5.2 | b200*8
glm 5.3 flash fp8 | h20 x8 | glm-5.3-flash+fp8 | h20*8
glm4:9b | gtx 1070 | glm-4-9b | gtx-1070
kimi k2 thinking | 8x h200 | kimi-k2-thinking | ~h200-sxm-141-gb*8
Kimi-K2.6 | 16x h100 | kimi-k2.6 | ~h100-sxm5-80-gb*16
moonshotai/Kimi-K2-Instruct-0905 | gb200 nvl72 | kimi-k2-0905 | ~gb200*72
kimi linear | l40 | kimi-linear-48b-a3b | l40
minimax m2.7 | 4x rtx pro 6000 | minimax-m2.7 | ~rtx-pro-6000-blackwell-workstation-edition*4
MiniMaxAI/MiniMax-M2 | dgx h100 | minimax-m2 | ~h100-sxm5-80-gb*8
step 3.5 flash | m5 max 128gb | step-3.5-flash | apple-m5-max-40c-128gb
mimo v2 flash | a800 | mimo-v2-flash | ~a800-sxm4-80-gb
hunyuan a13b gptq | 2x 3090 nvlink | hunyuan-a13b+gptq-int4 | rtx-3090*2
ernie 4.5 21b a3b | rx 9070 | ernie-4.5-21b-a3b | rx-9070
seed oss 36b | w7800 48gb | seed-oss-36b | ~radeon-pro-w7800-48-gb
granite 4.0 h tiny | uhd 770 | granite-4.0-h-tiny | uhd-770
granite3.3:8b | iris xe | granite-3.3-8b | iris-xe-96eu
olmo 3.1 32b think | h100 pcie | ~olmo-3.1-32b-instruct | h100-pcie-80-gb
olmo2:13b | rtx a5000 | olmo-2-13b | rtx-a5000
smollm3 3b | steam deck oled | smollm3-3b | steam-deck-oled
smollm2:135m | raspberry pi 4 | smollm2-135m | raspberry-pi-4
lfm2 1.2b | rk3588 | lfm2-1.2b | rk3588
lfm2.5 8b a1b | radeon 890m | lfm2.5-8b-a1b | radeon-890m
exaone 4.0 32b | rx 6900 xt | exaone-4.0-32b | rx-6900-xt
command a | h100 sxm x2 | command-a-03-2025 | h100-sxm5-80-gb*2
command r 35b | 2x titan rtx | command-r-v01 | titan-rtx*2
aya expanse 8b | quadro p6000 | aya-expanse-8b | quadro-p6000
yi 34b chat | rtx 8000 | yi-34b | quadro-rtx-8000
solar 10.7b | vega 64 | solar-10.7b | rx-vega-64
falcon 40b | a40 | falcon-40b | a40
jamba mini 1.6 | a10g x4 | jamba-mini-1.6 | a10g*4
starcoder2 15b | rx 580 8gb | starcoder2-15b | rx-580-8-gb
codellama 70b | mi210 x2 | codellama-70b | instinct-mi210-64-gb*2
wizardlm 70b | dual epyc 7742 | ! | ~cpu-epyc-ddr4-3200-8ch
wizardlm2:8x22b | threadripper 3970x | ~mixtral-8x22b | ~cpu-tr-ddr4-3200-4ch
vicuna 13b | gtx 980 ti | ~llama-2-13b | gtx-980-ti
hermes 4 70b | 2x w7900 | ~llama-3.1-70b | ~radeon-pro-w7900*2
nous hermes 2 mixtral | 2x a4000 16gb | ~mixtral-8x7b | rtx-a4000*2
dolphin-mixtral:8x7b | tesla m40 24gb | ~mixtral-8x7b | tesla-m40-24-gb
openhermes 2.5 | gtx 970 | ? | gtx-970
zephyr 7b beta | rx 480 | ~mistral-7b-v0.1 | rx-480-8-gb
mythomax 13b | rtx 3060 | ~llama-2-13b | ~rtx-3060-12-gb
llama 3.3 70b euryale | 3x p40 | ~llama-3.3-70b | tesla-p40*3
cydonia 24b | 7600 xt | ~mistral-small-3-24b | rx-7600-xt
magnum v4 72b | 2xa6000 | ~qwen2.5-72b | rtx-a6000*2
midnight miqu 70b | mi100 x2 | ~llama-2-70b | instinct-mi100-32-gb*2
josiefied qwen3 8b | arc a750 | ~qwen3-8b | arc-a750-8-gb
huihui-ai/Huihui-Qwen3-30B-A3B-Instruct-2507-abliterated | mi60 | ~qwen3-30b-a3b-instruct-2507 | instinct-mi60-32-gb
deepcoder 14b | rx 6800 | ~qwen2.5-14b | rx-6800
openthinker 32b | rtx 5000 ada laptop | ~qwen2.5-32b | rtx-5000-ada-laptop
qwq 32b awq | 4090d | qwq-32b+awq-int4 | rtx-4090-d
mlx-community/Qwen3-30B-A3B-4bit | macbook pro m4 max 128 | qwen3-30b-a3b+mlx-4bit | ~apple-m4-max-40c-128gb
mlx-community/GLM-4.5-Air-4bit | mac studio m4 max 64 | glm-4.5-air+mlx-4bit | ~apple-m4-max-40c-64gb
lmstudio-community/gemma-3-27b-it-MLX-4bit | m2 max 96gb | gemma-3-27b+mlx-4bit | apple-m2-max-38c-96gb
qwen3 coder 30b mlx 8bit | m1 ultra 128gb | qwen3-coder-30b-a3b+mlx-8bit | ~apple-m1-ultra-64c-128gb
gpt-4o | 4090 | ! | rtx-4090
claude opus 4.6 | rtx 4090 | ! | rtx-4090
gemini 3 pro | tpu v5p | ! | tpu-v5p
bge-m3 | l4 | ! | l4
whisper large | 3050 | ! | ~rtx-3050-8-gb
stable diffusion xl | 4070 | ! | rtx-4070
opt 13b | k80 | ! | tesla-k80
bloom 176b | 8x a100 | bloom-176b | ~a100-sxm4-80-gb*8
gpt-j 6b | 2x 1080 ti | gpt-j-6b | gtx-1080-ti*2
qwen 3.8 27b | 5090 32gb | qwen3.8-27b | rtx-5090
qwen4 | 6090 | ? | ?
llama 5 | rtx 4090 ti | ? | ?
thinking qwen3 4b | xtx 7900 | ~qwen3-4b-thinking-2507 | rx-7900-xtx
tinyllama 1.1b chat | i7-12700k | tinyllama-1.1b | ~cpu-ddr5-4800-2ch
phi2 | ryzen 5 5600x 32gb | phi-2 | ~cpu-ddr4-3200-2ch
qwn 2.5 7b | geforce rtx4070 super 12 gb | ~qwen2.5-7b | rtx-4070-super
mistrl 7b instruct v0.3 | radeon rx7800xt | ~mistral-7b-v0.3 | rx-7800-xt
dseepseek r1 | hopper | ~deepseek-r1 | ?
gema 3 4b | geforce gtx1650 | ~gemma-3-4b | gtx-1650
ollama run gemma3:12b | nvidia geforce rtx 3070 laptop gpu | gemma-3-12b | rtx-3070-laptop
https://huggingface.co/unsloth/Qwen3-8B-GGUF | NVIDIA GeForce RTX 3060 12GB (LHR) | qwen3-8b | rtx-3060-12-gb
hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q8_0 | Tesla T4 16GB | llama-3.2-3b+q8-0 | tesla-t4
dsv3 | 2 a100 40gb | deepseek-v3 | ~a100-sxm4-40-gb*2
ds r1 distil qwen 32b | two 4090s | ~deepseek-r1-distill-qwen-32b | rtx-4090*2
kimi-k2.5 | mac studio 512 x2 | kimi-k2.5 | ?
granite 4 tiny | arc 140v 32gb | ~granite-4.0-h-tiny | ~arc-140v
mimo-v2.5 | 4 l4 | ~mimo-v2-flash | l4*4
codellama:13b-code-q4_K_M | legion 5 rtx 4060 | codellama-13b+q4-k-m | rtx-4060-laptop
command-r7b:7b-12-2024-q4_K_M | dell xps 15 rtx 4050 | command-r7b-12-2024+q4-k-m | rtx-4050-laptop
magistral medium | surface laptop 7 | ! | !
codestral 25.08 | thinkpad t14 | ! | !
pixtral large | HP ZBook Ultra G1a 128GB | ~mistral-large-2411 | ~strix-halo-8060s-128gb
openai/gpt-oss-safeguard-20b | asus zephyrus g14 4090 | ~gpt-oss-20b+mxfp4-checkpoint | rtx-4090-laptop
qwen3 embedding 8b | dell precision 7680 rtx 5000 ada | ! | rtx-5000-ada-laptop
tiny llama 1.1 | xeon w9-3495x + 5090 | ~tinyllama-1.1b | ~rtx-5090
wizardcoder 33b | MSI Stealth 4080 | ~deepseek-coder-33b | rtx-4080-laptop
Mistral Medium 3.5 on ollama | Asus ROG Ally Z1 Extreme 16GB | ~mistral-medium-3.5-128b | ~radeon-780m
mistral medium 3 on ollama | lenovo legion go z1 extreme 16gb | ! | ~radeon-780m
OpenGVLab/InternVL3-8B | rtx 3090 | ~qwen2.5-7b | rtx-3090
internvl 3.5 38b | 2x 3090 | ~qwen3-32b | rtx-3090*2
minicpm-v 2.6 | m1 pro 16gb | ! | ~apple-m1-pro-16c-16gb
intern-s1 mini | T4 | ~qwen3-8b | tesla-t4
Ouro-1.4B | L4 | ! | l4
Qwen3 30B A3B Q6_K (unsloth) | RTX 4070 Ti SUPER 16GB + 64GB DDR5-6000 | ~qwen3-30b-a3b+q6-k | ~rtx-4070-ti-super
Qwen3 8B unsloth bnb 4bit | 3060 12 go | ~qwen3-8b+bnb-nf4 | rtx-3060-12-gb
phi-4-unsloth-bnb-4bit | 2x 3090 | ~phi-4+bnb-nf4 | rtx-3090*2
lmstudio community qwen3 8b | Strix Halo | ~qwen3-8b | ~strix-halo-8060s-128gb
Qwen3 8B mlx community 4bit | m2 max 64gb | ~qwen3-8b+mlx-4bit | ~apple-m2-max-38c-64gb
mlx qwen3 8b 4bit | m2 max 64gb | qwen3-8b+mlx-4bit | ~apple-m2-max-38c-64gb
ik_llama deepseek r1 IQ2_K_R4 | xeon w5-3435x + 3090 | ~deepseek-r1+iq2-k | ~rtx-3090
phi 4 mini | rasberry pi 5 8gb | ~phi-4-mini-instruct | ~raspberry-pi-5
lama 3 8b | rtx 3o60 12gb | ~llama-3-8b | rtx-3060-12-gb
gemma 3n e4b | Ryzen 7 7840U 780m 32GB | gemma-3n-e4b | ~radeon-780m
command-r:35b-v0.1-q4_K_M | Ryzen AI 9 HX 370 Radeon 890M | ~command-r-v01+q4-k-m | ~radeon-890m
mistral large 123b 2411 4bpw | Ryzen 7 7840HS RTX 4060 laptop | ~mistral-large-2411+exl2-4bpw | ~rtx-4060-laptop
llama 3.3 70b 4.65bpw | ryzen 7 7840hs rtx 4060 | ~llama-3.3-70b+exl2-4-65bpw | ?radeon-780m,rtx-4060
"""
