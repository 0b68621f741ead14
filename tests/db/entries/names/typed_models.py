"""Models as people type them in forums, with tags of registries and names of files; a meaning is written as in ``pairs``."""

MODELS = """
llama 3.3 70b | llama-3.3-70b
qwen3 coder | ?
gpt oss 120b | gpt-oss-120b
deepseek r1 | deepseek-r1
mistral small 24b | ~mistral-small-3-24b
qwen3:30b-a3b | qwen3-30b-a3b
qwen3:8b | qwen3-8b
llama3.1:8b-instruct-q4_K_M | llama-3.1-8b+q4-k-m
gemma3:27b-it-qat | gemma-3-27b
deepseek-r1:70b | deepseek-r1-distill-llama-70b
deepseek-r1:14b | deepseek-r1-distill-qwen-14b
phi4:14b | phi-4
mixtral:8x7b | mixtral-8x7b
qwen2.5-coder:32b | qwen2.5-coder-32b
gpt-oss:20b | gpt-oss-20b
llama4:scout | llama-4-scout
qwen/qwen3-30b-a3b-2507 | ~qwen3-30b-a3b-instruct-2507
lmstudio-community/Qwen3-30B-A3B-Instruct-2507-GGUF | qwen3-30b-a3b-instruct-2507
openai/gpt-oss-20b | gpt-oss-20b
google/gemma-3-12b | gemma-3-12b
mistralai/devstral-small-2507 | ~devstral-small-2505
zai-org/glm-4.5-air | glm-4.5-air
Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf | llama-3.1-8b+q4-k-m
Qwen3-Coder-30B-A3B-Instruct-UD-Q4_K_XL.gguf | qwen3-coder-30b-a3b+ud-q4-k-xl
gemma-3-27b-it-Q4_K_M.gguf | gemma-3-27b+q4-k-m
Mistral-Small-3.2-24B-Instruct-2506-Q5_K_M.gguf | mistral-small-3.2-24b+q5-k-m
DeepSeek-R1-0528-Qwen3-8B-Q8_0.gguf | deepseek-r1-0528-qwen3-8b+q8-0
gpt-oss-120b-mxfp4-00001-of-00003.gguf | gpt-oss-120b+mxfp4
GLM-4.5-Air-UD-Q2_K_XL.gguf | glm-4.5-air+ud-q2-k-xl
unsloth/gpt-oss-20b-GGUF | gpt-oss-20b
bartowski/Llama-3.3-70B-Instruct-GGUF | llama-3.3-70b
TheBloke/Mistral-7B-Instruct-v0.2-GGUF | mistral-7b-v0.2
TheBloke/Llama-2-70B-Chat-AWQ | llama-2-70b+awq-int4
Qwen/Qwen3-235B-A22B-Instruct-2507-FP8 | qwen3-235b-a22b-instruct-2507+fp8
nvidia/Llama-3.3-70B-Instruct-FP4 | llama-3.3-70b+nvfp4
mlx-community/Qwen3-Next-80B-A3B-Instruct-4bit | qwen3-next-80b-a3b-instruct+mlx-4bit
cyankiwi/Qwen3-Coder-30B-A3B-Instruct-AWQ-4bit | qwen3-coder-30b-a3b+awq-int4
qwen 3 32b | qwen3-32b
qwen3-32 | ~qwen3-32b
llama 70b | ?
llama 8b | ?
llama 3 8b | llama-3-8b
lama 3.1 8b | ~llama-3.1-8b
deepseak r1 | ~deepseek-r1
deepseek | ?
deepsek v3.1 | ~deepseek-v3.1
gemma3 27b | gemma-3-27b
gemma 27b | ?
gemma 3n e4b | gemma-3n-e4b
gemma 4 31b | gemma-4-31b
gemma4 26b a4b | gemma-4-26b-a4b
qwen3.5 397b | qwen3.5-397b-a17b
qwen3.5 122b | qwen3.5-122b-a10b
qwen3.5-35b | qwen3.5-35b-a3b
qwen 3.6 27b | qwen3.6-27b
qwen3.6 35b a3b | qwen3.6-35b-a3b
qwen3 0.6b | qwen3-0.6b
qwen3 4b instruct 2507 | qwen3-4b-instruct-2507
qwen3 4b thinking | ~qwen3-4b-thinking-2507
qwen 2.5 72b | qwen2.5-72b
qwen2.5 vl 7b | qwen2.5-vl-7b
qwq | ~qwq-32b
qwq 32b | qwq-32b
qvq | ~qwen2-72b
kimi k2 | ~kimi-k2-instruct
kimi k2 thinking | kimi-k2-thinking
kimi k2.6 | kimi-k2.6
glm 4.7 | glm-4.7
glm 4.7 flash | glm-4.7-flash
glm 5 | glm-5
glm-4.5v | ~glm-4.5-air
minimax m2 | minimax-m2
minimax m2.5 | minimax-m2.5
mistral nemo | ~mistral-nemo-12b
mistral large | ?
mistral large 2 | ~mistral-large-2411
mistral 7b v0.3 | mistral-7b-v0.3
ministral 8b | ~ministral-8b-2410
magistral small | magistral-small-24b
devstral 2 | ~devstral-2-123b
codestral 22b | codestral-22b
starcoder2 15b | starcoder2-15b
command r | ~command-r-v01
command r plus | command-r-plus-08-2024
command a | command-a-03-2025
aya expanse 32b | aya-expanse-32b
phi 4 mini | ~phi-4-mini-instruct
phi-3.5-mini | phi-3.5-mini
nemotron 3 nano | ~nemotron-3-nano-30b-a3b
nemotron super 49b | ?
nemotron ultra 253b | ~llama-3.1-nemotron-ultra-253b
granite 4 small | ~granite-4.0-h-small
granite 3.3 8b | granite-3.3-8b
olmo 3 32b | ~olmo-3-32b-think
smollm3 | ~smollm3-3b
tinyllama | tinyllama-1.1b
llama 2 13b | llama-2-13b
llama 3.2 3b | llama-3.2-3b
llama 3.2 1b | llama-3.2-1b
llama 3.2 11b vision | llama-3.2-11b-vision
llama 4 maverick | llama-4-maverick
llama 405b | ~llama-3.1-405b
hermes 4 70b | ~llama-3.1-70b
hermes 3 8b | ~llama-3.1-8b
dolphin mistral 24b venice | ~mistral-small-3.1-24b
nous hermes 2 mixtral | ~mixtral-8x7b
mythomax 13b | ~llama-2-13b
cydonia 24b | ~mistral-small-3-24b
midnight miqu 70b | ~llama-2-70b
wizardlm 2 8x22b | ~mixtral-8x22b
vicuna 13b | ~llama-2-13b
openhermes 2.5 | ?
zephyr 7b beta | ~mistral-7b-v0.1
solar 10.7b | solar-10.7b
yi 34b | yi-34b
internlm 2.5 20b | internlm2.5-20b
falcon 40b | falcon-40b
falcon 180b | falcon-180b
dbrx | dbrx-132b
grok 1 | !
jamba mini | ~jamba-mini-1.6
exaone 4 32b | exaone-4.0-32b
hunyuan a13b | hunyuan-a13b
ernie 4.5 21b | ernie-4.5-21b-a3b
ernie 4.5 300b | ernie-4.5-300b-a47b
seed oss 36b | seed-oss-36b
ling flash | ?
step 3.5 flash | step-3.5-flash
mimo v2 flash | mimo-v2-flash
trinity mini | trinity-mini
deepseek v3.2 exp | deepseek-v3.2-exp
deepseek v4 flash | deepseek-v4-flash
deepseek coder 6.7b | deepseek-coder-6.7b
deepseek coder v2 | deepseek-coder-v2
deepseek v2 lite | deepseek-v2-lite
qwen next | ?
qwen3 next 80b thinking | ~qwen3-next-80b-a3b-thinking
qwen3 coder next | qwen3-coder-next
qwen coder 480b | ~qwen3-coder-480b-a35b
qwen3 vl 8b | qwen3-vl-8b
qwen3 vl 30b | ~qwen3-vl-30b-a3b
qwen 7b | qwen-7b
codellama 34b | codellama-34b
bloom 176b | bloom-176b
gpt2 | gpt2
gpt-4o | !
claude | !
chatgpt | !
best coding model | ?
whisper | !
flux | !
stable diffusion | !
medgemma 27b | ~gemma-3-27b
codegemma 7b | ~gemma-7b
gemma 2 27b | gemma-2-27b
mistral medium | ~mistral-medium-3.5-128b
mistral medium 3.5 | mistral-medium-3.5-128b
qwen3 0.6 | ~qwen3-0.6b
zephyr 7b | ~mistral-7b-v0.1
tulu 3 70b | ~llama-3.1-70b
qwen3 7b | ?
llama 3.3 8b | ~llama-3.1-8b
gpt oss 70b | ?
hermes 7b | ?
qwen3.5:122b-a10b-q4_K_M | qwen3.5-122b-a10b+q4-k-m
gpt-oss-120b-F16.gguf | gpt-oss-120b+f16
MiniMax M3 nvfp4 | minimax-m3+nvfp4
qwen3 next | ~qwen3-next-80b-a3b-instruct
Nemotron 70b | llama-3.1-nemotron-70b
gemma4 | ?
codestral 7b | ?
chatglm3 6b | !
baichuan 2 13b | !
grok 2 | grok-2
turboderp/Llama-3.3-70B-exl3 | ~llama-3.3-70b+exl3-4bpw
RedHatAI/Llama-3.3-70B-Instruct-quantized.w4a16 | llama-3.3-70b+gptq-int4
mlx-community/gpt-oss-120b-MXFP4-Q8 | gpt-oss-120b+mlx-mxfp4
8b llama 3.1 instruct | ~llama-3.1-8b
deepseak r1 | ~deepseek-r1
air glm 4.5 | glm-4.5-air
lamma 3.3 70b | ~llama-3.3-70b
mistrall nemmo | ~mistral-nemo-12b
internlm2:20b | ~internlm2.5-20b
command-r:35b-08-2024-q4_K_M | ~command-r-08-2024+q4-k-m
glm 4.5 air 110b | ~glm-4.5-air
llama 3.1 65b | ?
120b | ?
qwen3 omni | ~qwen3-30b-a3b
jamba 1.5 mini | ~jamba-v0.1
stable-beluga:70b | ~llama-2-70b
wizard-math:7b | ~mistral-7b-v0.1
openchat:7b | ?
dolphin-llama3:8b | ~llama-3-8b
zephyr | ?
magnum v4 22b | ~mistral-small-22b-2409
glm 4.6v | ~glm-4.5-air
mistral medium 3 | !
codestral mamba | !
mixtral 8*7b | mixtral-8x7b
qwen3 32b on vllm | ~qwen3-32b
devstral small 1.1 | ~devstral-small-2505
minimax 2.5 | ~minimax-m2.5
gemma 3.5 | ?
nous deephermes 8b | ~llama-3.1-8b
unsloth qwen3 4b | qwen3-4b
llama3.1:8b-text-q4_0 | llama-3.1-8b+q4-0
magistral small 1.2 | ~magistral-small-24b
jamba 1.7 mini | ~jamba-v0.1
Phi-4-multimodal | !
saiga_llama3_8b | ~llama-3-8b
NousResearch_Hermes-4-14B-Q5_K_M.gguf | ~qwen3-14b+q5-k-m
someone_Qwen3-8B-Q4_K_M.gguf | ?qwen3-8b
sonnet 4.6 | !
gpt 5.4 | !
mistral medium 3.5 | mistral-medium-3.5-128b
gpt 2 | gpt2
llama 4 behemoth | !
vllm serve Qwen/Qwen3-Next-80B-A3B-Instruct-FP8 -tp 4 | qwen3-next-80b-a3b-instruct+fp8
docker run --gpus all vllm/vllm-openai --model Qwen/Qwen2.5-72B-Instruct-AWQ | qwen2.5-72b+awq-int4
llama-server -hf unsloth/Qwen3-30B-A3B-GGUF:Q4_K_M -c 16384 -ngl 99 | qwen3-30b-a3b+q4-k-m
python -m sglang.launch_server --model-path zai-org/GLM-4.5-Air --tp 4 | glm-4.5-air
Qwen/Qwen3-8B --quantization fp8 --max-model-len 8192 | qwen3-8b+fp8
vllm serve BAAI/bge-m3 --port 8000 | !
Qwen3 8B on dual 4090s | ~qwen3-8b
qwen4 9b on 4090 | ?
gpt-oss-20b を動かす | ~gpt-oss-20b
サカナ Qwen 7B | ?qwen-7b
엑사원 4.0 32B | exaone-4.0-32b
Gemma 3 27B quantisiert auf Q4 | ~gemma-3-27b+q4-k-m
Qwen2.5 7B für Programmierung | ~qwen2.5-7b
turboderp/Qwen3-32B-exl3-4.0bpw | qwen3-32b+exl3-4bpw
amd/Llama-3.3-70B-Instruct-MXFP4-Preview | ~llama-3.3-70b+mxfp4-checkpoint
microsoft/Phi-4-mini-instruct-onnx | ~phi-4-mini-instruct
bartowski/Llama-3.3-70B-Instruct-exl2_4_25 | llama-3.3-70b+exl2-4-25bpw
Qwen3-14B-128K-GGUF | ~qwen3-14b
llama-3-3-70b-instruct | ~llama-3.3-70b
us.meta.llama3-3-70b-instruct-v1:0 | ~llama-3.3-70b
mixtral 8x70b | ?
ERNIE-4.5-300B-A47B-W4A8 | ~ernie-4.5-300b-a47b
huggingface.co/google/gemma-4-31B-it/tree/main | gemma-4-31b
https://huggingface.co/bartowski/Qwen_Qwen3-8B-GGUF/blob/main/Qwen_Qwen3-8B-Q4_K_M.gguf | qwen3-8b+q4-k-m
tabbyAPI Mistral-Large-2411-exl2-3.5bpw | ~mistral-large-2411+exl2-3-5bpw
70B Q4 | ?
GLM 4.5 Air Q4 (MLX) | glm-4.5-air+mlx-4bit
gpt-oss:120b (reasoning high) | ~gpt-oss-120b
Qwen3 (235B-A22B, Q3) | ~qwen3-235b-a22b+q3-k-m
Gemma3/27B/Q4_K_M | gemma-3-27b+q4-k-m
Qwen3-30B-A3B 4位量化 | ~qwen3-30b-a3b+q4-k-m
accounts/fireworks/models/llama-v3p1-70b-instruct | llama-3.1-70b
accounts/fireworks/models/deepseek-v3p1 | deepseek-v3.1
accounts/fireworks/models/qwen2p5-coder-32b-instruct | qwen2.5-coder-32b
accounts/fireworks/models/glm-4p6 | glm-4.6
accounts/fireworks/models/kimi-k2p5 | kimi-k2.5
fireworks_ai/accounts/fireworks/models/llama4-maverick-instruct-basic | llama-4-maverick
vertex_ai/openai/gpt-oss-120b-maas | gpt-oss-120b
qwen3-0p6b | qwen3-0.6b
qwen/qwen3-235b-a22b-07-25 | ~qwen3-235b-a22b-instruct-2507
deepseek v3 03-24 | deepseek-v3-0324
deepseek.v3-v1:0 | ~deepseek-v3.1
us.deepseek.v3-v1:0 | ~deepseek-v3.1
Qwen3.5-397B-A17B @ Q4 | ~qwen3.5-397b-a17b+q4-k-m
NexaSDK Qwen3-4B-GGUF:Q4_0 | ~qwen3-4b+q4-0
running GLM-4.6 IQ2 on a single 4090 with 192GB ram | ~glm-4.6+iq2-m
anyone tried Qwen3 Next 80B on Strix Halo 128GB? | ~qwen3-next-80b-a3b-instruct
[Bug]: CUDA OOM when loading Qwen3-32B-AWQ | ~qwen3-32b+awq-int4
[Usage]: How to run DeepSeek-V3 on 2 nodes of 8xH100? | ~deepseek-v3
Can I run gpt-oss-120b on a Mac Studio M4 Max 64GB? | ~gpt-oss-120b
Qwen3-VL-32B-Instruct not working in llama.cpp | ~qwen3-vl-32b
GLM-4.7-Flash is slow on my 7900 XTX | ~glm-4.7-flash
Is Mistral Small 3.2 better than Gemma 3 27B? | ?mistral-small-3.2-24b,gemma-3-27b
What's the speed of Qwen3.5 27B on dual 5060 Ti? | ~qwen3.5-27b
Feature request: support for Step-3.5-Flash | ~step-3.5-flash
DeepSeek R1 0528 on CPU | ~deepseek-r1-0528
what is the best model | ?
best coding model | ?
mlx-community/gemma-3n-E4B-it-lm-4bit | gemma-3n-e4b+mlx-4bit
QVQ 72B Preview | ~qwen2-72b
NeuralBeagle14-7B | ~mistral-7b-v0.1
Skywork-o1-Open-Llama-3.1-8B | ~llama-3.1-8b
Light-R1 14B | ~deepseek-r1-distill-qwen-14b
Cydonia 24B v4 | ~mistral-small-3-24b
Airoboros L2 70B | ~llama-2-70b
Dan's Personality Engine 24B | ~mistral-small-3-24b
bartowski_Qwen2.5-Coder-32B-Instruct-Q4_K_L.gguf | qwen2.5-coder-32b+q4-k-l
ggml-org_gpt-oss-20b-GGUF_gpt-oss-20b-mxfp4.gguf | gpt-oss-20b+mxfp4
~/.cache/llama.cpp/unsloth_Qwen3-30B-A3B-GGUF_Qwen3-30B-A3B-Q4_K_M.gguf | qwen3-30b-a3b+q4-k-m
zai-org/GLM-4.6 compressed-tensors | ~glm-4.6
Ministral-3-14B-Reasoning-2512-Q4_K_M.gguf | ~ministral-3-14b+q4-k-m
nomic-ai/gpt4all-falcon | ~falcon-7b
Slow prompt processing with gpt-oss-120b on M3 Max | ~gpt-oss-120b
GLM-4.6V-Flash gibberish output | ?glm-4-9b-0414
Will Qwen3.6 27B run on a 16GB RTX 5060 Ti? | ~qwen3.6-27b
Best settings for GLM 4.5 Air? | ~glm-4.5-air
can i run llama 3.3 70b on my macbook pro m3 max 64gb | ~llama-3.3-70b
qwen3 30b a3b good for coding? | ?qwen3-30b-a3b
thinking of getting gpt-oss-20b running on this old thing | ~gpt-oss-20b
whats better gemma3 27b or mistral small 3.2 | ?gemma-3-27b,mistral-small-3.2-24b
just downloaded DeepSeek-R1-Distill-Qwen-14B-Q5_K_M.gguf | ?deepseek-r1-distill-qwen-14b
mistral nemo 12b q6 | mistral-nemo-12b+q6-k
Llama 3.1 8B Stheno | ?llama-3.1-8b
Mistral Nemo 12B Mag Mell | ?mistral-nemo-12b
Qwen2.5 14B Zorglub | ?qwen2.5-14b
llama_model_loader: - kv   2: general.name str = Qwen3 8B | qwen3-8b
print_info: general.name = Gemma 3 12B It | gemma-3-12b
GLM 4.5 air q4 | ~glm-4.5-air+q4-k-m
quel gpu pour llama 3.1 8b | ?llama-3.1-8b
welche Grafikkarte für Mistral Small 24B | ?mistral-small-3-24b
¿puedo correr qwen3 14b? | ?qwen3-14b
能跑qwen2.5 32b吗 | ?qwen2.5-32b
qwen3-coder 30b a3b instruct fp8 | qwen3-coder-30b-a3b+fp8
nemotron nano 9b v2 | nemotron-nano-9b-v2
deepseek v3.2 | deepseek-v3.2
which quant of qwen2.5 72b should i pick | ~qwen2.5-72b
Running Qwen3-235B-A22B at home, my results | ~qwen3-235b-a22b
Anyone else getting repetition with Gemma 3 27B? | ~gemma-3-27b
PSA: Mistral Small 3.2 is great | ?mistral-small-3.2-24b
GPT-OSS 20B vs Qwen3 14B for function calling | ?gpt-oss-20b,qwen3-14b
my llama-3.2-3b finetune is dumb | ?llama-3.2-3b
mradermacher/Qwen2.5-32B-Zorblax-i1-GGUF | ?qwen2.5-32b
sophosympatheia/Strawberrylemonade-L3-70B-v1.1 | ~llama-3-70b
TheDrummer/Cydonia-24B-v4.1-GGUF | ~mistral-small-3-24b
Llama-3.1-8B-Zorbstral-Q6_K.gguf | ?llama-3.1-8b
llm_load_print_meta: general.name     = Mistral-Nemo-Instruct-2407 | mistral-nemo-12b
srv  load_model: loading model '/models/Qwen3-8B-Q8_0.gguf' | ?qwen3-8b
ollama run hf.co/bartowski/Qwen2.5-Coder-7B-Instruct-GGUF:Q5_K_M | qwen2.5-coder-7b+q5-k-m
python -m vllm.entrypoints.openai.api_server --model meta-llama/Llama-3.1-8B-Instruct | llama-3.1-8b
llama-cli -hf ggml-org/gpt-oss-20b-GGUF -c 0 | gpt-oss-20b
mlx_lm.generate --model mlx-community/Qwen3-4B-4bit | qwen3-4b+mlx-4bit
text-generation-webui exl2 qwen2.5 32b 4.65bpw | ?qwen2.5-32b
qual placa de video para rodar llama 3 8b | ?llama-3-8b
Какая видеокарта нужна для Qwen3 32B? | ?qwen3-32b
라마 3.1 8B 돌리기 | ~llama-3.1-8b
puis-je faire tourner mixtral 8x7b | ?mixtral-8x7b
Kann ich DeepSeek R1 lokal laufen lassen | ?deepseek-r1
quanta vram serve per qwen2.5 7b | ?qwen2.5-7b
Legion 5 Pro llama 3 8b | ?llama-3-8b
gemma 2 9b simpo | ~gemma-2-9b
Qwen3.6-27B vs Qwen3.5-35B-A3B | ?qwen3.6-27b,qwen3.5-35b-a3b
best llama 3.1 8b quant for 8gb | ?llama-3.1-8b
Finally got Kimi K2.5 running! | ?kimi-k2.5
qwen3 32b throughput numbers | ?qwen3-32b
how much vram does mistral large 2411 need | ~mistral-large-2411
gemma-3-12b-it-abliterated.Q4_K_M.gguf | ~gemma-3-12b+q4-k-m
NousResearch/Hermes-4-14B | ~qwen3-14b
huihui-ai/Qwen3-8B-abliterated | ~qwen3-8b
cognitivecomputations/Dolphin3.0-Llama3.1-8B | ~llama-3.1-8b
unsloth/gpt-oss-120b-unsloth-bnb-4bit | ~gpt-oss-120b+bnb-nf4
turboderp/Qwen3-30B-A3B-exl3 | ~qwen3-30b-a3b+exl3-4bpw
Zorbcorp/Qwen3-14B-Legal-Zorb | ?qwen3-14b
MarsupialAI/Llama-3.1-70B-Kangaroo | ?llama-3.1-70b
Mistral 7B fine-tuned on my emails | ?mistral-7b-v0.3
Phi 3.5 mini | phi-3.5-mini
ling flash 2.0 | ling-flash-2.0
ernie 4.5 21b a3b | ernie-4.5-21b-a3b
Is there a way to run Qwen3.6 35B A3B with 12GB? | ~qwen3.6-35b-a3b
Need help choosing: Gemma 4 31B or Qwen3.6 27B | ?gemma-4-31b,qwen3.6-27b
L3-8B-Stheno-v3.2-Q6_K.gguf | ~llama-3-8b+q6-k
MN-12B-Mag-Mell-R1-Q5_K_M.gguf | ~mistral-nemo-12b+q5-k-m
Qwen2.5-32B-EVA-Instruct | ~qwen2.5-32b
Based on Llama 3.3 70B: Anubis | ?llama-3.3-70b
ReadyArt Broken Tutu 24B | ~mistral-small-3-24b
TheDrummer Skyfall 36B v2 | ?
how to use deepseek-coder-v2:16b in vscode | ~deepseek-coder-v2-lite
QwQ-32B is thinking too much | ~qwq-32b
claude opus 4.5 | !
stable diffusion 3.5 | !
minicpm-v 4.5 8b | ~qwen3-8b
qwen2.5 omni 7b | !
openchat 3.5 | ~mistral-7b-v0.1
nm-testing/Qwen3-8B-Zorb-W8A8 | ?qwen3-8b
Loading checkpoint shards: meta-llama/Llama-3.1-8B-Instruct | llama-3.1-8b
INFO: model=Qwen/Qwen3-4B dtype=bfloat16 | ?qwen3-4b
HP Omen 16 with Qwen3 8B | ?qwen3-8b
"""
