"""The lease of a publication, kept alive while an index is built."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError

from db.runs.leases import hold_publication
from db.session import sync_engine, writing
from db.settings import Settings


@contextlib.contextmanager
def held_publication(settings: Settings, run_id: int, token: str) -> Iterator[None]:
    """Keep the publisher's lease alive while an index is built, however long that takes."""
    finished = threading.Event()

    def beat() -> None:
        while not finished.wait(settings.lease_s / 3):
            with (
                contextlib.suppress(SQLAlchemyError),
                writing(sync_engine(settings.resolved_database_url)) as connection,
            ):
                hold_publication(connection, run_id, token, settings.lease_s)

    thread = threading.Thread(target=beat, name="publication-lease")
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
