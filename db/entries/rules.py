"""Consistency rules of the catalog: one small function each, yielding (field, what is wrong and how to repair it).

Rules see entries whose shape is sound. Rules of one kind of entity are in this module and in
:mod:`db.entries.rules_models`; rules over all entities of a kind come last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import get_args

from db.entries.market import COMPUTER_RULES, PRICE_RULES
from db.entries.rules_models import MODEL_RULES, Entry, Finding, Rule, family_directory
from db.entries.schema import AcceleratorKind
from estimator.placement.hardware import ENGINE_RULES
from estimator.structure.ik_recipes import IK_TYPES
from estimator.structure.quantization import FILE_TYPES

SetRule = Callable[[Mapping[str, Entry]], Iterator[tuple[str, str, str]]]

GIB = 1024**3
#: Bandwidth may differ from bus width x data rate by rounding and by binning of HBM parts.
_BANDWIDTH_TOLERANCE = 0.03
_ROUNDING = 0.005
#: The field that names the folder of an entity's file, by kind.
_FOLDER_OF = {"gpu": "vendor", "model": "family", "computer": "maker"}
_PEAK_TOLERANCE = 0.05
_DUAL_ISSUE = ("RDNA 3", "RDNA 4", "CDNA 3", "CDNA 4")


def directory_rules(kind: str, file: Path) -> tuple[Rule, ...]:
    """Rules that tie an entry to the place of its file."""

    def slug_is_file_name(entry: Entry) -> Iterator[Finding]:
        if entry["slug"] != file.stem:
            yield "slug", f"the slug is {entry['slug']!r}; it must be the file's name, {file.stem!r}"

    def file_is_in_its_directory(entry: Entry) -> Iterator[Finding]:
        field = _FOLDER_OF.get(kind)
        if field is None:
            return
        wanted = family_directory(str(entry[field])) if kind == "model" else entry[field]
        if file.parent.name != wanted:
            yield (
                field,
                f"{field} {entry[field]!r} belongs in {wanted!r}, not {file.parent.name!r}; move the file",
            )

    return slug_is_file_name, file_is_in_its_directory


def bandwidth_follows_from_bus(entry: Entry) -> Iterator[Finding]:
    """GB/s = bus width in bits x data rate in Gbit/s / 8, where all three are stated."""
    bus, rate, bandwidth = entry["memory_bus_bits"], entry["memory_data_rate_gbps"], entry["bandwidth_gbps"]
    if bus and rate and bandwidth:
        expected = bus * rate / 8
        if abs(bandwidth - expected) > _BANDWIDTH_TOLERANCE * expected:
            yield (
                "bandwidth_gbps",
                f"{bandwidth} GB/s is not {bus} bit x {rate} Gbit/s / 8 = {expected:g}; correct one of the three",
            )


def memory_is_known_or_shared(entry: Entry) -> Iterator[Finding]:
    """Only devices that use the computer's memory may leave their size open."""
    if entry["memory_gb"] is None and not entry["unified_memory"]:
        yield "memory_gb", "a device with its own memory needs its size; state it, or set unified_memory to true"


def driver_memory_is_near_nominal(entry: Entry) -> Iterator[Finding]:
    """The memory that the driver reports is at most the nominal size and not far below it."""
    nominal, reported = entry["memory_gb"], entry["memory_bytes"]
    if nominal and reported and not 0.85 * nominal * GIB <= reported <= 1.002 * nominal * GIB:
        yield (
            "memory_bytes",
            f"{reported} bytes is {reported / GIB:.2f} GiB, but memory_gb is {nominal:g}; correct one of both",
        )


def usable_memory_is_within_memory(entry: Entry) -> Iterator[Finding]:
    """A platform limit cannot exceed the memory that it limits."""
    for key in ("gpu_usable_mib_macos15", "gpu_usable_mib_macos26", "gpu_usable_mib_configured"):
        limit = entry[key]
        if limit and entry["memory_gb"] and limit > entry["memory_gb"] * 1024:
            yield key, f"{limit} MiB is more than the {entry['memory_gb']:g} GB of the device; correct one of both"


