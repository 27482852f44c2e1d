"""One invocation of the invalidate function: everything that it does without being asked over HTTP.

    listening     quiet:  ask writers to tell ──► drain ──► wait to be told, 1 s at most  ┐ for about a minute
                  busy:   ask them not to ──► drain, and again every 25 ms                ┘
    then          drain, prune, fold, verify                                                once

It is busy from the first change until a second without one, and while the cache is away. Commits that tell of a change
wait for each other in PostgreSQL, so they do so only while there are few; the kernel treats the interrupts of a network
card in the same way.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from cacheaside.errors import DatabaseError
from cacheaside.invalidation.drain import Backlog, Drained
from cacheaside.invalidation.verifier import Verification

__all__ = ["Sweep", "SweepReport"]

# Transactions that wrote before anyone listened tell nobody when they commit, so the outbox is looked at as well.
_POLL_S: Final = 1.0
_BUSY_POLL_S: Final = 0.025
_QUIET_AFTER_S: Final = 1.0
# So that writers are not asked to tell for as long as it takes to drain a backlog.
_BUSY_DRAIN_S: Final = 1.0
# For a backlog. Writers may be faster than we are, and there is more to do.
_DRAIN_S: Final = 30.0

_log = logging.getLogger(__name__)


class SweptOutbox(Protocol):
    """The outbox, as a sweep needs it. See `cacheaside.drivers.postgres.outbox.Outbox`."""

    def backlog(self) -> Backlog: ...
    def prune(self) -> None: ...
    def prune_keys(self) -> None: ...
    def fold(self) -> int: ...
    def listen(self, seconds: float) -> None: ...
    def stop_notifications(self) -> None: ...
    def unlisten(self) -> None: ...
    def await_change(self, seconds: float) -> bool: ...


class SweepReport(Protocol):
    """What is told of a sweep."""

    def drained(self, drained: Drained, backlog: Backlog) -> None: ...
    def folded(self, rows: int) -> None: ...
    def verified(self, verification: Verification) -> None: ...


class Sweep:
    """Keeps nothing between two invocations but what it is given, and which trouble it has told of."""

    def __init__(
        self,
        outbox: SweptOutbox,
        drain: Callable[[float], Drained],
        verify: Callable[[], Verification],
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`drain`: see `Drainer.drain`. `verify`: see `Verifier.verify`."""
        self._outbox = outbox
        self._drain_for = drain
        self._verify = verify
        self._now = now
        self._sleep = sleep
        self._trouble = ""

    def run(self, listen_s: float, report: SweepReport) -> None:
        """Drain, for `listen_s` seconds as soon as there is something; and clear up.

        A cache that is away is not an error: the rows are there when it is back. Raises DatabaseError if PostgreSQL
        fails at the end; while listening it is tried again and again.
        """
        rows = replayed = 0
        if listen_s > 0:
            rows, replayed = self._listen(self._now() + listen_s)
            self._outbox.unlisten()
        drained = self._drain(_DRAIN_S)
        total = replace(drained, rows=rows + drained.rows, replayed=replayed + drained.replayed)
        report.drained(total, self._outbox.backlog())
        if drained.reachable:  # else another one may come back, and have to be given all of it again
            self._outbox.prune()
        self._outbox.prune_keys()
        report.folded(self._outbox.fold())
        report.verified(self._verify())

    def _listen(self, ends: float) -> tuple[int, int]:
        """Drain until then, and return how many rows and replays it were."""
        rows = replayed = 0
        busy_until = 0.0
        while (left := ends - self._now()) > 0:
            quiet = self._now() >= busy_until
            try:
                if quiet:  # each time, because another listener may have asked them not to tell
                    self._outbox.listen(left)
                drained = self._drain(min(left, _BUSY_DRAIN_S))
                rows, replayed = rows + drained.rows, replayed + drained.replayed
                busy = bool(drained.rows) or not drained.reachable
                if quiet and busy:
                    self._outbox.stop_notifications()
                if busy:  # without a cache, the next look comes after a pause
                    busy_until = self._now() + _QUIET_AFTER_S + (0.0 if drained.reachable else _POLL_S)
                if drained.reachable:
                    self._outbox.await_change(min(_BUSY_POLL_S if busy or not quiet else _POLL_S, left))
                    continue
            except DatabaseError as error:
                self._tell(f"{error}: trying again each second", error)
                busy_until = 0.0  # a new connection does not listen yet
            self._sleep(min(_POLL_S, left))
        return rows, replayed

    def _drain(self, seconds: float) -> Drained:
        drained = self._drain_for(seconds)
        self._tell("" if drained.reachable else "the cache cannot be reached: changes stay in the outbox until it can")
        return drained

    def _tell(self, trouble: str, error: Exception | None = None) -> None:
        """Log `trouble` when it begins, and not with every try."""
        if trouble and trouble != self._trouble:
            _log.warning(trouble, exc_info=error)
        elif self._trouble and not trouble:
            _log.info("changes are taken out of the cache again")
        self._trouble = trouble
