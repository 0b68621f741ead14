"""Bulk writes of fits, inside the caller's transaction.

PostgreSQL takes a binary COPY whose bytes NumPy lays out; SQLite takes prepared statements fed from whole columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection

from db.fits.layout import FIT_COLUMNS, GPU_COLUMNS, QUANT_COLUMNS, SMALL_COLUMNS, checked
from db.fits.packing import REST, PackedBlock
from db.session import driver_connection

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + b"\0" * 8
_TRAILER = b"\xff\xff"


def _width(column: str) -> int:
    return REST.itemsize if column == "rest" else 2 if column in SMALL_COLUMNS else 4


def _copy_dtype() -> np.dtype[Any]:
    fields: list[tuple[str, str]] = [("count", ">i2")]
    for column in FIT_COLUMNS:
        kind = f"V{REST.itemsize}" if column == "rest" else f">i{_width(column)}"
        fields += [(f"{column}_bytes", ">i4"), (column, kind)]
    return np.dtype(fields)


#: One row as COPY sends it: a count of fields, then length and big-endian value of each.
COPY_DTYPE = _copy_dtype()


def copy_bytes(block: PackedBlock) -> memoryview:
    """The body of a binary COPY with all fit rows, without header and trailer."""
    rows = np.zeros(len(block.fits), dtype=COPY_DTYPE)
    rows["count"] = len(FIT_COLUMNS)
    for column in FIT_COLUMNS:
        rows[f"{column}_bytes"] = _width(column)
        rows[column] = block.fits[column]
    return memoryview(rows.view(np.uint8).data)


def write_block(connection: Connection, table: str, block: PackedBlock) -> None:
    """Store the rows of ``block`` in storage ``table``."""
    write = _write_sqlite if connection.dialect.name == "sqlite" else _write_postgres
    write(driver_connection(connection).cursor(), checked(table), block)


def _write_sqlite(cursor: Any, name: str, block: PackedBlock) -> None:
    rows = zip(*(block.fits[column].tolist() for column in FIT_COLUMNS), strict=True)
    cursor.executemany(insert_sql(name, FIT_COLUMNS), rows)
    cursor.executemany(insert_sql(f"{name}_quant", QUANT_COLUMNS), block.quants)
    cursor.executemany(insert_sql(f"{name}_gpu", GPU_COLUMNS, "INSERT OR IGNORE"), block.gpus)


def insert_sql(table: str, columns: Sequence[str], verb: str = "INSERT") -> str:
    """INSERT statement with one placeholder a column."""
    return f"{verb} INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


def _write_postgres(cursor: Any, name: str, block: PackedBlock) -> None:
    with cursor.copy(f"COPY {name} ({', '.join(FIT_COLUMNS)}) FROM STDIN (FORMAT binary)") as copy:
        copy.write(_SIGNATURE)
        copy.write(copy_bytes(block))
        copy.write(_TRAILER)
    with cursor.copy(f"COPY {name}_quant ({', '.join(QUANT_COLUMNS)}) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["int4", "int4", "int4", "int4", "int8", "int8", "bytea", "bytea"])
        for row in block.quants:
            copy.write_row(row)
    _write_gpus(cursor, name, block.gpus)


def _write_gpus(cursor: Any, name: str, gpus: list[tuple[Any, ...]]) -> None:
    """Insert what no block of the run has written yet; blocks of one run agree on these rows."""
    if not gpus:
        return
    columns = ", ".join(GPU_COLUMNS)
    arrays = [[row[index] for row in gpus] for index in range(len(GPU_COLUMNS))]
    # In key order, so that two blocks that write at once wait for each other instead of locking up.
    cursor.execute(
        f"INSERT INTO {name}_gpu ({columns}) SELECT * FROM unnest(%s::int[], %s::int[], %s::int[], %s::bigint[], "
        f"%s::bigint[]) AS new({columns}) WHERE NOT EXISTS (SELECT 1 FROM {name}_gpu old WHERE old.gpu_id = new.gpu_id "
        "AND old.engine = new.engine AND old.born = new.born) ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING",
        arrays,
    )
