"""Fields of forms and the pages of a list, as the templates lay them out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from api.catalog.records import WorkloadRecord
from api.catalog.view import CatalogView
from api.pages.asked import Asked
from api.pages.wording import MODE_WORDS
from estimator.types import OperatingMode

Options = Sequence[tuple[str, str]]
#: Memory of an accelerator, and parameters of a model, as lists are narrowed by them.
MEMORIES = tuple((size, f"{size} GB or more") for size in ("8", "12", "16", "24", "32", "48", "64", "96", "128", "192"))
SIZES = tuple((size, f"up to {size}B") for size in ("4", "9", "15", "36", "75", "130"))


@dataclass(frozen=True, slots=True)
class Select:
    """A choice among (value, text)."""

    name: str
    label: str
    options: Options
    chosen: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A line to type in."""

    name: str
    label: str
    value: str
    placeholder: str = ""
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Pager:
    """The page of a list: slices ``start`` to ``stop`` of its items, and the addresses beside it."""

    start: int
    stop: int
    last: int
    label: str
    previous: str
    next: str


def pager(asked: Asked, count: int, size: int) -> Pager:
    """The page that is asked for; one beyond the end is the last one. Raises ``BAD_USER_INPUT``."""
    last = max(1, -(-count // size))
    page = min(asked.whole("page", 1, 100_000) or 1, last)
    start, stop = (page - 1) * size, min(page * size, count)
    return Pager(
        start,
        stop,
        last,
        f"{start + 1:,} to {stop:,} of {count:,}" if count else "none",
        asked.address(page=page - 1 if page > 2 else None) if page > 1 else "",
        asked.address(page=page + 1) if page < last else "",
    )


def workload_of(asked: Asked, view: CatalogView, otherwise: str = "coding") -> WorkloadRecord:
    """The workload that is asked for. Raises ``BAD_USER_INPUT``."""
    return asked.choice("workload", {workload.slug: workload for workload in view.workloads}, otherwise)


def workload_options(view: CatalogView) -> Options:
    return [(workload.slug, workload.name) for workload in view.workloads]


def mode_options() -> Options:
    return [(mode.value, MODE_WORDS[mode][0]) for mode in OperatingMode]


def with_any(options: Iterable[tuple[str, str]], text: str = "Any") -> Options:
    """Options with one that leaves the choice open."""
    return [("", text), *options]
