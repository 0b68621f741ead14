"""Names that people asked for and that the catalog has not: counts by day, and nothing of who asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, inspect, select
from sqlalchemy.dialects import postgresql, sqlite

from db.entries.names.texts.spelling import MAX_NAME_CHARACTERS
from db.tables import MissedName, table_of

#: Rows kept; the rarest and oldest go first.
MAX_ROWS = 5000
_MAX_WORDS = 8
_TABLE = table_of(MissedName)


@dataclass(frozen=True, slots=True)
class Missed:
    """How often one name was asked for, and the first and last day of it (ISO)."""

    kind: str
    name: str
    count: int
    first_day: str
    last_day: str


def countable(text: str) -> str | None:
    """The form in which a name is counted; None for what is no name: an address, a sentence, a text too long."""
    name = " ".join(text.casefold().split())
    is_name = 2 <= len(name) <= MAX_NAME_CHARACTERS and len(name.split()) <= _MAX_WORDS and name.isprintable()
    return None if not is_name or "@" in name or "://" in name or name.count("/") > 1 else name


def add_missed(connection: Connection, counts: Mapping[tuple[str, str], int], day: str) -> None:
    """Add counts by kind and name, of ``day``."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    for (kind, name), count in sorted(counts.items()):
        row = {"kind": kind, "name": name, "count": count, "first_day": day, "last_day": day}
        insert = dialect.insert(_TABLE).values(**row)
        change = {"count": _TABLE.c.count + count, "last_day": day}
        connection.execute(insert.on_conflict_do_update(index_elements=["kind", "name"], set_=change))
    surplus = (connection.execute(select(func.count()).select_from(_TABLE)).scalar() or 0) - MAX_ROWS
    if surplus > 0:
        rarest = select(_TABLE.c.kind, _TABLE.c.name).order_by(_TABLE.c.count, _TABLE.c.last_day, _TABLE.c.name)
        for kind, name in connection.execute(rarest.limit(surplus)).all():
            connection.execute(delete(_TABLE).where(_TABLE.c.kind == kind, _TABLE.c.name == name))


def missed_names(connection: Connection, least: int = 1) -> list[Missed]:
    """Names that were asked for ``least`` times or more, the most wanted first; none in a database without the table."""
    if not inspect(connection).has_table(_TABLE.name):
        return []
    columns = (_TABLE.c.kind, _TABLE.c.name, _TABLE.c.count, _TABLE.c.first_day, _TABLE.c.last_day)
    query = (
        select(*columns).where(_TABLE.c.count >= least).order_by(_TABLE.c.count.desc(), _TABLE.c.kind, _TABLE.c.name)
    )
    return [Missed(*row) for row in connection.execute(query)]
