"""Filters of fits as SQL conditions on a row ``f``, the same text for SQLite and PostgreSQL.

Ids and stored numbers stand in the text as integers (converted here, never text of a client); the generation is bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from db.fits.cells import ENGINES
from db.fits.layout import (
    FLAG_BITS,
    STATUS_MASK,
    Indexed,
    checked,
    engine_of_row,
    recommended_mask,
    visible,
)
from db.fits.packing import bits_from, bits_to
from db.fits.query import NOT_RUNNING, FitOwner, FitQuery, ModelQuants, is_narrow
from estimator.types import STATUSES

_RUNNING = frozenset(STATUSES) - NOT_RUNNING
#: Ids of quantizations are kept in two bytes.
_QUANT_BITS = 16


class Condition(NamedTuple):
    """SQL condition on a row ``f``, and the part of an index that it limits."""

    sql: str
    limits: Indexed | None = None


def all_of(conditions: Iterable[Condition]) -> str:
    """SQL that holds where all of ``conditions`` do."""
    return " AND ".join(condition.sql for condition in conditions)


def shared_and_own(alternatives: Sequence[list[Condition]]) -> tuple[list[Condition], list[list[Condition]]]:
    """Conditions that all alternatives share, and those that each has besides."""
    shared = [condition for condition in alternatives[0] if all(condition in other for other in alternatives[1:])]
    return shared, [[condition for condition in own if condition not in shared] for own in alternatives]


def running(slot: int) -> Condition:
    """The workload runs at all."""
    return Condition(Indexed.RUNS.column(slot, "f."), Indexed.RUNS)


def conditions(
    generation: int, query: FitQuery, slot: int, guard: str = "", *, indexed: bool = True, owner: FitOwner | None = None
) -> list[Condition]:
    """Conditions of the filter on workload ``slot`` of row ``f``, and that it belongs to ``generation``.

    ``guard`` is put before the id columns of a filter that is not narrow: "+" keeps SQLite from starting with them.
    ``indexed`` repeats a bound on the speed for its index. The ids of ``owner`` are those of the outer row ``k.c0``.
    """
    guard = "" if is_narrow(query) else guard
    return [
        Condition(visible(generation)),
        *_of_ids(query, guard, owner),
        *_of_outcome(query, slot),
        *_of_speed(query, slot, indexed=indexed and not is_narrow(query)),
        *(Condition(sql) for sql in _of_figures(query, slot)),
        *_of_groups(query, slot),
    ]


def _of_groups(query: FitQuery, slot: int) -> Iterator[Condition]:
    """One condition a group of alternatives."""
    for group in query.any_of:
        alternatives = [_alternative(own, slot) for own in group if slot in own.workload_ids]
        yield Condition(f"({' OR '.join(alternatives)})" if alternatives else "1 = 0")


def _alternative(query: FitQuery, slot: int) -> str:
    own = [
        *_of_ids(query, "", None),
        *_of_outcome(query, slot),
        *_of_speed(query, slot, indexed=False),
        *(Condition(sql) for sql in _of_figures(query, slot)),
        *_of_groups(query, slot),
    ]
    return f"({all_of(own)})" if own else "1 = 1"


def _of_ids(query: FitQuery, guard: str, owner: FitOwner | None) -> Iterator[Condition]:
    engines = None if query.engines is None else [ENGINES.index(engine) for engine in query.engines]
    for kind, column, ids, limits in (
        (FitOwner.MODEL, f"{guard}f.model_id", query.model_ids, Indexed.MODEL),
        (FitOwner.GPU, f"{guard}f.gpu_id", query.gpu_ids, None),
        (FitOwner.QUANT, f"{guard}f.quant_id", query.quant_ids, None),
        (FitOwner.ENGINE, engine_of_row(), engines, None),
    ):
        if ids is not None:
            yield Condition(f"{column} = k.c0", limits) if kind is owner else _among(column, ids, limits)


def _among(column: str, ids: Sequence[int], limits: Indexed | None = None) -> Condition:
    return Condition(f"{column} IN ({_integers(ids)})", limits) if ids else Condition("1 = 0")


def _of_outcome(query: FitQuery, slot: int) -> Iterator[Condition]:
    if query.statuses is not None and set(query.statuses) == _RUNNING:
        yield running(slot)
    elif query.statuses is not None and set(query.statuses) == NOT_RUNNING:
        yield Condition(f"f.decode_{slot} = 0")
    elif query.statuses is not None:
        codes = [STATUSES.index(status) for status in query.statuses]
        yield _among(f"((f.flags >> {FLAG_BITS * slot}) & {STATUS_MASK})", codes)
    if query.recommended:
        yield Condition(Indexed.BEST.column(slot, "f."), Indexed.BEST)
    elif query.recommended is not None:
        yield Condition(f"(f.flags & {recommended_mask(slot)}) = 0")


def _of_speed(query: FitQuery, slot: int, *, indexed: bool) -> Iterator[Condition]:
    if query.decode_min is not None or query.decode_max is not None:
        # Zero is stored where nothing runs: no speed is not a low one.
        yield running(slot)
    for bound, sign, bits_of in ((query.decode_min, ">=", bits_from), (query.decode_max, "<=", bits_to)):
        if bound is not None:
            bits = bits_of(bound)
            yield Condition(f"f.decode_{slot} {sign} {bits}")
            if indexed:
                # The same bound on the indexed expression lets a scan stop there.
                yield speed_bound(Indexed.DECODE, slot, sign, bits)


def speed_bound(bucket: Indexed, slot: int, sign: str, bits: int) -> Condition:
    """A bound on the speed, as the bits of its float32, as a bound on the bucket that is indexed."""
    return Condition(f"{bucket.column(slot, 'f.')} {sign} {bucket.of_speed(bits)}", bucket)


def _of_figures(query: FitQuery, slot: int) -> Iterator[str]:
    # Zero is stored where there is no latency, which is not a low one.
    if query.ttft_min_ms is not None:
        yield f"f.ttft_{slot} >= {max(bits_from(query.ttft_min_ms), 1)}"
    if query.ttft_max_ms is not None:
        yield f"f.ttft_{slot} BETWEEN 1 AND {bits_to(query.ttft_max_ms)}"
    if query.ttft_known is not None:
        yield f"f.ttft_{slot} {'>' if query.ttft_known else '='} 0"
    if query.score_min is not None:
        yield f"f.score_{slot} >= {centi_from(query.score_min)}"
    if query.score_max is not None:
        yield f"f.score_{slot} <= {centi_to(query.score_max)}"
    if query.safe_context_min is not None:
        yield f"f.safe_{slot} >= {int(query.safe_context_min)}"
    if query.safe_context_max is not None:
        yield f"f.safe_{slot} <= {int(query.safe_context_max)}"
    if query.model_quants is not None:
        yield _of_pairs(query.model_quants)


@lru_cache(maxsize=16)
def _of_pairs(wanted: ModelQuants) -> str:
    """One number a pair: both databases look it up in a table of thousands, and try conditions one by one."""
    codes = _integers(sorted((model << _QUANT_BITS) + quant for model, quant in wanted.pairs))
    if not codes:
        return "1 = 0" if wanted.among else "1 = 1"
    sign = "IN" if wanted.among else "NOT IN"
    return f"(CAST(f.model_id AS bigint) << {_QUANT_BITS}) + f.quant_id {sign} ({codes})"


def known_quants(table: str, query: FitQuery) -> list[Condition]:
    """Condition that spares a look through the whole table for a quant without any row."""
    if not query.quant_ids or query.model_ids is not None:
        return []
    quants = f"SELECT 1 FROM {checked(table)}_quant x WHERE x.quant_id IN ({_integers(query.quant_ids)})"
    return [Condition(f"EXISTS ({quants})")]


def _integers(values: Iterable[int]) -> str:
    return ", ".join(str(int(value)) for value in values)


def centi_from(score: float) -> int:
    """The least stored score that is not below a bound."""
    near = round(score * 100)
    return near if near / 100 >= score else near + 1


def centi_to(score: float) -> int:
    """The largest stored score that is not above a bound."""
    near = round(score * 100)
    return near if near / 100 <= score else near - 1
