"""Every rule accepts the bundled catalog and refuses an example that breaks it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from db.entries import rules as catalog_rules
from db.entries.files import Catalog
from tests.support.catalogs import CATALOG

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return CATALOG


def put(path: str, value: Any) -> Change:
    """A change that sets a dotted key."""

    def change(entry: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        at = entry
        for key in parents:
            at = at[key]
        at[last] = value

    return change


#: rule -> (kind, slug of a sound entry, change that breaks it, field that the finding names)
BREAKING: dict[str, tuple[str, str, Change, str]] = {
    "bandwidth_follows_from_bus": ("gpu", "rtx-4090", put("bandwidth_gbps", 504.0), "bandwidth_gbps"),
    "memory_is_known_or_shared": ("gpu", "rtx-4090", put("memory_gb", None), "memory_gb"),
    "driver_memory_is_near_nominal": ("gpu", "rtx-4090", put("memory_bytes", 12 * 1024**3), "memory_bytes"),
    "usable_memory_is_within_memory": (
        "gpu", "apple-m3-max-40c-64gb", put("gpu_usable_mib_macos26", 70_000), "gpu_usable_mib_macos26",
    ),
    "platform_limit_needs_unified_memory": (
        "gpu", "rtx-4090", put("gpu_usable_fraction_default", 0.5), "gpu_usable_fraction_default",
    ),
    "target_matches_vendor": ("gpu", "rtx-4090", put("gfx_target", "gfx1100"), "gfx_target"),
    "interfaces_match_vendor": ("gpu", "rtx-4090", put("engines", ["rocm"]), "engines"),
    "peaks_are_ordered": ("gpu", "rtx-4090", put("fp8_tflops", 100.0), "fp8_tflops"),
    "shader_peak_follows_from_clock": ("gpu", "radeon-890m", put("fp32_tflops", 5.94), "fp32_tflops"),
    "integer_peak_states_its_path": ("gpu", "rtx-4090", put("int8_path", None), "int8_path"),
    "certainty_lists_name_fields": ("gpu", "rtx-4090", put("recalled", ["speed of light"]), "recalled"),
    "format_states_its_size": ("quant", "q4-k-m", put("file_type", "Q4_K_X"), "file_type"),
    "groups_state_their_scale": ("quant", "awq-int4", put("scale_bits", None), "scale_bits"),
    "quality_has_a_source": ("quant", "q4-k-m", put("quality_source", None), "quality_source"),
    "lengths_fit_the_context": ("workload", "chat", put("context_tokens", 1000), "context_tokens"),
    "minimum_is_below_comfortable": ("workload", "chat", put("minimum_decode_tok_s", 99.0), "minimum_decode_tok_s"),
    "engine_rules_agree": ("engine", "vllm", put("rules", []), "rules"),
    "host_bandwidth_follows": ("host", "desktop-ddr5-5600-64gb", put("bandwidth_gbps", 200.0), "bandwidth_gbps"),
    "host_compute_follows": ("host", "desktop-ddr5-5600-64gb", put("cores", 64), "fp32_gflops"),
    "takes_cards_or_has_an_accelerator": ("computer", "nvidia-dgx-spark", put("card_places", 2), "card_places"),
    "price_list_is_of_one_product": ("price", "rtx-3090", put("gpu", "rtx-4090"), "gpu"),
    "prices_are_of_the_products_kind": ("price", "rtx-3090", lambda entry: put("usd_low", 1e6)(entry["prices"][0]), "prices.0.usd"),
    "patterns_cover_the_layers": ("model", "qwen3-8b", put("n_layers", 30), "attention.layer_pattern"),
    "per_layer_lists_cover_the_layers": ("model", "qwen3-8b", put("norms.per_layer", "22"), "norms.per_layer"),
    "heads_divide": ("model", "qwen3-8b", put("n_kv_heads", 5), "n_kv_heads"),
    "experts_match_the_pattern": ("model", "mixtral-8x7b", put("moe", None), "moe"),
    "experts_per_token_exist": ("model", "mixtral-8x7b", put("moe.experts_per_token", 9), "moe.experts_per_token"),
    "mixers_have_their_parts": ("model", "kimi-linear-48b-a3b", put("attention.linear", None), "attention.linear"),
    "dense_layers_have_a_width": ("model", "qwen3-8b", put("intermediate_size", None), "intermediate_size"),
    "computed_parameters_add_up": ("model", "qwen3-8b", put("params_computed.norms", 0), "params_computed.text_total"),
    "tensors_are_the_computed_parameters": ("model", "qwen3-8b", put("n_kv_heads", 4), "params_computed.text_total"),
    "exact_counts_match_the_checkpoint": (
        "model", "qwen3-8b", put("params_exact_checkpoint", 12_000_000_000), "count_exact",
    ),
    "verified_means_nothing_derived": ("model", "qwen3-8b", put("derived_fields", ["n_heads"]), "verified"),
    "dates_have_a_source": ("model", "qwen3-8b", put("release_date_source", None), "release_date_source"),
    "extension_goes_beyond_the_original": (
        "model", "qwen3-8b", put("context_extension.tokens", 32_768), "context_extension.tokens",
    ),
    "gguf_repository_is_listed": ("model", "qwen3-8b", put("gguf_repo", "nobody/nothing"), "gguf_repo"),
}  # fmt: skip


def test_every_rule_has_an_example() -> None:
    rules = {rule.__name__ for rules in catalog_rules.RULES.values() for rule in rules}
    assert rules == set(BREAKING)


@pytest.mark.parametrize("name", sorted(BREAKING))
def test_a_broken_entry_is_found(catalog: Catalog, name: str) -> None:
    kind, slug, change, field = BREAKING[name]
    rule = next(rule for rule in catalog_rules.RULES[kind] if rule.__name__ == name)
    entry = copy.deepcopy(catalog.entries(kind)[slug])
    assert list(rule(entry)) == []
    change(entry)
    findings = list(rule(entry))
    assert field in {name_of_field for name_of_field, _ in findings}
    assert all(message for _, message in findings)


def test_a_file_in_the_wrong_place_is_found(catalog: Catalog) -> None:
    entry = catalog.gpus["rtx-4090"]
    findings = [
        field
        for rule in catalog_rules.directory_rules("gpu", Path("gpus/amd/rtx-4091.json"))
        for field, _ in rule(entry)
    ]
    assert findings == ["slug", "vendor"]
    model = catalog.models["qwen3-8b"]
    rules = catalog_rules.directory_rules("model", Path("models/qwen2/qwen3-8b.json"))
    assert [field for rule in rules for field, _ in rule(model)] == ["family"]


def test_a_workload_kind_is_defined_once(catalog: Catalog) -> None:
    twice = {"chat": catalog.workloads["chat"], "talk": catalog.workloads["chat"]}
    assert [slug for slug, _, _ in catalog_rules.workload_kinds_are_distinct(twice)] == ["talk"]


def test_a_tag_belongs_to_one_model(catalog: Catalog) -> None:
    assert list(catalog_rules.tags_belong_to_one_model(catalog.models)) == []
    twice = {"a": catalog.models["qwen3-8b"], "b": catalog.models["qwen3-8b"]}
    assert [field for _, field, _ in catalog_rules.tags_belong_to_one_model(twice)] == ["ollama_tag", "hf_repo"]


def test_one_host_is_the_default_and_every_kind_has_one(catalog: Catalog) -> None:
    assert list(catalog_rules.hosts_are_assumed_for_all(catalog.hosts)) == []
    none = {slug: {**entry, "default": False} for slug, entry in catalog.hosts.items()}
    assert len(list(catalog_rules.hosts_are_assumed_for_all(none))) == 1
    both = {slug: {**entry, "default": True} for slug, entry in catalog.hosts.items()}
    assert len(list(catalog_rules.hosts_are_assumed_for_all(both))) == len(both) - 1
    no_laptop = {slug: entry for slug, entry in catalog.hosts.items() if "laptop" not in entry["assumed_for"]}
    faults = [message for _, field, message in catalog_rules.hosts_are_assumed_for_all(no_laptop)]
    assert [message.split(";")[0].rsplit(" ", 1)[1] for message in faults] == ["laptop", "soc", "integrated"]
