"""A deadline for every wait of psycopg2. `connection` sets it, and psycopg2 calls `_wait` whenever it would block.

`statement_timeout` has no effect if the server is frozen or the network drops packets. libpq's `connect_timeout` does
not apply to connections with a wait callback, which `_wait` is
(https://www.psycopg.org/docs/advanced.html#support-for-coroutine-libraries).
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Iterator
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

__all__ = ["DeadlineExceeded", "wait_deadline"]


class DeadlineExceeded(psycopg2.OperationalError):
    """The server did not answer before the deadline. The connection is unusable."""


_current = threading.local()


@contextmanager
def wait_deadline(seconds: float) -> Iterator[None]:
    """Within this block, in this thread, all waits for PostgreSQL end `seconds` from now, or at an earlier deadline."""
    before: float | None = getattr(_current, "at", None)
    _current.at = min(time.monotonic() + seconds, before or float("inf"))
    try:
        yield
    finally:
        _current.at = before


def _wait(conn: connection) -> None:
    at: float | None = getattr(_current, "at", None)
    if at is None and conn.status == STATUS_SETUP:
        at = _connect_timeout(conn)
    while (state := conn.poll()) != POLL_OK:
        left = None if at is None else max(0.0, at - time.monotonic())
        descriptor = conn.fileno()
        reads = [descriptor] if state == POLL_READ else []
        writes = [descriptor] if state == POLL_WRITE else []
        if not any(select.select(reads, writes, [], left)):
            raise DeadlineExceeded("timed out: the server did not answer before the deadline")


def _connect_timeout(conn: connection) -> float | None:
    """Return the deadline of `connect_timeout`: the callback also serves connections that other code opens."""
    seconds = int(parse_dsn(conn.dsn).get("connect_timeout", 0))
    return time.monotonic() + seconds if seconds > 0 else None


set_wait_callback(_wait)
