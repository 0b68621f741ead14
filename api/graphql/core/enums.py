"""Enums of the contract, each value described. Those that the estimator speaks are its own enums, named for clients."""

from __future__ import annotations

from enum import Enum, StrEnum

from api.answers.choices.models import ModelKind
from api.graphql.core.described import describe
from estimator.judgement.capability import CapabilityEvidence
from estimator.server_options import SplitMode
from estimator.types import Backend as BackendKind
from estimator.types import CacheType, Evidence, OperatingMode, QuantFormat, Strategy, WorkloadKind
from estimator.types import Engine as EngineKind
from estimator.types import Status as FitStatus
from estimator.usability import Usability
from estimator.verdict import GRADES

__all__ = [
    "BackendKind",
    "EngineKind",
    "FitSource",
    "FitStatus",
    "GpuKind",
    "Grade",
    "OrderDirection",
    "ReleaseDateKind",
    "Vendor",
]


describe(
    WorkloadKind,
    "WorkloadKind",
    "The five uses that every pairing is computed for.",
    {
        "CHAT": "Short conversation.",
        "CODING": "Completion and editing with a few files in context.",
        "AGENTIC_CODING": "An agent that reads and writes a repository over many turns.",
        "REASONING": "Short questions with long chains of thought.",
        "RAG": "Answers over many retrieved passages.",
    },
)
describe(
    ModelKind,
    "ModelKind",
    "Kind of a model.",
    {
        "BASE": "A model before its post-training, which continues a text and follows no instructions.",
        "CHAT": "Any model that follows instructions.",
        "REASONING": "A model that can think before it answers.",
        "CODER": "A model made for code.",
        "MIXTURE_OF_EXPERTS": "A model of which a token passes a few of many experts.",
        "DENSE": "A model of which a token passes all weights.",
    },
)
describe(
    FitStatus,
    "FitStatus",
    "Outcome of placing a model on hardware, from best to worst.",
    {
        "FITS": "Everything lies in device memory, with room to spare.",
        "FITS_TIGHTLY": "Everything lies in device memory, with less than a twentieth of the usable memory left.",
        "FITS_WITH_OFFLOAD": "A part of the weights lies in host memory and runs, or is streamed, from there.",
        "DOES_NOT_FIT": "Device and host memory together are too small.",
        "UNSUPPORTED": "No engine runs this quantization of this model on this hardware.",
    },
)
describe(
    Usability,
    "Usability",
    "Whether a setup can be used for the workload, from best to worst.",
    {
        "YES": "Usable, and a whole answer comes within the comfortable time. Grades S, A and B.",
        "SLOWLY": "Speed, first wait and answer time are within what the workload allows at worst. Grade C.",
        "BARELY": "It runs, and misses what the workload allows by less than a factor of four. Grade D.",
        "NO": "It does not run, or is slower than that. Grade F.",
    },
)
describe(
    Evidence,
    "Evidence",
    "Where a speed comes from.",
    {
        "MEASURED": "Measurements of this very configuration are in the catalog: model, accelerator, quantization, engine and "
        "backend.",
        "CALIBRATED": "Constants fitted on measurements of the same hardware family and engine.",
        "EXTRAPOLATED": "Constants of a neighbouring family: the range is wide.",
    },
)
describe(
    CapabilityEvidence,
    "CapabilityEvidence",
    "Where a capability comes from.",
    {
        "MEASURED": "Own published results of this kind of work.",
        "INHERITED": "No own result, but results of the model that it was made from.",
        "PREDICTED": "Facts of the model alone, and own results of other kinds of work where there are some.",
    },
)
describe(
    Strategy,
    "PlacementStrategy",
    "Kind of placement.",
    {
        "ALL_GPU": "All layers on the device.",
        "EXPERT_OFFLOAD": "Routed experts of some layers in host memory, everything else on the device.",
        "LAYER_OFFLOAD": "Some whole layers in host memory.",
        "CPU_ONLY": "All layers in host memory.",
        "NONE": "Nothing is placed, since it does not fit or cannot run.",
    },
)
describe(
    EngineKind,
    "EngineKind",
    "Inference engines.",
    {
        "LLAMA_CPP": "llama.cpp.",
        "VLLM": "vLLM.",
        "MLX": "MLX (mlx-lm).",
        "OLLAMA": "Ollama, a front of llama.cpp that shares its physics.",
        "IK_LLAMA_CPP": "ik_llama.cpp, a fork of llama.cpp with types of its own.",
        "SGLANG": "SGLang.",
        "TENSORRT_LLM": "TensorRT-LLM.",
        "EXLLAMAV2": "ExLlamaV2, which reads EXL2.",
        "EXLLAMAV3": "ExLlamaV3, which reads EXL3.",
        "LM_STUDIO": "LM Studio, a front of llama.cpp.",
        "LLAMAFILE": "llamafile, a build of llama.cpp in one file.",
    },
)
describe(
    BackendKind,
    "BackendKind",
    "Compute interfaces that an engine drives an accelerator through.",
    {
        "CUDA": "NVIDIA CUDA.",
        "ROCM": "AMD ROCm (HIP).",
        "VULKAN": "Vulkan.",
        "METAL": "Apple Metal.",
        "SYCL": "SYCL (Intel oneAPI).",
        "CPU": "The processor itself.",
        "HPU": "Intel Gaudi.",
        "TPU": "Google TPU.",
        "CANN": "Huawei Ascend (CANN).",
        "NEURON": "AWS Inferentia and Trainium (Neuron).",
    },
)
describe(
    SplitMode,
    "SplitMode",
    "Ways of llama.cpp to share a model over several accelerators.",
    {
        "LAYER": "Whole layers on each.",
        "ROW": "Rows of dense matrices on each; removed from llama.cpp in June 2026.",
        "TENSOR": "A part of every matrix and of the cache on each.",
    },
)
describe(
    QuantFormat,
    "QuantFormat",
    "File formats of weights; each decides which engines can load it.",
    {
        "GGUF": "llama.cpp's file format.",
        "SAFETENSORS": "Unquantized safetensors checkpoint.",
        "AWQ": "Activation-aware weight quantization, 4 bits, group scales.",
        "GPTQ": "GPTQ, 4 or 8 bits, group scales.",
        "FP8": "8-bit floating point, block or tensor scales.",
        "NVFP4": "NVIDIA's 4-bit floating point, FP8 scales per 16 elements.",
        "MXFP4": "OCP microscaling 4-bit floating point, shared exponent per 32 elements.",
        "MLX": "MLX group quantization.",
        "INT8": "8-bit integers, scales per channel, activations in INT8 too.",
        "BITSANDBYTES": "bitsandbytes: NF4 in groups of 64, or INT8.",
        "FP8_FP4": "Experts in 4-bit, everything else in 8-bit floating point.",
        "EXL2": "ExLlamaV2.",
        "EXL3": "ExLlamaV3.",
        "IK_GGUF": "GGUF with types that ik_llama.cpp alone reads.",
    },
)
describe(
    CacheType,
    "CacheType",
    "Element types of the KV cache.",
    {
        "F32": "32-bit floating point.",
        "F16": "16-bit floating point.",
        "BF16": "16-bit brain floating point.",
        "Q8_0": "8.5 bits an element (blocks of 32 with one 16-bit scale).",
        "Q5_1": "6 bits an element (blocks of 32 with scale and minimum).",
        "Q5_0": "5.5 bits an element (blocks of 32 with one scale).",
        "Q4_1": "5 bits an element (blocks of 32 with scale and minimum).",
        "Q4_0": "4.5 bits an element (blocks of 32 with one scale).",
        "IQ4_NL": "4.5 bits an element, non-linear levels.",
        "FP8": "8-bit floating point.",
    },
)
describe(
    OperatingMode,
    "OperatingMode",
    "How a ranking weighs speed, latency, context and headroom. It never changes a fit.",
    {
        "BALANCED": "General local use.",
        "INTERACTIVE": "Favours decode speed and a short wait for the first token.",
        "LIGHT_API": "A few clients at once: favours speed with some headroom.",
        "SCALE_OUT": "Many clients at once: favours headroom and throughput.",
    },
)


