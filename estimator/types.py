"""The nouns that every room speaks: enums and frozen dataclasses, base SI units, a unit in every quantity's name.

Conventions: ``*_bytes`` are exact integers, ``*_s`` seconds, ``*_bytes_s`` bytes per second, ``*_flops`` floating
point operations per second (dense), ``*_tok_s`` tokens per second. ``None`` means unknown, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from estimator.fact_words import FACT_WORDS
from estimator.server_options import DEFAULT_SERVER, ServerOptions, SplitMode


class Engine(StrEnum):
    """Inference engines. Ollama is a front of llama.cpp and shares its physics."""

    LLAMA_CPP = "llama.cpp"
    VLLM = "vllm"
    MLX = "mlx"
    OLLAMA = "ollama"
    IK_LLAMA_CPP = "ik_llama.cpp"
    SGLANG = "sglang"
    TENSORRT_LLM = "tensorrt-llm"
    EXLLAMAV2 = "exllamav2"
    EXLLAMAV3 = "exllamav3"
    LM_STUDIO = "lm-studio"
    LLAMAFILE = "llamafile"


_MAKERS_NAMES = {
    Engine.VLLM: "vLLM", Engine.MLX: "MLX", Engine.OLLAMA: "Ollama", Engine.SGLANG: "SGLang", Engine.LM_STUDIO: "LM Studio",
    Engine.TENSORRT_LLM: "TensorRT-LLM", Engine.EXLLAMAV2: "ExLlamaV2", Engine.EXLLAMAV3: "ExLlamaV3",
}  # fmt: skip
ENGINE_NAMES = {engine: _MAKERS_NAMES.get(engine, engine.value) for engine in Engine}
#: Engines that serve checkpoints from a fixed share of the memory and split a model evenly.
SERVERS = (Engine.VLLM, Engine.SGLANG, Engine.TENSORRT_LLM)
#: llama.cpp, its forks and its fronts.
LLAMA_ENGINES = (Engine.LLAMA_CPP, Engine.OLLAMA, Engine.IK_LLAMA_CPP, Engine.LM_STUDIO, Engine.LLAMAFILE)
#: Engines that keep whole models on the devices, and spread whole layers over several.
EXLLAMA_ENGINES = (Engine.EXLLAMAV2, Engine.EXLLAMAV3)


class Backend(StrEnum):
    """Compute interfaces that an engine drives an accelerator through."""

    CUDA = "CUDA"
    ROCM = "ROCm"
    VULKAN = "Vulkan"
    METAL = "Metal"
    SYCL = "SYCL"
    CPU = "CPU"
    HPU = "HPU"
    TPU = "TPU"
    CANN = "CANN"
    NEURON = "Neuron"


class QuantFormat(StrEnum):
    """File formats of quantized weights; each decides which engine can load it."""

    GGUF = "gguf"
    SAFETENSORS = "safetensors"
    AWQ = "awq"
    GPTQ = "gptq"
    FP8 = "fp8"
    NVFP4 = "nvfp4"
    MXFP4 = "mxfp4"
    MLX = "mlx"
    INT8 = "int8"
    BITSANDBYTES = "bitsandbytes"
    FP8_FP4 = "fp8-fp4"
    EXL2 = "exl2"
    EXL3 = "exl3"
    IK_GGUF = "ik-gguf"


GGUF_FORMATS = (QuantFormat.GGUF, QuantFormat.IK_GGUF)  # read by llama.cpp or its forks


class CacheType(StrEnum):
    """Element types of the KV cache."""

    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    Q8_0 = "q8_0"
    Q5_1 = "q5_1"
    Q5_0 = "q5_0"
    Q4_1 = "q4_1"
    Q4_0 = "q4_0"
    IQ4_NL = "iq4_nl"
    FP8 = "fp8"


class WorkloadKind(StrEnum):
    """The five workloads that are precomputed for every pairing."""

    CHAT = "chat"
    CODING = "coding"
    AGENTIC_CODING = "agentic-coding"
    REASONING = "reasoning"
    RAG = "rag"


class OperatingMode(StrEnum):
    """How a ranking weighs speed, latency, context and headroom. Never changes a fit."""

    BALANCED = "balanced"
    INTERACTIVE = "interactive"
    LIGHT_API = "light-api"
    SCALE_OUT = "scale-out"


class Status(StrEnum):
    """Outcome of a placement, from best to worst. Order of definition is the stored code."""

    FITS = "FITS"
    FITS_TIGHTLY = "FITS_TIGHTLY"
    FITS_WITH_OFFLOAD = "FITS_WITH_OFFLOAD"
    DOES_NOT_FIT = "DOES_NOT_FIT"
    UNSUPPORTED = "UNSUPPORTED"


class Evidence(StrEnum):
    """Where a speed comes from. Order of definition is the stored code."""

    MEASURED = "MEASURED"
    CALIBRATED = "CALIBRATED"
    EXTRAPOLATED = "EXTRAPOLATED"


class Strategy(StrEnum):
    """Kind of a placement. Order of definition is the stored code."""

    ALL_GPU = "ALL_GPU"
    EXPERT_OFFLOAD = "EXPERT_OFFLOAD"
    LAYER_OFFLOAD = "LAYER_OFFLOAD"
    CPU_ONLY = "CPU_ONLY"
    NONE = "NONE"


STATUSES: tuple[Status, ...] = tuple(Status)
EVIDENCES: tuple[Evidence, ...] = tuple(Evidence)
ENGINES: tuple[Engine, ...] = tuple(Engine)
BACKENDS: tuple[Backend, ...] = tuple(Backend)
STRATEGIES: tuple[Strategy, ...] = tuple(Strategy)


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One accelerator, as its datasheet and driver state it.

    ``memory_bytes`` is what the driver reports where that is known, else the nominal size; for unified memory the whole
    pool, of which the GPU may use ``usable_fraction`` by default, or ``usable_bytes`` where that was measured.
    ``matrix_flops`` is the dense FP16 peak with FP32 accumulation (matrix units where there are any, else shaders),
    ``half_flops`` that with FP16 accumulation where it is another; ``inline_checks``: check bits lie among the data,
    ``bridged``: a bridge joins two over ``link_bytes_s``.
    """

    slug: str
    name: str
    vendor: str
    architecture: str
    kind: str
    memory_bytes: int | None
    usable_fraction: float | None
    unified_memory: bool
    bandwidth_bytes_s: float | None
    matrix_flops: float | None
    int8_ops: float | None
    fp8_flops: float | None
    fp4_flops: float | None
    fp32_flops: float | None
    compute_units: int | None
    compute_capability: float | None
    gfx_target: str | None
    pcie_bytes_s: float | None
    link_bytes_s: float | None
    tdp_w: float | None
    msrp_usd: float | None
    backends: tuple[Backend, ...]
    engines: tuple[Engine, ...]
    usable_bytes: int | None = None
    boost_hz: float | None = None
    last_level_cache_bytes: int | None = None
    generation_year: int | None = None
    half_flops: float | None = None
    inline_checks: bool = False
    bridged: bool = False

    @property
    def has_own_memory(self) -> bool:
        """Whether it brings memory along, so that several of it in one computer hold more than one does."""
        return not self.unified_memory and self.kind != "cpu"

    @property
    def comes_alone(self) -> bool:
        """Whether a computer that one can buy has one of it at most: it has no own memory, or sits in a laptop."""
        return not self.has_own_memory or self.kind == "laptop"

    def __hash__(self) -> int:
        # Caches look whole lists of accelerators up; a few telling fields spare hashing thirty each time.
        return hash((self.slug, self.memory_bytes, self.bandwidth_bytes_s))


