"""GGUF headers: read right, and refused with a typed error whatever is wrong in them."""

from __future__ import annotations

import random
import struct
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.imports.errors import ImportFactsError
from db.imports.gguf_facts import facts_from_gguf
from db.imports.gguf_header import parse_gguf
from estimator.architecture import architecture_from_facts


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def pair(key: str, value: Any) -> bytes:
    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    if isinstance(value, float):
        return text(key) + struct.pack("<If", 6, value)
    if isinstance(value, list):
        if value and isinstance(value[0], str):
            return text(key) + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(text(each) for each in value)
        return text(key) + struct.pack("<IIQ", 9, 5, len(value)) + struct.pack(f"<{len(value)}i", *value)
    return text(key) + struct.pack("<II", 4, value)


def tensor(name: str, dims: list[int], kind: int = 12) -> bytes:
    return text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, 0)


def header(pairs: dict[str, Any], tensors: list[bytes], version: int = 3) -> bytes:
    body = b"".join(pair(key, value) for key, value in pairs.items()) + b"".join(tensors)
    return b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs)) + body


def llama(layers: int = 2) -> bytes:
    """A Llama-like model: hidden 512, 8 heads of 64 with 2 for keys, feed-forward 1024, 1,000 tokens."""
    pairs = {
        "general.architecture": "llama",
        "general.name": "Tiny",
        "llama.block_count": layers,
        "llama.embedding_length": 512,
        "llama.feed_forward_length": 1024,
        "llama.attention.head_count": 8,
        "llama.attention.head_count_kv": 2,
        "llama.context_length": 4096,
        "llama.rope.freq_base": 10000.0,
        "tokenizer.ggml.tokens": [f"t{index}" for index in range(50)],
    }
    tensors = [tensor("token_embd.weight", [512, 1000], 14), tensor("output_norm.weight", [512], 0)]
    for index in range(layers):
        at = f"blk.{index}."
        tensors += [
            tensor(at + "attn_norm.weight", [512], 0),
            tensor(at + "attn_q.weight", [512, 512]),
            tensor(at + "attn_k.weight", [512, 128]),
            tensor(at + "attn_v.weight", [512, 128], 14),
            tensor(at + "attn_output.weight", [512, 512]),
            tensor(at + "ffn_norm.weight", [512], 0),
            tensor(at + "ffn_gate.weight", [512, 1024]),
            tensor(at + "ffn_up.weight", [512, 1024]),
            tensor(at + "ffn_down.weight", [1024, 512]),
        ]
    return header(pairs, [*tensors, tensor("output.weight", [512, 1000], 14)])


def test_a_header_is_read_to_the_byte() -> None:
    data = llama()
    found = parse_gguf(data + b"\0" * 100)
    assert found.header_bytes == len(data)
    assert found.metadata["llama.block_count"] == 2
    assert found.metadata["tokenizer.ggml.tokens.length"] == 50
    assert found.tensors[0].size_bytes == 512 * 1000 // 256 * 210


def test_facts_have_the_parameters_of_the_tensors() -> None:
    data = llama()
    found = facts_from_gguf(data)
    header_ = parse_gguf(data)
    assert found.facts["params_computed"]["text_total"] == header_.parameters
    assert found.tensor_bytes == header_.tensor_bytes
    assert found.main_type == "Q4_K"
    assert not found.facts["tie_word_embeddings"]
    model = architecture_from_facts(found.facts)
    assert model.layers[0].kv_heads == 2
    assert model.context_tokens == 4096


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "ends at byte 0"),
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
        (header({"general.architecture": "mamba"}, [tensor("t", [256])]), "is not read"),
        (header({"general.architecture": "llama"}, []), "describes no tensors"),
        (header({"general.architecture": "llama"}, [tensor("t", [256])]), "block_count"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, match: str) -> None:
    with pytest.raises(ImportFactsError, match=match):
        facts_from_gguf(data)


def test_a_header_cut_anywhere_is_refused() -> None:
    data = llama(1)
    for length in range(0, len(data), 7):
        with pytest.raises(ImportFactsError):
            facts_from_gguf(data[:length])


def test_ten_thousand_broken_headers_never_do_harm() -> None:
    good, rng = llama(1), random.Random(1)
    refused = 0
    tracemalloc.start()
    for _ in range(10_000):
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
    assert refused > 5_000
    assert peak < 32 * 1024 * 1024


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ImportFactsError):
        facts_from_gguf(b"GGUF" + data)
