"""A deadline for every wait of psycopg2, and work to do meanwhile. psycopg2 calls `_wait` whenever it would block.

`statement_timeout` has no effect if the server is frozen or the network drops packets. libpq's `connect_timeout` does
not apply to connections with a wait callback, which `_wait` is
(https://www.psycopg.org/docs/advanced.html#support-for-coroutine-libraries).
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2.extensions import (
    POLL_OK,
    POLL_READ,
    POLL_WRITE,
    STATUS_SETUP,
    connection,
    parse_dsn,
    set_wait_callback,
)

__all__ = ["DeadlineExceeded", "during_waits", "wait_deadline"]


class DeadlineExceeded(psycopg2.OperationalError):
    """The server did not answer before the deadline. The connection is unusable."""


_current = threading.local()


class _Repeated:
    """Work that is done again and again while psycopg2 waits."""

    __slots__ = ("_action", "_due", "_every_s")

    def __init__(self, action: Callable[[], object], every_s: float) -> None:
        self._action, self._every_s = action, every_s
        self._due = time.monotonic() + every_s

    def left_s(self) -> float:
        """Return the seconds until it is due again, after doing it if it is due now."""
        if time.monotonic() >= self._due:
            self._action()
            self._due = time.monotonic() + self._every_s
        return self._due - time.monotonic()


@contextmanager
def wait_deadline(seconds: float) -> Iterator[None]:
    """Within this block, in this thread, all waits for PostgreSQL end `seconds` from now, or at an earlier deadline."""
    before: float | None = getattr(_current, "at", None)
    _current.at = min(time.monotonic() + seconds, before or float("inf"))
    try:
        yield
    finally:
        _current.at = before


@contextmanager
def during_waits(action: Callable[[], object], every_s: float) -> Iterator[None]:
    """Within this block, in this thread, call `action` each `every_s` seconds while psycopg2 waits for PostgreSQL.

    It costs no thread. An exception of it ends the wait, and makes the connection unusable.
    """
    _current.repeated = _Repeated(action, every_s)
    try:
        yield
    finally:
        _current.repeated = None


def _wait(conn: connection) -> None:
    at: float | None = getattr(_current, "at", None)
    if at is None and conn.status == STATUS_SETUP:
        at = _connect_timeout(conn)
    repeated: _Repeated | None = getattr(_current, "repeated", None)
    while (state := conn.poll()) != POLL_OK:
        pauses = [repeated.left_s()] if repeated is not None else []
        if at is not None:
            pauses.append(at - time.monotonic())
        descriptor = conn.fileno()
        reads = [descriptor] if state == POLL_READ else []
        writes = [descriptor] if state == POLL_WRITE else []
        ready = any(select.select(reads, writes, [], max(0.0, min(pauses)) if pauses else None))
        if not ready and at is not None and time.monotonic() >= at:
            raise DeadlineExceeded("timed out: the server did not answer before the deadline")


def _connect_timeout(conn: connection) -> float | None:
    """Return the deadline of `connect_timeout`: the callback also serves connections that other code opens."""
    seconds = int(parse_dsn(conn.dsn).get("connect_timeout", 0))
    return time.monotonic() + seconds if seconds > 0 else None


set_wait_callback(_wait)