@dataclass(frozen=True, slots=True)
class Host:
    """The computer around an accelerator, of the kinds ``assumed_for`` where none is named: there offloaded weights run."""

    slug: str
    name: str
    memory_bytes: int
    bandwidth_bytes_s: float
    flops: float
    cores: int
    assumed_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PartBits:
    """Bits of a weight with its scales: embedding, output, dense layers, beside routed experts, those."""

    embedding: float
    output: float
    dense: float
    beside_experts: float
    experts: float


@dataclass(frozen=True, slots=True)
class Quant:
    """One way to store weights: a llama.cpp file type, or a pre-quantized checkpoint format.

    ``file_type`` is the llama.cpp recipe (``Q4_K_M``); other formats use ``weight_bits`` and ``group_size`` (elements per
    scale). ``quality_loss`` is the relative rise of perplexity at 7 to 8 B parameters, None when unknown; ``nominal_bits``
    is what the name promises, for peers' formulas alone.
    """

    slug: str
    name: str
    format: QuantFormat
    file_type: str | None
    nominal_bits: float
    weight_bits: float | None
    group_size: int | None
    scale_bits: float | None
    zero_bits: float | None
    quality_loss: float | None
    imatrix: bool = False
    #: Written for mixtures of experts alone (MXFP4_MOE); listed for models alone whose own checkpoint has it.
    moe_only: bool = False
    own_only: bool = False
    #: Instead of a recipe or one number of bits, where a format gives the parts of a model bits of their own.
    part_bits: PartBits | None = None
    #: Where a publisher mixes the types of a recipe: its bytes over the recipe's, by part (``weights.PARTS``).
    mixed_recipe: str | None = None
    part_factors: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """A use with stated lengths (tokens) and thresholds (tok/s, milliseconds, seconds).

    ``context_tokens`` is what is allocated; decode is stated at ``decode_depth_tokens`` tokens already in context.
    ``answer_tokens`` are read by the user; a thinking model writes ``thinking_tokens`` before them. Nobody waits longer than
    ``usable_ttft_ms`` for the first token, or ``usable_answer_s`` for the last. One person asks ``think_s`` after an answer.
    """

    slug: str
    name: str
    kind: WorkloadKind
    prompt_tokens: int
    output_tokens: int
    answer_tokens: int
    thinking_tokens: int
    context_tokens: int
    decode_depth_tokens: int
    comfortable_decode_tok_s: float
    minimum_decode_tok_s: float
    patience_ttft_ms: float
    usable_ttft_ms: float
    usable_answer_s: float
    think_s: float


