"""What a question may bring along instead of a name: a model's configuration, an accelerator's facts, another host.

The facts pass the same strict shapes as the catalog's files and go through the same bridge, so that a custom thing with
a catalog entry's facts gets that entry's numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from db import specs
from db.catalog_schema import GpuFile
from db.imports.errors import ImportFactsError
from db.imports.gguf_facts import facts_from_gguf
from db.imports.gguf_header import MAX_HEADER_BYTES
from db.imports.hf_config import MAX_CONFIG_BYTES, facts_from_config, facts_from_config_text
from estimator.architecture import ModelArchitecture, architecture_from_facts
from estimator.types import Accelerator, Host

#: Slug of everything that is not in the catalog.
CUSTOM = "custom"
_GIB = 1024**3
_EMPTY_LISTS = ("aliases", "uncertain", "recalled")
#: What a question need not say about an accelerator of its own.
_DEFAULTS: dict[str, Any] = {
    "slug": CUSTOM,
    "name": "custom accelerator",
    "vendor": "generic",
    "architecture": "custom",
    "kind": "consumer",
    "unified_memory": False,
    "derived": {},
    "source": ["given by the caller"],
}
_NEEDED = ("memory_gb", "bandwidth_gbps", "engines")


def model_of_config(config: Any) -> ModelArchitecture:
    """The architecture of a parsed ``config.json``. Raises :class:`ImportFactsError`."""
    if not isinstance(config, Mapping):
        raise ImportFactsError("a model's configuration must be a JSON object", "model_config")
    return architecture_from_facts(facts_from_config(config, CUSTOM))


def model_of_file(path: Path) -> ModelArchitecture:
    """The architecture that a local ``config.json`` or GGUF file describes; reads no more than its header.

    Raises:
        ImportFactsError: the file cannot be read, or is none of the two.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
            data = start + file.read((MAX_HEADER_BYTES if start == b"GGUF" else MAX_CONFIG_BYTES + 1) - len(start))
    except OSError as error:
        raise ImportFactsError(f"cannot read {path.name}: {error.strerror}", "model") from None
    facts = facts_from_gguf(data, CUSTOM).facts if start == b"GGUF" else facts_from_config_text(data, CUSTOM)
    return architecture_from_facts(facts)


def is_model_file(text: str) -> bool:
    """Whether a model's name is rather the path of a file that is there."""
    return text.endswith((".json", ".gguf")) and Path(text).is_file()


def accelerator_of_facts(facts: Any) -> Accelerator:
    """An accelerator from datasheet facts, in the keys and units of a catalog file; unknown facts may be left out.

    Raises:
        ImportFactsError: a key is unknown, a value out of range, or one without which nothing can be said is missing.
    """
    if not isinstance(facts, Mapping):
        raise ImportFactsError("an accelerator's facts must be a JSON object", "gpu_facts")
    missing = next((name for name in _NEEDED if facts.get(name) is None), None)
    if missing is not None:
        raise ImportFactsError(f"an accelerator's facts need {', '.join(_NEEDED)}; {missing!r} is missing", missing)
    entry: dict[str, Any] = dict.fromkeys(GpuFile.model_fields)
    entry.update({name: [] for name in _EMPTY_LISTS})
    entry.update(_DEFAULTS)
    entry.update(facts)
    try:
        GpuFile.model_validate(entry)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:80]
        raise ImportFactsError(f"gpu_facts: {where}: {first['msg']}", "gpu_facts") from None
    found = specs.accelerator(entry)
    if not found.backends:
        raise ImportFactsError("'engines' must name an interface that an engine drives, such as cuda", "engines")
    return found


def host_with(host: Host, memory_gb: float | None, bandwidth_gbps: float | None) -> Host:
    """``host`` with another memory size (GiB) or memory bandwidth (10^9 bytes per second)."""
    if memory_gb is not None:
        host = replace(host, slug=CUSTOM, memory_bytes=round(memory_gb * _GIB))
    if bandwidth_gbps is not None:
        host = replace(host, slug=CUSTOM, bandwidth_bytes_s=bandwidth_gbps * 1e9)
    return host


__all__ = [
    "CUSTOM",
    "accelerator_of_facts",
    "host_with",
    "is_model_file",
    "model_of_config",
    "model_of_file",
]
