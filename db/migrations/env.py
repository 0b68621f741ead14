"""Alembic environment: runs on the connection that ``db.session.upgrade_database`` hands over, or on the settings'."""

from __future__ import annotations

import re
from typing import Any

from alembic import context
from sqlalchemy import Connection

from db.session import make_engine, writing
from db.settings import get_settings
from db.tables import metadata

_STORAGE = re.compile(r"fit_[0-9]+(_.*)?\Z")


def include_object(_object: Any, name: str | None, _kind: str, _reflected: bool, _compare_to: Any) -> bool:
    """Storages of fits are made by runs, not by migrations."""
    return not _STORAGE.match(name or "")


def run(connection: Connection) -> None:
    """Run the migrations on ``connection``."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        include_object=include_object,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


connection_given = context.config.attributes.get("connection")
if connection_given is not None:
    run(connection_given)
else:
    engine = make_engine(get_settings().resolved_database_url)
    with writing(engine) as own:
        run(own)
    engine.dispose()
