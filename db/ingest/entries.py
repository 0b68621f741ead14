"""A model file from a snapshot: the facts of its configuration, with how each of them is known."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from db.entries.files import Catalog, Entry
from db.entries.schema_models import LAYER_LETTERS
from db.ingest.counts import counts_by_part
from db.ingest.gate import Comparison
from db.ingest.snapshots import Snapshot, SourceError

#: Facts of a reader that a model file takes over as they are.
_STRUCTURE = (
    "context_length", "architecture", "hidden_size", "embedding_size", "n_layers", "n_heads", "n_kv_heads", "head_dim_k",
    "head_dim_v", "intermediate_size", "vocab_size", "tie_word_embeddings", "attention", "mlp", "norms", "moe",
    "mlp_pattern", "extra_params", "native_dtype", "params_vision_and_other", "context_extension",
)  # fmt: skip
_OPTIONAL = ("embedding_size", "params_vision_and_other", "context_extension")
_LEGEND = {
    "F": "full", "S": "sliding window", "C": "chunked", "I": "indexed", "L": "linear", "M": "state space",
    "P": "attention and state space side by side", "V": "short convolution", "X": "cross attention", "N": "none",
}  # fmt: skip
_SIZE = re.compile(r"(?:\d+x)?\d+(?:\.\d+)?[bm]|a\d+(?:\.\d+)?b|e\d+b", re.IGNORECASE)
_NOT_FAMILY = re.compile(r"instruct|chat|it|base|thinking|reasoning|preview|hf|v\d.*|\d{4,8}", re.IGNORECASE)


def model_entry(
    snapshot: Snapshot, facts: Mapping[str, Any], comparison: Comparison, catalog: Catalog, day: str
) -> Entry:
    """The model file of ``snapshot``, whose ``facts`` passed the gate by ``comparison``; ``day`` is that of the import.

    Raises:
        SourceError: its slug is taken by another model of the catalog.
    """
    name = name_of(snapshot)
    slug = slug_of(name)
    if slug in catalog.models:
        raise SourceError(f"the catalog has a model {slug!r}, of the repository {catalog.models[slug]['hf_repo']}")
    computed = counts_by_part(facts)
    structure = {key: facts.get(key) for key in _STRUCTURE if key not in _OPTIONAL or facts.get(key) is not None}
    legend = ", ".join(f"{letter} {_LEGEND[letter]}" for letter in LAYER_LETTERS)
    kind = "config.json" if snapshot.gguf is None else "GGUF header"
    return {
        "slug": slug,
        "name": name.replace("-", " ").replace("_", " "),
        "aliases": [],
        "family": family_of(name, catalog.models.values()),
        "publisher": publisher_of(snapshot, catalog.models.values()),
        "hf_repo": snapshot.repository,
        "downloads": downloads_of(snapshot, day),
        "release_date": None,
        "release_date_source": None,
        "release_date_kind": None,
        "license": snapshot.card.license,
        "modalities": modalities_of(snapshot.config or {}),
        "params_total_b": round(comparison.checkpoint / 1e9, 2) or None,
        "params_active_b": round(computed["text_active"] / 1e9, 2) if facts["moe"] else None,
        "params_exact_checkpoint": comparison.checkpoint,
        "model_type": (snapshot.config or {}).get("model_type"),
        **structure,
        "native_dtype": structure["native_dtype"] or "BF16",
        "attention": {**facts["attention"], "legend": legend},
        "mtp": _predicted(facts["mtp"]),
        "benchmarks": None,
        "gguf_repo": None,
        "gguf_repos_all": [],
        "ollama_tag": None,
        "source": source_of(snapshot),
        "source_kind": kind,
        "note": None,
        "params_exact_source": snapshot.checkpoint.read_from if snapshot.checkpoint else None,
        "params_computed": computed,
        "param_check": "exact" if not comparison.difference else f"{comparison.difference:+.4%}",
        "verified": not facts.get("class_defaults"),
        "count_exact": True,
        "verification": f"{kind}; {comparison}",
        "known_by": known_by(snapshot, facts),
        "repository_state": {
            "revision": snapshot.revision,
            "read_on": day,
            "created": snapshot.card.created,
            "base_models": list(snapshot.card.base_models),
        },
    }


def name_of(snapshot: Snapshot) -> str:
    """The repository's name without its owner, or that of the local file or folder."""
    if snapshot.repository is not None:
        return snapshot.repository.split("/")[-1]
    parts = [part for part in re.split(r"[\\/]", snapshot.source) if part not in ("", ".", "..")]
    if parts[-1] in ("config.json", "model.safetensors.index.json", "model.safetensors") and len(parts) > 1:
        parts.pop()
    return parts[-1].removesuffix(".gguf").removesuffix(".json")