class OrderDirection(Enum):
    """Ascending or descending."""

    ASC = "ASC"
    DESC = "DESC"


describe(
    OrderDirection,
    "OrderDirection",
    "Direction of one term of an order. Unknown values come last in both directions.",
    {"ASC": "Smallest first.", "DESC": "Largest first."},
)


class Grade(Enum):
    """Letters of scores, best first."""

    S = "S"
    A = "A"
    B = "B"
    C = "C"
    D = "D"
    F = "F"


describe(
    Grade,
    "Grade",
    "Letter of a score, best first.",
    {letter: f"Score from {score:g}, of 100." for letter, score in GRADES},
)


class Vendor(StrEnum):
    """Makers of accelerators in the catalog."""

    NVIDIA = "nvidia"
    AMD = "amd"
    APPLE = "apple"
    INTEL = "intel"
    GOOGLE = "google"
    HUAWEI = "huawei"
    AWS = "aws"
    QUALCOMM = "qualcomm"
    GENERIC = "generic"
    OTHER = "other"


describe(
    Vendor,
    "Vendor",
    "Maker of an accelerator.",
    {
        "NVIDIA": "NVIDIA.",
        "AMD": "AMD.",
        "APPLE": "Apple.",
        "INTEL": "Intel.",
        "GOOGLE": "Google.",
        "HUAWEI": "Huawei.",
        "AWS": "Amazon Web Services.",
        "QUALCOMM": "Qualcomm.",
        "GENERIC": "A class of machine rather than one product, such as a processor with two memory channels.",
        "OTHER": "A maker that is not listed here yet.",
    },
)


