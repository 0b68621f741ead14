"""GGUF headers: read right, and refused with a typed error whatever is wrong in them."""

from __future__ import annotations

import random
import struct
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.imports.errors import ImportFactsError
from db.imports.gguf.facts import facts_from_gguf
from db.imports.gguf.header import compact_gguf, parse_gguf
from tests.support.gguf_files.files import header, llama, pair, tensor, text, without_layers


def test_a_header_is_read_to_the_byte() -> None:
    data = llama()
    parsed = parse_gguf(data + b"\0" * 100)
    assert parsed.header_bytes == len(data)
    assert parsed.metadata["llama.block_count"] == 2
    assert parsed.metadata["tokenizer.ggml.tokens.length"] == 50
    assert parsed.tensors[0].size_bytes == 512 * 1000 // 256 * 210


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "the GGUF file is empty"),
        (b"GGML" + b"\0" * 60, "must begin with"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**63), "metadata pairs"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**40, 0), "tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 99_999, 0), "more than its bytes"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**62), "a key claims"),
        (header({"a": 1}, [])[:-1], "in the middle"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<I", 77), "does not define"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 4, 2**60), "numbers"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 8, 2**60), "texts"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 9, 1), "array of type 9"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + pair("k", 1) * 2, "there twice"),
        (header({}, [tensor("t", [256, 2])] * 2), "there twice"),
        (header({}, [tensor("t", [2**62, 2**62], 0)]), "claims"),
        (header({}, [tensor("t", [256] * 5)]), "5 dimensions"),
        (header({}, [tensor("t", [100])]), "no multiple of 256"),
        (header({}, [tensor("t", [256], 250)]), "is not known"),
        (header({"general.architecture": "mambo"}, [tensor("t", [256])]), "is not read; near names are mamba"),
        (header({"general.architecture": "llama"}, []), "describes no tensors"),
        (header({"general.architecture": "llama"}, [tensor("t", [256])]), "block_count"),
        (without_layers(), "no attention and no feed-forward part"),
        (llama(1, **{"split.count": 3}), "has 3 parts, and parts 2, 3 are missing"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, match: str) -> None:
    with pytest.raises(ImportFactsError, match=match):
        facts_from_gguf(data)


def test_a_header_without_its_tokenizer_says_the_same_in_less() -> None:
    data = llama(2, tokens=5_000)
    short = compact_gguf(data + b"tensor data")
    assert len(short) * 10 < len(data)
    assert parse_gguf(short).tensors == parse_gguf(data).tensors
    own, complete = facts_from_gguf(short), facts_from_gguf(data)
    assert own.facts == complete.facts
    assert own.stored.layers == complete.stored.layers
    assert compact_gguf(short) == short


def test_a_header_cut_anywhere_is_refused() -> None:
    data = llama(1)
    for length in range(0, len(data), 7):
        with pytest.raises(ImportFactsError):
            facts_from_gguf(data[:length])


def test_broken_headers_never_do_harm() -> None:
    good, rng = llama(1), random.Random(1)
    refused = 0
    tracemalloc.start()
    for _ in range(4_000):
        data = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(data))
            action = rng.randrange(4)
            if action == 0:
                data[at] = rng.randrange(256)
            elif action == 1:
                data[at : at + 8] = struct.pack("<Q", rng.choice([0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1]))
            elif action == 2:
                del data[at : at + rng.randint(1, 40)]
            else:
                data[at:at] = bytes(data[at : at + rng.randint(1, 40)])
        try:
            facts_from_gguf(bytes(data))
        except ImportFactsError:
            refused += 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused > 2_000
    assert peak < 32 * 1024 * 1024


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ImportFactsError):
        facts_from_gguf(b"GGUF" + data)
