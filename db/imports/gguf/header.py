"""The header of a GGUF file: metadata and tensor infos, read without trusting a single length in it.

Format: magic ``GGUF``, version, counts, key-value pairs, tensor infos; little-endian (ggml's ``gguf.md``).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from typing import Any

from db.imports.errors import MAX_PARAMETERS, ImportFactsError
from estimator.structure.block_types import BLOCKS

MAGIC = b"GGUF"
VERSIONS = (2, 3)
#: Headers of real models are below 32 MB (the vocabulary is most of it).
MAX_HEADER_BYTES = 64 * 1024 * 1024
MAX_PAIRS = 10_000
MAX_TENSORS = 100_000
MAX_NAME_BYTES = 65_535
MAX_STRING_BYTES = 8 * 1024 * 1024
MAX_DIMENSIONS = 4
#: Numbers of longer arrays are skipped, not kept: only per-layer lists are of use.
MAX_KEPT_NUMBERS = 4_096
MAX_ARRAY_STRINGS = 4_194_304
#: The values after a tensor's rank: its dimensions, type and offset.
_TENSOR_FORMS: dict[int, struct.Struct] = {rank: struct.Struct(f"<{rank}QIQ") for rank in range(1, MAX_DIMENSIONS + 1)}

_SCALARS: dict[int, str] = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9
_FORMS: dict[str, struct.Struct] = {code: struct.Struct("<" + code) for code in _SCALARS.values()}
#: ``ggml_type`` numbers of types that files really hold.
_GGML_TYPES: dict[int, str] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K",
    13: "Q5_K", 14: "Q6_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S",
    22: "IQ2_S", 23: "IQ4_XS", 29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
}  # fmt: skip
#: Plain integers have one element a block.
_OTHER_BLOCKS: dict[int, tuple[int, int]] = {
    24: (1, 1),
    25: (1, 2),
    26: (1, 4),
    27: (1, 8),
    28: (1, 8),
    9: (32, 36),
    15: (256, 292),
}


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor: its dimensions (ne0 first), ggml type and size in bytes."""

    name: str
    dimensions: tuple[int, ...]
    type_name: str
    elements: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """Metadata and tensors of a header. Arrays that are not kept are there as their length, under ``<key>.length``."""

    version: int
    metadata: dict[str, Any]
    tensors: tuple[TensorInfo, ...]
    header_bytes: int

    @property
    def tensor_bytes(self) -> int:
        return sum(tensor.size_bytes for tensor in self.tensors)

    @property
    def parameters(self) -> int:
        """Elements of all tensors together."""
        return sum(tensor.elements for tensor in self.tensors)


#: Keys of the tokenizer: most of a header's bytes, and nothing that an estimate reads.
_TOKENIZER = "tokenizer."


def compact_gguf(data: bytes) -> bytes:
    """The header that ``data`` begins with, without the tokenizer: the same format in a few ten kB instead of MB.

    Raises:
        ImportFactsError: as :func:`parse_gguf` does.
    """
    header = parse_gguf(data)
    reader = _Reader(data[: header.header_bytes])
    reader.skip(16, "the counts")
    pairs = reader.number("Q", "the pair count")
    kept: list[bytes] = []
    for _ in range(pairs):
        start = reader.position
        key = reader.text(MAX_NAME_BYTES, "a key")
        _read_value(reader, key, {})
        if not key.startswith(_TOKENIZER):
            kept.append(data[start : reader.position])
    counts = struct.pack("<IQQ", header.version, len(header.tensors), len(kept))
    return MAGIC + counts + b"".join(kept) + data[reader.position : header.header_bytes]


def parse_gguf(data: bytes) -> GgufHeader:
    """Parse the header that ``data`` begins with; tensor data behind it is not needed.

    Raises:
        ImportFactsError: the bytes are not a GGUF header, are cut off, or claim more than any real file holds.
    """
    if not data:
        raise ImportFactsError("the GGUF file is empty; was its download cut off?", "length")
    if len(data) > MAX_HEADER_BYTES:
        data = data[:MAX_HEADER_BYTES]
    reader = _Reader(data)
    if reader.take(4, "the magic") != MAGIC:
        raise ImportFactsError("not a GGUF file: it must begin with the four bytes GGUF", "magic")
    version = reader.number("I", "the version")
    if version not in VERSIONS:
        raise ImportFactsError(f"GGUF version {version} is not read; versions 2 and 3 are", "version")
    tensor_count = _bounded(reader.number("Q", "the tensor count"), MAX_TENSORS, "tensors")
    pair_count = _bounded(reader.number("Q", "the pair count"), MAX_PAIRS, "metadata pairs")
    metadata: dict[str, Any] = {}
    for _ in range(pair_count):
        key = reader.text(MAX_NAME_BYTES, "a key")
        if key in metadata or f"{key}.length" in metadata:
            raise ImportFactsError(f"the key {key[:80]!r} is there twice", key[:80])
        _read_value(reader, key, metadata)
    tensors = _read_tensors(reader, tensor_count)
    return GgufHeader(version, metadata, tensors, reader.position)


