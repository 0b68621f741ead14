"""The one bridge from catalog entries (datasheet units) to estimator types (base SI units), and their fingerprints."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import orjson

from estimator.placement.hardware import ENGINE_RULES
from estimator.speed.links import PCIE_LANE_BYTES_S
from estimator.structure.architecture import ModelArchitecture, architecture_from_facts
from estimator.structure.quantization import DEFAULT_TYPE
from estimator.structure.weights import PARTS
from estimator.types import (
    Accelerator,
    Backend,
    EstimatorError,
    Host,
    MissingFactError,
    PartBits,
    Quant,
    QuantFormat,
    Workload,
    WorkloadKind,
)

Entry = Mapping[str, Any]

GIB = 1024**3
MIB = 1024**2
_BACKENDS = {
    "cuda": Backend.CUDA, "rocm": Backend.ROCM, "vulkan": Backend.VULKAN, "metal": Backend.METAL,
    "sycl": Backend.SYCL, "cpu": Backend.CPU, "hpu": Backend.HPU, "tpu": Backend.TPU, "cann": Backend.CANN,
    "neuron": Backend.NEURON,
}  # fmt: skip
#: Facts that identify or describe an entity and that no estimate reads.
_NOT_PHYSICS = frozenset({"slug", "name", "msrp_usd"})


def accelerator(entry: Entry) -> Accelerator:
    """An accelerator in base units. Unknown facts stay None."""
    backends = tuple(_BACKENDS[name] for name in entry["engines"] if name in _BACKENDS)
    built = Accelerator(
        slug=entry["slug"],
        name=entry["name"],
        vendor=entry["vendor"],
        architecture=entry["architecture"],
        kind=entry["kind"],
        memory_bytes=_memory_bytes(entry),
        usable_fraction=entry["gpu_usable_fraction_default"],
        unified_memory=entry["unified_memory"],
        bandwidth_bytes_s=_scaled(entry["bandwidth_gbps"], 1e9),
        matrix_flops=_matrix_flops(entry),
        int8_ops=_scaled(entry["int8_tops"], 1e12),
        fp8_flops=_scaled(entry["fp8_tflops"], 1e12),
        fp4_flops=_scaled(entry["fp4_tflops"], 1e12),
        fp32_flops=_scaled(entry["fp32_tflops"], 1e12),
        compute_units=entry["compute_units"],
        compute_capability=_scaled(entry["compute_capability"], 1.0),
        gfx_target=entry["gfx_target"],
        pcie_bytes_s=_pcie_bytes_s(entry),
        # Datasheets state both directions together; 0 means that there is no such link.
        link_bytes_s=_scaled(entry["nvlink_gbps"] or None, 1e9 / 2),
        tdp_w=_scaled(entry["tdp_w"], 1.0),
        msrp_usd=_scaled(entry["msrp_usd"], 1.0),
        backends=backends,
        engines=(),
        usable_bytes=_measured_limit(entry),
        boost_hz=_scaled(entry["boost_mhz"], 1e6),
        last_level_cache_bytes=_cache_bytes(entry),
        generation_year=entry["generation_year"],
        half_flops=_scaled(entry["fp16_tensor_fp16acc_tflops"], 1e12),
        # HBM has bits of its own for checks, which servers' cards have switched on.
        inline_checks=entry["kind"] == "datacenter" and str(entry["memory_type"]).startswith("GDDR"),
    )
    engines = dict.fromkeys(rule.engine for rule in ENGINE_RULES if rule.covers(built))
    return replace(built, engines=tuple(engines))


def _scaled(value: Any, factor: float) -> float | None:
    return None if value is None else float(value) * factor


def _memory_bytes(entry: Entry) -> int | None:
    if entry["memory_bytes"] is not None:
        return int(entry["memory_bytes"])
    # Marketing "GB" of memory chips are powers of two.
    return None if entry["memory_gb"] is None else round(float(entry["memory_gb"]) * GIB)


def _matrix_flops(entry: Entry) -> float | None:
    # Engines compute in the type that the device is faster in: Gaudi emulates FP16.
    matrix = [float(entry[key]) for key in ("fp16_tensor_tflops", "bf16_tflops") if entry[key] is not None]
    if matrix:
        return max(matrix) * 1e12
    shaders = [value for value in (entry["fp16_shader_tflops"], entry["fp32_tflops"]) if value is not None]
    return max(shaders) * 1e12 if shaders else None


def _measured_limit(entry: Entry) -> int | None:
    for key in ("gpu_usable_mib_configured", "gpu_usable_mib_macos26", "gpu_usable_mib_macos15"):
        if entry[key] is not None:
            return int(entry[key]) * MIB
    return None


def _pcie_bytes_s(entry: Entry) -> float | None:
    if entry["pcie_gen"] is None or entry["pcie_lanes"] is None:
        return None
    return PCIE_LANE_BYTES_S[int(entry["pcie_gen"])] * int(entry["pcie_lanes"])


def _cache_bytes(entry: Entry) -> int | None:
    sizes = [value for value in (entry["l2_cache_mb"], entry["l3_cache_mb"]) if value is not None]
    return int(max(sizes) * MIB) if sizes else None


def quant(entry: Entry) -> Quant:
    return Quant(
        slug=entry["slug"],
        name=entry["name"],
        format=QuantFormat(entry["format"]),
        file_type=entry["file_type"],
        nominal_bits=entry["nominal_bits"],
        weight_bits=entry["weight_bits"],
        group_size=entry["group_size"],
        scale_bits=entry["scale_bits"],
        zero_bits=entry["zero_bits"],
        quality_loss=entry["quality_loss"],
        imatrix=entry["imatrix"],
        moe_only=entry["moe_only"],
        own_only=entry["precomputed"] == "own",
        part_bits=PartBits(**entry["part_bits"]) if entry["part_bits"] else None,
        mixed_recipe=mix["file_type"] if (mix := entry["part_factors"]) else None,
        part_factors=tuple(mix[part] for part in PARTS) if mix else (),
    )


def workload(entry: Entry) -> Workload:
    facts = {field.name: entry[field.name] for field in fields(Workload)}
    return Workload(**facts | {"kind": WorkloadKind(entry["kind"])})


def host(entry: Entry) -> Host:
    """A host profile in base units."""
    return Host(
        slug=entry["slug"],
        name=entry["name"],
        memory_bytes=round(float(entry["memory_gb"]) * GIB),
        bandwidth_bytes_s=float(entry["bandwidth_gbps"]) * 1e9,
        flops=float(entry["fp32_gflops"]) * 1e9,
        cores=entry["cores"],
        assumed_for=tuple(entry["assumed_for"]),
    )


def architecture(entry: Entry) -> ModelArchitecture:
    """The typed structure of a model. Raises :class:`MissingFactError` when its facts are too thin."""
    return architecture_from_facts(entry)


def projector_bytes(entry: Entry) -> int | None:
    """Bytes of a model's vision projector (llama.cpp's mmproj file): 0 for a model without one, None when unknown.

    The size is that of the checkpoint's other parameters in 16 bits. Published files are 1 to 4 % larger, since they keep
    biases, norms and position tables in 32 bits.
    """
    if "image" not in entry["modalities"]:
        return 0
    parameters = entry.get("params_vision_and_other")
    return None if not parameters else int(parameters) * 2


def checkpoint_repository(entry: Entry, quant_slug: str) -> str | None:
    """Repository of a model's checkpoint in a pre-quantized format; None when none is recorded."""
    repository = (entry.get("checkpoint_repos") or {}).get(quant_slug)
    return None if repository is None else str(repository["repo"])


