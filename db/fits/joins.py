"""Columns that make a row a cell of one workload: its own, and those of the companions that it is joined with."""

from __future__ import annotations

from collections.abc import Sequence

from db.fits.layout import BAND_BYTES, PLAN_BYTES, engine_of_row
from db.fits.packing import BAND_CELL, BAND_CELLS_AT, PLAN_CELL


def with_shared(table: str, source: str, dialect: str) -> str:
    """Statement that joins the cells of ``source`` with what their rows share, in the order of ``CELL_COLUMNS``."""
    return (
        f"SELECT c.slot, c.model_id, c.gpu_id, c.quant_id, c.flags, c.decode, c.ttft, c.safe, c.score, c.rest, "
        f"{shared_columns('c', 'c.slot')} FROM ({source}) c {shared_joins(table, 'c', dialect)}"
    )


def united(table: str, sources: Sequence[str], dialect: str) -> str:
    """Statement of all rows of several sources, joined with what the rows share."""
    union = " UNION ALL ".join(f"SELECT * FROM ({source}) s{number}" for number, source in enumerate(sources))
    return with_shared(table, union, dialect)


def cell_columns(slot: int) -> str:
    """Columns of a row that make the cell of a workload, as ``with_shared`` names them."""
    return (
        f"{slot} AS slot, f.model_id, f.gpu_id, f.quant_id, f.born, f.flags, f.decode_{slot} AS decode, "
        f"f.ttft_{slot} AS ttft, f.safe_{slot} AS safe, f.score_{slot} AS score, f.plan, f.band, f.rest"
    )


def shared_columns(alias: str, slot: int | str | None) -> str:
    """Plan, band and memory columns of the joined companions.

    With a ``slot``: only that workload's part of the plan, and the band as far as it needs.
    """
    start, size, reach = "1", str(PLAN_BYTES), str(BAND_BYTES)
    if slot is not None:
        start, size = f"{slot} * {PLAN_CELL.itemsize} + 1", str(PLAN_CELL.itemsize)
        reach = f"{BAND_CELLS_AT} + ({slot} + 1) * {BAND_CELL.itemsize}"
    return (
        f"substr(q.plans, {alias}.plan * {PLAN_BYTES} + {start}, {size}), "
        f"substr(q.bands, {alias}.band * {BAND_BYTES} + 1, {reach}), g.usable_bytes, g.capacity_bytes"
    )


def shared_joins(table: str, alias: str, dialect: str) -> str:
    """Joins of a row to its companions, which were born with it.

    PostgreSQL plans each look-up apart: beside a branch as dear as a whole table it calls one more read of a companion cheap.
    """
    quant = f"q.model_id = {alias}.model_id AND q.quant_id = {alias}.quant_id AND q.born = {alias}.born"
    gpu = f"g.gpu_id = {alias}.gpu_id AND g.engine = {engine_of_row(alias)} AND g.born = {alias}.born"
    if dialect == "sqlite":
        return f"JOIN {table}_quant q ON {quant} JOIN {table}_gpu g ON {gpu}"
    return (
        f"CROSS JOIN LATERAL (SELECT q.plans, q.bands FROM {table}_quant q WHERE {quant} LIMIT 1) q "
        f"CROSS JOIN LATERAL (SELECT g.usable_bytes, g.capacity_bytes FROM {table}_gpu g WHERE {gpu} LIMIT 1) g"
    )
