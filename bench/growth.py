"""Growth of plan, run, update, pages and disk with the catalog: `python -m bench.growth [FACTOR ...] [--database NAME]`.

The bench multiplies the bundled catalog (every model again under new slugs) and computes it against a few accelerators on
SQLite and on PostgreSQL, each factor in a process of its own. It prints the seconds of a plan, of the first run and of the
update of one model, the slowest first page against the smallest catalog, bytes per cell, and the peak memory of the process.
Beside the measured seconds of the update stands what the line through the smallest and the largest catalog says, which
`docs/explanation/capacity.md` goes on with. It exits with 1 when a first page or the update takes over twice as long with the
largest catalog as with the smallest, a cell takes over 5 % more bytes, or two worker hosts do less than 1.7 times the cells a
second of one. The fastest of several tries counts, in processor time of this process and of the database server: the machine
may have other work.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import itertools
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import orjson
from sqlalchemy import Connection

from bench.support.catalogs import multiplied, rebuilt
from bench.support.hosts import two_hosts
from bench.support.processor import Stopwatch
from bench.support.reads import reads
from db.entries.files import Catalog, load_catalog
from db.fits.generations import Generation
from db.reading import reader_of
from db.runs.catalog_state import catalog_state
from db.session import async_engine, database_size_bytes, sync_engine, upgrade_database
from db.settings import Settings
from tests.support.postgres import EmbeddedPostgres
from tests.support.runs import run_in_process
from workers.plan import plan_run

FACTORS = (1, 3, 10)
DATABASES = ("sqlite", "postgres")
#: Accelerators per run, so that the bench takes minutes. With few of them the rows of models and quants weigh more in a
#: cell; `bench.storage` measures the bytes of a cell with all.
GPUS = 10
UPDATES, CALLS = 5, 9
#: The largest catalog against the smallest. Shorter pages are not told apart.
BAR_RATIO, BAR_BYTES_RATIO, SHORTEST_MS = 2.0, 1.05, 1.0
#: The catalog that capacity.md goes on to.
FAR_MODELS = 100_000


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    """Measures of one catalog; ``pages_ms`` by the name of the read."""

    models: int
    cells: int
    plan_s: float
    run_s: float
    update_s: float
    bytes_per_cell: float
    peak_mib: float
    pages_ms: dict[str, float]


def measure(database: str, factor: int) -> Point:
    """One catalog on an empty database, in this process."""
    catalog = multiplied(load_catalog(), factor, GPUS)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fggrowth-"))
        server = stack.enter_context(EmbeddedPostgres(durable=True)) if database == "postgres" else None
        settings = Settings(state_dir=Path(folder), database_url="" if server is None else server.url())
        url = settings.resolved_database_url
        upgrade_database(url)
        run = run_in_process(settings, catalog)
        with sync_engine(url).connect() as connection:
            generation = catalog_state(connection).generation
            if run is None or generation is None or not run.seconds:
                raise RuntimeError("the run published nothing")
            size = database_size_bytes(connection)
            plan_s = min(_plan_s(connection, catalog, settings) for _ in range(UPDATES))
        pages_ms = asyncio.run(_pages_ms(url, generation))
        update_s = _update_s(settings, catalog)
        sync_engine(url).dispose()
    return Point(
        generation.models,
        generation.cells,
        plan_s,
        run.seconds,
        update_s,
        size / generation.cells,
        _peak_mib(),
        pages_ms,
    )


def _plan_s(connection: Connection, catalog: Catalog, settings: Settings) -> float:
    """Seconds of a plan that finds nothing changed."""
    watch = Stopwatch(settings.resolved_database_url)
    if not plan_run(catalog, connection, settings).is_empty:
        raise RuntimeError("the run left something out")
    return watch.seconds()


async def _pages_ms(url: str, generation: Generation) -> dict[str, float]:
    """Shortest time of each read."""
    engine = async_engine(url)
    reader, shortest, watch = reader_of(engine), {}, Stopwatch(url)
    for label, read in reads(reader, generation).items():
        times = []
        for number in range(CALLS):
            watch.start()
            await read(number)
            times.append(watch.seconds() * 1e3)
        shortest[label] = min(times)
    await reader.close()
    await engine.dispose()
    return shortest


def _update_s(settings: Settings, catalog: Catalog) -> float:
    """Shortest time from a changed model to its publication, by one process."""
    models = (slug for slug, entry in catalog.models.items() if (entry["context_length"] or 0) > UPDATES)
    times, watch = [], Stopwatch(settings.resolved_database_url)
    for slug in itertools.islice(models, UPDATES):
        entry = {**catalog.models[slug], "context_length": catalog.models[slug]["context_length"] - 1}
        catalog = rebuilt(dataclasses.replace(catalog, models={**catalog.models, slug: entry}))
        watch.start()
        run = run_in_process(settings, catalog)
        times.append(watch.seconds())
        if run is None or run.blocks_total != 1:
            raise RuntimeError(f"the update of {slug} is not one block")
    return min(times)


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def grown_pages(first: Point, last: Point) -> list[tuple[float, str]]:
    """How many times as long each page takes, the one that grew most first."""
    ratios = [
        (ms / max(first.pages_ms[label], SHORTEST_MS), f"{label}: {first.pages_ms[label]:.2f} to {ms:.2f} ms")
        for label, ms in last.pages_ms.items()
    ]
    return sorted(ratios, reverse=True)


def _show(database: str, factor: int, point: Point) -> None:
    print(
        f"{database:8} {factor:3} x: {point.models:6,} models, {point.cells:>12,} cells, plan {point.plan_s:6.3f} s, run "
        f"{point.run_s:6.1f} s ({point.cells / point.run_s:>9,.0f} cells/s), update {point.update_s:6.3f} s, "
        f"{point.bytes_per_cell:5.1f} bytes per cell, peak {point.peak_mib:5.0f} MiB",
        flush=True,
    )


def on_line(first: Point, last: Point, models: int, name: str) -> float:
    """A measure of a catalog of ``models`` by the line through two points."""
    start, end = getattr(first, name), getattr(last, name)
    return float(start + (end - start) * (models - first.models) / (last.models - first.models))


def _judge(database: str, points: list[Point]) -> bool:
    """Print the growth and the lines of capacity.md; whether the bars hold."""
    first, last = points[0], points[-1]
    pages = grown_pages(first, last)
    ratio = pages[0][0]
    update, size = last.update_s / first.update_s, last.bytes_per_cell / first.bytes_per_cell
    print(
        f"{database}: first page at most {ratio:.2f} times, update {update:.2f} times (bars {BAR_RATIO:g}), bytes "
        f"per cell {size:.3f} times (bar {BAR_BYTES_RATIO:g})"
    )
    for times, page in pages:
        print(f"  {times:5.2f} times, {page}{'' if times <= BAR_RATIO else ': MISSED'}")
    for name in ("plan_s", "run_s", "update_s"):
        between = [
            f"{getattr(point, name):.3f} for {on_line(first, last, point.models, name):.3f}" for point in points[1:-1]
        ]
        far = on_line(first, last, FAR_MODELS, name)
        print(f"  {name}: {', '.join(between) or 'nothing'} on the line; {FAR_MODELS:,} models: {far:,.2f}")
    return ratio <= BAR_RATIO and update <= BAR_RATIO and size <= BAR_BYTES_RATIO


def main() -> int:
    """Measure each factor in a process of its own. Returns 1 when a bar was missed or a process failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth")
    parser.add_argument("factors", nargs="*", type=int, default=FACTORS, help="times the models (default: 1 3 10)")
    parser.add_argument("--database", choices=DATABASES, action="append", help="default: both")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    databases = arguments.database or DATABASES
    if arguments.child:
        print(orjson.dumps(dataclasses.asdict(measure(databases[0], arguments.factors[0]))).decode())
        return 0
    held = two_hosts()
    for database in databases:
        points = []
        for factor in arguments.factors:
            command = [sys.executable, "-m", "bench.growth", str(factor), "--database", database, "--child"]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            points.append(Point(**orjson.loads(done.stdout.splitlines()[-1])))
            _show(database, factor, points[-1])
        held &= len(points) < 2 or _judge(database, points)
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
