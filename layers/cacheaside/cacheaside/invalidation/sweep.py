"""A sweep: the scheduled work of one invocation of the invalidate function.

    listening     quiet:  listen ──► drain ──► wait for a notification, 1 s at most  ┐ for about a minute
                  busy:   stop notifications ──► drain, and again every 25 ms        │
                  follow the schema every 20 s                                       ┘
    then          drain, follow, prune, fold, verify                                   once

A sweep is busy from the first change until a second has passed without one, and while the cache is unavailable. In
PostgreSQL, commits that notify wait for each other. So writers notify only while changes are few. The kernel of an
operating system treats the interrupts of a network card in the same way.

Event triggers follow the schema at once. The sweep does it again, because they may be missing, or may have failed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Protocol

from cacheaside.errors import DatabaseError
from cacheaside.invalidation.drain import Backlog, Drained
from cacheaside.invalidation.verification import Verification

__all__ = ["Sweep", "SweepReport"]

# A transaction that wrote before `listen` does not notify when it commits, so the outbox is polled as well.
_POLL_S: Final = 1.0
_BUSY_POLL_S: Final = 0.025
_QUIET_AFTER_S: Final = 1.0
_FOLLOW_EVERY_S: Final = 20.0
# Bounds one drain while listening: writers notify until it returns and notifications are stopped.
_LISTENING_DRAIN_S: Final = 1.0
# Bounds the drain after listening: writers may be faster, and the rest of the sweep needs time too.
_DRAIN_S: Final = 30.0

_log = logging.getLogger(__name__)


class SweptOutbox(Protocol):
    """The outbox. See `cacheaside.drivers.postgres.outbox.Outbox`."""

    def follow(self) -> Mapping[str, str]: ...
    def backlog(self) -> Backlog: ...
    def prune(self) -> None: ...
    def prune_keys(self) -> None: ...
    def fold(self) -> int: ...
    def listen(self, seconds: float) -> None: ...
    def stop_notifications(self) -> None: ...
    def unlisten(self) -> None: ...
    def await_change(self, seconds: float) -> bool: ...


class SweepReport(Protocol):
    """Receives the results of a sweep, to publish them."""

    def followed(self, unrecorded: int) -> None: ...
    def drained(self, drained: Drained, backlog: Backlog) -> None: ...
    def folded(self, rows: int) -> None: ...
    def verified(self, verification: Verification) -> None: ...


class Sweep:
    """Runs sweeps. Between two of them it keeps only what it logged last."""

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
        self._logged_problem = ""
        self._logged_unrecorded: Mapping[str, str] = {}

    def run(self, listen_s: float, report: SweepReport) -> None:
        """Listen and drain for `listen_s` seconds, then drain once more, follow the schema, prune, fold and verify.

        An unavailable cache is not an error: the rows stay pending until it is back. A failure of PostgreSQL is retried
        while listening. After that it raises DatabaseError.
        """
        rows = replayed = 0
        if listen_s > 0:
            rows, replayed = self._listen(self._now() + listen_s)
            self._outbox.unlisten()
        drained = self._drain(_DRAIN_S)
        report.followed(self._follow())
        total = replace(drained, rows=rows + drained.rows, replayed=replayed + drained.replayed)
        report.drained(total, self._outbox.backlog())
        if drained.reachable:  # else a failover may follow, and its replay needs the drained rows
            self._outbox.prune()
        self._outbox.prune_keys()
        report.folded(self._outbox.fold())
        report.verified(self._verify())

    def _listen(self, deadline: float) -> tuple[int, int]:
        """Drain changes as they come until `deadline`. Returns the number of rows and of replays."""
        rows = replayed = 0
        busy_until = follow_at = 0.0
        while (left := deadline - self._now()) > 0:
            quiet = self._now() >= busy_until
            try:
                if quiet:  # each time, because another listener may have stopped notifications
                    self._outbox.listen(left)
                drained = self._drain(min(left, _LISTENING_DRAIN_S))
                rows, replayed = rows + drained.rows, replayed + drained.replayed
                busy = bool(drained.rows) or not drained.reachable
                if quiet and busy:
                    self._outbox.stop_notifications()
                if self._now() >= follow_at:
                    follow_at = self._now() + _FOLLOW_EVERY_S
                    self._follow()
                if busy:  # without a cache, the next drain comes after a pause
                    busy_until = self._now() + _QUIET_AFTER_S + (0.0 if drained.reachable else _POLL_S)
                if drained.reachable:
                    self._outbox.await_change(min(_BUSY_POLL_S if busy or not quiet else _POLL_S, left))
                    continue
            except DatabaseError as error:
                self._log_problem(f"{error}: trying again each second", error)
                busy_until = 0.0  # a new connection does not listen yet
            self._sleep(min(_POLL_S, left))
        return rows, replayed

    def _follow(self) -> int:
        """Return how many names could go unrecorded: 1 if that is unknown, because the schema cannot be followed."""
        try:
            unrecorded = self._outbox.follow()
        except DatabaseError:
            _log.exception("changes of the schema could go unrecorded: they cannot be followed")
            return 1
        for name, problem in unrecorded.items() - self._logged_unrecorded.items():
            _log.error("changes of %s could go unrecorded: %s", name, problem)
        self._logged_unrecorded = unrecorded
        return len(unrecorded)

    def _drain(self, seconds: float) -> Drained:
        drained = self._drain_for(seconds)
        self._log_problem("" if drained.reachable else "the cache cannot be reached: changes stay in the outbox")
        return drained

    def _log_problem(self, problem: str, error: Exception | None = None) -> None:
        """Log `problem` when it begins, not with every retry. "" ends it."""
        if problem and problem != self._logged_problem:
            _log.warning(problem, exc_info=error)
        elif self._logged_problem and not problem:
            _log.info("changes are invalidated in the cache again")
        self._logged_problem = problem
