"""Watches the servers while they serve: starts one that has ended again, and says so, or that one does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from local.errors import LocalError, sentence
from local.servers.server import Server
from local.terminal import PrintLine

__all__ = ["Supervisor"]

# In seconds.
_INTERVAL: Final = 2.0
_SILENCE: Final = 10.0  # until a server that does not answer is reported
_CALM: Final = 60.0  # until a server that was started again counts as healthy
_ATTEMPTS: Final = 6  # to start one, after 0, 2, 4, 8, 16 and 32 s


class Supervisor:
    """Call it often, from the thread that receives the signals: they interrupt a start, and the server is stopped."""

    def __init__(
        self, servers: Iterable[Server], print_line: PrintLine, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._watched = [_Watched(server, print_line, clock) for server in servers]

    def __call__(self) -> None:
        for each in self._watched:
            each.look()


class _Watched:
    def __init__(self, server: Server, print_line: PrintLine, clock: Callable[[], float]) -> None:
        self._server, self._print_line, self._clock = server, print_line, clock
        self._attempts = 0  # since it was healthy
        self._started = self._answered = self._due = clock()
        self._reported = False  # that it does not answer
        self._explained = False  # why it cannot be started
        self._given_up = False

    def look(self) -> None:
        now = self._clock()
        if now < self._due:
            return
        self._due = now + _INTERVAL
        if self._server.running:
            self._probe(now)
        elif self._attempts < _ATTEMPTS:
            self._start()
        elif not self._given_up:
            self._given_up = True
            self._print_line(f"{self._server.name} is not started any more: stop with Ctrl-C, and run again")

    def _start(self) -> None:
        if ended := self._server.ended:
            self._print_line(f"{self._server.name} {ended}: starting it again")
        self._attempts += 1
        try:
            self._server.restart()
            self._print_line(f"{self._server.name} runs again")
            self._explained = False
        except (LocalError, OSError) as error:  # OSError: a full disk, or no more processes
            if not self._explained:
                reason = sentence(error) or error
                self._print_line(f"{self._server.name} cannot be started, and is tried again: {reason}")
            self._explained = True
        self._started = self._answered = self._clock()
        self._due = self._started + _INTERVAL**self._attempts

    def _probe(self, now: float) -> None:
        if self._server.answers():
            if self._reported:
                self._print_line(f"{self._server.name} answers again")
            self._answered, self._reported = now, False
            if now - self._started > _CALM:
                self._attempts = 0
        elif now - self._answered > _SILENCE and not self._reported:
            self._reported = True
            self._print_line(
                f"{self._server.name} has not answered for {_SILENCE:.0f} s. If it is suspended, `kill -CONT "
                f"{self._server.pid}` wakes it; see {self._server.log}"
            )
