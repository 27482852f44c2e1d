"""A server process on 127.0.0.1 with a folder and a port of its own.

    start, stop      `start` returns when the server accepts connections; `stop` is an orderly shutdown
    kill             like a power cut: nothing is flushed, and no connection is closed in order
    freeze, thaw     connections stay open and the kernel accepts new ones, but the server does not answer
    restart          from any of these states back to running, on the same port

The last three are for tests of the library with a server that is dead, silent, or back again.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, ClassVar, Self

from local.errors import LocalError, no_space
from local.servers.processes import HOST, alive, descendants, free_port
from local.servers.watchdog import end

__all__ = ["Server", "StartFailed"]

START_LIMIT = 60.0  # in seconds; recovery after a crash may take a while
STOP_GRACE = 10.0  # in seconds, for each signal
WATCHDOG = Path(__file__).with_name("watchdog.py")

BUSY = "Address already in use"  # a temporary reason: another process has taken the port
BUSY_LIMIT = 15.0


class StartFailed(LocalError):
    """The server ended, or did not answer in time. The message has the end of its log."""


class Server(ABC):
    name: ClassVar[str]
    stop_signals: ClassVar[Sequence[signal.Signals]]  # the gentlest first; SIGKILL follows by itself
    environment: ClassVar[Mapping[str, str]] = {}  # of the process, besides PATH

    def __init__(self, folder: Path, *, port: int | None = None, log: Path | None = None) -> None:
        """`folder` is for all files of this server alone: another one that still runs in it is ended at the start.

        Without `port` a free one is chosen, and kept over restarts.
        """
        self.folder = folder.resolve()
        self.log = log or self.folder / f"{self.name.lower()}.log"
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _prepare(self) -> None:
        """Make what the first start needs. Called before every start."""

    @abstractmethod
    def _command(self, port: int) -> list[str]: ...

    def _advice(self) -> str:
        """What may help if the server does not start, or ""."""
        return ""

    def _environment(self) -> dict[str, str]:
        """More variables for the server."""
        return {**self.environment}

    @abstractmethod
    def _is_ready(self, port: int, pid: int) -> bool:
        """Whether this server accepts a connection. Another one may have taken the port."""

    @property
    def port(self) -> int:
        if self._port is None:
            raise RuntimeError(f"{self.name} has no port before its first start")
        return self._port

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it was started, and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def ended(self) -> str | None:
        """How the server ended by itself, or None: it runs, or `stop` or `kill` ended it, or its last start failed."""
        if self._process is None or (status := self._process.poll()) is None:
            return None
        return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"

    def answers(self) -> bool:
        """Whether the running server accepts a connection and answers."""
        return self._is_ready(self.port, self.pid)

    def start(self) -> None:
        """Return when the server accepts connections. Raises `StartFailed`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.touch()
        with self._claim() as claim:
            self._start(claim)

    def _start(self, claim: IO[str]) -> None:
        self._prepare()
        deadline = time.monotonic() + BUSY_LIMIT
        while True:
            port, log_size = self._port or free_port(), self.log.stat().st_size
            try:
                self._await(self._launch(port, claim), port)
            except StartFailed as failure:
                self.kill()
                logged = self._logged(since=log_size)
                if BUSY not in logged:
                    raise self._explained(str(failure), logged) from None
                if time.monotonic() > deadline:
                    raise StartFailed(f"another program uses port {port} of {self.name}: end that one") from None
                time.sleep(0.1)
            except BaseException:
                self.kill()
                raise
            else:
                self._port = port
                return

    def stop(self) -> None:
        if self._process is None:
            return
        self.thaw()
        for number in (*self.stop_signals, signal.SIGKILL):
            self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_GRACE)
                break
        self._forget()

    def kill(self) -> None:
        if self._process is None:
            return
        family = self._signal(signal.SIGKILL)
        self._process.wait()
        while any(alive(member) for member in family):
            time.sleep(0.01)
        self._forget()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _claim(self) -> IO[str]:
        """Return a locked file, which the server inherits: it is locked as long as any process of the server lives.

        If it is locked already, the owner of that server was killed, and its watchdog may have been, too. Then the
        server is ended in order. Raises `StartFailed`.
        """
        claim = (self.folder / "server.pid").open("a+")
        deadline = time.monotonic() + START_LIMIT
        while not _locked(claim):
            claim.seek(0)
            with contextlib.suppress(ProcessLookupError, ValueError):
                end(int(claim.read()), STOP_GRACE, tuple(self.stop_signals))
            if time.monotonic() > deadline:
                claim.close()
                raise StartFailed(f"processes of another {self.name} still run in {self.folder}: end them first")
            time.sleep(0.05)
        claim.truncate(0)
        return claim

    def _launch(self, port: int, claim: IO[str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(port),
                cwd=self.folder,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **self._environment()},
                pass_fds=[claim.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal reaches only this process, which stops it in order
            )
        print(self.pid, file=claim, flush=True)
        numbers = [str(int(number)) for number in self.stop_signals]
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", WATCHDOG, str(self.pid), str(STOP_GRACE), *numbers],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        return self._process

    def _await(self, process: subprocess.Popen[bytes], port: int) -> None:
        deadline = time.monotonic() + START_LIMIT
        while not self._is_ready(port, process.pid):
            if process.poll() is not None:
                raise StartFailed(f"{self.name} ended with status {process.returncode} instead of starting")
            if time.monotonic() > deadline:
                raise StartFailed(f"{self.name} did not answer on {HOST}:{port} within {START_LIMIT:.0f} s")
            time.sleep(0.02)

    def _signal(self, number: signal.Signals) -> list[int]:
        """Send `number` to every process of the server, and return them."""
        if self._process is None or self._process.poll() is not None:
            return []
        if number != signal.SIGCONT:
            os.kill(self.pid, signal.SIGSTOP)  # no new children while they are listed
        family = [self.pid, *descendants(self.pid)]
        for member in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, number)
        return family

    def _forget(self) -> None:
        if self._watchdog is not None:
            self._watchdog.communicate(b".")
        self._process = self._watchdog = None

    def _logged(self, since: int) -> str:
        with self.log.open("rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace")

    def _explained(self, reason: str, logged: str) -> StartFailed:
        if "No space left on device" in logged:
            return StartFailed(no_space(self.folder))
        tail = "".join(f"\n    {line}" for line in logged.splitlines()[-15:])
        return StartFailed(f"{reason}{self._advice()}; the end of {self.log}:{tail}")


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
