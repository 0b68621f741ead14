"""Broken files of models: configurations, GGUF headers, safetensors headers and indexes, by chance of a seed."""

from __future__ import annotations

import copy
import json
import random
import struct
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from api.answers.output import as_json
from api.answers.questions import Answerer
from api.errors import QuestionError
from db.imports.checkpoints.safetensors import parse_safetensors
from db.imports.errors import ImportFactsError
from tests.db.imports.hub.test_architectures import CONFIGS
from tests.support.gguf_files.files import llama

INDEX = {"metadata": {"total_size": 5_730_000_000}, "weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}
HEADER = {
    "__metadata__": {"format": "pt"},
    "a": {"dtype": "BF16", "shape": [4, 8], "data_offsets": [0, 64]},
    "b": {"dtype": "F8_E4M3", "shape": [16], "data_offsets": [64, 80]},
}
VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 7, 1000, 65_536, 2**31, 2**53, 2**63, 10**30, -(10**30), 1.5, -0.0, 1e308, float("nan"),
    float("inf"), "", "x", "\u0000", "\ud83d\ude00" * 50, "\u202e٣", "9" * 5000, [], [None], [1, "a"], {}, {"a": {}},
    ["LlamaForCausalLM"], [[1]] * 100, [0] * 2000, {"": 1}, "full_attention", ["full_attention"] * 40, "M*-E" * 10,
)  # fmt: skip
#: Keys that an own value is given to, wherever they belong.
KEYS = (
    "architectures", "model_type", "text_config", "num_hidden_layers", "hidden_size", "num_attention_heads", "head_dim",
    "num_key_value_heads", "vocab_size", "intermediate_size", "layer_types", "sliding_window", "num_local_experts",
    "kv_lora_rank", "quantization_config", "linear_attn_config", "hybrid_override_pattern", "block_configs", "rope_scaling",
    "mlp_only_layers", "max_position_embeddings", "_name_or_path", "compress_ratios", "hc_mult", "vision_config",
    "ffn_config", "attn_config", "attention_other_setting", "moe_layers_enum", "indexer_types", "ple_layer_ids",
)  # fmt: skip


def variants(seed: int) -> Iterator[dict[str, Any]]:
    """Questions without end, each with one broken file; ``safetensors`` holds the bytes of a file."""
    rng = random.Random(seed)
    configs, gguf = list(CONFIGS.values()), llama(2)
    header = json.dumps(HEADER).encode()
    weights = struct.pack("<Q", len(header)) + header
    while True:
        kind = rng.randrange(6)
        config = _odd(rng, rng.choice(configs))
        if kind == 0:
            yield {"model_config": config, "quant": "q4-k-m"}
        elif kind == 1:
            yield {"model_config": _text(rng, config), "quant": "q4-k-m"}
        elif kind == 2:
            yield {"model_config": config}
        elif kind == 3:
            yield {"model_gguf": b64encode(_broken(rng, gguf)).decode()}
        elif kind == 4:
            index = _odd(rng, rng.choice((INDEX, HEADER)))
            yield {"model": "llama-3.1-8b", "quant": "awq-int4", "model_index": rng.choice((index, _text(rng, index)))}
        else:
            yield {"safetensors": _broken(rng, weights)}


def outcome(answerer: Answerer, question: dict[str, Any]) -> str:
    """``answered`` or ``refused``; anything else is raised."""
    try:
        if "safetensors" in question:
            parse_safetensors(question["safetensors"])
            return "answered"
        answer = as_json(answerer.answer({"gpu": "rtx-3090", **question}))
    except (QuestionError, ImportFactsError) as error:
        if not str(error) or len(str(error)) > 4000:
            raise AssertionError(f"a message of {len(str(error)):,} characters") from error
        return "refused"
    if min(answer["file_size_bytes"], *answer["memory"].values()) < 0:
        raise AssertionError(f"negative bytes: {answer['memory']}")
    return "answered"


def _odd(rng: random.Random, good: Any) -> Any:
    """``good`` with some values replaced, left out, doubled, negated, or put where they do not belong."""
    data = copy.deepcopy(good)
    for _ in range(rng.randint(1, 3)):
        place, key = data, rng.choice(list(data) or [""])
        while isinstance(place.get(key), dict) and place[key] and rng.random() < 0.7:
            place = place[key]
            key = rng.choice(list(place))
        action, value = rng.randrange(6), place.get(key)
        if action == 0:
            place.pop(key, None)
        elif action == 1 and type(value) in (int, float, str, list):
            place[key] = value * 2
        elif action == 2 and type(value) in (int, float):
            place[key] = -value
        elif action == 3:
            place[key] = copy.deepcopy(rng.choice(list(data.values()) or [None]))
        elif action == 4:
            place[rng.choice(KEYS)] = copy.deepcopy(rng.choice(VALUES))
        else:
            place[key] = copy.deepcopy(rng.choice(VALUES))
    return data


def _text(rng: random.Random, value: Any) -> str:
    """The JSON text of ``value``, broken: cut, doubled keys, deep nesting, stray characters."""
    text = json.dumps(value)
    at = rng.randrange(len(text) + 1)
    action = rng.randrange(6)
    if action == 0:
        return text[:at]
    if action == 1:
        return text[:-1] + ", " + text[1:] if len(text) > 2 else text
    if action == 2:
        return (
            text[:at]
            + rng.choice(("NaN", "Infinity", "\x00", "\ufeff", '"', "{", "}", "\\ud800", "é", ","))
            + text[at:]
        )
    if action == 3:
        return '{"a":' * rng.choice((10, 2000, 100_000)) + text
    return text if action == 4 else text + text


def _broken(rng: random.Random, good: bytes) -> bytes:
    """``good`` with some bytes changed, cut out, doubled or cut off."""
    data = bytearray(good)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) or 1)
        action = rng.randrange(6)
        if action == 0:
            data[at : at + 1] = bytes((rng.randrange(256),))
        elif action == 1:
            data[at : at + 8] = struct.pack("<Q", rng.choice((0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)))
        elif action == 2:
            del data[at : at + rng.randint(1, 40)]
        elif action == 3:
            data[at:at] = bytes(data[at : at + rng.randint(1, 40)])
        elif action == 4:
            data[at : at + 4] = struct.pack("<f", rng.choice((float("nan"), float("inf"), -1.0)))
        elif rng.random() < 0.3:
            del data[at:]
    return bytes(data)
