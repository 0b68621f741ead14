"""Measured rows as the calibration sees them: which rows count, and what the estimator says was read and computed.

A row is left out for what it states itself, never for its error: no catalog entity for its GPU, model or quant, a stated
reason to doubt it, several GPUs, or weights in system memory (those calibrate the host terms instead).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from estimator.accuracy.fitting import Observation
from estimator.calibration.build_age import BEFORE_V1_AGE_YEARS, age_years, is_before_v1
from estimator.calibration.effects import (
    FEWEST_THREADS,
    SCHEDULED_BETWEEN,
    barrier_scale,
    clock_log,
    factor_values,
    feed_log,
    stack_of,
    unit_clocks_s,
)
from estimator.calibration.old_builds import GRAPHS_AGE_YEARS
from estimator.placement.demand import Situation, needs
from estimator.placement.hardware import backends_of, usable_bytes
from estimator.placement.layer_sums import model_tables
from estimator.speed.arithmetic import (
    LLAMA_CPP_STEP_TOKENS,
    attention_peak,
    matrix_log,
    matrix_peak,
    power_log,
    step_tokens,
    weight_peak,
)
from estimator.speed.roofline import (
    ATTEND_FLOPS_PER_UNIT_CLOCK,
    DECODE_TERMS,
    EXPERT_LAYER_S,
    LAYER_S,
    TOKEN_S,
    UNPACK_UNIT_CLOCKS,
    expert_thinness,
    prefill_terms,
)
from estimator.speed.work import PrefillWork
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.weights import kernel_quant
from estimator.types import Accelerator, Backend, Engine, Host, Quant

#: Share of the stated bandwidth that no decode row can need: overclocked memory reaches a tenth more.
MOST_OF_BANDWIDTH = 1.1
#: Lengths of a row that states none: llama-bench's own.
DEFAULT_PROMPT_TOKENS = 512
DEFAULT_OUTPUT_TOKENS = 128
#: Micro-batch of a row's note, and the batch that bounds it where a sweep sets one.
_MICRO_BATCH = re.compile(r"\b(?:n_ubatch|ubatch|ub)=(\d+)")
_BATCH = re.compile(r"\b(?:n_batch=|b=-b )(\d+)")
#: Runs that state AMD's own Vulkan driver.
_AMDVLK = re.compile(r"amdvlk")
#: Runs on ROCm that state to have gone without hipBLASLt, a library of matrix products.
_NO_HIPBLASLT = re.compile(r"\bhipblaslt=(?!\w)|hblt0")
_BACKENDS = {backend.value: backend for backend in Backend}
_SAME_ENGINE = {
    "ollama": Engine.LLAMA_CPP.value, "docker-model-runner": Engine.LLAMA_CPP.value, "lm-studio": Engine.LLAMA_CPP.value,
}  # fmt: skip
#: Hosts with AVX-512 BF16, on which LocalScore's prebuilt engine is much slower on any GPU.
_WIDE_HOST = re.compile(r"znver[45]|sapphirerapids|Ryzen \d 9\d{3}|Ryzen AI 9")
#: vLLM before its engine V1, by version.
_OLD_VLLM = re.compile(r"\bv?0\.[0-7]\.\d")
#: What rows say of a card whose name others of other memory and bandwidth bear, too.
_UNNAMED_CARD = "(unspecified)"
#: Arm boards, which drive a graphics card over one PCIe lane, and computers of Arm and RISC-V processors with slow cores.
_SMALL_HOST = re.compile(r"Raspberry Pi|Cortex-A|CIX P1|Ampere Altra|RISC-V")
#: From this month on macOS 15 gives the GPU more of the memory than the fraction that the catalog states by default.
_WIDER_LIMIT = "2024-09"
#: A row that does not say whether weights were offloaded counts when they fill no more of the memory than this.
CLEARLY_FITS = 0.72


@dataclass(frozen=True, slots=True)
class Entities:
    """Catalog entities by slug, as the estimator reads them; a model is None while a fact of its structure is unknown."""

    models: Mapping[str, ModelArchitecture | None]
    accelerators: Mapping[str, Accelerator]
    quants: Mapping[str, Quant]
    hosts: Mapping[str, Host]
    default_host: Host


@dataclass(frozen=True, slots=True)
class MeasuredRow:
    """A usable row with the entities it is about."""

    row: Mapping[str, Any]
    kind: str
    accelerator: Accelerator
    model: ModelArchitecture
    quant: Quant
    backend: Backend
    engine: str
    observation: Observation

    @property
    def tok_s(self) -> float:
        """Measured tokens per second."""
        return float(self.row["tok_s"])


def why_left_out(row: Mapping[str, Any]) -> str | None:
    """The stated rule by which a row does not calibrate single-GPU speed, or None when it does."""
    for key in ("gpu_slug", "model_slug", "quant_slug"):
        if not row.get(key):
            return f"no catalog entity for its {key.removesuffix('_slug')}"
    if row.get("suspect"):
        return "its table states a reason to doubt it"
    if _UNNAMED_CARD in str(row.get("gpu") or ""):
        return "which of the cards of its name it ran on is not stated"
    if (row.get("gpu_count") or 1) != 1:
        return "several GPUs"
    if row.get("offload") and not is_unrecorded(row):
        return "weights in system memory"
    if _SMALL_HOST.search(str(row.get("host_cpu") or "")) and row.get("backend") != Backend.CPU.value:
        return "a card in a computer of an Arm or RISC-V processor"
    if row.get("engine") == Engine.IK_LLAMA_CPP.value and row.get("backend") == Backend.VULKAN.value:
        return "a backend that its engine is not offered with"
    if row.get("backend") == Backend.CPU.value and (row.get("threads") or FEWEST_THREADS) < FEWEST_THREADS:
        return "too few threads of a processor to read its memory"
    if row.get("kind") == "prefill" and row.get("backend") == Backend.ROCM.value and _NO_HIPBLASLT.search(_note(row)):
        return "a prompt on ROCm without hipBLASLt, which it multiplies with by default"
    if not row.get("tok_s"):
        return "no speed"
    return None


def _note(row: Mapping[str, Any]) -> str:
    return str(row.get("source_note") or "")


def source_of(row: Mapping[str, Any]) -> str:
    """What published a row: the name of a repository, which its copies of other owners keep, else the site."""
    address = str(row.get("source_url") or "")
    if "//" not in address:
        return address
    site, *path = address.partition("//")[2].split("/")
    return path[1] if "github" in site and len(path) > 1 else site


def is_unrecorded(row: Mapping[str, Any]) -> bool:
    """Whether it is not recorded if weights were offloaded: the source says so, or the engine decided and nothing is said."""
    decided = row.get("engine") in _SAME_ENGINE and row.get("offload") is None
    return decided or str(row.get("offload") or "").startswith("unknown")


def observe(entities: Entities, rows: Sequence[Mapping[str, Any]]) -> list[MeasuredRow]:
    """The usable rows, in order."""
    usable = (row for row in rows if why_left_out(row) is None)
    return [measured for row in usable if (measured := _observed(entities, row)) is not None]


def _observed(entities: Entities, row: Mapping[str, Any]) -> MeasuredRow | None:
    accelerator = entities.accelerators[row["gpu_slug"]]
    quant = entities.quants[row["quant_slug"]]
    model = entities.models[row["model_slug"]]
    decode = row["kind"] == "decode"
    if model is None or accelerator.bandwidth_bytes_s is None:
        return None
    if math.isnan(matrix_peak(accelerator)) and not (decode and accelerator.kind == "cpu"):
        return None
    if not _may_fit(row, accelerator, model, quant):
        return None
    backend = backend_of(row, accelerator)
    engine = str(row.get("engine") or Engine.LLAMA_CPP.value)
    engine = _SAME_ENGINE.get(engine, engine)
    observation = _observation(row, accelerator, model, quant, backend, engine)
    read = sum(observation.terms[: DECODE_TERMS.index("attend")])
    if decode and read * float(row["tok_s"]) > MOST_OF_BANDWIDTH:
        # The row reads more than its stated time allows: other weights, or drafted tokens.
        return None
    return MeasuredRow(row, row["kind"], accelerator, model, quant, backend, engine, observation)


def on_another_device(measured: MeasuredRow, accelerator: Accelerator) -> Observation:
    """What a row would be about on another device, with the time that it states for its own."""
    return _observation(measured.row, accelerator, measured.model, measured.quant, measured.backend, measured.engine)


def _observation(
    row: Mapping[str, Any],
    accelerator: Accelerator,
    model: ModelArchitecture,
    quant: Quant,
    backend: Backend,
    engine: str,
) -> Observation:
    decode = row["kind"] == "decode"
    # A custom mix under a standard name.
    scale = weight_scale(row, model, quant) if row.get("quant_match") == "variant" else 1.0
    terms, slopes = (
        (_decode_terms(row, accelerator, model, quant, scale), _decode_slopes(accelerator))
        if decode
        else _prefill_terms(row, accelerator, model, quant, scale, backend, engine)
    )
    age, kernels = build_age_of(row), kernel_quant(model.architecture, quant)
    tokens = 1.0 if decode else float(row.get("n_prompt") or DEFAULT_PROMPT_TOKENS)
    return Observation(
        terms=terms,
        log_seconds=math.log(tokens / float(row["tok_s"])),
        factors=factor_values(
            accelerator,
            backend,
            engine,
            kernels,
            model.is_moe,
            model.architecture,
            model.slug,
            # Prefill rows without it differ more by build than by this: nothing to learn.
            flash_attention=row.get("flash_attn") is not False or not decode,
            cuda_graphs=age <= GRAPHS_AGE_YEARS,
            stated=stated_of(row, engine, backend),
        ),
        age_years=age,
        gpu=accelerator.slug,
        model=model.slug,
        depth_tokens=float(row.get("depth") or 0),
        slopes=slopes,
        stack=stack_of(engine, backend.value),
        source=source_of(row),
    )


def backend_of(row: Mapping[str, Any], accelerator: Accelerator) -> Backend:
    """The backend that a row states, else the one that llama.cpp would choose."""
    return stated_backend(row) or next(iter(backends_of(accelerator)), Backend.VULKAN)


def stated_backend(row: Mapping[str, Any]) -> Backend | None:
    """The backend that a row states; None for none, or one that is not known."""
    return _BACKENDS.get(str(row.get("backend") or ""))


def stated_of(row: Mapping[str, Any], engine: str, backend: Backend) -> frozenset[str]:
    """Which of ``HOST_FACTORS`` a row of LocalScore's prebuilt engine states of the computer it ran on, and which of
    ``DRIVER_FACTORS`` it states of its run."""
    note, stated = _note(row), set()
    if backend is Backend.VULKAN and _AMDVLK.search(note):
        stated.add("amdvlk")
    if "LocalScore" in engine:
        host = note.partition("; host ")[2]
        stated |= {"wide-host"} if _WIDE_HOST.search(host) else set()
        stated |= {"windows"} if host.endswith("Windows") else set()
    if engine == Engine.VLLM.value and is_old_vllm(row):
        stated.add(SCHEDULED_BETWEEN)
    return frozenset(stated)


def is_old_vllm(row: Mapping[str, Any]) -> bool:
    """Whether a row of vLLM is of a build before its engine V1."""
    version = " ".join(str(row[key]) for key in ("engine", "engine_version", "build") if row.get(key))
    if re.search(r"\d", version):
        return _OLD_VLLM.search(version) is not None
    return is_before_v1(age_years(date_of(row)))


def build_age_of(row: Mapping[str, Any]) -> float:
    """Age of the build that a row ran, years: at least that of its version where it states one of old vLLM."""
    age = age_years(date_of(row))
    is_old = "vllm" in str(row.get("engine") or "").casefold() and is_old_vllm(row)
    return max(age, BEFORE_V1_AGE_YEARS) if is_old else age


def date_of(row: Mapping[str, Any]) -> str | None:
    """``YYYY``, ``YYYY-MM`` or longer; None where the row states none."""
    text = str(row.get("date") or "")
    if re.fullmatch(r"\d{8}", text):
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    match = re.match(r"\d{4}(?:-\d{2}){0,2}", text)
    return match.group() if match else None


def _may_fit(row: Mapping[str, Any], accelerator: Accelerator, model: ModelArchitecture, quant: Quant) -> bool:
    """Whether everything can have been on the device: by far where the source did not record it, else at all."""
    memory, tables = accelerator.memory_bytes, model_tables(model, (quant,))
    device = float(tables.device[0])
    if is_unrecorded(row):
        return memory is not None and device <= CLEARLY_FITS * memory
    usable = usable_bytes(accelerator)
    fraction = accelerator.usable_fraction if accelerator.vendor == "apple" else None
    if memory is not None and fraction is not None and str(row.get("date") or _WIDER_LIMIT) < _WIDER_LIMIT:
        usable = int(memory * fraction)
    if usable is None:
        return True
    tokens = int(row.get("depth") or 0) + int(row.get("n_prompt" if row["kind"] == "prefill" else "n_gen") or 0)
    need = needs(model, (Situation(1, 1, max(tokens, 1), 0.0),))
    return device + float(need.kv_last[0, model.n_layers]) <= usable


def micro_batch_of(row: Mapping[str, Any]) -> int | None:
    """Tokens of a micro-batch that a row's note states, None when it states none."""
    note = _note(row)
    micro, batch = _MICRO_BATCH.search(note), _BATCH.search(note)
    if batch is None:
        return int(micro.group(1)) if micro else None
    return min(int(micro.group(1)) if micro else LLAMA_CPP_STEP_TOKENS, int(batch.group(1)))


