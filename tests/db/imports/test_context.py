"""Native and extended context of a configuration."""

from __future__ import annotations

from typing import Any

import pytest

from db.imports.context import extension_of_gguf
from db.imports.hub.config import facts_from_config
from estimator.structure.context import context_extension, native_context_tokens
from tests.support.hub_repositories.configs import LLAMA


@pytest.mark.parametrize(
    ("positions", "scaling", "tokens", "native"),
    [
        # Configurations of DeepSeek V3, of a Qwen 2.5 that YaRN was switched on for, of Llama 3.1, and of Gemma 3.
        (163_840, {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096}, 163_840, 4096),
        (32_768, {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32_768}, 131_072, 32_768),
        (131_072, {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192}, 131_072, 8192),
        (131_072, {"rope_type": "linear", "factor": 8.0}, 131_072, 131_072),
    ],
)
def test_scaled_positions_are_an_extension(positions: int, scaling: dict[str, Any], tokens: int, native: int) -> None:
    facts = facts_from_config(LLAMA | {"max_position_embeddings": positions, "rope_scaling": scaling})
    extension = context_extension(facts)
    assert extension is not None
    assert (extension.tokens, extension.applied, facts["context_length"]) == (tokens, True, tokens)
    assert native_context_tokens(facts) == native


@pytest.mark.parametrize("scaling", [None, {"rope_type": "default"}, {"type": "yarn", "factor": 1.0}, "yarn"])
def test_without_scaling_there_is_none(scaling: Any) -> None:
    facts = facts_from_config(LLAMA | {"rope_scaling": scaling})
    assert context_extension(facts) is None
    assert native_context_tokens(facts) == facts["context_length"] == 4096


def test_a_gguf_header_states_the_same() -> None:
    values = {
        "rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 32_768,
    }  # fmt: skip
    assert extension_of_gguf(values, 32_768) == {
        "tokens": 131_072, "method": "yarn", "factor": 4.0, "original_tokens": 32_768, "applied": True,
        "source": "GGUF header",
    }  # fmt: skip
