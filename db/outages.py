"""Which errors are the database's own trouble, so that the same statement may succeed later."""

from __future__ import annotations

import errno
import sqlite3

import psycopg
from sqlalchemy import exc

#: SQLSTATE classes: connection, rollback by deadlock, resources (a full disk), the server's shutdown, the system's I/O.
_STATES = ("08", "40", "53", "57P", "58")
_SQLITE_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOMEM,
    }
)
_SYSTEM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM})


def is_outage(error: BaseException) -> bool:
    """Whether ``error`` says that the database is away, locked or out of space, and nothing about the work itself."""
    if isinstance(error, exc.TimeoutError):
        return True
    if isinstance(error, exc.DBAPIError):
        return error.connection_invalidated or (error.orig is not None and is_outage(error.orig))
    if isinstance(error, psycopg.Error):
        if error.sqlstate is None:
            # No state: the connection failed before the server could give one.
            return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return error.sqlstate.startswith(_STATES)
    if isinstance(error, sqlite3.Error):
        # Extended codes keep the primary one in their lower byte.
        return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in _SQLITE_CODES
    return isinstance(error, OSError) and error.errno in _SYSTEM
