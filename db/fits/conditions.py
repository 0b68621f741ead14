"""Filters of fits as SQL conditions on a row ``f``, the same text for SQLite and PostgreSQL.

Ids and stored numbers stand in the text as integers (converted here, never text of a client); the generation is bound.
"""

from __future__ import annotations

from collections.abc import Iterable

from db.fits.cells import ENGINES
from db.fits.layout import (
    BUCKET_SHIFT,
    FLAG_BITS,
    STATUS_MASK,
    checked,
    decode_bucket,
    engine_of_row,
    recommended_mask,
    runs,
    visible,
)
from db.fits.packing import float_bits
from db.fits.query import NOT_RUNNING, FitQuery, is_narrow
from estimator.types import STATUSES

_RUNNING = frozenset(STATUSES) - NOT_RUNNING


def conditions(query: FitQuery, slot: int, guard: str = "", *, indexed: bool = True) -> list[str]:
    """SQL conditions of the filter on workload ``slot`` of row ``f``, the visibility included.

    ``guard`` is put before the id columns of a filter that is not narrow: "+" keeps SQLite from starting with them.
    ``indexed`` repeats a bound on the speed for its index.
    """
    found, narrow = [visible()], is_narrow(query)
    guard = "" if narrow else guard
    for column, ids in (("model_id", query.model_ids), ("gpu_id", query.gpu_ids), ("quant_id", query.quant_ids)):
        if ids is not None:
            found.append(f"{guard}f.{column} IN ({_integers(ids)})" if ids else "1 = 0")
    if query.engines is not None:
        codes = [ENGINES.index(engine) for engine in query.engines]
        found.append(f"{engine_of_row()} IN ({_integers(codes)})" if codes else "1 = 0")
    if query.statuses is not None and set(query.statuses) == _RUNNING:
        found.append(runs(slot, "f."))
    elif query.statuses is not None and set(query.statuses) == NOT_RUNNING:
        found.append(f"f.decode_{slot} = 0")
    elif query.statuses is not None:
        codes = [STATUSES.index(status) for status in query.statuses]
        status = f"((f.flags >> {FLAG_BITS * slot}) & {STATUS_MASK})"
        found.append(f"{status} IN ({_integers(codes)})" if codes else "1 = 0")
    if query.recommended is not None:
        found.append(f"(f.flags & {recommended_mask(slot)}) {'!=' if query.recommended else '='} 0")
    if query.decode_min is not None or query.decode_max is not None:
        # Zero is stored where nothing runs: no speed is not a low one.
        found.append(runs(slot, "f."))
    for bound, sign in ((query.decode_min, ">="), (query.decode_max, "<=")):
        if bound is not None:
            found.append(f"f.decode_{slot} {sign} {float_bits(bound)}")
            if indexed and not narrow:
                # The same bound on what is indexed lets a scan stop there.
                found.append(f"{decode_bucket(slot, 'f.')} {sign} {float_bits(bound) >> BUCKET_SHIFT}")
    # Zero is stored where there is no latency, which is not a low one.
    if query.ttft_min_ms is not None:
        found.append(f"f.ttft_{slot} >= {max(float_bits(query.ttft_min_ms), 1)}")
    if query.ttft_max_ms is not None:
        found.append(f"f.ttft_{slot} BETWEEN 1 AND {float_bits(query.ttft_max_ms)}")
    if query.score_min is not None:
        found.append(f"f.score_{slot} >= {centi_from(query.score_min)}")
    if query.score_max is not None:
        found.append(f"f.score_{slot} <= {centi_to(query.score_max)}")
    if query.safe_context_min is not None:
        found.append(f"f.safe_{slot} >= {int(query.safe_context_min)}")
    if query.safe_context_max is not None:
        found.append(f"f.safe_{slot} <= {int(query.safe_context_max)}")
    return found


def known_quants(table: str, query: FitQuery) -> list[str]:
    """Condition that spares a look through the whole table for a quant without any row."""
    if not query.quant_ids or query.model_ids is not None:
        return []
    return [f"EXISTS (SELECT 1 FROM {checked(table)}_quant x WHERE x.quant_id IN ({_integers(query.quant_ids)}))"]


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
