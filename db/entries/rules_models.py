"""Consistency rules of model files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from db.entries import specs
from estimator.structure.tensors import inventory
from estimator.types import EstimatorError

Entry = Mapping[str, Any]
Finding = tuple[str, str]
Rule = Callable[[Entry], Iterator[Finding]]

#: Parts of ``params_computed`` that add up to ``text_total``.
PARAMETER_PARTS = (
    "embedding", "lm_head", "mixer", "dense_mlp", "routed_experts", "shared_experts", "router", "norms", "other",
)  # fmt: skip
#: A checkpoint may hold more than the text model: vision towers, MTP layers, block scales.
_CHECKPOINT_TOLERANCE = 0.002


def family_directory(family: str) -> str:
    """Directory of a family's files."""
    return re.sub(r"[^a-z0-9.]+", "-", family.lower()).strip("-")


def patterns_cover_the_layers(entry: Entry) -> Iterator[Finding]:
    for field, pattern in (
        ("attention.layer_pattern", entry["attention"]["layer_pattern"]),
        ("mlp_pattern", entry["mlp_pattern"]),
    ):
        if pattern is not None and len(pattern) != entry["n_layers"]:
            yield field, f"it has {len(pattern)} letters for {entry['n_layers']} layers; write one letter a layer"


def per_layer_lists_cover_the_layers(entry: Entry) -> Iterator[Finding]:
    """Lists of layer properties have one element a layer."""
    per_layer = entry["attention"].get("per_layer")
    if per_layer is not None and len(per_layer) != entry["n_layers"]:
        yield "attention.per_layer", f"it has {len(per_layer)} elements for {entry['n_layers']} layers"
    norms = entry["norms"]["per_layer"]
    if isinstance(norms, str) and len(norms) != entry["n_layers"]:
        yield "norms.per_layer", f"it has {len(norms)} digits for {entry['n_layers']} layers"


def heads_divide(entry: Entry) -> Iterator[Finding]:
    """Every key-value head serves a whole number of query heads."""
    heads, kv_heads = entry["n_heads"], entry["n_kv_heads"]
    if heads and kv_heads and heads % kv_heads:
        yield "n_kv_heads", f"{heads} heads cannot be shared out over {kv_heads} key-value heads; correct one of both"


def experts_match_the_pattern(entry: Entry) -> Iterator[Finding]:
    """An expert layer in the pattern and a ``moe`` section go together."""
    routed = "E" in entry["mlp_pattern"]
    if routed and entry["moe"] is None:
        yield "moe", "mlp_pattern has expert layers (E); add the moe section or correct the pattern"
    if not routed and entry["moe"] is not None:
        yield "moe", "mlp_pattern has no expert layer (E); set moe to null or correct the pattern"


def experts_per_token_exist(entry: Entry) -> Iterator[Finding]:
    """A token cannot use more experts than there are."""
    moe = entry["moe"]
    if moe and moe["experts_per_token"] > moe["n_experts"]:
        yield "moe.experts_per_token", f"{moe['experts_per_token']} of {moe['n_experts']} experts; correct one of both"


def mixers_have_their_parts(entry: Entry) -> Iterator[Finding]:
    """A letter of the layer pattern needs the section that describes it."""
    attention = entry["attention"]
    pattern = attention["layer_pattern"] or ""
    needs = {"L": "linear", "M": "ssm", "P": "ssm", "V": "short_conv", "C": "chunk_size"}
    for letter, section in needs.items():
        if letter in pattern and not attention.get(section):
            yield (
                f"attention.{section}",
                f"the layer pattern has {letter} layers; state {section}, or correct the pattern",
            )


def dense_layers_have_a_width(entry: Entry) -> Iterator[Finding]:
    """Dense feed-forward layers need their width, unless the layers themselves are unknown."""
    attention = entry["attention"]
    known = attention["layer_pattern"] is not None and not attention.get("per_layer")
    if known and "D" in entry["mlp_pattern"] and entry["intermediate_size"] is None:
        yield "intermediate_size", "mlp_pattern has dense layers (D); state the width or correct the pattern"


