"""Strict shapes of the catalog files, except models (:mod:`db.entries.schema_models`): an unknown key is an error.

Every key must be present; an unknown fact is an explicit null. Units are those of datasheets and part of the key.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from estimator.types import Backend, QuantFormat, WorkloadKind

SLUG_PATTERN = r"^[a-z0-9]+(?:[.-][a-z0-9]+)*$"
DATE_PATTERN = r"^\d{4}(?:-\d{2}(?:-\d{2})?)?$"

Slug = Annotated[str, Field(pattern=SLUG_PATTERN, max_length=80)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Name = Annotated[str, Field(min_length=1, max_length=120)]
Date = Annotated[str, Field(pattern=DATE_PATTERN)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(gt=0)]
#: Sorts of accelerators.
AcceleratorKind = Literal["consumer", "workstation", "datacenter", "laptop", "soc", "integrated", "cpu"]
Sources = Annotated[list[Text], Field(min_length=1)]


class Shape(BaseModel):
    """Base of all file shapes: no unknown keys, no silent conversions but int to float."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class GpuFile(Shape):
    """An accelerator: GPUs, systems on a chip, and CPUs with their memory."""

    slug: Slug
    name: Name
    aliases: list[Name]
    vendor: Literal["nvidia", "amd", "intel", "apple", "google", "aws", "huawei", "qualcomm", "generic"]
    architecture: Name
    generation_year: Annotated[int, Field(ge=2010, le=2035)] | None
    release_date: Date | None
    release_date_kind: Text | None
    kind: AcceleratorKind
    memory_gb: Annotated[float, Field(gt=0, le=4096)] | None
    memory_sizes_gb: list[Count] | None
    memory_bytes: Annotated[int, Field(gt=2**30, le=2**42)] | None
    memory_type: Name | None
    memory_bus_bits: Annotated[int, Field(ge=32, le=32768)] | None
    memory_data_rate_gbps: Annotated[float, Field(gt=0, le=64)] | None
    bandwidth_gbps: Annotated[float, Field(gt=1, le=100_000)] | None
    unified_memory: bool
    gpu_usable_fraction_default: Annotated[float, Field(gt=0, le=1)] | None
    gpu_usable_mib_macos15: Count | None
    gpu_usable_mib_macos26: Count | None
    gpu_usable_mib_configured: Count | None
    l2_cache_mb: Positive | None
    l3_cache_mb: Positive | None
    compute_units: Annotated[int, Field(gt=0, le=4096)] | None
    compute_unit_kind: Name | None
    shader_cores: Count | None
    boost_mhz: Annotated[float, Field(gt=100, le=10_000)] | None
    fp32_tflops: Annotated[float, Field(gt=0, le=10_000)] | None
    fp16_shader_tflops: Annotated[float, Field(gt=0, le=10_000)] | None
    fp16_tensor_tflops: Annotated[float, Field(gt=0, le=100_000)] | None
    fp16_tensor_fp16acc_tflops: Annotated[float, Field(gt=0, le=100_000)] | None
    bf16_tflops: Annotated[float, Field(gt=0, le=100_000)] | None
    int8_tops: Annotated[float, Field(gt=0, le=100_000)] | None
    int8_path: Literal["tensor", "dp4a"] | None
    fp8_tflops: Annotated[float, Field(gt=0, le=100_000)] | None
    fp8_fp16acc_tflops: Annotated[float, Field(gt=0, le=100_000)] | None
    fp4_tflops: Annotated[float, Field(gt=0, le=100_000)] | None
    compute_capability: Annotated[str, Field(pattern=r"^\d{1,2}\.\d$")] | None
    gfx_target: Annotated[str, Field(pattern=r"^gfx[0-9a-f]{3,4}$")] | None
    pcie_gen: Annotated[float, Field(ge=1, le=7)] | None
    pcie_lanes: Literal[1, 2, 4, 8, 16] | None
    nvlink_gbps: NotNegative | None
    tdp_w: Annotated[float, Field(gt=0, le=5000)] | None
    msrp_usd: Annotated[float, Field(gt=0, le=1_000_000)] | None
    engines: Annotated[
        list[
            Literal["cuda", "rocm", "vulkan", "metal", "mlx", "sycl", "cpu", "tpu", "cann", "hpu", "neuron", "opencl"]
        ],
        Field(min_length=1),
    ]
    derived: dict[str, Text]
    uncertain: list[Text]
    recalled: list[Text]
    notes: Text | None
    source: Sources