def platform_limit_needs_unified_memory(entry: Entry) -> Iterator[Finding]:
    """Only unified memory is shared out by the platform."""
    if entry["gpu_usable_fraction_default"] is not None and not entry["unified_memory"]:
        yield "gpu_usable_fraction_default", "a card with its own memory has no such fraction; set it to null"


def target_matches_vendor(entry: Entry) -> Iterator[Finding]:
    """Compute capabilities are NVIDIA's, gfx targets AMD's."""
    if entry["compute_capability"] and entry["vendor"] != "nvidia":
        yield "compute_capability", f"vendor {entry['vendor']!r} has none; set it to null or correct the vendor"
    if entry["gfx_target"] and entry["vendor"] != "amd":
        yield "gfx_target", f"vendor {entry['vendor']!r} has none; set it to null or correct the vendor"


def interfaces_match_vendor(entry: Entry) -> Iterator[Finding]:
    """A vendor's own interface drives only its devices."""
    owners = {"cuda": "nvidia", "rocm": "amd", "metal": "apple", "mlx": "apple", "sycl": "intel"}
    for name in entry["engines"]:
        if name in owners and entry["vendor"] != owners[name]:
            yield (
                "engines",
                f"{name!r} is {owners[name]}'s interface, the vendor is {entry['vendor']!r}; correct one of both",
            )


def peaks_are_ordered(entry: Entry) -> Iterator[Finding]:
    """Narrower formats are never slower, and matrix units never slower than shaders."""
    pairs = (
        ("fp16_shader_tflops", "fp16_tensor_tflops"),
        ("fp16_tensor_tflops", "fp16_tensor_fp16acc_tflops"),
        ("fp16_tensor_tflops", "fp8_tflops"),
        ("fp8_tflops", "fp8_fp16acc_tflops"),
        ("fp8_tflops", "fp4_tflops"),
    )
    for slower, faster in pairs:
        if entry[slower] and entry[faster] and entry[faster] < entry[slower] * (1 - _ROUNDING):
            yield (
                faster,
                f"{entry[faster]} is below {slower} {entry[slower]}; check for sparsity or another accumulator",
            )


def shader_peak_follows_from_clock(entry: Entry) -> Iterator[Finding]:
    """FP32 peak = cores x clock x 2, x 4 where a core issues two fused operations (RDNA 3 on) or the maker counts so."""
    cores, clock, peak = entry["shader_cores"], entry["boost_mhz"], entry["fp32_tflops"]
    if cores and clock and peak:
        operations = 4 if str(entry["architecture"]).startswith(_DUAL_ISSUE) else 2
        expected = cores * clock * operations / 1e6
        if abs(peak - expected) > _PEAK_TOLERANCE * expected:
            yield (
                "fp32_tflops",
                f"{peak} TFLOPS is not {cores} cores x {clock} MHz x {operations} = {expected:.4g}; correct one of the three",
            )


def integer_peak_states_its_path(entry: Entry) -> Iterator[Finding]:
    """An INT8 peak says whether matrix units or dot-product instructions reach it."""
    if entry["int8_tops"] is not None and entry["int8_path"] is None:
        yield "int8_path", "int8_tops is stated; say whether the path to it is 'tensor' or 'dp4a'"


def certainty_lists_name_fields(entry: Entry) -> Iterator[Finding]:
    """Each mark of a derived, uncertain or recalled fact names a key of the file."""
    for listing in ("derived", "uncertain", "recalled"):
        for item in entry[listing]:
            key = re.split(r"[ (/:,]", item, maxsplit=1)[0]
            if key not in entry:
                yield listing, f"{item!r} names no key of the file; start it with the key that it is about"


