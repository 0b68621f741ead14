"""The bytes of a checkpoint: its index, or the header of its only file, in place of the recipe of a quantization."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from db.imports.checkpoints.safetensors import (
    MAX_HEADER_BYTES,
    MAX_INDEX_BYTES,
    CheckpointSize,
    parse_index,
    parse_safetensors,
    size_of_header,
    size_of_index,
)
from db.imports.errors import ImportFactsError
from estimator.structure.files import StoredQuant
from estimator.types import GGUF_FORMATS, Quant

FIELD = "model_index"


def size_of_checkpoint(index: Any) -> CheckpointSize:
    """Bytes of a checkpoint from ``model.safetensors.index.json``, as text or parsed, or from the parsed header of its
    only file; a :class:`CheckpointSize` is one already.

    Raises:
        ImportFactsError: it is none of these.
    """
    if isinstance(index, CheckpointSize):
        return index
    try:
        if isinstance(index, str):
            return parse_index(index)
        if not isinstance(index, Mapping):
            raise ImportFactsError("a checkpoint's index must be a JSON object, or the text of one")
        return size_of_index(index) if "weight_map" in index else size_of_header(index)
    except ImportFactsError as error:
        raise ImportFactsError(str(error), FIELD) from None


def size_of_file(path: Path) -> CheckpointSize:
    """Bytes of the checkpoint that a local index describes, or a local ``.safetensors`` file. Raises
    :class:`ImportFactsError`."""
    is_weights = path.suffix == ".safetensors"
    try:
        with path.open("rb") as file:
            data = file.read(8 + MAX_HEADER_BYTES if is_weights else MAX_INDEX_BYTES + 1)
        return parse_safetensors(data) if is_weights else parse_index(data)
    except OSError as error:
        raise ImportFactsError(f"cannot read {path.name}: {error.strerror}", FIELD) from None
    except ImportFactsError as error:
        raise ImportFactsError(str(error), FIELD) from None


def checkpoint_quant(quant: Quant, index: Any) -> Quant:
    """``quant`` with the bytes that a checkpoint's index states. Raises :class:`ImportFactsError`."""
    size = size_of_checkpoint(index)
    if quant.format in GGUF_FORMATS:
        raise ImportFactsError(f"{FIELD!r} is of a checkpoint, and {quant.name} is a GGUF file type", FIELD)
    return with_bytes(quant, total_bytes=size.tensor_bytes)


def with_bytes(quant: Quant, **stored: Any) -> StoredQuant:
    """``quant`` with the bytes of a file, as :class:`StoredQuant` has them."""
    known = {field.name: getattr(quant, field.name) for field in fields(Quant)}
    return StoredQuant(**known, **stored)
