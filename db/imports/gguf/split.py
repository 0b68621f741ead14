"""Files that are split into parts: their names, and one header of all parts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from db.imports.errors import ImportFactsError, whole
from db.imports.gguf.header import GgufHeader

#: The largest published models have some dozens of parts.
MAX_PARTS = 100
_PART = re.compile(r"(.*-)(\d{5})-of-(\d{5})(\.gguf.*)", re.DOTALL)


def names_of_parts(name: str) -> list[str]:
    """Names, paths or addresses of all parts of the file ``name``; only itself when it is not named as a part.

    Raises:
        ImportFactsError: the name states more parts than a file may have.
    """
    match = _PART.fullmatch(name)
    if match is None:
        return [name]
    before, _, count, after = match.groups()
    if not 1 <= int(count) <= MAX_PARTS:
        raise ImportFactsError(f"the name states {int(count):,} parts; 1 to {MAX_PARTS} are read", "split.count")
    return [f"{before}{number:05d}-of-{count}{after}" for number in range(1, int(count) + 1)]


def joined(parts: Sequence[GgufHeader]) -> GgufHeader:
    """One header with the metadata of the first part and the tensors of all.

    Raises:
        ImportFactsError: a part is missing or there twice, or they are not the parts of one file.
    """
    count = whole(parts[0].metadata, "split.count", 0, 65_535, 0) or 0
    if count <= 1 and len(parts) == 1:
        return parts[0]
    by_number: dict[int, GgufHeader] = {}
    for part in parts:
        number = whole(part.metadata, "split.no", 0, 65_535, 0) or 0
        if number in by_number or whole(part.metadata, "split.count", 0, 65_535, 0) != count:
            raise ImportFactsError("the headers are not those of the parts of one file", "split.no")
        by_number[number] = part
    missing = [number + 1 for number in range(count) if number not in by_number]
    tensors = tuple(tensor for number in sorted(by_number) for tensor in by_number[number].tensors)
    total = whole(parts[0].metadata, "split.tensors.count", 0, 1 << 31)
    if missing:
        present = f"{len(tensors)} of its {total} tensors" if total else f"{len(tensors)} tensors"
        raise ImportFactsError(
            f"the file has {count} parts, and {_listed(missing)} missing: {present} are there; give the headers of all parts, "
            "or the path or address of the first part",
            "split.count",
        )
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise ImportFactsError("two parts hold the same tensor; they are not the parts of one file", "tensors")
    first = by_number[0]
    return GgufHeader(first.version, first.metadata, tensors, sum(part.header_bytes for part in parts))


def _listed(numbers: Sequence[int]) -> str:
    numbers_text = ", ".join(str(number) for number in numbers[:8]) + (", ..." if len(numbers) > 8 else "")
    return f"part {numbers_text} is" if len(numbers) == 1 else f"parts {numbers_text} are"
