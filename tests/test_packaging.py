"""The rooms of a checkout are imported from it; a wheel puts them below one name and works anywhere."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ["api", "workers", "db", "estimator"]


@pytest.mark.parametrize("room", ROOMS)
def test_room_is_imported_from_this_checkout(room: str) -> None:
    module = importlib.import_module(room)
    assert module.__file__ == str(ROOT / room / "__init__.py")
    assert module.__doc__


def test_every_package_that_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    stated = chain(project["dependencies"], *project["optional-dependencies"].values())
    declared = set()
    for requirement in stated:
        name, *extras = re.findall(r"[\w-]+", re.split(r"[<>=;]", requirement)[0])
        # The pool of psycopg is a package of its own.
        declared |= {name, *(f"{name}-{extra}" for extra in extras)}
    distributions, known = packages_distributions(), sys.stdlib_module_names | {*ROOMS, "fitgraph"}
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in {name.partition(".")[0] for name in names} - known:
                packages = {package.lower().replace("_", "-") for package in distributions.get(name, [name])}
                assert packages & declared, f"{path}: {name}"


@pytest.fixture(scope="module")
def below() -> object:
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.below


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("from db.entries import specs\n", "from fitgraph.db.entries import specs\n"),
        ("from api import cli\n", "from fitgraph.api import cli\n"),
        ("import estimator\nestimator.x\n", "from fitgraph import estimator\nestimator.x\n"),
        ("import workers.app as app\n", "import fitgraph.workers.app as app\n"),
        ("def f():\n    é = 1; from db import session\n", "def f():\n    é = 1; from fitgraph.db import session\n"),
        ("import dbus\nfrom apis import db\n", "import dbus\nfrom apis import db\n"),
        ('"from db import x"\n', '"from db import x"\n'),
    ],
)
def test_imports_of_ours_go_through_one_name(below: object, source: str, written: str) -> None:
    assert callable(below)
    assert below(source, "x.py") == written


@pytest.mark.parametrize("source", ["import db.session\n", "import sys, db\n"])
def test_an_import_that_cannot_be_moved_is_named(below: object, source: str) -> None:
    assert callable(below)
    with pytest.raises(ValueError, match=r"x\.py: line 1: write 'from x import y'"):
        below(source, "x.py")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an environment with the wheel, and with the packages of this one."""
    place = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = place.glob("*.whl")
    environment = place / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(environment / "bin" / "python"),
        "install",
        "--quiet",
        "--no-deps",
    ]
    subprocess.run([*pip, "--no-index", "--no-compile", "--disable-pip-version-check", str(wheel)], check=True)
    packages(environment).joinpath("test.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment


def packages(environment: Path) -> Path:
    (folder,) = environment.glob("lib/*/site-packages")
    return folder


def output(environment: Path, *words: str) -> str:
    """The output of a command of the environment, outside the checkout and without its settings."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("FITGRAPH_", "PYTHON"))}
    variables["FITGRAPH_STATE_DIR"] = str(environment / "state")
    command = [str(environment / "bin" / words[0]), *words[1:]]
    run = subprocess.run(command, cwd=environment, env=variables, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_a_wheel_has_one_name(installed: Path) -> None:
    names = {path.name for path in packages(installed).iterdir()} - {"test.pth"}
    assert sorted(name.split("-")[0] for name in names) == ["fitgraph", "fitgraph"]
    assert (packages(installed) / "fitgraph" / "db" / "catalog" / "gpus" / "nvidia" / "rtx-4090.json").is_file()


def test_a_wheel_recommends_outside_the_checkout(installed: Path) -> None:
    assert output(installed, "fitgraph", "--version").startswith("fitgraph 0.")
    printed = output(installed, "python", "-m", "fitgraph", "recommend", "--gpu", "RTX 4090", "-n", "1", "--json")
    assert '"gpu": "rtx-4090"' in printed


def test_a_wheel_has_the_documents_that_pages_show(installed: Path) -> None:
    program = "from fitgraph.api.pages.accuracy import REPORT; print(*REPORT.parent.iterdir(), sep='\\n')"
    shipped = [Path(line) for line in output(installed, "python", "-c", program).split()]
    assert {"validation.md", "validation-decode.png", "validation-prefill.png"} == {path.name for path in shipped}
    for path in shipped:
        assert path.read_bytes() == (ROOT / "docs" / path.name).read_bytes()


def test_a_wheel_finds_its_tasks_migrations_and_data(installed: Path) -> None:
    program = """
import sys
from fitgraph.workers.app import app
from fitgraph.workers.kernel import kernel_files
from fitgraph.workers.local.supervisor import APPLICATION
import fitgraph.api.graphql.schema, fitgraph.api.server.app, fitgraph.api.cli.app
app.loader.import_default_modules()
print(*sorted(name for name in app.tasks if name.startswith("fitgraph.")))
print(len(kernel_files()), APPLICATION)
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"api", "db", "estimator", "workers"}))
"""
    tasks, kernel, ours = output(installed, "python", "-c", program).split("\n")[:3]
    from workers.app import app
    from workers.kernel import kernel_files

    app.loader.import_default_modules()
    assert tasks.split() == sorted(name for name in app.tasks if name.startswith("fitgraph."))
    assert kernel == f"{len(kernel_files())} fitgraph.workers.app"
    assert ours == ""
    assert "newest shape" in output(installed, "fitgraph", "db", "upgrade")
