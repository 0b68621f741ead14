"""Growth of time, memory and disk of a full run with the catalog: `python -m bench.growth [FACTOR ...]`.

The bench multiplies the bundled catalog (every model again under new slugs) and computes it against a few accelerators on
SQLite, in one process for each factor. It prints seconds, cells per second, peak memory of the process and bytes per cell.
"""

from __future__ import annotations

import dataclasses
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from db.entries.files import DIRECTORIES, Catalog, load_catalog, revision_of
from db.entries.store import catalog_state_sync
from db.session import database_size_bytes, sync_engine, upgrade_database
from db.settings import Settings
from workers.runs import run_in_process

FACTORS = (1, 3, 10)
#: Accelerators per run: a tenth of the catalog, so that the bench takes minutes.
GPUS = 40


def multiplied(catalog: Catalog, factor: int, gpus: int | None = None) -> Catalog:
    """``catalog`` with every model ``factor`` times under slugs of their own, and ``gpus`` of its GPUs, evenly spread."""
    models = dict(catalog.models)
    for copy in range(2, factor + 1):
        for slug, entry in catalog.models.items():
            new = f"{slug}-{copy}"
            models[new] = {**entry, "slug": new, "name": f"{entry['name']} ({copy})", "aliases": []}
    step = 1 if gpus is None else max(1, len(catalog.gpus) // gpus)
    kept = dict(list(catalog.gpus.items())[::step][:gpus])
    return rebuilt(dataclasses.replace(catalog, models=dict(sorted(models.items())), gpus=kept))


def rebuilt(catalog: Catalog) -> Catalog:
    """``catalog`` with the revision of its content."""
    entries = {directory: getattr(catalog, directory) for directory in DIRECTORIES.values()}
    return Catalog(**entries, revision=revision_of(entries))


def measure(factor: int) -> None:
    catalog = multiplied(load_catalog(), factor, GPUS)
    idle_mib = _peak_mib()
    with tempfile.TemporaryDirectory(prefix="fitgraph-growth-") as folder:
        settings = Settings(state_dir=Path(folder))
        url = settings.resolved_database_url
        upgrade_database(url)
        run = run_in_process(settings, catalog)
        with sync_engine(url).connect() as connection:
            generation = catalog_state_sync(connection).generation
            size = database_size_bytes(connection)
        sync_engine(url).dispose()
    if run is None or generation is None or not run.seconds:
        raise RuntimeError("the run published nothing")
    print(
        f"{factor:4} x {generation.models // factor} models: {generation.cells:>12,} cells, {run.seconds:7.1f} s, "
        f"{generation.cells / run.seconds:>9,.0f} cells/s, {size / generation.cells:5.1f} bytes per cell, peak "
        f"{_peak_mib():6.0f} MiB ({idle_mib:.0f} with the catalog alone)",
        flush=True,
    )


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def main(arguments: list[str]) -> int:
    """Measure each factor in a process of its own. Returns 1 when a process failed."""
    if os.environ.get("FITGRAPH_GROWTH_FACTOR"):
        measure(int(os.environ["FITGRAPH_GROWTH_FACTOR"]))
        return 0
    failed = 0
    for factor in list(map(int, arguments)) or FACTORS:
        environment = {**os.environ, "FITGRAPH_GROWTH_FACTOR": str(factor), "FITGRAPH_DATABASE_URL": ""}
        failed += subprocess.run([sys.executable, "-m", "bench.growth"], env=environment, check=False).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