def weight_scale(row: Mapping[str, Any], model: ModelArchitecture, quant: Quant) -> float:
    """Stated size over computed size of the row's file, 1 where no size is stated."""
    stated = row.get("weights_gib")
    if not stated:
        return 1.0
    weights = model_tables(model, (quant,)).weights
    return float(np.clip(float(stated) * 1024**3 / float(weights.file[0]), 0.5, 2.0))


def _decode_slopes(accelerator: Accelerator) -> dict[str, float]:
    return {"feed": feed_log(accelerator), "clock": clock_log(accelerator)}


def _decode_terms(
    row: Mapping[str, Any], accelerator: Accelerator, model: ModelArchitecture, quant: Quant, scale: float
) -> tuple[float, ...]:
    tables, n = model_tables(model, (quant,)), model.n_layers
    output = int(row.get("n_gen") or DEFAULT_OUTPUT_TOKENS)
    depth = float(row.get("depth") or 0)
    situation = Situation(1, output, int(depth) + output, depth + output / 2.0)
    need = needs(model, (situation,))
    bandwidth = accelerator.bandwidth_bytes_s or math.nan
    routed, cache = float(tables.routed_active[0]), float(need.read_last[0, n])
    if accelerator.kind == "cpu":
        cache += float(need.passed_last[0, n])
    threads = row.get("threads")
    unit_clocks, barriers = unit_clocks_s(accelerator, threads), barrier_scale(accelerator, threads)
    return (
        scale * (float(tables.active[0]) - routed) / bandwidth,
        scale * routed / bandwidth,
        cache / bandwidth,
        tables.attention_flops_per_token_pair * situation.depth_tokens / (ATTEND_FLOPS_PER_UNIT_CLOCK * unit_clocks),
        0.5 * tables.flops_per_token * UNPACK_UNIT_CLOCKS / unit_clocks,
        n * LAYER_S * model.launches_per_layer * barriers,
        float(tables.expert_layers_first[n]) * EXPERT_LAYER_S * barriers,
        TOKEN_S,
    )


