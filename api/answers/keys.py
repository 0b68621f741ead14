"""Keys of a question, and the checks of their values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, TypeVar

from api.answers import what_if
from api.errors import ErrorCode, QuestionError
from estimator.calibration.build_age import age_years
from estimator.server_options import ServerOptions
from estimator.speed.links import with_link
from estimator.types import Accelerator, CacheType, Engine

#: Largest value accepted per numeric key: far above any real setup, low enough that no arithmetic overflows.
LIMITS: dict[str, tuple[int, int]] = {
    "gpu_count": (1, 1024),
    "prompt_tokens": (1, 16_777_216),
    "output_tokens": (1, 16_777_216),
    "depth": (0, 16_777_216),
    "context_tokens": (1, 16_777_216),
    "batch": (1, 4096),
    "micro_batch": (1, 65_536),
    "gpu_layers": (0, 100_000),
    "cpu_moe_layers": (0, 100_000),
    "wired_limit_mb": (1, 16_777_216),
    "max_num_batched_tokens": (16, 1_048_576),
    "max_num_seqs": (1, 65_536),
    "data_parallel": (1, 1024),
    "pipeline_parallel": (1, 1024),
}
KEYS: tuple[str, ...] = (
    "model", "gpu", "quant", "gpu_count", "host", "engine", "backend", "prompt_tokens", "output_tokens", "depth",
    "context_tokens", "kv_cache_type", "k_cache_type", "v_cache_type", "flash_attention", "batch", "micro_batch",
    "is_occupancy_expected",
    "gpu_layers", "cpu_moe_layers", "split_mode", "link", "power_limit_w",
    "build_date", "wired_limit_mb", "gpu_memory_utilization", "max_num_batched_tokens", "max_num_seqs", "data_parallel",
    "pipeline_parallel", "expert_parallel", "latent_cache",
    "workload", "model_config", "model_gguf", "model_url", "model_index", "gpu_facts", "host_memory_gb",
    "host_bandwidth_gbps", *what_if.KEYS,
)  # fmt: skip
#: Keys that stand in for a name, by the name that they stand in for.
INSTEAD_OF: dict[str, tuple[str, ...]] = {
    "model": ("model_config", "model_gguf", "model_url"),
    "gpu": ("gpu_facts",),
}
E_ = TypeVar("E_", bound=StrEnum)


def text(question: Mapping[str, Any], key: str) -> str:
    """The name under a key that must be there."""
    value = question.get(key)
    if value is None:
        instead = "".join(f" or {other!r}" for other in INSTEAD_OF.get(key, ()))
        raise QuestionError(ErrorCode.BAD_USER_INPUT, f"give {key!r} (a slug or an alias){instead}", key)
    if not isinstance(value, str) or not value.strip():
        raise QuestionError(
            ErrorCode.BAD_USER_INPUT, f"{key!r} must be a non-empty name (a slug or an alias), not {value!r}", key
        )
    return value


def integer(question: Mapping[str, Any], key: str) -> int | None:
    """A whole number within its limits; None for none."""
    value = question.get(key)
    if value is None:
        return None
    low, high = LIMITS[key]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise QuestionError(
            ErrorCode.BAD_USER_INPUT, f"{key!r} must be an integer from {low} to {high}, not {value!r}", key
        )
    return value


def number(question: Mapping[str, Any], key: str, low: float, high: float) -> float | None:
    """A number from ``low`` to ``high``; None for none."""
    value = question.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise QuestionError(
            ErrorCode.BAD_USER_INPUT, f"{key!r} must be a number from {low} to {high}, not {value!r}", key
        )
    return float(value)


def stands_in(question: Mapping[str, Any], name: str) -> str | None:
    """The key that replaces a name; None for the name itself. Two of them are an error."""
    keys_given = [key for key in (name, *INSTEAD_OF[name]) if question.get(key) is not None]
    if len(keys_given) > 1:
        both = " or ".join(repr(key) for key in keys_given)
        raise QuestionError(ErrorCode.BAD_USER_INPUT, f"give {both}, not both", keys_given[1])
    return keys_given[0] if keys_given and keys_given[0] != name else None


def boolean(question: Mapping[str, Any], key: str) -> bool | None:
    """True or false; None for none."""
    value = question.get(key)
    if value is None or isinstance(value, bool):
        return value
    raise QuestionError(ErrorCode.BAD_USER_INPUT, f"{key!r} must be true or false, not {value!r}", key)


#: Forks and fronts whose measured speed differs from their engine's, by their names in benchmarks.
SOFTWARE: Mapping[str, tuple[Engine, str | None]] = {
    "llamafile": (Engine.LLAMAFILE, "llamafile (LocalScore)"),
    "localscore": (Engine.LLAMAFILE, "llamafile (LocalScore)"),
    "llamafile (localscore)": (Engine.LLAMAFILE, "llamafile (LocalScore)"),
    "lm-studio": (Engine.LM_STUDIO, "lm-studio"),
    "lm studio": (Engine.LM_STUDIO, "lm-studio"),
    "tabbyapi": (Engine.EXLLAMAV3, None),
    "docker-model-runner": (Engine.LLAMA_CPP, None),
    "mlx-lm": (Engine.MLX, None),
    "mlx-vlm": (Engine.MLX, "mlx-vlm"),
    "omlx": (Engine.MLX, "omlx"),
    "vllm-mlx": (Engine.MLX, "vllm-mlx"),
}


def engine(question: Mapping[str, Any]) -> tuple[Engine | None, str | None]:
    """The engine, and the fork or front whose speed differs from the engine's; None for none."""
    named = question.get("engine")
    if isinstance(named, str) and named.strip().casefold() in SOFTWARE:
        return SOFTWARE[named.strip().casefold()]
    return choice(question, "engine", Engine, also=tuple(SOFTWARE)), None


