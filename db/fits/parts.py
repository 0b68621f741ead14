"""Parts of a live storage on PostgreSQL: an update is published as a small table that inherits from the large one.

Inserting the rows of one model into a storage with all its indexes takes hundreds of milliseconds; a part of its own
takes a few. Readers name the storage and see its parts. A part is folded into the storage later, when nobody waits.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from db.fits.layout import FIT_COLUMNS, checked, index_statements
from db.session import build_in_one_process

#: A part of more rows gets every index; a smaller one only those by model and by gpu: it is sorted as fast.
SMALL_ROWS = 20_000
_SMALL_INDEXES = 2
#: Key of the advisory lock of whoever folds parts.
_FOLD_LOCK = 7_316_005


def has_parts(connection: Connection) -> bool:
    """Whether the database of ``connection`` keeps updates as parts."""
    return connection.dialect.name == "postgresql"


def attach(connection: Connection, live: str, part: str) -> None:
    """Let ``live`` show the rows of storage ``part``; nothing happens when it does already.

    Commit before the generation that reads these rows is published: other sessions learn of the new part only after
    the commit, and could read the generation without it.
    """
    if part in parts_of(connection, live):
        return
    rows = connection.execute(text(f"SELECT count(*) FROM {checked(part)}")).scalar_one()
    build_in_one_process(connection)
    for statement in index_statements(part, "postgresql")[: _SMALL_INDEXES if rows <= SMALL_ROWS else None]:
        connection.execute(text(statement))
    connection.execute(text(f"ALTER TABLE {part} INHERIT {checked(live)}"))


def parts_of(connection: Connection, live: str) -> list[str]:
    """Names of the parts of storage ``live``, oldest first."""
    rows = connection.execute(
        text(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = to_regclass(:live) ORDER BY length(c.relname), c.relname"
        ),
        {"live": checked(live)},
    )
    return [checked(row[0]) for row in rows]


def keep_parts(connection: Connection) -> None:
    """Let no session fold a part before ``connection`` is closed, which may outlast its transaction."""
    connection.execute(text(f"SELECT pg_advisory_lock_shared({_FOLD_LOCK})"))


def fold(connection: Connection, live: str, part: str) -> bool:
    """Move the rows of ``part`` into ``live`` itself. False: it is no part of it any more, or another session folds.

    Readers are served all through, by the part before the commit and by the storage after it. Writers to the part wait.
    """
    locked = connection.execute(text(f"SELECT pg_try_advisory_xact_lock({_FOLD_LOCK})")).scalar_one()
    if not locked or part not in parts_of(connection, live):
        return False
    names = ", ".join(FIT_COLUMNS)
    connection.execute(text(f"LOCK TABLE {checked(part)} IN SHARE ROW EXCLUSIVE MODE"))
    connection.execute(text(f"INSERT INTO {checked(live)} ({names}) SELECT {names} FROM {part}"))
    connection.execute(text(f"DROP TABLE {part}"))
    return True
