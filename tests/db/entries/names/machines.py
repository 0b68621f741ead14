"""Accelerators as people type them: laptops, integrated ones, servers, cloud instances, handhelds, boards of partners.

A meaning is a slug, with ``*`` and a count where the text states one, ``~`` before it where the answer says what the text was
taken as; ``?`` where the catalog asks back or knows no such name, ``!`` where it says why the name is not estimated.
"""

MACHINES = """
RTX 4090 Laptop | rtx-4090-laptop
4090 laptop 16gb | rtx-4090-laptop
4080 mobile | rtx-4080-laptop
RTX 4060 Max-Q | rtx-4060-laptop
3070 Ti mobile | rtx-3070-ti-laptop
RTX 5090 Laptop GPU 24GB | rtx-5090-laptop
NVIDIA GeForce RTX 3080 Ti Laptop GPU | rtx-3080-ti-laptop
RTX 3060 Mobile | rtx-3060-laptop
GTX 1660 Ti Mobile | gtx-1660-ti-laptop
RTX A3000 Laptop | ~rtx-a3000-laptop-6-gb
RTX A4500 Laptop | rtx-a4500-laptop
RTX PRO 5000 Blackwell Laptop | rtx-pro-5000-blackwell-laptop
RTX PRO 2000 Laptop | rtx-pro-2000-blackwell-laptop
RTX 5000 Ada Laptop | rtx-5000-ada-laptop
Radeon 780M | radeon-780m
Radeon Vega 8 | radeon-vega-8
Vega 8 | radeon-vega-8
Radeon 890M | radeon-890m
AMD Radeon(TM) 780M Graphics | radeon-780m
Ryzen 7 8845HS | radeon-780m
Ryzen AI 9 365 | radeon-880m
Ryzen AI Max+ 395 | ~strix-halo-8060s-128gb
AI Max 395 128GB | strix-halo-8060s-128gb
Ryzen AI Max 385 | ~strix-halo-8050s-64gb
Ryzen AI Max 390 | ~strix-halo-8050s-64gb
Intel Iris Xe Graphics | iris-xe-96eu
Intel Arc 140V | arc-140v
Core Ultra 7 258V | arc-140v
Core Ultra 7 155H | arc-meteor-lake-8xe
Core Ultra 9 285H | arc-140t
Intel UHD Graphics 630 | uhd-630
TPU v5e | tpu-v5e
TPU v5 lite | tpu-v5e
TPU v6e | tpu-v6e
Trillium | tpu-v6e
v6e-8 | ~tpu-v6e*8
v5litepod-8 | ~tpu-v5e*8
TPU v3 | !
Gaudi 2 | gaudi-2-96-gb
Gaudi 3 | gaudi-3-128-gb
Intel Gaudi3 HL-325L | gaudi-3-128-gb
Habana Gaudi 2 | gaudi-2-96-gb
8x Gaudi 3 | gaudi-3-128-gb*8
Ascend 910B | ascend-910b
Ascend 910B3 | ascend-910b
Huawei Ascend 910C | ascend-910c
Atlas 300I Duo | atlas-300i-duo
Ascend 910C 128GB | ~ascend-910c*2
Atlas 300I Duo 96GB | ~atlas-300i-duo*2
MI25 | instinct-mi25
MI50 32GB | instinct-mi50-32-gb
MI60 | instinct-mi60-32-gb
MI100 | instinct-mi100-32-gb
MI210 | instinct-mi210-64-gb
MI250X | instinct-mi250x-128-gb
MI300A | instinct-mi300a-128-gb
8x MI300X | instinct-mi300x-192-gb*8
AMD Instinct MI325X | instinct-mi325x-256-gb
MI355X | instinct-mi355x-288-gb
MI350X OAM | instinct-mi350x-288-gb
MI350P | instinct-mi350p-144-gb
Radeon Pro W7900 | radeon-pro-w7900
W7900 48gb | ~radeon-pro-w7900
W7800 48GB | ~radeon-pro-w7800-48-gb
Radeon Pro VII | radeon-pro-vii
Radeon Pro W6800 | radeon-pro-w6800
Radeon Pro WX 9100 | radeon-pro-wx-9100
Radeon VII | radeon-vii
R9700 AI PRO 32GB | radeon-ai-pro-r9700
Quadro RTX 8000 | quadro-rtx-8000
Quadro P6000 | quadro-p6000
RTX 8000 | quadro-rtx-8000
Quadro RTX 5000 | quadro-rtx-5000
Quadro T1000 | ~quadro-t1000-laptop
Tesla P40 24GB | tesla-p40
P40 | tesla-p40
4x P40 | tesla-p40*4
Tesla M40 24GB | tesla-m40-24-gb
K80 | tesla-k80
V100 SXM2 32GB | tesla-v100-sxm2-32-gb
T4 | tesla-t4
Tesla T4 16GB | tesla-t4
A40 48gb | a40
RTX A6000 48GB | rtx-a6000
A6000 Ada | rtx-6000-ada-generation
RTX 6000 Ada | rtx-6000-ada-generation
RTX 4000 SFF Ada | rtx-4000-sff-ada-generation
RTX A2000 12GB | rtx-a2000-12-gb
A4000 | rtx-a4000
RTX PRO 6000 | ~rtx-pro-6000-blackwell-workstation-edition
pro 6000 max-q | rtx-pro-6000-blackwell-max-q
Blackwell 6000 Pro 96GB | ~rtx-pro-6000-blackwell-workstation-edition
RTX Pro 4000 SFF | rtx-pro-4000-blackwell-sff
B200 | b200
GB200 | gb200
GB300 NVL72 | ~gb300*72
B300 | b300
GH200 | ~gh200-96-gb
GH200 480GB | gh200-96-gb
H100 NVL | h100-nvl-94-gb
H100 80GB HBM3 | h100-sxm5-80-gb
NVIDIA H100 80GB HBM3 | h100-sxm5-80-gb
H200 NVL | h200-nvl-141-gb
4xH200 | ~h200-sxm-141-gb*4
HGX H100 | ~h100-sxm5-80-gb*8
A100 80G | ~a100-sxm4-80-gb
2 x A100-SXM4-80GB | a100-sxm4-80-gb*2
Mac Studio M3 Ultra 512GB | apple-m3-ultra-80c-512gb
Mac Studio M2 Ultra 192 | ~apple-m2-ultra-76c-192gb
Mac Studio M1 Max 32 | ~apple-m1-max-32c-32gb
M3 Ultra 256 | ~apple-m3-ultra-80c-256gb
M4 Max 64GB | apple-m4-max-40c-64gb
Macbook pro m4 max 36gb | apple-m4-max-32c-36gb
M1 16GB | ~apple-m1-8c-16gb
M1 Pro 16 | ~apple-m1-pro-16c-16gb
MacBook Air M3 24GB | ~apple-m3-10c-24gb
macbook air m4 16 | ~apple-m4-10c-16gb
M2 8GB | ~apple-m2-10c-8gb
M5 32GB | apple-m5-10c-32gb
M5 Pro 48GB | ~apple-m5-pro-20c-48gb
M5 Max 128 | ~apple-m5-max-40c-128gb
16" MacBook Pro M1 Max 64GB | ~apple-m1-max-32c-64gb
MacBook Pro 16-inch M3 Max 128 GB | apple-m3-max-40c-128gb
Mac mini M4 Pro 64GB | ~apple-m4-pro-20c-64gb
iMac M4 | ~apple-m4-10c-32gb
Mac Pro M2 Ultra | ~apple-m2-ultra-76c-192gb
Mac Studio 512 | ?
MacBook Pro Intel | ?
Snapdragon X Elite | snapdragon-x-elite
Surface Laptop 7 | !
X1E-80-100 | ~snapdragon-x-elite
Jetson Orin Nano Super | jetson-orin-nano-super-8-gb
Orin Nano 8GB | ~jetson-orin-nano-8-gb
Jetson AGX Orin 64GB | jetson-agx-orin-64-gb
Jetson Thor | ~jetson-thor-t5000
AGX Thor | ~jetson-thor-t5000
Jetson Orin NX 16 | ~jetson-orin-nx-16-gb
Jetson TX1 | ?
DGX Spark | dgx-spark
2x DGX Spark | dgx-spark*2
GB10 | dgx-spark
ASUS Ascent GX10 | ~dgx-spark
Dell Pro Max with GB10 | ~dgx-spark
Lenovo PGX | ~dgx-spark
ThinkStation PGX | ~dgx-spark
HP ZGX Nano G1n AI Station | ~dgx-spark
MSI EdgeXpert MS-C931 | ~dgx-spark
Steam Deck OLED | steam-deck-oled
ROG Ally X | ~radeon-780m
ROG Xbox Ally X | ~radeon-890m
Legion Go S | !
Lenovo Legion Go 2 | ~radeon-890m
MSI Claw 8 AI+ | ~arc-140v
GPD Win 5 | ~strix-halo-8060s-128gb
Framework Desktop 128GB | ~strix-halo-8060s-128gb
GMKtec EVO-X2 | ~strix-halo-8060s-128gb
Beelink GTR9 Pro | ~strix-halo-8060s-128gb
Bosgame M5 | ~strix-halo-8060s-128gb
Minisforum MS-S1 Max | ~strix-halo-8060s-128gb
HP Z2 Mini G1a | ~strix-halo-8060s-128gb
Corsair AI Workstation 300 | ~strix-halo-8060s-128gb
Minisforum UM890 Pro | ~radeon-780m
g5.xlarge | ~a10g
g6e.12xlarge | ~l40s*4
p5.48xlarge | ~h100-sxm5-80-gb*8
p4d.24xlarge | ~a100-sxm4-40-gb*8
AWS g4dn.xlarge | ~tesla-t4
g6.xlarge | ~l4
gr6.4xlarge | ~l4
g7e.2xlarge | ~rtx-pro-6000-blackwell-server-edition
a2-highgpu-1g | ~a100-sxm4-40-gb
a3-highgpu-8g | ~h100-sxm5-80-gb*8
g2-standard-4 | ~l4
g4-standard-48 | ~rtx-pro-6000-blackwell-server-edition
n1-standard-4 T4 | ?
NC24ads A100 v4 | ~a100-pcie-80-gb
Standard_NC24ads_A100_v4 | ~a100-pcie-80-gb
NC4as_T4_v3 | ~tesla-t4
NV36ads A10 v5 | ~a10
Colab T4 | tesla-t4
Kaggle 2x T4 | tesla-t4*2
RunPod A40 | a40
BM.GPU.H100.8 | ~h100-sxm5-80-gb*8
BM.GPU.MI300X.8 | ~instinct-mi300x-192-gb*8
CMP 90HX | ?
P106-100 | p106-100
RTX 4090 48GB | ~rtx-4090-48-gb-modded
RTX 5070 Ti 16 | ~rtx-5070-ti
RTX 5060ti 16gb | rtx-5060-ti-16-gb
rx 9070xt | rx-9070-xt
rx6700xt | rx-6700-xt
6800xt | rx-6800-xt
7900 xtx 24gb | rx-7900-xtx
RX 580 | rx-580-8-gb
vega 64 | rx-vega-64
RTX 3090 x 4 | rtx-3090*4
3090+3090 | rtx-3090*2
2080ti 22g | rtx-2080-ti-22-gb-modded
Titan V | titan-v
GTX 1080Ti 11GB | gtx-1080-ti
Titan X | ~titan-x-pascal
RTX 3090 FE | rtx-3090
EVGA RTX 3090 FTW3 | rtx-3090
ASUS TUF RTX 4090 OC | rtx-4090
MSI GeForce RTX 4070 Ti SUPER Gaming X Slim | rtx-4070-ti-super
Sapphire Nitro+ RX 7900 XTX | rx-7900-xtx
Gigabyte RTX 5090 Gaming OC | rtx-5090
PNY RTX A4000 | rtx-a4000
Zotac 4060 Ti 16GB | rtx-4060-ti-16-gb
Sparkle Arc B580 | arc-b580-12-gb
Intel Arc Pro B60 Dual 48G Turbo | arc-pro-b60-dual-48-gb
Arc A770 16GB | arc-a770-16-gb
Flex 170 | data-center-gpu-flex-170-16-gb
Data Center GPU Max 1100 | ~data-center-gpu-max-1100-48-gb
ponte vecchio | ?
Tenstorrent Blackhole p150a | !
n300d | !
Groq LPU | !
Cerebras CS-3 | !
SambaNova SN40L | !
Hailo-10H | !
Coral TPU | !
MTT S80 | !
Rockchip NPU | ?
Orange Pi 5 | rk3588
Raspberry Pi 5 16GB | ~raspberry-pi-5
Pi 5 | ~raspberry-pi-5
iPad Pro M4 | !
iPhone 17 Pro | !
Pixel 9 | !
Galaxy S25 Ultra | !
Snapdragon 8 Gen 3 | !
Dimensity 9400 | !
i7-12700K | ~cpu-ddr5-4800-2ch
i9-14900K | ~cpu-ddr5-5600-2ch
i5-8400 | ~cpu-ddr4-2666-2ch
Ryzen 5 5600X | ~cpu-ddr4-3200-2ch
Ryzen 7 9800X3D | ~cpu-ddr5-5600-2ch
Ryzen 9 9950X3D | ~cpu-ddr5-5600-2ch
Threadripper 7970X | ~cpu-tr-ddr5-5200-4ch
Dual EPYC 9654 | ~cpu-epyc-ddr5-4800-12ch
EPYC 7763 | ~cpu-epyc-ddr4-3200-8ch
Xeon E5-2699 v4 | ~cpu-ddr4-2400-4ch
Xeon 6980P | ~cpu-xeon6-ddr5-6400-12ch
CPU only | ?
no GPU | ?
32GB RAM | ?
DDR5 6000 | ~cpu-ddr5-6000-2ch
16GB VRAM | ?
24 GB | ?
RTX 5080 Super | !
RTX 5070 Super | !
RTX 6090 | ?
RTX 5090 Ti | ?
RX 9080 XT | ?
macbook | ?
MacBook Pro | ?
macbook air | ?
macbook pro 64gb | ?
macbook 16gb | ?
MacBook Neo | ~apple-a18-pro-5c-8gb
Apple MacBook Neo | ~apple-a18-pro-5c-8gb
MBP M4 Max 128GB | apple-m4-max-40c-128gb
mba m2 16gb | ~apple-m2-10c-16gb
Framework Desktop 64GB | ~strix-halo-8060s-64gb
RTX A5000 Max-Q | rtx-a5000-max-q
RTX A4000 Max-Q | rtx-a4000-max-q
RTX A2000 Max-Q | ~rtx-a2000-max-q-8-gb
RTX A2000 Embedded | rtx-a2000-embedded-4-gb
Radeon 840M | radeon-840m
Radeon 820M | radeon-820m
Snapdragon X Elite X1E-80-100 | snapdragon-x-elite
Snapdragon X Plus X1P-64-100 | snapdragon-x-plus
Quadro T2000 | quadro-t2000-laptop
GeForce MX450 | mx450
GTX 1630 | gtx-1630
GTX 750 Ti | gtx-750-ti
P104-100 | p104-100
CMP 40HX | cmp-40hx
i7-4790K | ~cpu-ddr3-1600-2ch
i5-8250U | ~cpu-ddr4-2400-2ch
i7-6700K | ~cpu-ddr4-2133-2ch
i7-5960X | ?
Intel N100 | ~cpu-ddr5-4800-1ch
N150 | ~cpu-ddr5-4800-1ch
Tenstorrent n150 | !
n150d | !
ml.g5.2xlarge | ~a10g
gpu_8x_h100_sxm5 | h100-sxm5-80-gb*8
gpu_1x_a10 | a10*1
gpu-mi300x8-1536gb | ~instinct-mi300x-192-gb*8
H100-SXM-8-80G | ~h100-sxm5-80-gb*8
ecs.gn7e-c16g1.8xlarge | ~a100-sxm4-80-gb*2
p6e-gb200.36xlarge | ~gb200*4
PS5 | !
Xbox Series X | !
Hygon DCU K100 | !
MetaX C500 | !
Cambricon MLU590 | !
Core Ultra 5 125H | arc-meteor-lake-7xe
g5g.xlarge | ~tesla-t4
g5g.16xlarge | ~tesla-t4*2
Orange Pi 5 Max 16GB | ~rk3588
Mac17,12 | ~apple-m5-max-40c-128gb
Core Ultra 7 155H | arc-meteor-lake-8xe
Core Ultra 9 275HX | ~cpu-ddr5-6400-2ch
NVIDIA H20-3e | h20-141-gb
ND MI300X v5 | ~instinct-mi300x-192-gb*8
rtx 4070tis | ~rtx-4070-ti-super
gtx 1660s | ~gtx-1660-super
4080s | ~rtx-4080-super
2x 4080s | rtx-4080*2
3090s | rtx-3090
base M4 Mac mini | ~apple-m4-10c-16gb
base model macbook air m3 | ~apple-m3-8c-8gb
base macbook pro m4 pro | ~apple-m4-pro-16c-24gb
base mac studio | ?
mac pro | ?
192gb mac studio | ~apple-m2-ultra-76c-192gb
m2 air 16gb | ~apple-m2-10c-16gb
studio m2 max 64 | ~apple-m2-max-38c-64gb
8gb vram | ?
Hetzner GEX44 | ~rtx-4000-sff-ada-generation
Inno3D GeForce RTX 3080 iChill X4 10GB | rtx-3080
mac studio m2 | ~apple-m2-max-38c-96gb
mac studio m2 64gb | ?
mac mini m4pro 48gb | ~apple-m4-pro-20c-48gb
m4 ipad | !
Dell R730 with P40 | ~tesla-p40
Tesla K80 24GB | ~tesla-k80*2
2x Xeon 8480+ | ~cpu-ddr5-4800-8ch
Pi 4B 8GB | ~raspberry-pi-4
oracle bm.gpu.h100.8 | ~h100-sxm5-80-gb*8
Mac Studio M3U 256GB | ~apple-m3-ultra-80c-256gb
GMKtec EVO X2 96gb | ~strix-halo-8060s-96gb
GMKtec EVO X2 256gb | ?
Asus NUC 14 Pro Ultra 7 155H | ~cpu-ddr5-5600-2ch
i9-13900K RTX 4090 64GB | ~rtx-4090
i9-13900K RTX 4060 Ti 16GB | ~rtx-4060-ti-16-gb
ryzen 5 3600 rtx 3060 32gb | ~rtx-3060-12-gb
NVIDIA B300 SXM6 AC | b300
llama 3.1 8b on m4 | ?apple-m4-10c-32gb
ggml_cuda_init: found 1 CUDA devices: Device 0: NVIDIA GeForce RTX 4070, compute capability 8.9, VMM: yes | rtx-4070
ggml_metal_init: found device: Apple M3 Pro | ~apple-m3-pro-18c-36gb
Beelink SER9 HX 370 | ~radeon-890m
ryzen 5 6600h laptop | radeon-660m
AMD Ryzen AI Max+ 395 w/ Radeon 8060S (64GB) | strix-halo-8060s-64gb
Xeon 6980P 768GB MRDIMM | ~cpu-xeon6-mrdimm-8800-12ch
RTX 4090 두 장 | rtx-4090*2
8845HS iGPU | ~radeon-780m
Ryzen 7 5700G iGPU | ?
Chip: Apple M3 Pro | ~apple-m3-pro-18c-36gb
AORUS 16X RTX 4070 | rtx-4070-laptop
MSI Titan 18 HX RTX 5080 | ~rtx-5080-laptop
Framework Desktop Max+ 395 128GB | ~strix-halo-8060s-128gb
Surface Laptop 7 X Plus | ~snapdragon-x-plus
Intel NUC 13 Pro i7-1360P | ~cpu-ddr5-5200-2ch
맥북 프로 M3 16GB | ~apple-m3-10c-16gb
Core Ultra 7 256V 16GB | ~arc-140v
Scaleway L40S-1-48G | ~l40s
Scaleway H100-SXM-8-80G | ~h100-sxm5-80-gb*8
OVH l40s-180 | ~l40s*2
OVHcloud h100-760 | ~h100-sxm5-80-gb*2
t2-le-90 | ~tesla-v100s-pcie-32-gb*2
rtx5000-28 | ~quadro-rtx-5000
Hetzner GEX131 | ~rtx-pro-6000-blackwell-max-q
Hetzner GEX44 | ~rtx-4000-sff-ada-generation
0  NVIDIA L4  Off | l4
Model Identifier: Mac16,5 | ~apple-m4-max-40c-128gb
Chipset Model: Apple M2 Ultra Total Number of Cores: 76 | ~apple-m2-ultra-76c-192gb
Chipset Model: Apple M3 Max Type: GPU Bus: Built-In Total Number of Cores: 40 Vendor: Apple (0x106b) | ~apple-m3-max-40c-128gb
Chip: Apple M2 Ultra Total Number of Cores: 24 (16 performance and 8 efficiency) Memory: 192 GB | ~apple-m2-ultra-76c-192gb
2 nodes of 8xH100 | ~h100-sxm5-80-gb*16
2 3090 on my desk | ~rtx-3090*2
gpu_8x_b200_sxm6 | b200*8
laptop with 4060 | rtx-4060-laptop
ggml_cuda_init: found 1 CUDA devices:   Device 0: NVIDIA GeForce RTX 3060, compute capability 8.6, VMM: yes | ~rtx-3060-12-gb
llama_model_load_from_file_impl: using device CUDA0 (NVIDIA GeForce RTX 4090) - 22994 MiB free | rtx-4090
Chipset Model: Apple M1 Max | ~apple-m1-max-32c-64gb
EPYC 7B13 with 512GB DDR4 | ~cpu-epyc-ddr4-3200-8ch
n1-standard-4 + 1x T4 | ?tesla-t4
ggml_metal_init: found device: Apple M2 Max | ~apple-m2-max-38c-96gb
ggml_vulkan: 0 = AMD Radeon RX 6700 XT (RADV NAVI22) (radv)  | rx-6700-xt
GPU 1: Tesla V100-SXM2-16GB (UUID: GPU-aaaa) | tesla-v100-sxm2-16-gb
Mac Studio (M1 Ultra, 64GB) | ~apple-m1-ultra-64c-64gb
Chip: Apple M3 | ~apple-m3-10c-24gb
4x 3090 (96GB VRAM) | ~rtx-3090*4
1x H100 | ~h100-sxm5-80-gb*1
3060 12gb and 32gb ram | ~rtx-3060-12-gb
CPU only, i9-13900K, DDR5-5600 | ~cpu-ddr5-5600-2ch
Device 1: NVIDIA GeForce RTX 3080 Ti, compute capability 8.6 | rtx-3080-ti
NVIDIA-SMI 550.54 Tesla V100 | ~tesla-v100-sxm2-32-gb
ROCm0: AMD Radeon RX 7900 XT, gfx1100 | rx-7900-xt
"""
