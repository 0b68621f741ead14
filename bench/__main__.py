"""Every benchmark, one after the other: `python -m bench`. Each prints its ratio."""

from __future__ import annotations

import subprocess
import sys

#: Modules with a command line of their own, in order.
BENCHMARKS: tuple[tuple[str, ...], ...] = (
    ("bench.compute",),
    ("bench.whatif",),
    ("bench.resultpage",),
    ("bench.storage", "sqlite"),
    ("bench.storage", "postgres"),
    ("bench.latency",),
    ("bench.memory",),
    ("bench.api",),
    ("bench.load",),
    ("bench.fuzz",),
)


def main() -> int:
    """Run all; returns 1 when one of them failed."""
    failed = 0
    for module, *arguments in BENCHMARKS:
        print(f"== {module} {' '.join(arguments)}".rstrip(), flush=True)
        failed += subprocess.run([sys.executable, "-m", module, *arguments], check=False).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
