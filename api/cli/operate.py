"""Commands of operators: check the catalog, upgrade, recompute, look at runs."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from api.cli.exit_codes import FAILED, NO_ANSWER
from db.entries.check import check_catalog
from db.entries.files import Catalog, load_catalog
from db.runs.store import RunRow, RunState
from db.settings import Settings, get_settings

_GOOD_STATES = frozenset({RunState.PUBLISHED})


def check_command(root: Path | None) -> int:
    """Print every fault of the catalog files. Returns 0 when there is none, 1 for some, and 3 where there is no folder."""
    if root is not None and not root.is_dir():
        print(f"fitgraph: {str(root)!r} is no folder of catalog files", file=sys.stderr)
        return NO_ANSWER
    faults = check_catalog(root)
    for fault in faults:
        print(f"{fault.file}: {fault.entry}: {fault.field}: {fault.message}")
    if faults:
        print(f"{len(faults)} faults; the database keeps its last good revision", file=sys.stderr)
        return FAILED
    catalog = load_catalog(root)
    print(
        f"catalog {catalog.revision[:12]} is sound: {len(catalog.models)} models, {len(catalog.gpus)} accelerators, "
        f"{len(catalog.quants)} quants, {len(catalog.workloads)} workloads, {len(catalog.hosts)} hosts, "
        f"{len(catalog.computers)} computers, {len(catalog.prices)} price lists"
    )
    return 0


def find_command(text: str) -> int:
    """List entities whose slug, name or alias contains ``text``. Returns 3 when there is none."""
    catalog = load_catalog()
    wanted = text.casefold()
    count = 0
    for kind, entries in (("model", catalog.models), ("gpu", catalog.gpus), ("quant", catalog.quants)):
        for slug, entry in entries.items():
            names = (slug, str(entry["name"]), *(str(alias) for alias in entry.get("aliases") or ()))
            if any(wanted in name.casefold() for name in names):
                print(f"{kind:6} {slug:40} {entry['name']}")
                count += 1
    if not count:
        print(f"fitgraph: nothing in the catalog contains {text!r}", file=sys.stderr)
    return 0 if count else NO_ANSWER


def sound_catalog(settings: Settings) -> Catalog | None:
    """The bundled catalog when every file is sound and the precompute policy fits it, else None with the faults printed."""
    from workers.policy import PolicyError, covered_models

    if check_command(None):
        return None
    catalog = load_catalog()
    try:
        covered_models(catalog, settings)
    except PolicyError as error:
        print(error, file=sys.stderr)
        return None
    return catalog


def upgrade_command() -> int:
    """Create or upgrade the database. Returns 0."""
    from db.session import upgrade_database

    settings = get_settings()
    upgrade_database(settings.resolved_database_url)
    print("the database has the newest shape")
    return 0


def status_command() -> int:
    """Print counts and size of the database. Returns 0."""
    from sqlalchemy.engine import make_url

    from db.runs.catalog_state import catalog_state
    from db.session import database_size_bytes, sync_engine, upgrade_database

    settings = get_settings()
    upgrade_database(settings.resolved_database_url)
    with sync_engine(settings.resolved_database_url).connect() as connection:
        state = catalog_state(connection)
        size = database_size_bytes(connection)
    generation = state.generation
    print(f"database    {make_url(settings.resolved_database_url).render_as_string(hide_password=True)}")
    print(f"revision    {state.revision[:12] if state.revision else '-'}")
    print(f"catalog     {state.models} models, {state.gpus} accelerators, {state.quants} quants")
    if generation is None:
        print("generation  none published yet; run `fitgraph recompute`")
    else:
        print(
            f"generation  {generation.id}: {generation.cells:,} cells, published {generation.published_at:%Y-%m-%d %H:%M}"
        )
        print(f"size        {size:,} bytes, {size / max(generation.cells, 1):.1f} bytes per cell")
    return 0


def recompute_command(*, dry_run: bool, everything: bool, wait: bool) -> int:
    """Plan, enqueue and follow a run. Returns 0 when published or nothing changed, 1 when it failed."""
    from db.session import sync_engine, upgrade_database
    from workers import tracing
    from workers.local.supervisor import workers_at_hand
    from workers.plan import Scope, plan_run
    from workers.runs import start_own_run, start_run

    settings = get_settings()
    tracing.start_tracing(settings, "cli")
    catalog = sound_catalog(settings)
    if catalog is None:
        return FAILED
    upgrade_database(settings.resolved_database_url)
    with sync_engine(settings.resolved_database_url).connect() as connection:
        print(plan_run(catalog, connection, settings, Scope(everything)).describe())
    if dry_run:
        return 0
    if not wait:
        result = start_run(settings, catalog, cause="operator", everything=everything)
        state = (
            "nothing changed" if result.run is None else f"run {result.run.id} waits for workers; see `fitgraph runs`"
        )
        print(state)
        return 0
    with workers_at_hand(settings):
        result = start_own_run(settings, catalog, cause="operator", everything=everything)
        if result.run is None:
            return 0
        if result.already_running:
            print(f"run {result.run.id} is already under way")
        return follow_run(settings, result.run.id)


def follow_run(settings: Settings, run_id: int) -> int:
    """Show a progress bar (pairs done, pairs/s, time left) until a run ends. Returns 0 when it was published."""
    from workers.runs import wait_for_run

    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with progress:
        task = progress.add_task("pairs", total=None, rate="")

        def show(run: RunRow) -> None:
            rate = f"{run.cells_per_s:,.0f} pairs/s" if run.cells_per_s else ""
            progress.update(
                task, total=run.cells_total, completed=run.cells_done, description=run.state.value, rate=rate
            )

        run = wait_for_run(settings, run_id, show)
    seconds = "" if run.seconds is None else f" in {run.seconds:.1f} s"
    print(f"run {run.id} {run.state.value}: {run.cells_done:,} of {run.cells_total:,} pairs{seconds}")
    if run.error:
        print(run.error, file=sys.stderr)
    return 0 if run.state in _GOOD_STATES else FAILED


def cancel_command(run_id: int) -> int:
    """Stop a run, which publishes nothing. Returns 1 when it had ended already, or is unknown."""
    from db.session import upgrade_database
    from workers.runs import cancel_run

    settings = get_settings()
    upgrade_database(settings.resolved_database_url)
    if cancel_run(settings, run_id):
        print(f"run {run_id} is cancelled; what was published before stays served")
        return 0
    print(f"fitgraph: run {run_id} is not at work; see `fitgraph runs`", file=sys.stderr)
    return FAILED


def runs_command(first: int) -> int:
    """Print the newest runs. Returns 0."""
    from db.runs.store import page_runs_sync
    from db.session import sync_engine, upgrade_database

    settings = get_settings()
    upgrade_database(settings.resolved_database_url)
    with sync_engine(settings.resolved_database_url).connect() as connection:
        runs = page_runs_sync(connection, limit=first)
    # Narrow enough for 80 columns; whoever reads through a pipe gets whole causes.
    table = Table("Run", "State", box=None, pad_edge=False)
    table.add_column("Cause", overflow="ellipsis", no_wrap=True)
    for name in ("Generation", "Blocks", "Pairs", "Seconds", "Started"):
        table.add_column(name if name != "Generation" else "Gen", justify="right", no_wrap=True)
    for run in runs:
        blocks = f"{run.blocks_done}/{run.blocks_total}"
        table.add_row(
            str(run.id),
            run.state.value,
            run.cause,
            "-" if run.generation is None else str(run.generation),
            blocks if not run.blocks_failed else f"{blocks}, {run.blocks_failed} failed",
            f"{run.cells_done:,}",
            "-" if run.seconds is None else f"{run.seconds:.1f}",
            f"{run.started_at or run.created_at:%m-%d %H:%M:%S}",
        )
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)
    for run in runs:
        if run.error:
            print(f"run {run.id}: {run.error}")
    return 0
