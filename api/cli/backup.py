"""`fitgraph backup` and `fitgraph restore`."""

from __future__ import annotations

import sys
from pathlib import Path

from sqlalchemy.exc import DatabaseError

from api.cli.exit_codes import FAILED
from db.runs.backup import BackupError, back_up, restore
from db.settings import get_settings


def backup_command(path: Path, *, fits: bool) -> int:
    """Copy the database into ``path`` and say what the copy holds. Returns 1 when there is no sound copy."""
    try:
        copied = back_up(get_settings().resolved_database_url, path, fits=fits)
    except (BackupError, DatabaseError, OSError) as error:
        print(f"fitgraph: {error}", file=sys.stderr)
        return FAILED
    fits_text = f"{copied.fit_rows:,} rows of fits" if fits else "no fits, which a recompute makes again"
    print(f"{path}: {copied.catalog_rows:,} rows of catalog and runs, {fits_text}; each row equals its source")
    return 0


def restore_command(path: Path) -> int:
    """Fill the empty database of the settings from ``path``. Returns 1 when nothing was restored."""
    try:
        copied = restore(path, get_settings().resolved_database_url)
    except (BackupError, DatabaseError, OSError) as error:
        print(f"fitgraph: {error}", file=sys.stderr)
        return FAILED
    served = "no generation yet" if copied.generation is None else f"generation {copied.generation}"
    print(f"restored {copied.catalog_rows:,} rows of catalog and runs and {copied.fit_rows:,} of fits; {served}")
    print("run `fitgraph recompute` to compute what changed since the backup")
    return 0