def format_states_its_size(entry: Entry) -> Iterator[Finding]:
    """A file for llama.cpp or its forks names a file type, any other format its bits; either may state them by part."""
    recipes = {"gguf": FILE_TYPES, "ik-gguf": IK_TYPES}.get(entry["format"])
    if (factors := entry["part_factors"]) is not None:
        if entry["format"] != "gguf" or factors["file_type"] not in FILE_TYPES:
            yield "part_factors", f"factors are of a recipe of llama.cpp; known are {', '.join(FILE_TYPES)}"
        if entry["weight_bits"] is not None or entry["part_bits"] is not None or entry["file_type"] in FILE_TYPES:
            yield "part_factors", "factors by part stand instead of a recipe or of bits; state one of them"
    elif entry["part_bits"] is not None:
        if entry["weight_bits"] is not None or entry["file_type"] in (recipes or ()):
            yield "part_bits", "bits by part stand instead of a recipe or of weight_bits; state one of them"
    elif recipes is not None:
        if entry["file_type"] not in recipes:
            yield "file_type", f"{entry['file_type']!r} is no file type of this format; known are {', '.join(recipes)}"
        if entry["weight_bits"] is not None:
            yield "weight_bits", "such a file takes its bits from the file type's recipe; set weight_bits to null"
    elif entry["weight_bits"] is None:
        yield "weight_bits", f"format {entry['format']!r} needs the bits of a weight"
    if recipes is None and entry["file_type"] is not None:
        yield "file_type", "only files for llama.cpp and its forks have a file type; set it to null"


def groups_state_their_scale(entry: Entry) -> Iterator[Finding]:
    """A scale is shared by a group, so one cannot be stated without the other."""
    if (entry["group_size"] is None) != (entry["scale_bits"] is None):
        yield "scale_bits", "group_size and scale_bits must be both stated or both null"


def quality_has_a_source(entry: Entry) -> Iterator[Finding]:
    """A quality loss is measured by someone."""
    if (entry["quality_loss"] is None) != (entry["quality_source"] is None):
        yield "quality_source", "quality_loss and quality_source must be both stated or both null"


def lengths_fit_the_context(entry: Entry) -> Iterator[Finding]:
    """Prompt and output together fit in the allocated context, and so does the depth."""
    if entry["prompt_tokens"] + entry["output_tokens"] > entry["context_tokens"]:
        yield (
            "context_tokens",
            f"{entry['context_tokens']} tokens cannot hold prompt and output; raise it or shorten both",
        )
    if entry["decode_depth_tokens"] > entry["context_tokens"]:
        yield "decode_depth_tokens", f"the depth is beyond context_tokens {entry['context_tokens']}; lower it"


def minimum_is_below_comfortable(entry: Entry) -> Iterator[Finding]:
    """The bearable speed is at most the comfortable one."""
    if entry["minimum_decode_tok_s"] > entry["comfortable_decode_tok_s"]:
        yield "minimum_decode_tok_s", "it is above comfortable_decode_tok_s; exchange or correct both"
    if entry["usable_ttft_ms"] < entry["patience_ttft_ms"]:
        yield "usable_ttft_ms", "it is below patience_ttft_ms; exchange or correct both"


def engine_rules_agree(entry: Entry) -> Iterator[Finding]:
    """The file states exactly the rules that the estimator applies (estimator/placement/hardware.py)."""
    applied = {
        _comparable(
            rule.backend.value,
            [format_.value for format_ in rule.formats],
            rule.min_compute_capability,
            rule.native_compute_capability,
            rule.gfx_targets,
        )
        for rule in ENGINE_RULES
        if rule.engine.value == entry["slug"]
    }
    stated = {
        _comparable(
            rule["backend"],
            rule["formats"],
            rule["min_compute_capability"],
            rule["native_compute_capability"],
            rule["gfx_targets"],
        )
        for rule in entry["rules"]
    }
    where = "or change estimator/placement/hardware.py"
    for missing in sorted(applied - stated, key=str):
        yield "rules", f"the estimator applies {missing}, which the file does not state; add it, {where}"
    for extra in sorted(stated - applied, key=str):
        yield "rules", f"the file states {extra}, which the estimator does not apply; correct it, {where}"


