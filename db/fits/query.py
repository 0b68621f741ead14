"""A question to the stored fits: which pass, in which order, from which cursor on, of which owners."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from operator import itemgetter
from typing import Any

from db.fits.cells import ENGINES, StoredCell
from db.fits.layout import ENGINE_MASK, ENGINE_SHIFT, SLOT_COUNT, engine_of_row
from db.reading import Row
from estimator.types import Engine, Status

#: Values of the orders, then model, gpu, quant and workload slot of the row that a page ended with.
FitCursor = tuple[int, ...]
#: Most models or GPUs whose rows are read and sorted rather than met in the order of an index.
NARROW_IDS = 24
#: Outcomes in which nothing runs: speed, latency and score are stored as zero.
NOT_RUNNING = frozenset((Status.DOES_NOT_FIT, Status.UNSUPPORTED))
ALL_SLOTS: tuple[int, ...] = tuple(range(SLOT_COUNT))


class FitField(StrEnum):
    """Figures by which fits are ordered."""

    DECODE = "decode"
    SCORE = "score"
    TTFT = "ttft"
    SAFE_CONTEXT = "safe"
    #: The next five have no column: ``db.fits.by_unpacking`` orders by them.
    PREFILL = "prefill"
    MEMORY = "memory"
    PRICE = "price"
    VALUE = "value"
    EFFICIENCY = "efficiency"
    KEY = "key"


#: Fields whose zero says that there is no figure.
ABSENT_AT_ZERO = frozenset((FitField.DECODE, FitField.TTFT))


@dataclass(frozen=True, slots=True)
class FitOrder:
    """One order; ``KEY`` is (model, gpu, quant) and ends every order, ascending."""

    field: FitField
    descending: bool = True


@dataclass(frozen=True, slots=True)
class ModelQuants:
    """(model id, quant id) of which a fit is ``among`` or is not."""

    pairs: frozenset[tuple[int, int]]
    among: bool


@dataclass(frozen=True, slots=True)
class FitQuery:
    """All that is given must hold. None is any; an empty tuple matches nothing. Bounds are inclusive."""

    model_ids: tuple[int, ...] | None = None
    gpu_ids: tuple[int, ...] | None = None
    quant_ids: tuple[int, ...] | None = None
    workload_ids: tuple[int, ...] = ALL_SLOTS
    engines: tuple[Engine, ...] | None = None
    statuses: tuple[Status, ...] | None = None
    recommended: bool | None = None
    decode_min: float | None = None
    decode_max: float | None = None
    ttft_min_ms: float | None = None
    ttft_max_ms: float | None = None
    score_min: float | None = None
    score_max: float | None = None
    safe_context_min: int | None = None
    safe_context_max: int | None = None
    #: Whether there is a time to the first token.
    ttft_known: bool | None = None
    model_quants: ModelQuants | None = None
    #: At least one query of each group must pass.
    any_of: tuple[tuple[FitQuery, ...], ...] = ()
    #: Only the first fit, in the order of the list, of each model, accelerator or quantization.
    one_per: FitOwner | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing but the workload is asked for, so that counters answer a count."""
        return self == FitQuery(workload_ids=self.workload_ids)


@dataclass(frozen=True, slots=True)
class FitPage:
    """Cells in order with the cursor of each; the flags say truly whether there is more on either side."""

    cells: list[StoredCell]
    cursors: list[FitCursor]
    has_next: bool
    has_previous: bool


@dataclass(frozen=True, slots=True)
class Window:
    """A page of an order: its size in cells, the cursor that it comes after, or before when ``backwards``."""

    order: tuple[FitOrder, ...]
    size: int
    cursor: FitCursor | None = None
    backwards: bool = False

    @property
    def rows(self) -> int:
        """Rows to read: one beyond the page tells whether there are more."""
        return self.size + 1

    def page(self, places: Sequence[tuple[StoredCell, FitCursor]], *, more: bool) -> FitPage:
        """Page of cells and cursors that come in its direction; ``more``: others come after them."""
        kept, behind = places[::-1] if self.backwards else places, self.cursor is not None
        return FitPage(
            cells=[cell for cell, _ in kept],
            cursors=[cursor for _, cursor in kept],
            has_next=behind if self.backwards else more,
            has_previous=more if self.backwards else behind,
        )

    def direction(self, descending: bool) -> str:
        """SQL direction of a term that descends or ascends on the page."""
        return "DESC" if descending != self.backwards else "ASC"


@dataclass(frozen=True, slots=True)
class Lists:
    """Lists that are read together, one window of each: their queries, and the number of the list that holds a row."""

    queries: Mapping[int, FitQuery]
    window: Window
    list_of: Callable[[Sequence[Any]], int]

    def grouped(self, rows: Sequence[Row]) -> dict[int, list[Row]]:
        return grouped(self.queries, self.list_of, rows)