def _prefill_terms(
    row: Mapping[str, Any],
    accelerator: Accelerator,
    model: ModelArchitecture,
    quant: Quant,
    scale: float,
    backend: Backend,
    engine: str,
) -> tuple[tuple[float, ...], dict[str, float]]:
    tables, n, experts = model_tables(model, (quant,)), model.n_layers, model.experts
    routed, device = float(tables.host_experts[0, n]), float(tables.device[0])

    def one(value: float) -> Any:
        return np.array([float(value)])

    work = PrefillWork(
        prompt_tokens=one(row.get("n_prompt") or DEFAULT_PROMPT_TOKENS),
        depth_tokens=one(row.get("depth") or 0),
        micro_batch_tokens=one(micro_batch_of(row) or step_tokens(accelerator, engine)),
        flops_per_token=one(tables.flops_per_token),
        attention_flops_per_pair=one(tables.attention_flops_per_token_pair),
        weight_bytes=one(device * scale),
        dense_bytes=one((device - routed) * scale),
        routed_total_bytes=one(routed * scale),
        host_weight_bytes=one(0),
        host_routed_bytes=one(0),
        layers=one(n),
        expert_layers=one(tables.expert_layers_first[n]),
        expert_count=one(experts.count if experts else 0),
        experts_per_token=one(experts.per_token if experts else 0),
        link_bytes_s=one(0),
        host_bandwidth_bytes_s=one(1),
        gpu_count=one(1),
        hidden=one(model.hidden),
    )
    peak = weight_peak(accelerator, backend, kernel_quant(model.architecture, quant))
    terms = prefill_terms(
        work,
        one(peak),
        one(attention_peak(accelerator, backend, engine)),
        one(accelerator.bandwidth_bytes_s or math.nan),
    )
    slopes = {
        "thinness": float(expert_thinness(work).item()),
        "power": power_log(accelerator, peak),
        "matrix": matrix_log(accelerator, peak),
    }
    return tuple(float(term[0]) for term in terms), slopes
