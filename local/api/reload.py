"""Serves a changed catalogue with the next request: new sandboxes replace those that have read the old one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from local.api.pool import Pool

__all__ = ["Reload", "State", "state_of"]

# The files of a catalogue, each with what an edit changes.
State = frozenset[tuple[Path, int, int]]


class Reload:
    """Looks at the catalogue before each request. After a change, `on_change` is called, in a thread of its own."""

    def __init__(self, catalogue: Path, pools: Iterable[Pool], on_change: Callable[[], None]) -> None:
        self._catalogue = catalogue
        self._pools = tuple(pools)
        self._on_change = on_change
        self._lock = threading.Lock()
        self._reporting = threading.Lock()
        self._state = state_of(catalogue)

    def __call__(self) -> None:
        """Replace all sandboxes if a file was added, edited or removed since the last call."""
        state = state_of(self._catalogue)
        with self._lock:
            if state == self._state:
                return
            for pool in self._pools:
                pool.renew()
            self._state = state
        threading.Thread(target=self._report, daemon=True).start()

    def _report(self) -> None:
        with self._reporting:  # one change after the other
            self._on_change()


def state_of(catalogue: Path) -> State:
    """Return the state of the .sql files that the functions read: with another one, they would answer differently."""
    paths = (path for folder in ("queries", "commands") for path in (catalogue / folder).glob("[!.]*.sql"))
    return frozenset(_file(path) for path in paths)


def _file(path: Path) -> tuple[Path, int, int]:
    try:
        stat = path.stat()
    except OSError:  # it was removed just now, or leads nowhere
        return path, 0, 0
    return path, stat.st_mtime_ns, stat.st_ino
