"""Outcomes become files of the catalog: models, lines of derivatives, and the list of what was set aside."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from db.entries.check import check_catalog
from db.entries.derivatives import DIRECTORY as DERIVATIVES
from db.entries.files import DIRECTORIES, Catalog, CatalogError, Entry, Fault
from db.entries.rules_models import family_directory
from db.ingest.outcomes import Outcome

#: Sources that did not pass, with their reasons, one a line.
SET_ASIDE = "set-aside.jsonl"


def write_outcomes(root: Path, outcomes: Sequence[Outcome], catalog: Catalog, day: str) -> list[Path]:
    """Write models, derivatives and entries set aside below ``root``; returns the files written. A line of a repository
    replaces an older one."""
    models = {outcome.slug: outcome.entry for outcome in outcomes if outcome.kind == "model" and outcome.entry}
    written = [_write_model(root, entry) for entry in models.values()]
    lines: dict[Path, dict[str, dict[str, Any]]] = {}
    for outcome in outcomes:
        if outcome.kind == "derivative" and outcome.entry is not None:
            base = models.get(outcome.slug) or catalog.models[str(outcome.slug)]
            path = root / DERIVATIVES / f"{family_directory(str(base['family']))}.jsonl"
            lines.setdefault(path, {})[outcome.entry["repository"]] = outcome.entry
    for path, rows in lines.items():
        _merge(path, rows, "repository")
    aside = {
        _place(outcome): _row(outcome, day)
        for outcome in outcomes
        if outcome.kind == "set-aside" and not outcome.snapshot.is_unreached
    }
    written += lines
    if aside or (root / SET_ASIDE).exists():
        _merge(
            root / SET_ASIDE, aside, "source", {_place(outcome) for outcome in outcomes if outcome.kind != "set-aside"}
        )
        written.append(root / SET_ASIDE)
    return written


def write_checked(root: Path, outcomes: Sequence[Outcome], catalog: Catalog, day: str) -> list[Outcome]:
    """As :func:`write_outcomes` into a whole catalog, which stays without faults: what brings one is set aside with it.

    Returns the outcomes as they were written.

    Raises:
        CatalogError: the faults come from nothing that was written; every file is as before.
    """
    outcomes = list(outcomes)
    while True:
        kept = {path: path.read_bytes() for path in root.rglob("*.json*")}
        written = write_outcomes(root, outcomes, catalog, day)
        faults = check_catalog(root)
        if not faults:
            return outcomes
        for path in written:
            path.write_bytes(kept[path]) if path in kept else path.unlink()
        faulty = {fault.entry: fault for fault in reversed(faults)}
        settled = [_set_aside(outcome, faulty) for outcome in outcomes]
        if settled == outcomes:
            raise CatalogError(faults)
        outcomes = settled


def _set_aside(outcome: Outcome, faulty: Mapping[str, Fault]) -> Outcome:
    fault = faulty.get(str(outcome.slug)) if outcome.kind in ("model", "derivative") else None
    return outcome if fault is None else replace(outcome, kind="set-aside", entry=None, reason=str(fault))


def _write_model(root: Path, entry: Entry) -> Path:
    path = root / DIRECTORIES["model"] / family_directory(entry["family"]) / f"{entry['slug']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entry, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _place(outcome: Outcome) -> str:
    return outcome.snapshot.repository or outcome.snapshot.source


def _row(outcome: Outcome, day: str) -> dict[str, Any]:
    return {"source": _place(outcome), "revision": outcome.snapshot.revision, "day": day, "reason": outcome.reason}


def _merge(path: Path, rows: dict[str, dict[str, Any]], key: str, without: Set[str] = frozenset()) -> None:
    """Add rows to a file of JSON lines in the order of ``key``; a row of the same key is replaced."""
    known = {row[key]: row for row in read_lines(path)} | rows
    kept = [known[name] for name in sorted(known, key=str.casefold) if name not in without]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept), encoding="utf-8")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines; none where there is no file."""
    return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
