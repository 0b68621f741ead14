"""Safetensors: sizes from headers and indices, typed errors for everything else."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

import pytest

from db.imports.checkpoints.safetensors import parse_index, parse_safetensors
from db.imports.errors import ImportFactsError


def file_of(header: Any) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


GOOD = {
    "__metadata__": {"format": "pt"},
    "a.weight": {"dtype": "BF16", "shape": [4, 8], "data_offsets": [0, 64]},
    "b.scale": {"dtype": "F32", "shape": [4], "data_offsets": [64, 80]},
    "c.empty": {"dtype": "F4", "shape": [3], "data_offsets": [80, 82]},
}


def test_sizes_of_a_file() -> None:
    sizes = parse_safetensors(file_of(GOOD) + b"data behind")
    assert (sizes.tensor_bytes, sizes.tensors, sizes.elements) == (82, 3, 39)
    assert sizes.bytes_by_type == {"BF16": 64, "F32": 16, "F4": 2}


def test_sizes_of_an_index() -> None:
    index = {"metadata": {"total_size": 1000}, "weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}
    sizes = parse_index(json.dumps(index))
    assert (sizes.tensor_bytes, sizes.tensors, sizes.files) == (1000, 2, 2)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"1234", "eight bytes"),
        (struct.pack("<Q", 2**63), "claims"),
        (struct.pack("<Q", 100) + b"{}", "of which 2"),
        (file_of(b"[1]"), "a JSON object"),
        (file_of({}), "1 to"),
        (file_of({"a": 1}), "no object"),
        (file_of({"a": {"dtype": "Q9", "shape": [1], "data_offsets": [0, 1]}}), "unknown dtype"),
        (file_of({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}), "whole numbers"),
        (file_of({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}), "by its offsets"),
        (file_of({"a": {"dtype": "F32", "shape": [2**60, 2**60], "data_offsets": [0, 4]}}), "claims"),
        (file_of(b'{"a": {}, "a": {}}'), "there twice"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, match: str) -> None:
    with pytest.raises(ImportFactsError, match=match):
        parse_safetensors(data)


@pytest.mark.parametrize(
    "index",
    [{}, {"metadata": {}, "weight_map": {"a": "b"}}, {"metadata": {"total_size": 1}, "weight_map": {}},
     {"metadata": {"total_size": 1}, "weight_map": {"a": 1}}, {"metadata": {"total_size": 2**70}, "weight_map": {"a": "b"}}],
)  # fmt: skip
def test_indices_that_are_none(index: Any) -> None:
    with pytest.raises(ImportFactsError):
        parse_index(json.dumps(index))


def test_ten_thousand_broken_headers_never_do_harm() -> None:
    good, rng = file_of(GOOD), random.Random(3)
    for _ in range(10_000):
        data = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            parse_safetensors(bytes(data))
        except ImportFactsError:
            continue


def test_ten_thousand_broken_indices_never_do_harm() -> None:
    index = {"metadata": {"total_size": 1000}, "weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}
    good, rng, read = json.dumps(index).encode(), random.Random(5), 0
    for _ in range(10_000):
        data = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            action = rng.randrange(3)
            if action == 0:
                data[at] = rng.randrange(256)
            elif action == 1:
                del data[at : at + rng.randint(1, 12)]
            else:
                data[at:at] = bytes(data[at : at + rng.randint(1, 20)])
        try:
            sizes = parse_index(bytes(data))
        except ImportFactsError:
            continue
        read += 1
        assert 1 <= sizes.tensor_bytes <= 8 * 10**14
    assert read > 100
