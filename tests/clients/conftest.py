"""A served API over the small published catalog, and a folder with the GraphQL clients from npm."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from db.session import upgrade_database
from tests.api.conftest import GPUS, MODELS, part_of
from tests.support.catalogs import CATALOG
from tests.support.runs import run_in_process
from tests.support.servers import ApiServer, api_server

from api.settings import ApiSettings  # isort: skip

HERE = Path(__file__).parent
#: Cache of the npm packages, one folder for each lock file.
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "fitgraph-clients"
INSTALL_TIMEOUT_S = 240
OLDEST_NODE = 20

Node = Callable[..., str]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """`fitgraph serve` over a published database."""
    folder = tmp_path_factory.mktemp("clients")
    settings = ApiSettings(state_dir=folder)
    upgrade_database(settings.resolved_database_url)
    assert run_in_process(settings, part_of(CATALOG, MODELS, GPUS)) is not None
    with api_server(folder, state_dir=str(folder)) as server:
        yield server


@pytest.fixture(scope="session")
def packages() -> Path:
    """A folder with the locked packages; skips the test where node or npm is missing, too old or fails."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < OLDEST_NODE:
        pytest.skip(f"node {version} is older than {OLDEST_NODE}")
    lock = HERE / "package-lock.json"
    folder = CACHE / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    if not (folder / "node_modules").is_dir():
        _install(folder)
    return folder


def _install(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, made)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
        try:
            done = subprocess.run(command, cwd=made, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm did not install the clients within {INSTALL_TIMEOUT_S} s")
        if done.returncode:
            pytest.skip(f"npm could not install the clients: {done.stderr.strip().splitlines()[-1:]}")
        folder.mkdir(exist_ok=True)
        shutil.move(Path(made) / "node_modules", folder / "node_modules")


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the copy of the scripts that ``node`` runs."""
    return tmp_path_factory.mktemp("node")


@pytest.fixture(scope="session")
def node(packages: Path, work: Path) -> Node:
    """A function that runs a command of the packages over a fresh copy of the scripts and returns its output."""
    shutil.copytree(HERE, work, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (work / "node_modules").symlink_to(packages / "node_modules")
    (work / "relay" / "__generated__").mkdir()
    for folder in ("relay", "codegen", "app"):
        shutil.copy(HERE.parents[1] / "schema.graphql", work / folder)

    def run(*command: str, folder: str = ".") -> str:
        bins = packages / "node_modules" / ".bin"
        tool = str(bins / command[0]) if (bins / command[0]).exists() else command[0]
        done = subprocess.run(
            [tool, *command[1:]], cwd=work / folder, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run