def grouped(
    numbers: Iterable[int], list_of: Callable[[Sequence[Any]], int], rows: Iterable[Row]
) -> dict[int, list[Row]]:
    """Rows by the number of the list that holds them; a list without rows is there too."""
    groups: dict[int, list[Row]] = {number: [] for number in numbers}
    for row in rows:
        groups[list_of(row)].append(row)
    return groups


class FitOwner(StrEnum):
    """The owner of a list of fits. Ids of engines are places in ``Engine``, those of workloads are slots."""

    MODEL = "model_id"
    GPU = "gpu_id"
    QUANT = "quant_id"
    ENGINE = "engine"
    WORKLOAD = "workload"

    @property
    def column(self) -> str:
        """The expression that a condition compares with the id; no column for a workload, which has columns of its own."""
        return engine_of_row() if self is FitOwner.ENGINE else self.value

    def only(self, query: FitQuery, owner: int) -> FitQuery:
        """``query`` of this owner alone, whatever it said of owners of this kind."""
        return self.among(query, (owner,))

    def among(self, query: FitQuery, owners: tuple[int, ...]) -> FitQuery:
        """``query`` of these owners alone, whatever it said of owners of this kind."""
        if self is FitOwner.MODEL:
            return query if query.model_ids == owners else replace(query, model_ids=owners)
        if self is FitOwner.GPU:
            return query if query.gpu_ids == owners else replace(query, gpu_ids=owners)
        if self is FitOwner.QUANT:
            return replace(query, quant_ids=owners)
        if self is FitOwner.ENGINE:
            return replace(query, engines=tuple(ENGINES[owner] for owner in owners))
        return replace(query, workload_ids=owners)

    def allowed(self, query: FitQuery, owner: int) -> bool:
        """Whether ``query`` lets anything of this owner pass."""
        if self is FitOwner.WORKLOAD:
            return owner in query.workload_ids
        if self is FitOwner.ENGINE:
            return query.engines is None or ENGINES[owner] in query.engines
        ids = {FitOwner.MODEL: query.model_ids, FitOwner.GPU: query.gpu_ids, FitOwner.QUANT: query.quant_ids}[self]
        return ids is None or owner in ids

    def reader(self) -> Callable[[Sequence[Any]], int]:
        """Function that reads the owner's id of a row in the column order of ``CELL_COLUMNS``."""
        if self is FitOwner.ENGINE:
            return lambda row: int(row[4]) >> ENGINE_SHIFT & ENGINE_MASK
        return itemgetter(_OWNER_PLACES[self])


#: Places of the owners' ids among ``CELL_COLUMNS``.
_OWNER_PLACES = {FitOwner.WORKLOAD: 0, FitOwner.MODEL: 1, FitOwner.GPU: 2, FitOwner.QUANT: 3}


@lru_cache(maxsize=256)
def normal(order: tuple[FitOrder, ...]) -> tuple[FitOrder, ...]:
    """``order`` without what cannot matter: repeated fields, and all that comes after the unique key.

    A score that ends the order is followed by the decode speed, which splits the many equal scores.
    """
    terms: dict[FitField, FitOrder] = {}
    for term in order:
        terms.setdefault(term.field, term)
        if term.field is FitField.KEY:
            break
    if list(terms) == [FitField.SCORE]:
        terms[FitField.DECODE] = FitOrder(FitField.DECODE, terms[FitField.SCORE].descending)
    return tuple(terms.values())


def slots_of(query: FitQuery) -> tuple[int, ...]:
    """Slots of the workloads asked for, each once. Raises ValueError for what is none."""
    unknown = [slot for slot in query.workload_ids if slot not in ALL_SLOTS]
    if unknown:
        raise ValueError(f"workload ids {unknown} are not slots; the slots are 0 to {SLOT_COUNT - 1}")
    return tuple(sorted(set(query.workload_ids)))


def is_narrow(query: FitQuery) -> bool:
    """Whether the models or GPUs asked for are so few that their rows are read and sorted; else an ordered index leads."""
    return is_few(query.model_ids) or is_few(query.gpu_ids)


def rests(query: FitQuery) -> bool:
    """Whether only outcomes are asked for in which nothing runs."""
    return query.statuses is not None and NOT_RUNNING.issuperset(query.statuses)


def is_few(ids: Sequence[int] | None) -> bool:
    """Whether these models, or GPUs, are few enough for their rows to be read and sorted; None is all of them."""
    return ids is not None and len(ids) <= NARROW_IDS
