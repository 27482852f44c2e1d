"""A sweep: the scheduled work of one invocation of the invalidate function.

    polling       look for recent changes, and drain them:  every 100 ms, or every 25 ms while changes come  ┐ for about
                  drain all changes, and replay after a failover of the cache:  every second                 │ a minute
                  follow the schema:  every 20 s                                                             ┘
    then          drain, follow, prune, fold, verify                                                           once

A look is one round trip to PostgreSQL and does not ask the cache. It does not find a transaction that took longer than
five seconds; that waits for the drain of all changes.

Event triggers follow the schema at once. The sweep does it again, because they may be missing, or may have failed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final, Protocol

from cacheaside.errors import DatabaseError, in_full
from cacheaside.invalidation.drain import EVER, Backlog, Drained
from cacheaside.invalidation.verification import Verification

__all__ = ["Sweep", "SweepReport"]

_LOOK_S: Final = 0.1
_BUSY_LOOK_S: Final = 0.025
_BUSY_FOR_S: Final = 1.0  # after a change
_DRAIN_ALL_EVERY_S: Final = 1.0
_FOLLOW_EVERY_S: Final = 20.0
_RETRY_S: Final = 1.0
# Bounds one drain while polling: writers may be faster, and the schema must be followed too.
_POLLING_DRAIN_S: Final = 1.0
# Bounds the drain after polling: writers may be faster, and the rest of the sweep needs time too.
_DRAIN_S: Final = 30.0

_log = logging.getLogger(__name__)


class SweptOutbox(Protocol):
    """The outbox. See `cacheaside.drivers.postgres.outbox.Outbox`."""

    def oldest_recent(self) -> datetime | None: ...
    def follow(self) -> Mapping[str, str]: ...
    def backlog(self) -> Backlog: ...
    def prune(self) -> None: ...
    def prune_keys(self) -> None: ...
    def fold(self) -> int: ...


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
        drain: Callable[[float, datetime], Drained],
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

    def run(self, poll_s: float, report: SweepReport) -> None:
        """Poll for `poll_s` seconds, then drain once more, follow the schema, prune, fold and verify.

        An unavailable cache is not an error: the rows stay pending until it is back. A failure of PostgreSQL is retried
        while polling. After that it raises DatabaseError.
        """
        rows, replayed = self._poll(self._now() + poll_s)
        drained = self._drain(_DRAIN_S, EVER)
        report.followed(self._follow())
        total = replace(drained, rows=rows + drained.rows, replayed=replayed + drained.replayed)
        report.drained(total, self._outbox.backlog())
        if drained.reachable:  # else a failover may follow, and its replay needs the drained rows
            self._outbox.prune()
        self._outbox.prune_keys()
        report.folded(self._outbox.fold())
        report.verified(self._verify())

    def _poll(self, deadline: float) -> tuple[int, int]:
        """Drain changes as they come until `deadline`. Returns the number of rows and of replays."""
        rows = replayed = 0
        busy_until = drain_all_at = follow_at = self._now()
        while (left := deadline - self._now()) > 0:
            pause_s = _RETRY_S
            try:
                drains_all = self._now() >= drain_all_at
                since = EVER if drains_all else self._outbox.oldest_recent()
                reachable = True
                if since is not None:
                    drained = self._drain(min(left, _POLLING_DRAIN_S), since)
                    rows, replayed = rows + drained.rows, replayed + drained.replayed
                    reachable = drained.reachable
                    busy_until = self._now() + _BUSY_FOR_S if drained.rows else busy_until
                if drains_all:
                    drain_all_at = self._now() + _DRAIN_ALL_EVERY_S
                if self._now() >= follow_at:
                    follow_at = self._now() + _FOLLOW_EVERY_S
                    self._follow()
                if reachable:
                    pause_s = _BUSY_LOOK_S if self._now() < busy_until else _LOOK_S
            except DatabaseError as error:
                self._log_problem(f"{in_full(error)}: trying again each second", error)
            self._sleep(min(pause_s, left))
        return rows, replayed

    def _follow(self) -> int:
        """Return how many names could go unrecorded: 1 if that is unknown, because the schema cannot be followed."""
        try:
            unrecorded = self._outbox.follow()
        except DatabaseError as error:
            _log.exception("changes of the schema could go unrecorded: they cannot be followed: %s", in_full(error))
            return 1
        for name, problem in unrecorded.items() - self._logged_unrecorded.items():
            _log.error("changes of %s could go unrecorded: %s", name, problem)
        self._logged_unrecorded = unrecorded
        return len(unrecorded)

    def _drain(self, seconds: float, since: datetime) -> Drained:
        drained = self._drain_for(seconds, since)
        self._log_problem("" if drained.reachable else "the cache cannot be reached: changes stay in the outbox")
        return drained

    def _log_problem(self, problem: str, error: Exception | None = None) -> None:
        """Log `problem` when it begins, not with every retry. "" ends it."""
        if problem and problem != self._logged_problem:
            _log.warning(problem, exc_info=error)
        elif self._logged_problem and not problem:
            _log.info("changes are invalidated in the cache again")
        self._logged_problem = problem