def _comparable(
    backend: str, formats: Iterable[str], minimum: float | None, native: float | None, targets: Iterable[str] | None
) -> tuple[object, ...]:
    return backend, tuple(sorted(formats)), minimum, native, None if targets is None else tuple(sorted(targets))


def host_bandwidth_follows(entry: Entry) -> Iterator[Finding]:
    """GB/s = channels x 8 bytes x MT/s / 1000."""
    expected = entry["memory_channels"] * 8 * entry["memory_data_rate_mt_s"] / 1000
    if abs(entry["bandwidth_gbps"] - expected) > _ROUNDING * expected:
        yield (
            "bandwidth_gbps",
            f"{entry['bandwidth_gbps']} GB/s is not channels x 8 B x MT/s = {expected:g}; correct it",
        )


def host_compute_follows(entry: Entry) -> Iterator[Finding]:
    """GFLOP/s = cores x FLOP per cycle x GHz."""
    expected = entry["cores"] * entry["flops_per_core_cycle"] * entry["clock_ghz"]
    if abs(entry["fp32_gflops"] - expected) > _ROUNDING * expected:
        yield "fp32_gflops", f"{entry['fp32_gflops']} is not cores x FLOP/cycle x GHz = {expected:g}; correct it"


RULES: dict[str, tuple[Rule, ...]] = {
    "model": MODEL_RULES,
    "gpu": (
        bandwidth_follows_from_bus, memory_is_known_or_shared, driver_memory_is_near_nominal,
        usable_memory_is_within_memory, platform_limit_needs_unified_memory, target_matches_vendor,
        interfaces_match_vendor, peaks_are_ordered, shader_peak_follows_from_clock, integer_peak_states_its_path,
        certainty_lists_name_fields,
    ),
    "quant": (format_states_its_size, groups_state_their_scale, quality_has_a_source),
    "workload": (lengths_fit_the_context, minimum_is_below_comfortable),
    "engine": (engine_rules_agree,),
    "host": (host_bandwidth_follows, host_compute_follows),
    "computer": COMPUTER_RULES,
    "price": PRICE_RULES,
}  # fmt: skip


def workload_kinds_are_distinct(workloads: Mapping[str, Entry]) -> Iterator[tuple[str, str, str]]:
    slug_of_kind: dict[str, str] = {}
    for slug, entry in workloads.items():
        if entry["kind"] in slug_of_kind:
            yield slug, "kind", f"{slug_of_kind[entry['kind']]} has the same kind; remove one of both"
        slug_of_kind.setdefault(entry["kind"], slug)


def hosts_are_assumed_for_all(hosts: Mapping[str, Entry]) -> Iterator[tuple[str, str, str]]:
    """Exactly one host profile is the default, and every kind of accelerator has one that is assumed for it."""
    defaults = [slug for slug, entry in hosts.items() if entry["default"]]
    for slug in defaults[1:] or ([] if defaults else list(hosts)[:1]):
        yield slug, "default", f"{len(defaults)} profiles are the default; exactly one must be"
    of_kinds = {kind for entry in hosts.values() for kind in entry["assumed_for"]}
    for kind in get_args(AcceleratorKind):
        if defaults and kind not in of_kinds:
            yield defaults[0], "assumed_for", f"no profile is assumed for accelerators of kind {kind}; one must be"


def tags_belong_to_one_model(models: Mapping[str, Entry]) -> Iterator[tuple[str, str, str]]:
    """An Ollama tag or a repository is of one model."""
    for field in ("ollama_tag", "hf_repo"):
        slug_of_value: dict[str, str] = {}
        for slug, entry in models.items():
            if entry[field] in slug_of_value:
                yield slug, field, f"{slug_of_value[entry[field]]} has the same {entry[field]!r}; correct one of both"
            elif entry[field] is not None:
                slug_of_value[entry[field]] = slug


def set_rules(kind: str) -> tuple[SetRule, ...]:
    """Rules over all entities of a kind."""
    return {
        "model": (tags_belong_to_one_model,),
        "workload": (workload_kinds_are_distinct,),
        "host": (hosts_are_assumed_for_all,),
    }.get(kind, ())