def gguf_repository(entry: Entry, quantization: Quant) -> str | None:
    """Repository with a GGUF file of a model in ``quantization``; None when none is known.

    Any repository of such files has the quantizer's own types; those of publishers are where they are published.
    """
    for published in entry.get("published_files") or ():
        if quantization.slug in published["bytes"]:
            return str(published["repo"])
    return entry["gguf_repo"] if quantization.file_type in DEFAULT_TYPE else None


def fingerprint(obj: Accelerator | Quant | Workload | Host | ModelArchitecture) -> str:
    """Hash of the facts that the estimator reads; renaming an entity does not change it."""
    facts: dict[str, Any] = orjson.loads(orjson.dumps(obj))
    physics = {key: value for key, value in facts.items() if key not in _NOT_PHYSICS}
    return hashlib.blake2b(orjson.dumps(physics, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def is_precomputed(entry: Entry) -> bool:
    """Whether the bulk run covers a quantization; the others are estimated when asked for."""
    return bool(entry["precomputed"])


def missing_facts(entry: Entry) -> tuple[str, ...]:
    """Names of the facts without which no estimate can be made of a model or accelerator; empty when complete."""
    if "n_layers" in entry:
        return _missing_of_model(entry)
    missing = [] if entry["bandwidth_gbps"] is not None else ["bandwidth_gbps"]
    if not any(name in _BACKENDS for name in entry["engines"]):
        missing.append("engines")
    return tuple(missing)


def _missing_of_model(entry: Entry) -> tuple[str, ...]:
    missing: list[str] = []
    facts: dict[str, Any] = dict(entry)
    try:
        architecture_from_facts(facts)
    except MissingFactError as error:
        missing.append(error.field_name)
    except EstimatorError:
        return ()
    if (entry.get("params_computed") or {}).get("text_total") is None and "params_computed.text_total" not in missing:
        missing.append("params_computed.text_total")
    return tuple(missing)


_MODEL_RECALLED = ("license", "params_total_b", "params_active_b", "context_length")


def unverified_fields(entry: Entry) -> tuple[str, ...]:
    """Fields that come from general knowledge, were solved from others, or are contradicted by sources."""
    if "n_layers" in entry:
        known = entry.get("known_by") or {}
        recalled = (
            name for name in _MODEL_RECALLED if entry.get(name) is not None and _source_of_total(name) not in known
        )
        names = [*recalled, *entry.get("derived_fields", ())]
        if entry.get("release_date_kind") == "recalled":
            names.insert(0, "release_date")
        return tuple(dict.fromkeys(names))
    listed = [*entry.get("recalled", ()), *entry.get("uncertain", ())]
    return tuple(dict.fromkeys(field_of(item) for item in listed))


def _source_of_total(name: str) -> str:
    """The exact field that a rounded total was made of."""
    return {"params_total_b": "params_exact_checkpoint", "params_active_b": "params_computed"}.get(name, name)


def field_of(note: str) -> str:
    """The key that a note such as "boost_mhz/fp32_tflops (unpublished)" is about."""
    return note.split(" ", 1)[0].split("(", 1)[0].split("/", 1)[0].rstrip(":,")
