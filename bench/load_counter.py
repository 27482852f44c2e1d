"""Counts the loads that PostgreSQL runs, by looking at its sessions every few milliseconds."""

from __future__ import annotations

import threading
from contextlib import closing
from types import TracebackType
from typing import Final, Self

import psycopg2

__all__ = ["LoadCounter"]

_INTERVAL_S: Final = 0.02
_RUNNING: Final = """
    select pid, query_start from pg_stat_activity
    where state = 'active' and query like %s and pid <> pg_backend_pid()"""


class LoadCounter:
    """Within a `with` block, counts the statements with `text` in them. It misses some that take less than 20 ms.

    `total` is how many there were, `at_once` how many at most at the same moment.
    """

    def __init__(self, url: str, text: str) -> None:
        self.at_once = 0
        self._url, self._pattern = url, f"%{text}%"
        self._seen: set[tuple[int, object]] = set()
        self._done = threading.Event()
        self._thread: threading.Thread

    @property
    def total(self) -> int:
        return len(self._seen)

    def __enter__(self) -> Self:
        connection = psycopg2.connect(self._url)  # first, so that it counts from the beginning of the block
        self._thread = threading.Thread(target=self._count, args=[connection])
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def _count(self, connection: psycopg2.extensions.connection) -> None:
        with closing(connection), connection.cursor() as cursor:
            connection.autocommit = True
            while not self._done.wait(_INTERVAL_S):
                cursor.execute(_RUNNING, [self._pattern])
                running = cursor.fetchall()
                self.at_once = max(self.at_once, len(running))
                self._seen.update(running)
