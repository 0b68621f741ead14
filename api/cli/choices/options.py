"""Options with a closed set of values, which a shell completes. Listed here, so that no command line waits for imports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import typer

WORKLOADS = ("chat", "coding", "agentic-coding", "reasoning", "rag")
MODES = ("balanced", "interactive", "light-api", "scale-out")
KINDS = ("base", "chat", "reasoning", "coder", "mixture-of-experts", "dense")
ENGINES = ("llama.cpp", "ollama", "lm-studio", "vllm", "sglang", "mlx")
VENDORS = ("nvidia", "amd", "intel", "apple", "google", "aws", "huawei", "qualcomm", "generic")


def one_of(values: Sequence[str], words: str = "{}.") -> Any:
    """An option that takes one of ``values``; ``words`` are its help, with the values at ``{}``."""
    return typer.Option(help=words.format(f"{', '.join(values[:-1])} or {values[-1]}"), autocompletion=_begun(values))


def _begun(values: Sequence[str]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [value for value in values if value.startswith(incomplete)]

    return complete


WORKLOAD, MODE = one_of(WORKLOADS), one_of(MODES)