QuantBits = Annotated[float, Field(ge=1, le=32)]


class QuantPartBits(Shape):
    """Bits of a weight with its scales, by the part of a model."""

    embedding: QuantBits
    output: QuantBits
    dense: QuantBits
    beside_experts: QuantBits
    experts: QuantBits


class QuantPartFactors(Shape):
    """Bytes over those of the recipe ``file_type``, by part of a model; those of models with experts by their date.

    ``left_out_error`` is the relative error within which 9 of 10 files were sized of families that the factors did not see;
    null where fewer than ten files tell it."""

    file_type: Name
    left_out_error: Positive | None
    embedding: Positive
    output: Positive
    tied: Positive
    lookup: Positive
    attention: Positive
    down: Positive
    up: Positive
    beside_experts: Positive
    expert_down: Positive
    expert_up: Positive
    late_beside_experts: Positive
    late_expert_down: Positive
    late_expert_up: Positive
    odd_layers: Positive
    odd_tables: Positive


class QuantFile(Shape):
    """A way to store weights; ``quality_loss`` is the relative rise of perplexity of Llama 3 8B."""

    slug: Slug
    name: Name
    aliases: list[Name]
    format: Annotated[QuantFormat, Field(strict=False)]
    file_type: Name | None
    nominal_bits: QuantBits
    weight_bits: QuantBits | None
    part_bits: QuantPartBits | None
    part_factors: QuantPartFactors | None
    group_size: Count | None
    scale_bits: Positive | None
    zero_bits: Positive | None
    imatrix: bool
    moe_only: bool
    quality_loss: NotNegative | None
    quality_source: Text | None
    precomputed: bool | Literal["own"]
    notes: Text | None
    source: Sources


class WorkloadRationale(Shape):
    """Why a workload has its lengths and thresholds."""

    lengths: Text
    thresholds: Text
    thinking: Text
    usable: Text
    think: Text


class WorkloadFile(Shape):
    """A use with stated lengths (tokens) and thresholds; definitions, not facts."""

    slug: Slug
    name: Name
    aliases: list[Name]
    kind: Annotated[WorkloadKind, Field(strict=False)]
    prompt_tokens: Count
    output_tokens: Count
    answer_tokens: Count
    thinking_tokens: Count
    context_tokens: Count
    decode_depth_tokens: Annotated[int, Field(ge=0)]
    comfortable_decode_tok_s: Positive
    minimum_decode_tok_s: Positive
    patience_ttft_ms: Positive
    usable_ttft_ms: Positive
    usable_answer_s: Positive
    think_s: Positive
    rationale: WorkloadRationale
    source: Sources


class EngineRuleFile(Shape):
    """Which formats an engine runs through one backend, and on which devices."""

    backend: Annotated[Backend, Field(strict=False)]
    formats: Annotated[list[Annotated[QuantFormat, Field(strict=False)]], Field(min_length=1)]
    min_compute_capability: Positive | None
    native_compute_capability: Positive | None
    gfx_targets: list[str] | None
    note: Text | None
    source: Sources


class EngineFile(Shape):
    """An engine and what it runs; its slug is the name by which speeds of it were measured."""

    slug: Annotated[str, Field(pattern=r"^[a-z0-9]+(?:[._-][a-z0-9]+)*$", max_length=80)]
    name: Name
    aliases: list[Name]
    front_of: Slug | None
    homepage: Text
    rules: Annotated[list[EngineRuleFile], Field(min_length=1)]
    notes: Text | None
    source: Sources


class HostFile(Shape):
    """A computer around the accelerator; bandwidth and compute follow from channels, cores and clock."""

    slug: Slug
    name: Name
    aliases: list[Name]
    default: bool
    assumed_for: list[AcceleratorKind]
    memory_gb: Annotated[float, Field(gt=0, le=65_536)]
    memory_channels: Count
    memory_data_rate_mt_s: Annotated[int, Field(ge=800, le=20_000)]
    bandwidth_gbps: Positive
    cores: Count
    flops_per_core_cycle: Count
    clock_ghz: Annotated[float, Field(gt=0.5, le=10)]
    fp32_gflops: Positive
    derived: dict[str, Text]
    notes: Text | None
    source: Sources
