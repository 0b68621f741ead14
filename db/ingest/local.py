"""Local sources: a ``config.json``, a folder with one, a safetensors index or file beside one, and a GGUF file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from db.imports.checkpoints.safetensors import MAX_HEADER_BYTES, MAX_INDEX_BYTES, parse_safetensors, size_of_index
from db.imports.errors import ImportFactsError, json_object
from db.imports.gguf.facts import facts_from_gguf
from db.imports.gguf.header import MAX_HEADER_BYTES as MAX_GGUF_BYTES
from db.imports.gguf.header import parse_gguf
from db.imports.gguf.split import joined, names_of_parts
from db.imports.hub.config import MAX_CONFIG_BYTES, config_of_text
from db.ingest.snapshots import Card, CheckpointCount, Snapshot, SourceError, UnreachedError

_CONFIG, _INDEX = "config.json", "model.safetensors.index.json"
#: Bytes of an element by the type that a configuration states for its checkpoint.
_ELEMENT_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}


def is_local(source: str) -> bool:
    """Whether a source is the path of a file or folder that is there."""
    return Path(source).exists()


def read_local(source: str) -> Snapshot:
    """The snapshot of a local file or folder.

    Raises:
        SourceError: nothing there can be read as a model.
    """
    path = Path(source)
    try:
        if path.suffix == ".gguf":
            return _gguf(source, path)
        folder = path if path.is_dir() else path.parent
        config = path if path.is_file() and not _is_weights(path) else folder / _CONFIG
        stated = config_of_text(_start(config, MAX_CONFIG_BYTES))
        weights = path if _is_weights(path) else None
        count = _checkpoint(folder if path.is_dir() or config.name == _CONFIG else None, weights, stated)
    except ImportFactsError as error:
        raise SourceError(f"{path.name}: {error}") from None
    return Snapshot(source, config=stated, checkpoint=count, card=Card(base_models=_loaded_from(stated)))


def _loaded_from(config: dict[str, Any]) -> tuple[str, ...]:
    """The repository that a configuration was loaded from, before its weights were changed and saved."""
    named = config.get("_name_or_path")
    is_repository = isinstance(named, str) and named.count("/") == 1 and not named.startswith((".", "/"))
    return (str(named),) if is_repository else ()


def _gguf(source: str, path: Path) -> Snapshot:
    parts = [_start(Path(name), MAX_GGUF_BYTES) for name in names_of_parts(str(path))]
    gguf = facts_from_gguf(*parts)
    total = sum(tensor.elements for tensor in joined([parse_gguf(part) for part in parts]).tensors)
    return Snapshot(source, gguf=gguf, checkpoint=CheckpointCount(total, "tensors of the GGUF file"))


def _is_weights(path: Path) -> bool:
    return path.suffix == ".safetensors" or path.name.endswith(".safetensors.index.json")


def _checkpoint(folder: Path | None, weights: Path | None, config: dict[str, Any]) -> CheckpointCount | None:
    """Count of the weights named, else of those in the folder; None where there are none."""
    if weights is not None and weights.suffix == ".safetensors":
        return _of_headers([weights])
    index = weights if weights is not None else None if folder is None else folder / _INDEX
    if index is not None and index.is_file():
        return _of_index(index, config)
    files = [] if folder is None else sorted(folder.glob("*.safetensors"))
    return _of_headers(files) if files else None


def _of_headers(files: list[Path]) -> CheckpointCount:
    sizes = [parse_safetensors(_start(file, 8 + MAX_HEADER_BYTES)) for file in files]
    return CheckpointCount(sum(size.elements or 0 for size in sizes), "headers of the safetensors files")


def _of_index(path: Path, config: dict[str, Any]) -> CheckpointCount | None:
    """The count that an index states, or its bytes by the type that the configuration states."""
    index = json_object(_start(path, MAX_INDEX_BYTES), "safetensors index", MAX_INDEX_BYTES)
    size, stated = size_of_index(index), index["metadata"].get("total_parameters")
    if isinstance(stated, int) and not isinstance(stated, bool) and stated > 0:
        return CheckpointCount(stated, "total_parameters of the safetensors index")
    text = config.get("text_config") or {}
    kinds = (config.get("dtype"), config.get("torch_dtype"), text.get("dtype"), text.get("torch_dtype"))
    kind = next((str(kind) for kind in kinds if kind), "")
    if kind not in _ELEMENT_BYTES:
        return None
    return CheckpointCount(size.tensor_bytes // _ELEMENT_BYTES[kind], f"bytes of the safetensors index in {kind}")


def _start(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise UnreachedError(f"cannot read {path}: {error.strerror}") from None