def computed_parameters_add_up(entry: Entry) -> Iterator[Finding]:
    """The parts are the total, and a token reads at most all of it."""
    computed = entry["params_computed"]
    if computed is None:
        return
    total = sum(computed[part] for part in PARAMETER_PARTS)
    if total != computed["text_total"]:
        yield "params_computed.text_total", f"the parts add up to {total}, not {computed['text_total']}; recompute both"
    if computed["text_active"] > computed["text_total"]:
        yield "params_computed.text_active", "it is more than text_total; recompute both"


def tensors_are_the_computed_parameters(entry: Entry) -> Iterator[Finding]:
    """The tensors that the facts describe have the parameters that the file states."""
    if specs.missing_facts(entry):
        return
    try:
        model = specs.architecture(entry)
        tensors = inventory(model)
    except (EstimatorError, LookupError):
        # Another rule names the fault.
        return
    counted = int(tensors.elements[tensors.layer < model.n_layers].sum())
    if counted != model.total_parameters:
        yield (
            "params_computed.text_total",
            f"the tensors of the layers have {counted} parameters, not {model.total_parameters}; correct the shapes, or import "
            "the model from its config.json",
        )


def exact_counts_match_the_checkpoint(entry: Entry) -> Iterator[Finding]:
    """``count_exact`` is claimed only where structure and checkpoint agree."""
    computed, stated = entry["params_computed"], entry["params_exact_checkpoint"]
    if not (entry["count_exact"] and computed and stated) or entry.get("checkpoint_count_unreliable"):
        return
    extra = (entry.get("params_vision_and_other") or 0) + ((entry["mtp"] or {}).get("params") or 0)
    low, high = computed["text_total"], computed["text_total"] + extra + entry["vocab_size"] * entry["hidden_size"]
    if not low * (1 - _CHECKPOINT_TOLERANCE) <= stated <= high * (1 + _CHECKPOINT_TOLERANCE):
        yield (
            "count_exact",
            f"the checkpoint has {stated} parameters, the structure {low} to {high}; "
            "correct one of them or set count_exact to false",
        )


def verified_means_nothing_derived(entry: Entry) -> Iterator[Finding]:
    """Fields that were solved for are not verified."""
    if entry["verified"] and entry.get("derived_fields"):
        yield "verified", "derived_fields lists fields that no source states; set verified to false or source them"


def dates_have_a_source(entry: Entry) -> Iterator[Finding]:
    """A release date says where it comes from and what it is the date of."""
    for name in ("release_date_source", "release_date_kind"):
        if (entry["release_date"] is None) != (entry[name] is None):
            yield name, f"release_date and {name} must be both stated or both null"


def extension_goes_beyond_the_original(entry: Entry) -> Iterator[Finding]:
    """An extension that is applied is the context; one that is not goes beyond it."""
    extension, length = entry.get("context_extension"), entry["context_length"]
    if extension is None:
        return
    if extension["applied"] and extension["tokens"] != length:
        yield "context_extension.tokens", f"it is applied, and context_length is {length}; both must be equal"
    if not extension["applied"] and length is not None and extension["tokens"] <= length:
        yield "context_extension.tokens", f"it must be more than context_length, which is {length}"


def gguf_repository_is_listed(entry: Entry) -> Iterator[Finding]:
    """The preferred GGUF repository is one of the known ones."""
    if entry["gguf_repo"] is not None and entry["gguf_repo"] not in entry["gguf_repos_all"]:
        yield "gguf_repo", "it is not among gguf_repos_all; add it there or correct it"


MODEL_RULES: tuple[Rule, ...] = (
    patterns_cover_the_layers, per_layer_lists_cover_the_layers, heads_divide, experts_match_the_pattern,
    experts_per_token_exist, mixers_have_their_parts, dense_layers_have_a_width, computed_parameters_add_up,
    tensors_are_the_computed_parameters, extension_goes_beyond_the_original,
    exact_counts_match_the_checkpoint, verified_means_nothing_derived, dates_have_a_source, gguf_repository_is_listed,
)  # fmt: skip