class _Reader:
    """A cursor over bytes that never reads past their end."""

    __slots__ = ("_data", "_end", "position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._end = len(data)
        self.position = 0

    @property
    def left(self) -> int:
        return self._end - self.position

    def take(self, count: int, label: str) -> bytes:
        start = self.position
        self.skip(count, label)
        return self._data[start : self.position]

    def skip(self, count: int, label: str) -> None:
        if count > self._end - self.position:
            raise ImportFactsError(
                f"the GGUF header ends at byte {self._end:,} in the middle of {label}; give more of the file", "length"
            )
        self.position += count

    def numbers(self, form: struct.Struct, label: str) -> tuple[Any, ...]:
        start = self.position
        self.skip(form.size, label)
        return form.unpack_from(self._data, start)

    def number(self, code: str, label: str) -> Any:
        return self.numbers(_FORMS[code], label)[0]

    def text(self, limit: int, label: str) -> str:
        count = self.number("Q", f"the length of {label}")
        if count > limit:
            raise ImportFactsError(f"{label} claims {count:,} bytes; at most {limit:,} are read", "length")
        try:
            return self.take(count, label).decode()
        except UnicodeDecodeError:
            raise ImportFactsError(f"{label} is not valid UTF-8", "encoding") from None


def _read_value(reader: _Reader, key: str, metadata: dict[str, Any]) -> None:
    kind = reader.number("I", f"the type of {key[:80]!r}")
    label = f"the value of {key[:80]!r}"
    if kind in _SCALARS:
        metadata[key] = reader.number(_SCALARS[kind], label)
    elif kind == _STRING:
        metadata[key] = reader.text(MAX_STRING_BYTES, label)
    elif kind == _ARRAY:
        _read_array(reader, key, label, metadata)
    else:
        raise ImportFactsError(f"{label} has the type {kind}, which GGUF does not define", key[:80])


def _read_array(reader: _Reader, key: str, label: str, metadata: dict[str, Any]) -> None:
    kind = reader.number("I", f"the element type of {key[:80]!r}")
    count = reader.number("Q", f"the length of {key[:80]!r}")
    if kind in _SCALARS:
        width = struct.calcsize("<" + _SCALARS[kind])
        if count * width > reader.left:
            raise _too_many(
                f"{label} claims {count:,} numbers, more than the header has bytes left", count * width, key
            )
        if count <= MAX_KEPT_NUMBERS:
            metadata[key] = list(struct.unpack(f"<{count}{_SCALARS[kind]}", reader.take(count * width, label)))
            return
        reader.skip(count * width, label)
    elif kind == _STRING:
        # A string takes at least its eight bytes of length, so the claim is bounded by what is left.
        if count > min(reader.left // 8, MAX_ARRAY_STRINGS):
            raise _too_many(f"{label} claims {count:,} texts, more than the header can hold", count * 8, key)
        for _ in range(count):
            length = reader.number("Q", label)
            if length > MAX_STRING_BYTES:
                raise ImportFactsError(f"a text in {label} claims {length:,} bytes", key[:80])
            reader.skip(length, label)
    else:
        raise ImportFactsError(f"{label} is an array of type {kind}; arrays hold numbers or texts", key[:80])
    metadata[f"{key}.length"] = count


def _read_tensors(reader: _Reader, count: int) -> tuple[TensorInfo, ...]:
    if count * 24 > reader.left:
        raise _too_many(f"the header claims {count:,} tensors, more than its bytes can describe", count * 24, "tensors")
    tensors: list[TensorInfo] = []
    names: set[str] = set()
    total = 0
    for _ in range(count):
        tensor = _read_tensor(reader)
        if tensor.name in names:
            raise ImportFactsError(f"the tensor {tensor.name[:80]!r} is there twice", "tensors")
        names.add(tensor.name)
        total += tensor.elements
        if total > MAX_PARAMETERS:
            raise ImportFactsError(f"the tensors claim more than {MAX_PARAMETERS:.0e} parameters", "tensors")
        tensors.append(tensor)
    return tuple(tensors)


def _read_tensor(reader: _Reader) -> TensorInfo:
    name = reader.text(MAX_NAME_BYTES, "a tensor's name")
    rank = reader.number("I", "a tensor's dimensions")
    if not 1 <= rank <= MAX_DIMENSIONS:
        raise ImportFactsError(
            f"the tensor {name[:80]!r} has {rank} dimensions; 1 to {MAX_DIMENSIONS} are possible", "tensors"
        )
    *dimensions, code, _ = reader.numbers(_TENSOR_FORMS[rank], "a tensor's dimensions, type and offset")
    elements = prod(dimensions)
    if not 0 < elements <= MAX_PARAMETERS:
        raise ImportFactsError(f"the tensor {name[:80]!r} claims {elements:,} elements", "tensors")
    if code in _GGML_TYPES:
        type_name = _GGML_TYPES[code]
        block, block_bytes = BLOCKS[type_name]
    elif code in _OTHER_BLOCKS:
        type_name = f"type-{code}"
        block, block_bytes = _OTHER_BLOCKS[code]
    else:
        raise ImportFactsError(f"the tensor {name[:80]!r} has the ggml type {code}, which is not known", "tensors")
    if dimensions[0] % block:
        raise ImportFactsError(
            f"a row of {name[:80]!r} has {dimensions[0]:,} elements, no multiple of {block}", "tensors"
        )
    return TensorInfo(name, tuple(dimensions), type_name, elements, elements // block * block_bytes)


def _too_many(message: str, size: int, field: str) -> ImportFactsError:
    """The error of a claim of ``size`` bytes or more: about the length where only more of the file could meet it."""
    if size > MAX_HEADER_BYTES:
        return ImportFactsError(message, field[:80])
    return ImportFactsError(f"{message}; give more of the file", "length")


def _bounded(value: int, limit: int, label: str) -> int:
    if value > limit:
        raise ImportFactsError(f"the header claims {value:,} {label}; at most {limit:,} are read", label)
    return int(value)
