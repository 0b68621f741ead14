"""Differences of two states of the catalog."""

from __future__ import annotations

from db.entries.files import CATALOG_ROOT
from db.ingest.review.differences import Change, differences, state_of_folder


def test_added_removed_and_changed_fields_have_both_values() -> None:
    before = {"gpu": {"a": {"tdp_w": 300, "memory": {"gb": 24}}, "b": {"tdp_w": 1}}}
    after = {"gpu": {"a": {"tdp_w": 350, "memory": {"gb": 24, "type": "HBM"}}, "c": {"tdp_w": 2}}}
    changes = list(differences(before, after))
    assert changes == [
        Change("gpu", "a", "memory.type", None, "HBM"),
        Change("gpu", "a", "tdp_w", 300, 350),
        Change("gpu", "b", None, {"tdp_w": 1}, None),
        Change("gpu", "c", None, None, {"tdp_w": 2}),
    ]
    assert [change.sort for change in changes] == ["changed", "changed", "removed", "added"]


def test_the_bundled_catalog_does_not_differ_from_itself() -> None:
    state = state_of_folder(CATALOG_ROOT)
    assert len(state["derivative"]) > 1000
    assert list(differences(state, state)) == []
