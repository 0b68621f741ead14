"""Run every benchmark in sequence: `python -m bench`."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS: tuple[tuple[str, ...], ...] = (
    ("bench.compute",),
    ("bench.whatif",),
    ("bench.resultpage",),
    ("bench.support.firstbyte",),
    ("bench.storage", "sqlite"),
    ("bench.storage", "postgres"),
    ("bench.latency",),
    ("bench.memory",),
    ("bench.growth",),
    ("bench.api",),
    ("bench.load",),
    ("bench.upgrade",),
    ("bench.cost",),
    ("bench.fuzz",),
    ("bench.files",),
    ("bench.files.choices",),
)


def main() -> int:
    """Returns 1 when a benchmark failed."""
    failed = 0
    for module, *arguments in BENCHMARKS:
        print(f"== {module} {' '.join(arguments)}".rstrip(), flush=True)
        failed += subprocess.run([sys.executable, "-m", module, *arguments], check=False).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
