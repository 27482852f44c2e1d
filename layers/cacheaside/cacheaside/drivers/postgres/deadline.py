"""A limit in time for everything that psycopg2 waits for.

A server that is frozen, or a network that swallows packets, never lets `statement_timeout` fire, and libpq's own
`connect_timeout` does not apply to connections opened this way. psycopg2 calls a wait callback whenever it would block
(https://www.psycopg.org/docs/advanced.html#support-for-coroutine-libraries); ours gives up at the deadline.
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
    """The server was silent until the deadline. The connection is unusable."""


_current = threading.local()


@contextmanager
def wait_deadline(seconds: float) -> Iterator[None]:
    """Within this block, in this thread, no wait for PostgreSQL outlasts `seconds` from now, nor an outer deadline."""
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
    """The end of libpq's own limit, for connections of others in this process: the callback is for all of them."""
    seconds = int(parse_dsn(conn.dsn).get("connect_timeout", 0))
    return time.monotonic() + seconds if seconds > 0 else None


set_wait_callback(_wait)
