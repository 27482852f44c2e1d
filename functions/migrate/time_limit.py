"""Cancels the work on a connection while there is still time to report that."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psycopg2
from psycopg2.extensions import connection as Connection

__all__ = ["OutOfTime", "time_limit"]

_INTERVAL_S: Final = 0.5


class OutOfTime(Exception):
    """The work was cancelled. Committed transactions stay, the last one was rolled back."""


@contextmanager
def time_limit(connection: Connection, seconds: float) -> Iterator[None]:
    """Cancel the statements of `connection` in this block after `seconds`. Raises OutOfTime if that ended the block.

    PostgreSQL's statement_timeout is no substitute: it starts again with each statement of a migration.
    """
    over, left = threading.Event(), threading.Event()

    def watch() -> None:
        wait = max(0.0, seconds)
        # Repeated, because a request that arrives between two statements cancels nothing.
        while not left.wait(wait):
            over.set()
            with suppress(psycopg2.Error):
                connection.cancel()
            wait = _INTERVAL_S

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except Exception as error:
        if over.is_set():
            raise OutOfTime("time was over; finished work is kept: deploy again to go on") from error
        raise
    finally:
        left.set()
        watcher.join()
