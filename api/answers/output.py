"""Answers as the documented JSON objects of the command line: bytes as integers, speeds in tokens per second."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from api.answers.questions import Answer
from estimator.advice.commands import commands, missing_commands
from estimator.fit_facts import FitFacts
from estimator.speed.mixed_gpus import DeviceLoad
from estimator.speed.speculative import Speculation
from estimator.types import Estimate, Speed
from estimator.verdict import word_of


def as_json(answer: Answer) -> dict[str, Any]:
    """The output object of one answer."""
    memory = answer.estimate.memory
    output = figures_json(answer.model_slug, answer.gpu_slug, answer.quant_slug, answer.estimate)
    if memory.draft_bytes or memory.projector_bytes != 0:
        output["memory"] |= {"draft_bytes": memory.draft_bytes, "projector_bytes": memory.projector_bytes}
    if answer.devices:
        output["devices"] = [_device(load) for load in answer.devices]
    if answer.speculation is not None:
        output["speculation"] = _speculation(answer.speculation)
    if (pool := answer.pool) is not None:
        output["server"] = {**asdict(pool), "requests_at_once": round(pool.requests_at_once, 2)}
    if answer.notes:
        output["notes"] = list(answer.notes)
    return output | commands_json(answer.facts)


def commands_json(facts: FitFacts) -> dict[str, Any]:
    """The commands of a plan, and the reasons for missing ones."""
    return {
        "commands": [{"tool": command.tool.value, "text": command.text} for command in commands(facts)],
        "missing_commands": [
            {
                "tool": None if command.tool is None else command.tool.value,
                "reason": command.gap.value,
                "message": command.message,
            }
            for command in missing_commands(facts)
        ],
    }


def figures_json(model_slug: str, gpu_slug: str, quant_slug: str, result: Estimate) -> dict[str, Any]:
    """The names and numbers of an estimate."""
    memory = result.memory
    return {
        "model": model_slug,
        "gpu": gpu_slug,
        "quant": quant_slug,
        "engine": result.engine.value if result.engine else None,
        "backend": result.backend.value if result.backend else None,
        "status": result.status.value,
        "file_size_bytes": result.file_size_bytes,
        "memory": {
            "weights_bytes": memory.weights_bytes,
            "kv_cache_bytes": memory.kv_cache_bytes,
            "compute_bytes": memory.compute_bytes,
            "overhead_bytes": memory.overhead_bytes,
            "total_bytes": memory.total_bytes,
            "usable_bytes": memory.usable_bytes,
            "host_bytes": memory.host_bytes,
        },
        "decode_tok_s": _speed(result.decode),
        "prefill_tok_s": _speed(result.prefill),
        "ttft_ms": None if result.ttft_ms is None else round(result.ttft_ms, 3),
        "safe_context_tokens": result.safe_context_tokens,
        "context_tokens": result.context_tokens,
        "strategy": result.placement.strategy.value,
        "gpu_layers": result.placement.gpu_layers,
        "cpu_moe_layers": result.placement.cpu_moe_layers,
        "offload_fraction": round(result.placement.offload_fraction, 6),
        "score": round(result.score, 2),
        "grade": result.grade,
        "usability": word_of(result.score).value,
    }


def _device(load: DeviceLoad) -> dict[str, Any]:
    parts = {part.name: getattr(load, part.name) for part in fields(load) if part.name != "accelerator"}
    return {"gpu": load.accelerator.slug, **parts}


def _speculation(done: Speculation) -> dict[str, Any]:
    return {
        "tokens_per_step": round(done.tokens_per_step, 4),
        "speedup": round(done.speedup, 4),
        "draft_tok_s": round(1.0 / done.draft_token_s, 4),
        "plain_tok_s": round(1.0 / done.plain_token_s, 4),
        "check_s": round(done.check_s, 6),
    }


def _speed(speed: Speed | None) -> dict[str, Any] | None:
    if speed is None:
        return None
    return {
        "value": round(speed.value, 4),
        "low": round(speed.low, 4),
        "high": round(speed.high, 4),
        "evidence": speed.evidence.value,
    }
