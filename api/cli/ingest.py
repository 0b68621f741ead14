"""`fitgraph catalog import`, `diff`, `stale` and `watch`: how an operator keeps the catalog current."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from api.cli.exit_codes import FAILED, NO_ANSWER
from db.entries.files import CATALOG_ROOT, CatalogError, load_catalog
from db.ingest.batch import import_sources
from db.ingest.outcomes import Outcome
from db.ingest.review.differences import Change, differences
from db.ingest.snapshots import SourceError
from db.ingest.sources import sources_of
from db.ingest.writing import write_checked, write_outcomes
from db.settings import get_settings


def today() -> str:
    """The day by UTC, as catalog files write it."""
    return datetime.now(UTC).date().isoformat()


def import_command(names: Sequence[str], into: Path | None, *, dry_run: bool, as_json: bool) -> int:
    """Import sources into a folder of catalog files, the bundled one by default.

    A source that would bring a fault into the bundled catalog is set aside. Returns 0; 1 when nothing can be written; 3 when every
    source was set aside or none can be read.
    """
    root, day = CATALOG_ROOT if into is None else into, today()
    try:
        outcomes = import_sources(sources_of(names), load_catalog(), day)
    except (CatalogError, OSError) as error:
        print(f"fitgraph: {error}", file=sys.stderr)
        return NO_ANSWER
    if not dry_run:
        try:
            if root == CATALOG_ROOT:
                outcomes = write_checked(root, outcomes, load_catalog(), day)
            else:
                write_outcomes(root, outcomes, load_catalog(), day)
        except (CatalogError, OSError) as error:
            print(f"fitgraph: {error}", file=sys.stderr)
            return FAILED
    print_outcomes(outcomes, as_json=as_json)
    return 0 if any(outcome.kind != "set-aside" for outcome in outcomes) else NO_ANSWER


def print_outcomes(outcomes: Iterable[Outcome], *, as_json: bool) -> None:
    """One line an outcome, and the counts of each kind."""
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        counts[outcome.kind] += 1
        print_line(outcome_json(outcome) if as_json else _shown(outcome))
    if not as_json:
        print(", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "no source")


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "source": outcome.snapshot.source,
        "repository": outcome.snapshot.repository,
        "revision": outcome.snapshot.revision,
        "outcome": outcome.kind,
        "slug": outcome.slug,
        "reason": outcome.reason,
        "changes": [change.as_json() for change in outcome.changes],
    }


def print_line(line: str | dict[str, Any]) -> None:
    """Print a text, or an object as one line of JSON."""
    print(line if isinstance(line, str) else orjson.dumps(line).decode())


def _shown(outcome: Outcome) -> str:
    place = "".join(c if c.isprintable() else "?" for c in outcome.snapshot.repository or outcome.snapshot.source)
    reason = outcome.reason or "; ".join(map(change_shown, outcome.changes)) or outcome.slug or ""
    return f"{outcome.kind:10} {place:50} {_shortened(reason)}"


def change_shown(change: Change) -> str:
    """A change in words, with both values."""
    if change.field is None:
        return f"{change.kind} {change.slug} {change.sort}"
    return f"{change.kind} {change.slug} {change.field}: {_value(change.before)} -> {_value(change.after)}"


def _value(value: Any) -> str:
    return _shortened(orjson.dumps(value).decode(), 80)


def _shortened(text: str, most: int = 240) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def cross_check_command(*, as_json: bool) -> int:
    """Compare the bundled catalog with independent lists. Returns 1 when a difference is unexplained, else 0."""
    from db.ingest.review.crosscheck import cross_check

    verdict = cross_check(load_catalog())
    if as_json:
        print_line(
            {
                "compared": verdict.compared,
                "explained": len(verdict.explained),
                "unexplained": [asdict(difference) for difference in verdict.unexplained],
                "idle_explanations": verdict.idle,
            }
        )
    else:
        for difference in verdict.unexplained:
            print(difference)
        for line in verdict.idle:
            print(f"explained.jsonl: {line['slug']}: {line['field']}: it explains nothing; remove the line")
        compared = ", ".join(f"{count} rows of {name}" for name, count in verdict.compared.items())
        print(f"{compared}; {len(verdict.explained)} differences explained, {len(verdict.unexplained)} not")
    return FAILED if verdict.unexplained or verdict.idle else 0


def diff_command(before: str, after: str, *, as_json: bool) -> int:
    """Print what differs between two states of the catalog. Returns 0, or 3 when one cannot be read."""
    from db.ingest.review.states import state_named

    url = get_settings().resolved_database_url
    try:
        changes = list(differences(state_named(before, url), state_named(after, url)))
    except (SourceError, CatalogError) as error:
        print(f"fitgraph: {error}", file=sys.stderr)
        return NO_ANSWER
    for change in changes:
        print_line(change.as_json() if as_json else change_shown(change))
    if not as_json:
        counts = Counter(change.sort for change in changes)
        print(", ".join(f"{counts[sort]} {sort}" for sort in ("added", "removed", "changed")))
    return 0


def stale_command(least: int, *, as_json: bool) -> int:
    """Print facts that need a look, and names that were asked for and not found. Returns 0."""
    from db.ingest.review.missed import missed_names
    from db.ingest.review.stale import stale_facts
    from db.session import sync_engine

    facts = list(stale_facts(load_catalog()))
    with sync_engine(get_settings().resolved_database_url).connect() as connection:
        names = missed_names(connection, least)
    if as_json:
        for row in [*map(asdict, facts), *map(asdict, names)]:
            print_line(row)
        return 0
    counts = Counter((fact.kind, fact.state, fact.field.split(":")[0].split(" (")[0]) for fact in facts)
    print(f"{'kind':10} {'state':12} {'field':28} count  (--json names the entries)")
    for (kind, state, field), count in sorted(counts.items()):
        print(f"{kind:10} {state:12} {field:28} {count:5}")
    for name in names:
        print(f"{name.kind:10} asked for     {name.name:28} {name.count:5}  {name.first_day} to {name.last_day}")
    return 0


def watch_command(*, dry_run: bool, recompute: bool, as_json: bool) -> int:
    """Import what is new at listed publishers and in the chart, print what changed, and recompute exactly that.

    Returns 0; 1 when nothing can be written or the run failed; 3 when the hub cannot be read.
    """
    from api.cli.operate import recompute_command
    from db.ingest.hub import Hub
    from db.ingest.watch import watch_list, watch_once

    try:
        watched = watch_list(CATALOG_ROOT)
        report = watch_once(load_catalog(), CATALOG_ROOT, watched, Hub(), today(), write=not dry_run)
    except SourceError as error:
        print(f"fitgraph: {error}", file=sys.stderr)
        return NO_ANSWER
    except (CatalogError, OSError) as error:
        print(f"fitgraph: {error}", file=sys.stderr)
        return FAILED
    print_outcomes(report.outcomes, as_json=as_json)
    for change in report.changes:
        print_line(change.as_json() if as_json else change_shown(change))
    if dry_run or not recompute or not report.changes:
        return 0
    return recompute_command(dry_run=False, everything=False, wait=True)
