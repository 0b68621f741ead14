"""Small answers for agents, each with the catalog's revision, its evidence and the sources of its facts.

Plain objects from the catalog files alone. A question without an answer raises :class:`QuestionError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from api.answers.choices.machine import Machine, host_with, machine_of, meant, resolved
from api.answers.choices.models import Question, Recommended, best_quant, rating_of, recommended_models
from api.answers.choices.plans import plan_of
from api.answers.pairing import Pairing, estimate_pairing
from api.answers.questions import Answer, Answerer
from api.catalog.search import relevance
from api.errors import ErrorCode, QuestionError
from api.machine.detect import describe, this_machine
from api.machine.identify import identify
from db.entries import specs
from db.entries.files import Catalog, Entry, load_catalog
from estimator.advice.commands import commands
from estimator.calibration.coefficients import Calibration
from estimator.fit_facts import FitFacts
from estimator.types import Estimate, OperatingMode, Speed

#: Most models and machines of a comparison.
MOST_COMPARED = 5
MOST_LISTED = 20
_MOST_SOURCES = 4
_SOURCE_CHARACTERS = 200
_KINDS = ("model", "gpu", "quant", "computer")


class Answers:
    """The five answers over one catalog."""

    def __init__(self, catalog: Catalog | None = None) -> None:
        self._catalog = catalog or load_catalog()
        self._calibration = Calibration.load()

    @cached_property
    def _answerer(self) -> Answerer:
        return Answerer(self._catalog, self._calibration)

    def search(self, text: str, kind: str | None, limit: int) -> dict[str, Any]:
        """Entities whose names match ``text``, best first."""
        if kind is not None and kind not in _KINDS:
            raise QuestionError(ErrorCode.BAD_USER_INPUT, f"kind is {kind!r}; allowed are {', '.join(_KINDS)}", "kind")
        scored = [
            (relevance(text, (slug, str(entry["name"]), *map(str, entry.get("aliases") or ()))), known, entry)
            for known in ((kind,) if kind else _KINDS)
            for slug, entry in self._catalog.entries(known).items()
        ]
        best = sorted((row for row in scored if row[0] > 0), key=lambda row: (-row[0], str(row[2]["slug"])))
        rows = [
            {"kind": known, "slug": entry["slug"], "name": entry["name"]} | _facts(known, entry)
            for _, known, entry in best
        ]
        return {"matches": rows[:limit], "matching": len(rows)} | self._cited(())

    def fit(self, model: str, gpu: str, quant: str | None, workload: str) -> dict[str, Any]:
        """One model on a machine of one accelerator or several equal ones, in a quantization or in the best one."""
        setup = self._setup(model, gpu, quant, workload)
        answer = self._estimate_json(setup.facts) | {"notes": list(setup.notes)}
        return answer | self._cited(self._entries_of(setup))

    def recommend(
        self,
        gpus: Sequence[str],
        workload: str,
        mode: OperatingMode,
        users: int | None,
        host_memory_gb: float | None,
        limit: int,
    ) -> dict[str, Any]:
        """The best models for named accelerators, or for the machine that the server runs on."""
        machine, notes = self._machine(gpus, host_memory_gb)
        use = specs.workload(self._catalog.workloads[resolved(self._catalog, "workload", workload)])
        question = Question(machine, use, mode, users=users)
        best = recommended_models(self._catalog, self._calibration, question, limit)
        rows = [self._recommended_json(question, entry) for entry in best]
        known = [self._catalog.gpus[device.slug] for device in dict.fromkeys(machine.devices)]
        return {
            "machine": machine.description,
            "workload": use.slug,
            "mode": mode.value,
            "pick": best[0].model["slug"] if best else None,
            "models": rows,
            "notes": list(notes),
        } | self._cited(known)

    def compare(self, models: Sequence[str], gpus: Sequence[str], workload: str) -> dict[str, Any]:
        """Every model on every accelerator, with the best usable accelerator of each model and the reason."""
        for name, texts in (("models", models), ("gpus", gpus)):
            if not 1 <= len(texts) <= MOST_COMPARED:
                raise QuestionError(
                    ErrorCode.LIMIT_EXCEEDED, f"{name} has {len(texts)} names; 1 to {MOST_COMPARED} are compared", name
                )
        cells, winners, entries = [], [], []
        use = specs.workload(self._catalog.workloads[resolved(self._catalog, "workload", workload)])
        for model in models:
            rated = []
            for gpu in gpus:
                try:
                    setup = self._setup(model, gpu, None, workload)
                except QuestionError as error:
                    if error.code is not ErrorCode.UNSUPPORTED:
                        raise
                    cells.append({"model": model, "gpu": gpu, "status": "UNSUPPORTED", "reason": str(error)})
                    continue
                cells.append(_cell(setup))
                entries += self._entries_of(setup)
                question = Question(machine_of(self._catalog, [gpu], 1), use, OperatingMode.BALANCED)
                side = (setup.model_slug, setup.facts.quant.slug)
                rating = rating_of(self._catalog, self._calibration, question, side)
                if rating is not None:
                    rated.append((rating, cells[-1]))
            if rated:
                winners.append(_best(rated))
        return {"workload": workload, "cells": cells, "best_gpu_of_each_model": winners} | self._cited(entries)

    def what_if(self, question: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
        """The estimate of a question before and after a change of it."""
        if not change:
            raise QuestionError(ErrorCode.BAD_USER_INPUT, "change at least one of the settings", "change")
        before, after = self._answerer.answer(question), self._answerer.answer({**question, **change})
        first, second = (_figures(answer.estimate) for answer in (before, after))
        ratio = (
            second["decode_tok_s"] / first["decode_tok_s"] if first["decode_tok_s"] and second["decode_tok_s"] else None
        )
        return {
            "before": first,
            "after": self._estimate_json(after.facts),
            "change": dict(change),
            "decode_ratio": None if ratio is None else round(ratio, 3),
            "memory_change_bytes": second["memory_bytes"] - first["memory_bytes"],
            "notes": list(after.notes),
        } | self._cited(self._entries_of(after))

    def _setup(self, model: str, gpu: str, quant: str | None, workload: str) -> Pairing | Answer:
        """A model on as many accelerators as ``gpu`` names, in a quantization or in the best one."""
        # A name alone: no file of the server's machine is read for an agent.
        meaning = meant(self._catalog, "model", model)
        quant = quant or meaning.quant
        one = partial(estimate_pairing, self._catalog, self._calibration, meaning.slug, gpu, quant, workload)
        if (meant(self._catalog, "gpu", gpu).count or 1) == 1:
            return one()
        if quant is None:
            machine = machine_of(self._catalog, [gpu], 1)
            use = specs.workload(self._catalog.workloads[resolved(self._catalog, "workload", workload)])
            best = best_quant(self._catalog, self._calibration, meaning.slug, machine, use)
            quant = best or one().facts.quant.slug
        return self._answerer.answer({"model": meaning.slug, "gpu": gpu, "quant": quant, "workload": workload})

    def _machine(self, gpus: Sequence[str], host_memory_gb: float | None) -> tuple[Machine, tuple[str, ...]]:
        if gpus:
            return machine_of(self._catalog, gpus, 1, host_memory_gb=host_memory_gb), ()
        identified = identify(self._catalog, describe(this_machine()))
        machine = identified.machine
        return Machine(machine.devices, host_with(machine.host, host_memory_gb, None)), identified.notes

    def _recommended_json(self, question: Question, entry: Recommended) -> dict[str, Any]:
        judgement = entry.judgement
        figures = self._estimate_json(plan_of(self._calibration, question, entry))
        return figures | {
            "model": entry.model["slug"],
            "thinking": judgement.thinks,
            "capability": {
                "value": round(judgement.capability.value, 1),
                "low": round(judgement.capability.low, 1),
                "high": round(judgement.capability.high, 1),
                "evidence": judgement.capability.evidence.value,
            },
            "loss": round(judgement.loss.points, 2),
            "answer_s": round(judgement.answer_s, 1),
            "reason": judgement.reason,
        }

    def _estimate_json(self, facts: FitFacts) -> dict[str, Any]:
        command = next(iter(commands(facts)), None)
        return {
            "model": facts.model.slug,
            "device": facts.device_name,
            "quant": facts.quant.slug,
            **_figures(facts.estimate),
            "command": None if command is None else {"tool": command.tool.value, "text": command.text},
        }

    def _entries_of(self, setup: Pairing | Answer) -> list[Entry]:
        entries = (self._catalog.models.get(setup.model_slug), self._catalog.gpus.get(setup.gpu_slug))
        return [entry for entry in entries if entry is not None]

    def _cited(self, entries: Iterable[Entry]) -> dict[str, Any]:
        """The catalog's revision, and where the facts of each entity are from."""
        sources = {str(entry["slug"]): _sources(entry) for entry in entries}
        return {"catalog_revision": self._catalog.revision, "sources": sources}


