"""Parameter bytes from safetensors: the header of one file, or the index of a sharded checkpoint."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from db.imports.errors import MAX_PARAMETERS, ImportFactsError, json_object, needed

#: The format allows 100 MB; real headers have a few MB.
MAX_HEADER_BYTES = 32 * 1024 * 1024
#: The largest mixtures of experts have an index of 500,000 tensors and 65 MB.
MAX_INDEX_BYTES = 96 * 1024 * 1024
#: Tensors of a sharded checkpoint, and of one file.
MAX_TENSORS = 600_000
MAX_FILE_TENSORS = 100_000
#: Element type -> bits.
ELEMENT_BITS: dict[str, int] = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32,
    "U16": 16, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CheckpointSize:
    """Bytes of a checkpoint's tensors; ``elements`` and ``bytes_by_type`` are None where only an index was read."""

    tensor_bytes: int
    tensors: int
    elements: int | None
    bytes_by_type: dict[str, int] | None
    files: int


def parse_safetensors(data: bytes) -> CheckpointSize:
    """Sizes from the first bytes of a safetensors file (its whole header).

    Raises:
        ImportFactsError: the header is cut off, is no JSON, or its numbers contradict each other.
    """
    if len(data) < 8:
        raise ImportFactsError("a safetensors file begins with eight bytes of length; there are fewer", "length")
    (length,) = struct.unpack("<Q", data[:8])
    if length > MAX_HEADER_BYTES:
        raise ImportFactsError(f"the header claims {length:,} bytes; at most {MAX_HEADER_BYTES:,} are read", "length")
    if len(data) < 8 + length:
        raise ImportFactsError(f"the header has {length:,} bytes, of which {len(data) - 8:,} are there", "length")
    return size_of_header(json_object(data[8 : 8 + length], "safetensors header", MAX_HEADER_BYTES))


def size_of_header(header: Mapping[str, Any]) -> CheckpointSize:
    """Sizes from a parsed header. Raises :class:`ImportFactsError`."""
    names = [name for name in header if name != "__metadata__"]
    if not names or len(names) > MAX_FILE_TENSORS:
        raise ImportFactsError(f"a header describes 1 to {MAX_FILE_TENSORS:,} tensors, not {len(names):,}", "tensors")
    by_type: dict[str, int] = {}
    elements = 0
    for name in names:
        type_name, count, size = _tensor(name, header[name])
        by_type[type_name] = by_type.get(type_name, 0) + size
        elements += count
        if elements > MAX_PARAMETERS:
            raise ImportFactsError(f"the tensors claim more than {MAX_PARAMETERS:.0e} elements", "tensors")
    return CheckpointSize(sum(by_type.values()), len(names), elements, by_type, 1)


def parse_index(text: bytes | str) -> CheckpointSize:
    """Sizes from ``model.safetensors.index.json``.

    Raises:
        ImportFactsError: the text is no such index.
    """
    return size_of_index(json_object(text, "safetensors index", MAX_INDEX_BYTES))


def size_of_index(index: Mapping[str, Any]) -> CheckpointSize:
    """Sizes from a parsed index. Raises :class:`ImportFactsError`."""
    metadata, weights = index.get("metadata"), index.get("weight_map")
    if not isinstance(metadata, dict) or not isinstance(weights, dict) or not weights:
        raise ImportFactsError("an index has 'metadata' and a 'weight_map' with at least one tensor", "weight_map")
    if len(weights) > MAX_TENSORS or not all(isinstance(file, str) for file in weights.values()):
        raise ImportFactsError(f"'weight_map' names the file of each of at most {MAX_TENSORS:,} tensors", "weight_map")
    total = needed(metadata, "total_size", 1, 8 * MAX_PARAMETERS)
    return CheckpointSize(total, len(weights), None, None, len(set(weights.values())))


def _tensor(name: str, entry: Any) -> tuple[str, int, int]:
    if not isinstance(entry, dict):
        raise ImportFactsError(f"the tensor {name[:80]!r} is no object", "tensors")
    kind, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(kind, str) or kind not in ELEMENT_BITS:
        raise ImportFactsError(f"the tensor {name[:80]!r} has the unknown dtype {kind!r:.40}", "dtype")
    dimensions, span = _whole_numbers(shape, 0, 16), _whole_numbers(offsets, 2, 2)
    if dimensions is None or span is None:
        raise ImportFactsError(f"shape or data_offsets of {name[:80]!r} are no lists of whole numbers", "shape")
    count = prod(dimensions)
    if count > MAX_PARAMETERS:
        raise ImportFactsError(f"the tensor {name[:80]!r} claims {count:,} elements", "shape")
    size = -(-count * ELEMENT_BITS[kind] // 8)
    if span[1] - span[0] != size:
        raise ImportFactsError(
            f"the tensor {name[:80]!r} has {size:,} bytes by its shape, {span[1] - span[0]:,} by its offsets",
            "data_offsets",
        )
    return kind, count, size


def _whole_numbers(value: Any, least: int, most: int) -> list[int] | None:
    if not isinstance(value, list) or not least <= len(value) <= most:
        return None
    good = all(isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 1 << 62 for number in value)
    return value if good else None
