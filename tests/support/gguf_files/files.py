"""GGUF headers made by hand, for tests of everything that reads them."""

from __future__ import annotations

import struct
from typing import Any


def text(value: str) -> bytes:
    """A text as the format stores it."""
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def pair(key: str, value: Any) -> bytes:
    """A metadata pair."""
    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    if isinstance(value, float):
        return text(key) + struct.pack("<If", 6, value)
    if isinstance(value, list):
        if value and isinstance(value[0], str):
            return text(key) + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(text(item) for item in value)
        return text(key) + struct.pack("<IIQ", 9, 5, len(value)) + struct.pack(f"<{len(value)}i", *value)
    return text(key) + struct.pack("<II", 4, value)


def tensor(name: str, dims: list[int], kind: int = 12) -> bytes:
    """A tensor's info; the default type is Q4_K."""
    return text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, 0)


def header(pairs: dict[str, Any], tensors: list[bytes], version: int = 3) -> bytes:
    """A whole header."""
    body = b"".join(pair(key, value) for key, value in pairs.items()) + b"".join(tensors)
    return b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs)) + body


def llama(layers: int = 2, tokens: int = 50, **extra: Any) -> bytes:
    """A Llama-like model: hidden 512, 8 heads of 64 with 2 for keys, feed-forward 1024, 1,000 tokens; Q4_K_M."""
    return header({**_llama_pairs(layers, tokens), **extra}, _llama_tensors(layers))


def without_layers() -> bytes:
    """The header of :func:`llama` without the tensors of its layers."""
    return header(_llama_pairs(2, 50), _llama_tensors(0))


def llama_parts(layers: int, count: int) -> list[bytes]:
    """The headers of :func:`llama` split into ``count`` parts, of which only the first has the metadata."""
    tensors = _llama_tensors(layers)
    size = -(-len(tensors) // count)
    parts = []
    for number in range(count):
        split = {"split.no": number, "split.count": count, "split.tensors.count": len(tensors)}
        pairs = {**_llama_pairs(layers, 50), **split} if number == 0 else split
        parts.append(header(pairs, tensors[number * size : (number + 1) * size]))
    return parts


def _llama_pairs(layers: int, tokens: int) -> dict[str, Any]:
    return {
        "general.architecture": "llama",
        "general.name": "Tiny",
        "general.file_type": 15,
        "llama.block_count": layers,
        "llama.embedding_length": 512,
        "llama.feed_forward_length": 1024,
        "llama.attention.head_count": 8,
        "llama.attention.head_count_kv": 2,
        "llama.context_length": 4096,
        "llama.rope.freq_base": 10000.0,
        "tokenizer.ggml.tokens": [f"t{index}" for index in range(tokens)],
    }


def _llama_tensors(layers: int) -> list[bytes]:
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
    return [*tensors, tensor("output.weight", [512, 1000], 14)]
