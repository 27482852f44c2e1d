"""A cache and a database that raise an error once, at one step, before it is done or after."""

from __future__ import annotations

import struct
from copy import copy
from functools import partial
from typing import Any, Final

from cacheaside.reading.steps import Acquire, Load, Look, Release, Renew, Step, Store

__all__ = ["ALL_STEPS", "FOREIGN_ERRORS", "RaisingServers"]

ALL_STEPS: Final = (Look, Acquire, Load, Store, Release)
# Errors that are none of this library: of bugs, of values that a driver cannot send, of a machine at its limits.
FOREIGN_ERRORS: Final[tuple[BaseException, ...]] = (
    ValueError("a bug"),
    struct.error("a number that does not fit"),
    UnicodeEncodeError("latin-1", "\u20ac", 0, 1, "not in this encoding"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "not in this encoding"),
    MemoryError(),
    RecursionError(),
    StopIteration(),
    KeyboardInterrupt(),
    SystemExit(),
    GeneratorExit(),
)


class RaisingServers:
    """Both protocols of `steps`. They raise `error` at the first step of the kind `at`, after it if `done`."""

    def __init__(self, cache: Any, database: Any, at: type[Step], error: BaseException, *, done: bool) -> None:
        self._cache = cache
        self._database = database
        self._at = at
        self._error: BaseException | None = error
        self._done = done

    def look(self, step: Look) -> Any:
        return self._do(self._cache.look, step)

    def acquire(self, step: Acquire) -> Any:
        return self._do(self._cache.acquire, step)

    def load(self, step: Load, renew: Any = None) -> Any:
        return self._do(partial(self._database.load, renew=renew), step)

    def renew(self, step: Renew) -> Any:
        return self._do(self._cache.renew, step)

    def store(self, step: Store) -> Any:
        return self._do(self._cache.store, step)

    def release(self, step: Release) -> Any:
        return self._do(self._cache.release, step)

    def _do(self, method: Any, step: Step) -> Any:
        if not isinstance(step, self._at) or self._error is None:
            return method(step)
        # A copy: an error that was raised keeps its frames alive, and their connections.
        error, self._error = copy(self._error), None
        if self._done:
            method(step)
        raise error
