"""Migrations run on both databases, both ways, and leave exactly the tables that the classes describe."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect

import db
from db.fits.layout import create_storage
from db.session import database_size_bytes, make_engine, upgrade_database, writing
from db.tables import metadata

FOLDER = Path(str(db.__file__)).parent / "migrations"


@pytest.fixture
def engine(empty_database_url: str) -> Iterator[Engine]:
    made = make_engine(empty_database_url)
    yield made
    made.dispose()


def migrate(engine: Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        (command.downgrade if revision == "base" else command.upgrade)(config, revision)


def tables_of(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names()) - {"alembic_version"}


def test_up_down_and_up_again(engine: Engine) -> None:
    migrate(engine, "head")
    assert tables_of(engine) == set(metadata.tables)
    migrate(engine, "base")
    assert tables_of(engine) == set()
    migrate(engine, "head")
    assert tables_of(engine) == set(metadata.tables)


def test_tables_are_what_the_classes_say(engine: Engine) -> None:
    migrate(engine, "head")
    with writing(engine) as connection:
        create_storage(connection, "fit_1")
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_object": lambda _o, name, *_: not str(name).startswith("fit_")}
        )
        assert compare_metadata(context, metadata) == []
        assert database_size_bytes(connection) > 0


def test_many_processes_may_upgrade_at_once(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upgrade_database, [empty_database_url] * 4))
    made = make_engine(empty_database_url)
    assert tables_of(made) == set(metadata.tables)
    made.dispose()


def test_many_may_open_a_new_sqlite_file_at_once(tmp_path: Path) -> None:
    def open_it(url: str) -> str:
        engine = make_engine(url)
        with engine.connect() as connection:
            mode = str(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one())
        engine.dispose()
        return mode

    with ThreadPoolExecutor(8) as pool:
        for number in range(40):
            assert set(pool.map(open_it, [f"sqlite:///{tmp_path / str(number)}.db"] * 8)) == {"wal"}
