"""Entities of the catalog as plain records: the entry of the file, and the estimator's object of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from db.entries import specs
from db.entries.files import Entry
from estimator import types as domain
from estimator.judgement.market import Computer


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Record:
    """One entity. Two records are equal only when they are the same object."""

    entry: Entry

    @property
    def slug(self) -> str:
        """Name in URLs and arguments."""
        return str(self.entry["slug"])

    @property
    def name(self) -> str:
        return str(self.entry["name"])

    @property
    def aliases(self) -> list[str]:
        """Other names that arguments accept."""
        return list(self.entry.get("aliases") or ())

    @property
    def sources(self) -> list[str]:
        return texts_of(self.entry.get("source"))


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """A published result; ``value`` is None for one that is no number."""

    name: str
    value: float | None
    setting: str | None
    source: str | None


@dataclass(frozen=True, slots=True, eq=False)
class ModelRecord(Record):
    """A model. An estimate needs every fact: it has none while ``missing_facts`` names one."""

    missing_facts: tuple[str, ...]

    @property
    def benchmarks(self) -> list[BenchmarkResult]:
        """Published results, by name."""
        return [
            BenchmarkResult(
                name=name,
                value=float(result["value"]) if isinstance(result.get("value"), int | float) else None,
                setting=result.get("setting"),
                source=result.get("source"),
            )
            for name, result in sorted((self.entry.get("benchmarks") or {}).items())
            if isinstance(result, Mapping)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class GpuRecord(Record):
    """An accelerator. An estimate needs every fact: it has none while ``missing_facts`` names one."""

    accelerator: domain.Accelerator
    missing_facts: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class QuantRecord(Record):
    spec: domain.Quant

    @property
    def is_precomputed(self) -> bool:
        """Whether runs compute fits in it."""
        return specs.is_precomputed(self.entry)


@dataclass(frozen=True, slots=True, eq=False)
class WorkloadRecord(Record):
    spec: domain.Workload


@dataclass(frozen=True, slots=True, eq=False)
class EngineRecord(Record):
    """An engine. ``rules`` state its formats and backends; a front has the rules of its engine."""

    kind: domain.Engine
    rules: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, eq=False)
class HostRecord(Record):
    spec: domain.Host


@dataclass(frozen=True, slots=True, eq=False)
class ComputerRecord(Record):
    """A computer that one can buy."""

    spec: Computer


def texts_of(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(part) for part in value]


def model_record(entry: Entry) -> ModelRecord:
    return ModelRecord(entry, tuple(specs.missing_facts(entry)))


def gpu_record(entry: Entry) -> GpuRecord:
    """The accelerator of a catalog entry."""
    return GpuRecord(entry, specs.accelerator(entry), tuple(specs.missing_facts(entry)))


def engine_record(entry: Entry, entries: Mapping[str, Entry]) -> EngineRecord:
    """The engine of a catalog entry among all of them."""
    front_of = entry.get("front_of")
    rules = entry.get("rules") or (entries[front_of].get("rules") if front_of else None) or ()
    return EngineRecord(entry, domain.Engine(entry["slug"]), tuple(rules))