def rigged(question: Mapping[str, Any], accelerator: Accelerator, count: int) -> Accelerator:
    """The accelerator as it is built in: one of ``count`` over the stated ``link``, held to the stated power."""
    if question.get("link") is not None:
        accelerator = with_link(accelerator, text(question, "link"), count)
    limit = number(question, "power_limit_w", 1, 10_000)
    stated = accelerator.tdp_w
    return accelerator if limit is None else replace(accelerator, tdp_w=min(limit, stated or limit))


def server(question: Mapping[str, Any]) -> ServerOptions:
    """How a server of checkpoints is started, by the names of vLLM's flags."""
    return ServerOptions(
        memory_fraction=number(question, "gpu_memory_utilization", 0.05, 1.0),
        batched_tokens=integer(question, "max_num_batched_tokens"),
        sequences=integer(question, "max_num_seqs"),
        data_parallel=integer(question, "data_parallel") or 1,
        pipeline_parallel=integer(question, "pipeline_parallel") or 1,
        expert_parallel=boolean(question, "expert_parallel") or False,
    )


def age(question: Mapping[str, Any]) -> float:
    """Years since the stated build date, 0 when none is stated."""
    date = question.get("build_date")
    if date is None:
        return 0.0
    if not isinstance(date, str) or not re.fullmatch(r"20\d\d(-(0[1-9]|1[0-2])(-\d\d)?)?", date):
        raise QuestionError(
            ErrorCode.BAD_USER_INPUT,
            f"'build_date' must be a date as 2025-06 or 2025-06-30, not {date!r}",
            "build_date",
        )
    return age_years(date)


def cache_types(question: Mapping[str, Any]) -> tuple[CacheType | None, CacheType | None]:
    """Cache types of keys and of values: ``kv_cache_type`` of both, or one or both of the others."""
    both = choice(question, "kv_cache_type", CacheType)
    keys, values = (choice(question, name, CacheType) for name in ("k_cache_type", "v_cache_type"))
    if both is not None and (keys is not None or values is not None):
        raise QuestionError(
            ErrorCode.BAD_USER_INPUT,
            "give 'kv_cache_type' for both, or 'k_cache_type' and 'v_cache_type'",
            "kv_cache_type",
        )
    if both is not None or (keys, values) == (None, None):
        return both, None
    keys, values = keys or CacheType.F16, values or CacheType.F16
    return keys, None if keys is values else values


def choice(question: Mapping[str, Any], key: str, kind: type[E_], also: tuple[str, ...] = ()) -> E_ | None:
    """The member of an enum, by value or name without regard to case; None for none. ``also`` has further names."""
    value = question.get(key)
    if value is None:
        return None
    if isinstance(value, str):
        folded = value.strip().casefold()
        for member in kind:
            if folded in (member.value.casefold(), member.name.casefold()):
                return member
    allowed = ", ".join(dict.fromkeys((*(member.value for member in kind), *also)))
    raise QuestionError(ErrorCode.BAD_USER_INPUT, f"{key!r} must be one of {allowed}, not {value!r}", key)
