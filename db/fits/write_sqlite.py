"""Bulk writes of fits into SQLite: prepared statements fed from whole columns, inside the caller's transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from db.fits.layout import FIT_COLUMNS, GPU_COLUMNS, QUANT_COLUMNS, checked
from db.fits.packing import PackedBlock
from db.session import driver_connection


def write_block(connection: Connection, table: str, block: PackedBlock) -> None:
    """Insert the rows of ``block`` into storage ``table``."""
    cursor = driver_connection(connection).cursor()
    cursor.executemany(insert_sql(table, FIT_COLUMNS), row_tuples(block))
    cursor.executemany(insert_sql(f"{table}_quant", QUANT_COLUMNS), block.quants)
    cursor.executemany(insert_sql(f"{table}_gpu", GPU_COLUMNS).replace("INSERT", "INSERT OR IGNORE"), block.gpus)


def row_tuples(block: PackedBlock) -> zip[tuple[Any, ...]]:
    """The fit rows as tuples in column order, made column by column."""
    return zip(*(block.fits[name].tolist() for name in FIT_COLUMNS), strict=True)


def insert_sql(table: str, columns: tuple[str, ...]) -> str:
    """INSERT statement with one placeholder a column."""
    checked(table.removesuffix("_quant").removesuffix("_gpu"))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