def slug_of(name: str) -> str:
    """The slug of a name: lower case, dashes, dots within numbers."""
    slug = re.sub(r"[^a-z0-9.]+", "-", name.lower())
    slug = re.sub(r"\.(?!\d)|(?<!\d)\.", "-", slug)
    return re.sub(r"-+", "-", slug).strip("-.")[:80]


def family_of(name: str, models: Iterable[Entry]) -> str:
    """The part of a name before its size, in the spelling of the catalog where it has such a family."""
    words: list[str] = []
    for word in re.split(r"[-_ ]+", name):
        if words and (_SIZE.fullmatch(word) or _NOT_FAMILY.fullmatch(word)):
            break
        words.append(word)
    family = " ".join(words)[:120]
    known = {_plain(str(model["family"])): str(model["family"]) for model in models}
    return known.get(_plain(family), family)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9.]", "", text.lower())


def publisher_of(snapshot: Snapshot, models: Iterable[Entry]) -> str:
    """The publisher whom the catalog's models of the same owner have, else the owner."""
    owner = (snapshot.repository or "unknown").split("/")[0]
    names = Counter(str(model["publisher"]) for model in models if str(model["hf_repo"]).split("/")[0] == owner)
    return names.most_common(1)[0][0] if names else owner


def modalities_of(config: Mapping[str, Any]) -> list[str]:
    """Kinds of input, by the towers that a configuration has."""
    towers = {"image": ("vision_config",), "audio": ("audio_config",)}
    return [
        "text",
        *(kind for kind, keys in towers.items() if any(isinstance(config.get(key), Mapping) for key in keys)),
    ]


def source_of(snapshot: Snapshot) -> str:
    """Where the facts were read, with the revision."""
    if snapshot.revision is not None:
        return f"https://huggingface.co/{snapshot.repository}/blob/{snapshot.revision}/config.json"
    return f"local file {name_of(snapshot)}"


def downloads_of(snapshot: Snapshot, day: str) -> dict[str, Any] | None:
    """Downloads of the repository in 30 days, as the hub counts them."""
    if snapshot.card.downloads is None:
        return None
    return {"count": snapshot.card.downloads, "as_of": day, "source": f"https://huggingface.co/{snapshot.repository}"}


def known_by(snapshot: Snapshot, facts: Mapping[str, Any]) -> dict[str, str]:
    """Field -> how it is known."""
    origin = "config" if snapshot.gguf is None else "gguf header"
    fields = {key: origin for key in _STRUCTURE if facts.get(key) is not None}
    fields |= dict.fromkeys(facts.get("class_defaults", ()), "class default")
    if "max_position_embeddings" in facts.get("class_defaults", ()):
        fields["context_length"] = "class default"
    listed = snapshot.checkpoint is not None and snapshot.checkpoint.read_from == "the list of sources"
    fields |= {"params_exact_checkpoint": "source list" if listed else "checkpoint", "params_computed": "inventory"}
    fields |= {"name": "repository name", "family": "repository name", "publisher": "repository name"}
    return fields | ({"license": "card"} if snapshot.card.license else {})


def _predicted(mtp: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if mtp is None else {"n_layers": mtp["n_layers"] or 0, "params": mtp["params"], "note": "as configured"}