def _sources(entry: Entry) -> list[str]:
    known = entry.get("source") or []
    texts = [known] if isinstance(known, str) else list(known)
    if entry.get("hf_repo"):
        texts.insert(0, f"https://huggingface.co/{entry['hf_repo']}")
    return [str(text)[:_SOURCE_CHARACTERS] for text in texts[:_MOST_SOURCES]]


def _facts(kind: str, entry: Entry) -> dict[str, Any]:
    """The facts that tell entities of similar names apart."""
    keys = {
        "model": (
            "params_total_b",
            "params_active_b",
            "context_length",
            "license",
            "release_date",
            "release_date_kind",
        ),
        "gpu": ("memory_gb", "bandwidth_gbps", "kind"),
        "quant": ("format", "nominal_bits"),
        "computer": ("gpu",),
    }[kind]
    return {key: entry[key] for key in keys if entry.get(key) is not None}


def _best(rated: list[tuple[float, dict[str, Any]]]) -> dict[str, Any]:
    """The setup with the highest rating, with the reason."""
    _, best = max(rated, key=lambda setup: setup[0])
    reason = f"the best answers for their time: {best['quant']} at {best['decode_tok_s']:g} tok/s"
    return {"model": best["model"], "gpu": best["gpu"], "gpu_count": best["gpu_count"], "reason": reason}


def _cell(setup: Pairing | Answer) -> dict[str, Any]:
    facts = setup.facts
    return {
        "model": setup.model_slug,
        "gpu": setup.gpu_slug,
        "gpu_count": facts.request.gpu_count,
        "quant": facts.quant.slug,
        **_figures(facts.estimate),
    }


def _figures(estimate: Estimate) -> dict[str, Any]:
    decode, memory = estimate.decode, estimate.memory
    return {
        "status": estimate.status.value,
        "engine": None if estimate.engine is None else estimate.engine.value,
        "decode_tok_s": None if decode is None else round(decode.value, 1),
        "decode_range_tok_s": _range(decode),
        "evidence": None if decode is None else decode.evidence.value,
        "ttft_ms": None if estimate.ttft_ms is None else round(estimate.ttft_ms),
        "memory_bytes": memory.total_bytes,
        "usable_bytes": memory.usable_bytes,
        "host_bytes": memory.host_bytes,
        "safe_context_tokens": estimate.safe_context_tokens,
        "score": round(estimate.score, 1),
    }


def _range(speed: Speed | None) -> list[float] | None:
    return None if speed is None else [round(speed.low, 1), round(speed.high, 1)]
