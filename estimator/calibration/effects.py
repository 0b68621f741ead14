"""Which fitted effects a term's coefficient is the product of, for a device, backend, quant and model.

An effect is named ``factor:value`` (``family:ada``, ``quant|family:q4k|ada``); the log of a coefficient is the sum of the
effects that apply. An effect that was never fitted is 0: thin data fall back to the wider group by themselves.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from functools import lru_cache

from estimator.speed.arithmetic import USUAL_FLOPS_PER_UNIT_CLOCK
from estimator.types import GGUF_FORMATS, SERVERS, Accelerator, Backend, Engine, Quant, QuantFormat

_BY_NAME = (
    ("gb10", "gb10"), ("dgx spark", "gb10"), ("strix halo", "strix-halo"), ("8060s", "strix-halo"),
    ("8050s", "strix-halo"), ("ai max", "strix-halo"),
)  # fmt: skip
_BY_ARCHITECTURE = (
    ("ada", "ada"), ("blackwell", "blackwell"), ("rubin", "blackwell"), ("hopper", "hopper"), ("ampere", "ampere"),
    ("turing", "turing"), ("volta", "volta"), ("pascal", "pascal"), ("maxwell", "pascal"), ("rdna 4", "rdna4"),
    ("rdna 3.5", "rdna3.5"), ("rdna 3", "rdna3"), ("rdna 2", "rdna2"), ("rdna 1", "rdna2"), ("cdna", "cdna"),
    ("gcn", "gcn"), ("(m1", "apple-m1"), ("(m2", "apple-m2"), ("(m3", "apple-m3"), ("(m4", "apple-m4"),
    ("(m5", "apple-m5"), ("xe", "xe"),
)  # fmt: skip
#: Generations that have chips with HBM and others with GDDR: ten times the compute capabilities of the former.
_HBM_CAPABILITIES: Mapping[str, frozenset[int]] = {"ampere": frozenset({80}), "blackwell": frozenset({100, 103})}
_MEMORY_SIZE = re.compile(r"-\d+-?gb$")
_HIGH_BANDWIDTH_BYTES_S = 1.2e12
#: Scale of the clock of Apple GPUs, whose vendor states none; the fitted effects correct it.
NOMINAL_APPLE_HZ = 1.4e9
#: Clock of other GPUs where neither it nor a peak is stated: the median of the catalog's.
NOMINAL_GPU_HZ = 1.725e9
#: FP32 peak where no fact leads to one.
_UNKNOWN_FLOPS = 2.5e12
#: Clock of a core of a processor where none is stated, and the threads at which the fixed costs of a layer are those of
#: other devices: both of a Ryzen 9 7950X.
_CPU_CORE_HZ, _NOMINAL_THREADS = 4.5e9, 16.0
#: Parts of a context that SGLang's Triton kernel reads at once for one head: its default ``--triton-attention-num-kv-splits``.
_CACHE_SPLITS = 8.0
#: Memory that one thread of a processor reads: 32 threads of a Xeon 8480 with eight channels and 8 of a Ryzen 9 7950X with
#: two are those that the rows of their fastest runs state (ik_llama.cpp pull requests).
THREAD_BYTES_S = 9.6e9
#: More threads cost most models more at their barriers than their reads gain: the fastest runs on a Xeon 8480 of 56 cores
#: state 32. The largest models gain a little from more: DeepSeek R1 on a Xeon 6 a seventh from 43 to 64 (ik_llama.cpp).
_MOST_THREADS = 32
#: A processor with fewer threads at work does not reach the pace of its memory, whatever it reads: sweeps of threads rise
#: up to here (ik_llama.cpp discussion 63).
FEWEST_THREADS = 4


def family_of(accelerator: Accelerator) -> str:
    """Hardware family: the generation, split where memory or platform decide (HBM parts, unified-memory systems, GPUs on
    system memory)."""
    if accelerator.kind == "cpu":
        return "cpu"
    name, architecture = accelerator.slug.replace("-", " "), accelerator.architecture.lower()
    for text, family in _BY_NAME:
        if text in name:
            return family
    for text, family in _BY_ARCHITECTURE:
        if text in architecture:
            if accelerator.unified_memory and accelerator.vendor != "apple":
                return f"{family}-shared"
            return f"{family}-hbm" if family in _HBM_CAPABILITIES and _has_hbm(accelerator, family) else family
    return accelerator.vendor


def _has_hbm(accelerator: Accelerator, family: str) -> bool:
    """Whether it is the generation's large chip, with HBM: by its compute capability, else by the bandwidth of a server
    part."""
    if accelerator.compute_capability is not None:
        return round(accelerator.compute_capability * 10) in _HBM_CAPABILITIES[family]
    return accelerator.kind == "datacenter" and (accelerator.bandwidth_bytes_s or 0) > _HIGH_BANDWIDTH_BYTES_S


@lru_cache(maxsize=4096)
def chip_of(slug: str) -> str:
    """Name without the size of the memory: parts that differ by that alone are nearly as fast as each other."""
    return _MEMORY_SIZE.sub("", slug)


def die_of(accelerator: Accelerator) -> str:
    """Key of the parts that compute alike and differ in their memory alone, such as H100 SXM5 and H200 SXM; the name of the
    chip where its units or its clock are unknown."""
    if accelerator.kind == "cpu" or not (accelerator.compute_units and accelerator.boost_hz):
        return chip_of(accelerator.slug)
    return f"{accelerator.architecture} {accelerator.compute_units} {accelerator.boost_hz / 1e6:g} {accelerator.kind}"


def quant_class(quant: Quant) -> str:
    """Kernel class of a quant: types whose kernels reach a similar share of the bandwidth."""
    return _class_of(quant.format, quant.file_type, quant.nominal_bits)


@lru_cache(maxsize=1024)
def _class_of(form: QuantFormat, file_type: str | None, nominal_bits: float) -> str:
    if form not in GGUF_FORMATS:
        if form is QuantFormat.SAFETENSORS:
            return "f16"
        bits = f"{nominal_bits:g}" if form is QuantFormat.MLX else ""
        return f"{form.value}{bits}"
    kind = (file_type or "").removeprefix("UD-")
    for start, name in _CLASS_BY_START:
        if kind.startswith(start):
            return name
    return "q4k"


_CLASS_BY_START = (
    ("F16", "f16"), ("BF16", "f16"), ("F32", "f16"), ("Q8", "q8"), ("Q6", "q6"), ("Q5", "q5"), ("Q4_0", "q40"),
    ("Q4_1", "q40"), ("Q4", "q4k"), ("IQ4", "iq4"), ("Q3", "q3"), ("Q2", "q2"), ("IQ3", "iq3"), ("IQ2", "iq2"),
    ("IQ1", "iq1"), ("MXFP4", "mxfp4"), ("TQ2", "q2"), ("TQ1", "iq1"), ("Q1", "iq1"), ("IQ5", "q5"), ("IQ6", "q6"), ("I2", "q2"),
)  # fmt: skip

#: Factors of the computer that a prebuilt engine ran on; none is known of an estimate, which is for the usual one.
HOST_FACTORS: tuple[str, ...] = ("wide-host", "windows")
#: Drivers that slow a run and that nobody would choose; none is known of an estimate. AMD ended AMDVLK in 2025.
DRIVER_FACTORS: tuple[str, ...] = ("amdvlk",)
#: Graphics memory of a data centre's card, which keeps check bits among the data.
INLINE_CHECKS = "inline-checks"
#: A server that schedules each step on one processor core, between the steps of the device: vLLM before its engine V1.
SCHEDULED_BETWEEN = "scheduled-between"
#: Factors of the reads of the cache in decode without flash attention, of any device and of a family's backend: they
#: are repeated for query heads that share them, and so are those of the scores in between.
NO_FLASH_FACTORS: tuple[str, ...] = ("no-flash", "no-flash|family|backend")
#: NVIDIA generations whose kernels llama.cpp launches one by one: it replays CUDA graphs from compute capability 8.0 on.
NO_GRAPH_FAMILIES = frozenset({"pascal", "volta", "turing"})
#: Servers of checkpoints share kernels of attention, which multiply in matrix units.
_SERVERS = frozenset(server.value for server in SERVERS)
#: Term -> the factors whose effects multiply its coefficient.
DECODE_FACTORS: Mapping[str, tuple[str, ...]] = {
    "dense": (
        "", "backend", "family", "family|backend", "quant", "quant|vendor", "quant|family", "engine", "engine|vendor",
        "old|family", "bf16|backend", INLINE_CHECKS, *DRIVER_FACTORS,
    ),
    "routed": (
        "", "backend", "family", "family|backend", "quant", "quant|vendor", "quant|family", "engine", "engine|vendor",
        "old|family", "bf16|backend", INLINE_CHECKS, *DRIVER_FACTORS, "moe", "moe|backend", "moe|family", "moe|quant",
    ),
    "cache": ("", "backend", "family", "family|backend", "server", INLINE_CHECKS, *NO_FLASH_FACTORS),
    "attend": ("", "backend", "family|backend", "server"),
    "unpack": ("", "quant", "backend"),
    "layer": ("", "backend", "family|backend", "engine", "old|family", "gpu", "no-graphs", *HOST_FACTORS, *DRIVER_FACTORS),
    "expert_layer": ("", "backend", "family|backend", "no-graphs"),
    "token": ("", "backend", "engine", SCHEDULED_BETWEEN),
}  # fmt: skip
PREFILL_FACTORS: Mapping[str, tuple[str, ...]] = {
    "linear": (
        "", "backend", "family", "family|backend", "backend|vendor", "quant", "quant|backend", "quant|family", "engine", "moe",
        "moe|backend", "moe|family", "bf16|backend", "chip", *DRIVER_FACTORS,
    ),
    "attention": ("", "backend", "family", "family|backend", "backend|vendor"),
    "read": ("", "moe", "backend"),
    "step": ("", "backend"),
}  # fmt: skip
#: Effects that multiply a number of the case and not a name: the terms that each acts on.
SLOPES: Mapping[str, tuple[str, ...]] = {
    "thinness": ("linear",), "power": ("linear",), "matrix": ("linear",), "feed": ("dense", "routed"),
    "clock": ("layer", "expert_layer", "token"),
}  # fmt: skip
#: Bytes of memory per compute unit and clock at which the slope of reads is 0: about those of a GeForce RTX 3080.
_NOMINAL_BYTES_PER_UNIT_CLOCK = 5.0
#: Clock at which the slope of fixed costs is 0.
_NOMINAL_HZ = 2e9
#: Factors of the whole time; ``age`` multiplies years before the reference date.
OVERALL_FACTORS: tuple[str, ...] = (
    "engine", "gpu", "chip", "architecture", "model", "architecture|vendor", *HOST_FACTORS,
)  # fmt: skip


def threads_of(accelerator: Accelerator, stated: int | None = None) -> float:
    """Threads of a processor at work: as ``stated``, one per core where its cores are known, else as many as its memory
    feeds, within bounds."""
    fed = (accelerator.bandwidth_bytes_s or 0) / THREAD_BYTES_S
    return stated or accelerator.compute_units or min(max(fed, FEWEST_THREADS), _MOST_THREADS)


def barrier_scale(accelerator: Accelerator, threads: int | None = None) -> float:
    """How many times the fixed costs of a layer its barriers take with ``threads`` of a processor, else those of
    :func:`threads_of`; 1 on other devices.

    Threads meet after every product: each takes one cache line in turn, and its way grows with the side of the chip, so
    n threads need n times the root of n.
    """
    return float((threads_of(accelerator, threads) / _NOMINAL_THREADS) ** 1.5) if accelerator.kind == "cpu" else 1.0


def unit_clocks_s(accelerator: Accelerator, threads: int | None = None) -> float:
    """Compute units x clock, 1/s; from the arithmetic peak at 256 operations a unit and clock where a fact is missing,
    at a usual clock where no peak is stated.

    A processor counts its ``threads`` at work, else those of :func:`threads_of`.
    """
    if accelerator.kind == "cpu":
        return threads_of(accelerator, threads) * (accelerator.boost_hz or _CPU_CORE_HZ)
    if accelerator.compute_units and accelerator.boost_hz:
        return accelerator.compute_units * accelerator.boost_hz
    if accelerator.compute_units and accelerator.vendor == "apple":
        return accelerator.compute_units * NOMINAL_APPLE_HZ
    flops = accelerator.fp32_flops or (accelerator.matrix_flops or 0.0) / 4.0
    if not flops and accelerator.compute_units:
        return accelerator.compute_units * NOMINAL_GPU_HZ
    return (flops or _UNKNOWN_FLOPS) / USUAL_FLOPS_PER_UNIT_CLOCK


def unit_splits(accelerator: Accelerator) -> float:
    """Share of the compute units that read the cache of one head in SGLang's kernel for wide heads; 1 where their number is
    unknown."""
    return min(_CACHE_SPLITS / accelerator.compute_units, 1.0) if accelerator.compute_units else 1.0


def feed_log(accelerator: Accelerator) -> float:
    """Log of the memory's bytes per compute unit and clock over the nominal ones: how many reads each unit must have under
    way. 0 where the bandwidth is unknown, and for processors, whose threads follow their memory."""
    if accelerator.kind == "cpu" or not accelerator.bandwidth_bytes_s:
        return 0.0
    return math.log(accelerator.bandwidth_bytes_s / unit_clocks_s(accelerator) / _NOMINAL_BYTES_PER_UNIT_CLOCK)


def clock_log(accelerator: Accelerator) -> float:
    """Log of the clock over the nominal one: launches and synchronisation take cycles. 0 where it is unknown, and for
    processors, whose barriers have a scale of their own."""
    if accelerator.kind == "cpu" or not accelerator.boost_hz:
        return 0.0
    return math.log(accelerator.boost_hz / _NOMINAL_HZ)


def engine_factor(engine: str) -> str | None:
    """Name of an engine with kernels of its own; None for llama.cpp and what runs it."""
    return None if engine in (Engine.LLAMA_CPP.value, Engine.OLLAMA.value, Engine.LM_STUDIO.value) else engine


def stack_of(engine: str, backend: str) -> str:
    """Name of the software that a speed was measured with: what one has shown tells nothing of another."""
    return f"{engine_factor(engine) or Engine.LLAMA_CPP.value}|{backend}"


def factor_values(
    accelerator: Accelerator,
    backend: Backend,
    engine: str,
    quant: Quant,
    is_moe: bool,
    architecture: str,
    model: str,
    *,
    flash_attention: bool = True,
    cuda_graphs: bool = True,
    stated: Collection[str] = (),
) -> dict[str, str | None]:
    """Value of every factor for one case; None where a factor does not apply.

    ``cuda_graphs`` is False for a build from before llama.cpp had them; ``stated`` are those of ``HOST_FACTORS``,
    ``DRIVER_FACTORS`` and ``SCHEDULED_BETWEEN`` that a row states.
    """
    family, kind, vendor = family_of(accelerator), quant_class(quant), accelerator.vendor
    own_engine = engine_factor(engine)
    return {
        "": "",
        "backend": backend.value,
        "family": family,
        "family|backend": f"{family}|{backend.value}",
        "backend|vendor": f"{backend.value}|{vendor}",
        "quant": kind,
        "quant|vendor": f"{kind}|{vendor}",
        "quant|backend": f"{kind}|{backend.value}",
        "quant|family": f"{kind}|{family}",
        "engine": own_engine,
        "engine|vendor": own_engine and f"{own_engine}|{vendor}",
        "server": "yes" if engine in _SERVERS else None,
        "old|family": family if "LocalScore" in engine else None,
        "bf16|backend": backend.value if quant.file_type == "BF16" else None,
        "moe": "yes" if is_moe else None,
        "moe|backend": backend.value if is_moe else None,
        # Servers multiply experts in kernels of their own.
        "moe|family": f"{family}|{'server' if engine in _SERVERS else backend.value}" if is_moe else None,
        "moe|quant": kind if is_moe else None,
        "gpu": accelerator.slug,
        "chip": die_of(accelerator),
        INLINE_CHECKS: "yes" if accelerator.inline_checks else None,
        "architecture": architecture,
        "architecture|vendor": f"{architecture}|{vendor}",
        "model": model,
        "no-graphs": "yes" if own_engine is None and lacks_graphs(family, backend, cuda_graphs) else None,
        **{name: "yes" if name in stated else None for name in (SCHEDULED_BETWEEN, *HOST_FACTORS, *DRIVER_FACTORS)},
        "no-flash": None if flash_attention else "yes",
        "no-flash|family|backend": None if flash_attention else f"{family}|{backend.value}",
    }


def lacks_graphs(family: str, backend: Backend, cuda_graphs: bool = True) -> bool:
    """Whether llama.cpp launches the kernels of a token one by one, which costs time per layer."""
    return backend is Backend.CUDA and (not cuda_graphs or family in NO_GRAPH_FAMILIES)


def effect_name(term: str, factor: str, value: str) -> str:
    """Key of an effect in ``calibration.json``."""
    return f"{term}/{factor}:{value}" if factor else term