@dataclass(frozen=True, slots=True)
class Speed:
    """A speed in tokens per second with the range that holds for 80 % of measured cases."""

    value: float
    low: float
    high: float
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class MemoryParts:
    """Device memory of a load, bytes; the parts add up to ``total_bytes`` exactly. ``host_bytes`` is system RAM.

    ``projector_bytes`` is None when a vision projector is loaded whose size is unknown; it is then not in the total.
    """

    weights_bytes: int
    kv_cache_bytes: int
    compute_bytes: int
    overhead_bytes: int
    total_bytes: int
    usable_bytes: int
    capacity_bytes: int
    host_bytes: int
    draft_bytes: int = 0
    projector_bytes: int | None = 0


@dataclass(frozen=True, slots=True)
class Placement:
    """Places of a model's parts. ``gpu_layers`` counts as llama.cpp's ``-ngl`` does (repeating layers + 1 for the output)."""

    strategy: Strategy
    gpu_layers: int
    cpu_moe_layers: int
    offload_fraction: float


@dataclass(frozen=True, slots=True)
class EstimateRequest:
    """One question, resolved to facts. ``None`` lets the estimator choose what a user of that engine would get."""

    quant: Quant
    accelerator: Accelerator
    gpu_count: int = 1
    host: Host | None = None
    engine: Engine | None = None
    backend: Backend | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    depth_tokens: int | None = None
    context_tokens: int | None = None
    # The type of keys and values; ``v_cache_type`` only where values are of another type.
    kv_cache_type: CacheType | None = None
    v_cache_type: CacheType | None = None
    flash_attention: bool | None = None
    batch: int = 1
    micro_batch_tokens: int | None = None
    gpu_layers: int | None = None
    cpu_moe_layers: int | None = None
    # GPU memory limit of macOS that was set by hand (`iogpu.wired_limit_mb`); None means the default.
    wired_limit_bytes: int | None = None
    # A fork or front of the engine with a pace of its own (``ik_llama.cpp``); None means the engine itself.
    software: str | None = None
    build_age_years: float = 0.0  # of the engine; 0 means a current one
    server: ServerOptions = DEFAULT_SERVER
    split_mode: SplitMode | None = None
    # Streams are at all depths at once: an engine that pages holds the expected cache of each, not a whole context.
    expected_occupancy: bool = False


@dataclass(frozen=True, slots=True)
class Estimate:
    """The answer to one question. Speeds and TTFT are None when nothing runs."""

    status: Status
    engine: Engine | None
    backend: Backend | None
    file_size_bytes: int
    memory: MemoryParts
    placement: Placement
    decode: Speed | None
    prefill: Speed | None
    ttft_ms: float | None
    safe_context_tokens: int
    context_tokens: int
    score: float
    grade: str
    reasons: tuple[str, ...] = field(default=())


class EstimatorError(ValueError):
    """Base of what the estimator refuses; the message says what was wrong and what is allowed."""


def missing_fact(name: str, field_name: str) -> str:
    """Why nothing can be estimated of what is called ``name``, in a sentence for people."""
    if field_name == "engines":
        return f"{name}: no engine ({', '.join(ENGINE_NAMES.values())}) runs on it, so no estimate can be made."
    return f"{name}: {FACT_WORDS.get(field_name, field_name)} is not known, so no estimate can be made."


class MissingFactError(EstimatorError):
    """A fact that the estimate needs is unknown; ``field_name`` names it."""

    def __init__(self, entity: str, field_name: str) -> None:
        self.entity, self.field_name = entity, field_name
        super().__init__(missing_fact(entity, field_name))


class UnsupportedError(EstimatorError):
    """No engine runs this format on this hardware."""
