"""Ends the work on a connection while there is still time to say that it was ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psycopg2
from psycopg2.extensions import connection as Connection

__all__ = ["OutOfTime", "time_limit"]

_AGAIN_S: Final = 0.5


class OutOfTime(Exception):
    """The work was cut off. What it had committed stays, the rest is rolled back."""


@contextmanager
def time_limit(connection: Connection, seconds: float) -> Iterator[None]:
    """Cancel what `connection` does within this block once `seconds` have passed. Raises OutOfTime if that ended it.

    PostgreSQL's statement_timeout would not do: it starts anew with each statement of a migration.
    """
    over, left = threading.Event(), threading.Event()

    def watch() -> None:
        wait = max(0.0, seconds)
        # Again and again, because a request that arrives between two statements cancels nothing.
        while not left.wait(wait):
            over.set()
            with suppress(psycopg2.Error):
                connection.cancel()
            wait = _AGAIN_S

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except Exception as error:
        if over.is_set():
            raise OutOfTime(
                "time was over; what is finished is kept: raise RELEASE in the template and deploy again to go on"
            ) from error
        raise
    finally:
        left.set()
        watcher.join()
