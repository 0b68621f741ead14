"""States of the catalog that can be compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.entries.files import CATALOG_ROOT, Catalog
from db.entries.store import apply_staged, entity_values, stage_entries
from db.ingest.review.differences import differences
from db.ingest.review.states import state_named
from db.ingest.snapshots import SourceError
from db.session import sync_engine, writing


def test_what_is_published_is_compared_with_the_files(database_url: str, small_catalog: Catalog) -> None:
    entry = small_catalog.gpus["rtx-4090"] | {"tdp_w": 1.0}
    with writing(sync_engine(database_url)) as connection:
        stage_entries(connection, 1, "gpu", {"rtx-4090": entity_values("gpu", entry)})
        apply_staged(connection, 1)
    changes = list(differences(state_named("published", database_url), state_named("bundled", "")))
    (changed,) = [change for change in changes if change.sort == "changed"]
    assert (changed.slug, changed.field, changed.before, changed.after) == ("rtx-4090", "tdp_w", 1.0, 450)
    assert all(change.sort == "added" for change in changes if change is not changed)


def test_a_folder_is_a_state() -> None:
    assert list(differences(state_named(str(CATALOG_ROOT), ""), state_named("bundled", ""))) == []


@pytest.mark.parametrize("name", ["no/such/folder", "git:--output=x", "git:nosuchrevision"])
def test_what_is_no_state_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no folder|revision|git"):
        state_named(name, "")


def test_a_database_without_tables_has_published_nothing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nothing is published yet"):
        state_named("published", f"sqlite:///{tmp_path / 'empty.db'}")
