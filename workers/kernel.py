"""The fingerprint of the code that computes fits: a change of any formula recomputes everything, other changes nothing."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

import estimator
from db.fits.generations import LAYOUT
from db.runs import publication
from estimator.calibration.coefficients import Calibration

#: The module whose import closure is the kernel.
GRID = f"{estimator.__name__}.grid"


def kernel_files() -> list[Path]:
    """Source files of every module that the grid imports, itself included; function-level imports count."""
    pending, modules = [GRID], dict[str, Path]()
    while pending:
        name = pending.pop()
        path = _source(name)
        if name in modules or path is None:
            continue
        modules[name] = path
        pending.append(name.rpartition(".")[0])
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                pending += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                pending += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return sorted(modules.values())


@cache
def kernel_version() -> str:
    """Hash of the kernel's files and their places."""
    root = _root()
    digest = hashlib.blake2b(digest_size=16)
    for path in kernel_files():
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@cache
def fits_version() -> str:
    """Fingerprint of how this release computes and stores fits: kernel, fitted constants and layout.

    Fits of another one are computed anew.
    """
    return _hash(f"{kernel_version()}\n{Calibration.load().version}\n{LAYOUT}".encode())


@cache
def release_version() -> str:
    """Fingerprint of how this release makes a run: its fits, and the code that plans and publishes it.

    The blocks of a run are computed, and the run is published, by workers of the release that planned it alone.
    """
    plan = Path(__file__).with_name("plan.py").read_bytes()
    return _hash(b"\n".join((fits_version().encode(), plan, Path(str(publication.__file__)).read_bytes())))


def _hash(parts: bytes) -> str:
    return hashlib.blake2b(parts, digest_size=16).hexdigest()


def _source(name: str) -> Path | None:
    """The file of a module of the estimator; None for other packages' modules and for names inside a module."""
    own = estimator.__name__
    if name != own and not name.startswith(f"{own}."):
        return None
    place = _root().joinpath("estimator", *name.removeprefix(own).split(".")[1:])
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def _root() -> Path:
    return Path(str(estimator.__file__)).parents[1]
