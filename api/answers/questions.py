"""One estimate asked in words: names and numbers in, an answer or a typed error out.

The command line's batch mode and the GraphQL `estimate` field share this module, so they accept the same keys, refuse
the same mistakes and return the same numbers. It reads the catalog snapshot only: no database, no server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar

from api.answers import what_if as extras
from api.answers.errors import ErrorCode, QuestionError
from api.answers.facts import facts_of_plan
from api.answers.model_files import (
    CUSTOM,
    ModelSource,
    checkpoint_quant,
    quant_of_file,
    source_of_config,
    source_of_pasted,
    stored_quant,
)
from api.answers.own_hardware import accelerator_of_facts, host_with
from api.observations import age_years
from db.entries import specs
from db.entries.files import Catalog, UnknownNameError
from db.imports.errors import ImportFactsError
from estimator.advice.commands import commands, missing_commands
from estimator.advice.fit_facts import DraftFacts, FitFacts
from estimator.calibration.coefficients import Calibration
from estimator.estimate import estimate
from estimator.speed.mixed_gpus import DeviceLoad
from estimator.speed.speculative import Draft, Speculation
from estimator.structure.architecture import ModelArchitecture
from estimator.types import (
    Accelerator,
    Backend,
    CacheType,
    Engine,
    Estimate,
    EstimateRequest,
    EstimatorError,
    Host,
    MissingFactError,
    Quant,
    Speed,
    UnsupportedError,
    Workload,
)
from estimator.whatif import Extras, what_if


@dataclass(frozen=True, slots=True)
class Answer:
    """An estimate with the catalog names that it is about."""

    model_slug: str
    gpu_slug: str
    quant_slug: str
    estimate: Estimate
    #: What texts, advice and commands are made of.
    facts: FitFacts
    devices: tuple[DeviceLoad, ...] = ()
    speculation: Speculation | None = None
    notes: tuple[str, ...] = ()


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
}
KEYS: tuple[str, ...] = (
    "model", "gpu", "quant", "gpu_count", "host", "engine", "backend", "prompt_tokens", "output_tokens", "depth",
    "context_tokens", "kv_cache_type", "flash_attention", "batch", "micro_batch", "gpu_layers", "cpu_moe_layers",
    "build_date",
    "workload", "model_config", "model_gguf", "model_url", "model_index", "gpu_facts", "host_memory_gb",
    "host_bandwidth_gbps", *extras.KEYS,
)  # fmt: skip
#: Keys that stand in for a name, by the name that they stand in for.
INSTEAD_OF: dict[str, tuple[str, ...]] = {
    "model": ("model_config", "model_gguf", "model_url"),
    "gpu": ("gpu_facts",),
}
E_ = TypeVar("E_", bound=StrEnum)


class Answerer:
    """Answers questions over one catalog snapshot; keeps what it built per entity for the next question."""

    def __init__(self, catalog: Catalog, calibration: Calibration) -> None:
        self._catalog = catalog
        self._calibration = calibration
        self._architecture: Callable[[str], ModelArchitecture] = lru_cache(maxsize=None)(
            lambda slug: specs.architecture(catalog.models[slug])
        )
        self._accelerator: Callable[[str], Accelerator] = lru_cache(maxsize=None)(
            lambda slug: specs.accelerator(catalog.gpus[slug])
        )
        self._quant: Callable[[str], Quant] = lru_cache(maxsize=None)(lambda slug: specs.quant(catalog.quants[slug]))
        self._host: Callable[[str], Host] = lru_cache(maxsize=None)(lambda slug: specs.host(catalog.hosts[slug]))
        self._default_host = next(slug for slug, entry in catalog.hosts.items() if entry.get("default"))
        self._resolved = lru_cache(maxsize=8192)(self._resolve)

    def answer(self, question: Mapping[str, Any], brought: ModelSource | None = None) -> Answer:
        """Estimate one question; ``brought`` is the model of a local file, or what its ``model_url`` led to.

        Raises:
            QuestionError: the question has no answer.
        """
        unknown = sorted(set(question) - set(KEYS))
        if unknown:
            raise QuestionError(
                ErrorCode.BAD_USER_INPUT, f"unknown key {unknown[0]!r}; allowed are {', '.join(KEYS)}", unknown[0]
            )
        workload = self._workload_of(question)
        try:
            model_slug, source = self._model_of(question, brought)
            quant = self._quant_of(question, source)
            devices = extras.devices_of(question, self._gpu_named)
            gpu_slug, accelerator = self._accelerator_of(question, devices)
            request = self._request(question, accelerator, quant, self._host_of(question))
            if extras.has_extras(question):
                found = self._with_extras(question, (model_slug, gpu_slug), source.model, request, devices, workload)
                return replace(found, notes=(*found.notes, *source.notes))
            result = estimate(source.model, request, self._calibration, workload)
        except MissingFactError as error:
            raise QuestionError(ErrorCode.MISSING_FACT, str(error), error.field_name) from error
        except UnsupportedError as error:
            raise QuestionError(ErrorCode.UNSUPPORTED, str(error)) from error
        except ImportFactsError as error:
            raise QuestionError(ErrorCode.BAD_USER_INPUT, str(error), error.field) from error
        except EstimatorError as error:
            raise QuestionError(ErrorCode.BAD_USER_INPUT, str(error)) from error
        entry = self._catalog.models.get(model_slug)
        facts = facts_of_plan(entry, model_slug, source.model, request, result, workload)
        return Answer(model_slug, gpu_slug, quant.slug, result, facts, notes=source.notes)

    def _model_of(self, question: Mapping[str, Any], brought: ModelSource | None) -> tuple[str, ModelSource]:
        given = _stands_in(question, "model")
        if given == "model_config":
            return CUSTOM, source_of_config(question[given])
        if given == "model_gguf":
            return CUSTOM, source_of_pasted(question[given])
        if brought is not None:
            return CUSTOM, brought
        if given == "model_url":
            raise QuestionError(ErrorCode.UNSUPPORTED, "no file is fetched here", given)
        slug = self._resolved("model", _text(question, "model"))
        return slug, ModelSource(self._architecture(slug))

    def _quant_of(self, question: Mapping[str, Any], source: ModelSource) -> Quant:
        """The quantization, with the bytes of the file that the question brings along."""
        slug = self._own_quant(source) if question.get("quant") is None else None
        quant = self._quant(slug or self._resolved("quant", _text(question, "quant")))
        if question.get("model_index") is not None:
            return checkpoint_quant(quant, question["model_index"])
        return stored_quant(quant, source)

    def _own_quant(self, source: ModelSource) -> str | None:
        """Slug of the quantization that the file is in; a plain checkpoint is in 16 bits."""
        slug = quant_of_file(source, self._catalog)
        if slug is None and source.checkpoint is not None:
            return source.checkpoint.quant
        return slug

    def _with_extras(
        self,
        question: Mapping[str, Any],
        slugs: tuple[str, str],
        model: ModelArchitecture,
        request: EstimateRequest,
        devices: tuple[Accelerator, ...],
        workload: Workload | None,
    ) -> Answer:
        """The answer to a question with several accelerators, a draft or a projector."""
        entry = self._catalog.models.get(slugs[0])
        draft = extras.draft_of(question, self._model_named, self._quant_named)
        projector = extras.projector_of(question, entry, None if entry is None else specs.projector_bytes(entry))
        found = what_if(model, request, Extras(devices, draft, projector), self._calibration, workload)
        notes = (extras.UNKNOWN_PROJECTOR,) if projector is None else ()
        if devices:
            request = replace(request, accelerator=devices[0], gpu_count=len(devices))
        beside = None if draft is None else self._draft_facts(question["draft"]["model"], draft)
        facts = replace(
            facts_of_plan(self._catalog.models.get(slugs[0]), slugs[0], model, request, found.estimate, workload),
            vision=projector != 0,
            accelerators=devices,
            devices=found.devices,
            draft=beside,
        )
        return Answer(*slugs, request.quant.slug, found.estimate, facts, found.devices, found.speculation, notes)

    def _draft_facts(self, name: str, draft: Draft) -> DraftFacts:
        entry = self._catalog.models[self._resolved("model", name)]
        checkpoint = specs.checkpoint_repository(entry, draft.quant.slug)
        return DraftFacts(draft, entry["hf_repo"], entry["gguf_repo"], checkpoint)

    def _model_named(self, text: str) -> ModelArchitecture:
        return self._architecture(self._resolved("model", text))

    def _quant_named(self, text: str) -> Quant:
        return self._quant(self._resolved("quant", text))

    def _gpu_named(self, text: str) -> Accelerator:
        return self._accelerator(self._resolved("gpu", text))

    def _accelerator_of(self, question: Mapping[str, Any], devices: tuple[Accelerator, ...]) -> tuple[str, Accelerator]:
        if devices:
            named = next((key for key in ("gpu", *INSTEAD_OF["gpu"]) if question.get(key) is not None), None)
            if named is not None:
                raise QuestionError(ErrorCode.BAD_USER_INPUT, f"give {named!r} or 'gpus', not both", "gpus")
            return devices[0].slug, devices[0]
        if _stands_in(question, "gpu") is not None:
            return CUSTOM, accelerator_of_facts(question["gpu_facts"])
        slug = self._resolved("gpu", _text(question, "gpu"))
        return slug, self._accelerator(slug)

    def _host_of(self, question: Mapping[str, Any]) -> Host:
        named = question.get("host") is not None
        host = self._host(self._resolved("host", _text(question, "host")) if named else self._default_host)
        return host_with(
            host, _number(question, "host_memory_gb", 0.5, 65_536), _number(question, "host_bandwidth_gbps", 1, 20_000)
        )

    def _workload_of(self, question: Mapping[str, Any]) -> Workload | None:
        if question.get("workload") is None:
            return None
        return specs.workload(self._catalog.workloads[self._resolved("workload", _text(question, "workload"))])

    def _request(
        self, question: Mapping[str, Any], accelerator: Accelerator, quant: Quant, host: Host
    ) -> EstimateRequest:
        context = _integer(question, "context_tokens")
        engine, software = _engine(question)
        return EstimateRequest(
            quant=quant,
            accelerator=accelerator,
            gpu_count=_integer(question, "gpu_count") or 1,
            host=host,
            engine=engine,
            software=software,
            build_age_years=_age(question),
            backend=_choice(question, "backend", Backend),
            prompt_tokens=_integer(question, "prompt_tokens"),
            output_tokens=_integer(question, "output_tokens"),
            depth_tokens=_integer(question, "depth"),
            context_tokens=context,
            kv_cache_type=_choice(question, "kv_cache_type", CacheType),
            flash_attention=_boolean(question, "flash_attention"),
            batch=_integer(question, "batch") or 1,
            micro_batch_tokens=_integer(question, "micro_batch"),
            gpu_layers=_integer(question, "gpu_layers"),
            cpu_moe_layers=_integer(question, "cpu_moe_layers"),
        )

    def _resolve(self, kind: str, text: str) -> str:
        try:
            return str(getattr(self._catalog, f"resolve_{kind}")(text))
        except UnknownNameError as error:
            raise QuestionError(ErrorCode.NOT_FOUND, str(error), kind, tuple(error.suggestions)) from error


def as_json(answer: Answer) -> dict[str, Any]:
    """The documented output object of one answer, bytes as integers, speeds in tokens per second."""
    memory = answer.estimate.memory
    found = figures_json(answer.model_slug, answer.gpu_slug, answer.quant_slug, answer.estimate)
    if memory.draft_bytes or memory.projector_bytes != 0:
        found["memory"] |= {"draft_bytes": memory.draft_bytes, "projector_bytes": memory.projector_bytes}
    if answer.devices:
        found["devices"] = [_device(load) for load in answer.devices]
    if answer.speculation is not None:
        found["speculation"] = _speculation(answer.speculation)
    if answer.notes:
        found["notes"] = list(answer.notes)
    return found | commands_json(answer.facts)


def commands_json(facts: FitFacts) -> dict[str, Any]:
    """The part of an output object that tells how to start a plan."""
    return {
        "commands": [{"tool": each.tool.value, "text": each.text} for each in commands(facts)],
        "missing_commands": [
            {"tool": None if each.tool is None else each.tool.value, "reason": each.gap.value, "message": each.message}
            for each in missing_commands(facts)
        ],
    }


def figures_json(model_slug: str, gpu_slug: str, quant_slug: str, result: Estimate) -> dict[str, Any]:
    """The part of an output object that is about numbers alone."""
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
    }


def _device(load: DeviceLoad) -> dict[str, Any]:
    parts = {each.name: getattr(load, each.name) for each in fields(load) if each.name != "accelerator"}
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


def _text(question: Mapping[str, Any], key: str) -> str:
    value = question.get(key)
    if value is None:
        instead = "".join(f" or {other!r}" for other in INSTEAD_OF.get(key, ()))
        raise QuestionError(ErrorCode.BAD_USER_INPUT, f"give {key!r} (a slug or an alias){instead}", key)
    if not isinstance(value, str) or not value.strip():
        raise QuestionError(
            ErrorCode.BAD_USER_INPUT, f"{key!r} must be a non-empty name (a slug or an alias), not {value!r}", key
        )
    return value


def _integer(question: Mapping[str, Any], key: str) -> int | None:
    value = question.get(key)
    if value is None:
        return None
    low, high = LIMITS[key]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise QuestionError(
            ErrorCode.BAD_USER_INPUT, f"{key!r} must be an integer from {low} to {high}, not {value!r}", key
        )
    return value


def _number(question: Mapping[str, Any], key: str, low: float, high: float) -> float | None:
    value = question.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise QuestionError(
            ErrorCode.BAD_USER_INPUT, f"{key!r} must be a number from {low} to {high}, not {value!r}", key
        )
    return float(value)


def _stands_in(question: Mapping[str, Any], name: str) -> str | None:
    """The key that is given in place of a name, None when the name is. Giving two of them is a mistake."""
    given = [key for key in (name, *INSTEAD_OF[name]) if question.get(key) is not None]
    if len(given) > 1:
        both = " or ".join(repr(key) for key in given)
        raise QuestionError(ErrorCode.BAD_USER_INPUT, f"give {both}, not both", given[1])
    return given[0] if given and given[0] != name else None


def _boolean(question: Mapping[str, Any], key: str) -> bool | None:
    value = question.get(key)
    if value is None or isinstance(value, bool):
        return value
    raise QuestionError(ErrorCode.BAD_USER_INPUT, f"{key!r} must be true or false, not {value!r}", key)


#: Forks and fronts whose measured pace differs from their engine's, by the names that benchmarks give them.
SOFTWARE: Mapping[str, tuple[Engine, str | None]] = {
    "llamafile": (Engine.LLAMA_CPP, "llamafile (LocalScore)"),
    "localscore": (Engine.LLAMA_CPP, "llamafile (LocalScore)"),
    "llamafile (localscore)": (Engine.LLAMA_CPP, "llamafile (LocalScore)"),
    "ik_llama.cpp": (Engine.LLAMA_CPP, "ik_llama.cpp"),
    "lm-studio": (Engine.LLAMA_CPP, "lm-studio"),
    "docker-model-runner": (Engine.LLAMA_CPP, None),
    "mlx-lm": (Engine.MLX, None),
    "mlx-vlm": (Engine.MLX, "mlx-vlm"),
    "omlx": (Engine.MLX, "omlx"),
    "vllm-mlx": (Engine.MLX, "vllm-mlx"),
}


def _engine(question: Mapping[str, Any]) -> tuple[Engine | None, str | None]:
    named = question.get("engine")
    if isinstance(named, str) and named.strip().casefold() in SOFTWARE:
        return SOFTWARE[named.strip().casefold()]
    return _choice(question, "engine", Engine), None


def _age(question: Mapping[str, Any]) -> float:
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


def _choice(question: Mapping[str, Any], key: str, kind: type[E_]) -> E_ | None:
    value = question.get(key)
    if value is None:
        return None
    if isinstance(value, str):
        folded = value.strip().casefold()
        for member in kind:
            if folded in (member.value.casefold(), member.name.casefold()):
                return member
    allowed = ", ".join(member.value for member in kind)
    raise QuestionError(ErrorCode.BAD_USER_INPUT, f"{key!r} must be one of {allowed}, not {value!r}", key)


__all__ = ["Answer", "Answerer", "ErrorCode", "QuestionError", "as_json"]
