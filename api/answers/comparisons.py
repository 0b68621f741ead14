"""Several setups side by side, measure by measure, with the best of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from itertools import product
from typing import TypeAlias, TypeVar

from api.answers.choices.machine import Machine
from api.answers.choices.models import best_quant
from api.answers.questions import answerer_of
from api.answers.searches import search
from api.catalog.fit_reads import FitReads
from api.catalog.records import GpuRecord, ModelRecord, QuantRecord
from api.catalog.view import CatalogView
from api.errors import ApiError
from db.fits.cells import AnyCell, AnyLoad, AnySpeed
from db.fits.layout import SLOTS
from db.fits.packing import shown
from estimator.fit_facts import RUNNING, FitFacts
from estimator.types import Estimate, WorkloadKind

R = TypeVar("R")
#: Dollars of the measure of value.
VALUE_USD = 1000


class Measure(Enum):
    SCORE = "score"
    DECODE = "decode"
    PREFILL = "prefill"
    TTFT = "ttft"
    SAFE_CONTEXT = "safe_context"
    HEADROOM = "headroom"
    PRICE = "price"
    POWER = "power"
    VALUE = "value"
    EFFICIENCY = "efficiency"


@dataclass(frozen=True, slots=True)
class Question:
    """Every model on every accelerator, in every quantization, number of accelerators and context asked for."""

    models: Sequence[str]
    gpus: Sequence[str]
    #: Empty: the recommended one of each pairing.
    quants: Sequence[str] = ()
    #: Empty: the number that the name of each accelerator states, else one.
    gpu_counts: Sequence[int] = ()
    #: Empty: what the workload needs.
    context_tokens: Sequence[int] = ()
    workload: WorkloadKind = WorkloadKind.CODING

    @property
    def size(self) -> int:
        """Number of columns."""
        lists = (self.quants, self.gpu_counts, self.context_tokens)
        size = len(self.models) * len(self.gpus)
        for values in lists:
            size *= len(values) or 1
        return size


@dataclass(slots=True)
class Column:
    """One setup: a stored or live cell, or a plan where a number or a context was asked for, or why there is neither."""

    model: ModelRecord | None
    gpu: GpuRecord | None
    quant: QuantRecord | None
    gpu_count: int
    context_tokens: int | None
    error: ApiError | None = None
    cell: AnyCell | None = None
    plan: FitFacts | None = None

    @property
    def machine(self) -> str:
        """Name of the machine; empty for an unknown one."""
        return "" if self.gpu is None else named_machine(self.gpu, self.gpu_count)

    @property
    def is_plain(self) -> bool:
        """Whether it is a fit of the catalog, which the runs compute."""
        return self.gpu_count == 1 and self.context_tokens is None


@dataclass(frozen=True, slots=True)
class Row:
    """One measure, a value a column. A delta is the value over the best one less one; ``winner`` is a column."""

    measure: Measure
    unit: str
    higher_is_better: bool
    values: list[float | None]
    deltas: list[float | None]
    winner: int | None


@dataclass(frozen=True, slots=True)
class Comparison:
    columns: list[Column]
    rows: list[Row] = field(default_factory=list)
    #: Columns whose recommended quantizations differ, so that their quality differs too; empty for none.
    quants_differ: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Running:
    """Figures of a column that runs, with price and power of its accelerators."""

    score: float
    decode_tok_s: float | None
    prefill_tok_s: float | None
    ttft_ms: float | None
    safe_context_tokens: int
    headroom_bytes: int
    price_usd: float | None
    power_w: float | None


def _value(setup: _Running) -> float | None:
    speed = setup.decode_tok_s
    return None if speed is None or not setup.price_usd else round(speed / setup.price_usd * VALUE_USD, 6)


def _efficiency(setup: _Running) -> float | None:
    speed = setup.decode_tok_s
    return None if speed is None or not setup.power_w else round(speed / setup.power_w, 6)


_Read: TypeAlias = Callable[[_Running], float | None]
_MEASURES: tuple[tuple[Measure, str, bool, _Read], ...] = (
    (Measure.SCORE, "points", True, lambda setup: setup.score),
    (Measure.DECODE, "tokens per second", True, lambda setup: setup.decode_tok_s),
    (Measure.PREFILL, "tokens per second", True, lambda setup: setup.prefill_tok_s),
    (Measure.TTFT, "milliseconds", False, lambda setup: setup.ttft_ms),
    (Measure.SAFE_CONTEXT, "tokens", True, lambda setup: float(setup.safe_context_tokens)),
    (Measure.HEADROOM, "bytes", True, lambda setup: float(setup.headroom_bytes)),
    (Measure.PRICE, "US dollars", False, lambda setup: setup.price_usd),
    (Measure.POWER, "watts", False, lambda setup: setup.power_w),
    (Measure.VALUE, f"tokens per second per {VALUE_USD:,} US dollars", True, _value),
    (Measure.EFFICIENCY, "tokens per second per watt", True, _efficiency),
)


def named_machine(gpu: GpuRecord, count: int) -> str:
    """Accelerators as people say it: "2 x RTX 3090"."""
    return gpu.name if count == 1 else f"{count} x {gpu.name}"


async def compare(reads: FitReads, question: Question) -> Comparison:
    """Setups side by side; one statement reads the published ones. A column without an answer has its own error."""
    columns = list(_columns(reads, question))
    wanted = [column for column in columns if column.error is None]
    await _choose(reads, wanted, question.workload)
    planned = [column for column in wanted if column.error is None and not column.is_plain]
    if planned:
        await search(_plan, reads, planned, question)
    setups = [_running(column) for column in columns]
    chosen = [place for place, column in enumerate(columns) if column.quant is not None]
    differ = len({columns[place].quant for place in chosen}) > 1 and not question.quants
    return Comparison(columns, [_row(*measure, setups) for measure in _MEASURES], chosen if differ else [])


def _columns(reads: FitReads, question: Question) -> Iterator[Column]:
    view = reads.view
    models = [_resolved(view.model, name) for name in question.models]
    machines = [_machine(view, name, counted=bool(question.gpu_counts)) for name in question.gpus]
    quants = [_resolved(view.quant, name) for name in question.quants]
    contexts = question.context_tokens or (None,)
    for (model, first), (gpu, stated, second), (quant, third), count, context in product(
        models, machines, quants or [(None, None)], question.gpu_counts or (1,), contexts
    ):
        yield Column(model, gpu, quant, count * stated, context, error=first or second or third)


def _machine(view: CatalogView, name: str, *, counted: bool) -> tuple[GpuRecord | None, int, ApiError | None]:
    """An accelerator and how many of it a name states, else one; a number in a name is an error where it is ``counted``."""
    if counted:
        gpu, error = _resolved(view.gpu, name)
        return gpu, 1, error
    meaning, error = _resolved(partial(view.meaning, "gpu"), name)
    return (None, 1, error) if meaning is None else (view.by_slug("gpu", meaning.slug), meaning.count or 1, None)


def _resolved(resolve: Callable[[str], R], name: str) -> tuple[R | None, ApiError | None]:
    try:
        return resolve(name), None
    except ApiError as error:
        return None, error


async def _choose(reads: FitReads, columns: Sequence[Column], workload: WorkloadKind) -> None:
    """Give each column the cell of its quantization, or of the recommended one, or its error."""
    pairs = [(column.model, column.gpu) for column in columns if column.model and column.gpu]
    published = await reads.published(pairs, SLOTS.index(workload))
    missing = []
    for column, cells in zip(columns, published, strict=True):
        column.cell = reads.chosen(cells, column.quant)
        if column.cell is None:
            missing.append(column)
    await asyncio.gather(*(_compute(reads, column, workload) for column in missing))
    for column in columns:
        if column.cell is not None and column.quant is None:
            column.quant = reads.view.quant_by_id[column.cell.quant_id]


async def _compute(reads: FitReads, column: Column, workload: WorkloadKind) -> None:
    assert column.model is not None
    assert column.gpu is not None
    try:
        column.cell = await reads.fit(column.model, column.gpu, column.quant, workload)
    except ApiError as error:
        column.error = error


def _plan(reads: FitReads, columns: Sequence[Column], question: Question) -> None:
    """Answer the columns that no run computes."""
    view = reads.view
    answerer = view.derived(answerer_of)
    workload = next(record.spec for record in view.workloads if record.spec.kind is question.workload)
    for column in columns:
        column.cell = None
        if column.model is None or column.gpu is None or column.quant is None:
            continue
        question_keys = {
            "model": column.model.slug,
            "gpu": column.gpu.slug,
            "gpu_count": column.gpu_count,
            "workload": question.workload.value,
        }
        if column.context_tokens is not None:
            question_keys["context_tokens"] = column.context_tokens
        try:
            if column.gpu_count > 1 and not question.quants:
                machine = Machine.of_equals(column.gpu.accelerator, column.gpu_count, view.host_of(column.gpu))
                best = best_quant(view.catalog, view.calibration, column.model.slug, machine, workload)
                # The choice for one of them stands where there is no better one.
                column.quant = column.quant if best is None else view.quant(best)
            column.plan = answerer.answer({**question_keys, "quant": column.quant.slug}).facts
        except ApiError as error:
            column.error = error


def _running(column: Column) -> _Running | None:
    """The figures of a column; None where nothing runs."""
    if column.plan is not None:
        estimate = column.plan.estimate
        return _figures(column, estimate, estimate.memory, estimate.decode, estimate.prefill)
    if column.cell is not None:
        cell = column.cell
        return _figures(column, cell, cell.load, cell.decode_read, cell.prefill_read)
    return None


def _figures(
    column: Column,
    shown_by: AnyCell | Estimate,
    load: AnyLoad | None,
    decode: AnySpeed | None,
    prefill: AnySpeed | None,
) -> _Running | None:
    if shown_by.status not in RUNNING or column.gpu is None or load is None:
        return None
    accelerator, count, wait = column.gpu.accelerator, column.gpu_count, shown_by.ttft_ms
    price, power = accelerator.msrp_usd, accelerator.tdp_w
    return _Running(
        score=shown_by.score,
        decode_tok_s=None if decode is None else shown(decode.value),
        prefill_tok_s=None if prefill is None else shown(prefill.value),
        ttft_ms=None if wait is None else shown(wait),
        safe_context_tokens=shown_by.safe_context_tokens,
        headroom_bytes=load.usable_bytes - load.total_bytes,
        price_usd=price and price * count,
        power_w=power and power * count,
    )


def _row(measure: Measure, unit: str, higher: bool, read: _Read, setups: Sequence[_Running | None]) -> Row:
    values = [None if setup is None else read(setup) for setup in setups]
    known = [value for value in values if value is not None]
    if not known:
        return Row(measure, unit, higher, values, [None] * len(values), None)
    best = max(known) if higher else min(known)
    deltas = [None if value is None or best == 0 else round(value / best - 1, 6) for value in values]
    return Row(measure, unit, higher, values, deltas, values.index(best))