class GpuKind(StrEnum):
    """Sorts of product."""

    CONSUMER = "consumer"
    WORKSTATION = "workstation"
    DATACENTER = "datacenter"
    LAPTOP = "laptop"
    SOC = "soc"
    INTEGRATED = "integrated"
    CPU = "cpu"
    OTHER = "other"


describe(
    GpuKind,
    "GpuKind",
    "Sort of product of an accelerator.",
    {
        "CONSUMER": "Desktop graphics card.",
        "WORKSTATION": "Professional graphics card.",
        "DATACENTER": "Server accelerator.",
        "LAPTOP": "Graphics chip of a laptop.",
        "SOC": "System on a chip with memory shared between CPU and GPU.",
        "INTEGRATED": "Graphics inside a processor, on system memory.",
        "CPU": "A processor without a GPU.",
        "OTHER": "A sort that is not listed here yet.",
    },
)


class ReleaseDateKind(StrEnum):
    """Kinds of dates as the catalog writes them."""

    RELEASED = "released"
    REPOSITORY_CREATED = "repository created"
    RECALLED = "recalled"


describe(
    ReleaseDateKind,
    "ReleaseDateKind",
    "The event that a model's date is the date of.",
    {
        "RELEASED": "The release, as a source states it.",
        "REPOSITORY_CREATED": "The creation of the repository of the weights: the release may be earlier or later.",
        "RECALLED": "The release from general knowledge: no source was read.",
    },
)


class FitSource(Enum):
    """Published by a run, or computed for this request."""

    PUBLISHED = "PUBLISHED"
    LIVE = "LIVE"


describe(
    FitSource,
    "FitSource",
    "Where the numbers of a fit come from.",
    {
        "PUBLISHED": "Read from the published generation.",
        "LIVE": "Not published: computed for this request by the code that the runs use.",
    },
)
