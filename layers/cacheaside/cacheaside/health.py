"""Can answers be served? Yes while the cache or the database can be reached: either alone still answers something."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cacheaside.errors import CacheasideError

__all__ = ["Dependency", "Health", "check_health"]


class Pingable(Protocol):
    """A driver."""

    def ping(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Dependency:
    """The state of one server, and how long it took to tell (ms)."""

    up: bool
    ms: float


@dataclass(frozen=True, slots=True)
class Health:
    """The state of both."""

    cache: Dependency
    database: Dependency

    @property
    def status(self) -> str:
        """`ok` with both, `degraded` with one, `unavailable` with none."""
        return ("unavailable", "degraded", "ok")[self.cache.up + self.database.up]


def check_health(cache: Pingable, database: Pingable) -> Health:
    """Ask both servers, each within its own short timeout."""
    return Health(_check(cache.ping), _check(database.ping))


def _check(ping: Callable[[], None]) -> Dependency:
    began = time.perf_counter()
    try:
        ping()
        up = True
    except CacheasideError:
        up = False
    return Dependency(up, round((time.perf_counter() - began) * 1000, 2))
