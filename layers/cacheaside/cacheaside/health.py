"""The health of the cache and the database. While one of them answers, some queries can be answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from cacheaside.errors import CacheasideError

__all__ = ["Dependency", "Health", "check_health"]


class Pingable(Protocol):
    """A driver that raises CacheasideError if its server does not answer."""

    def ping(self) -> None: ...


class Dependency(NamedTuple):
    """The state of one server."""

    up: bool
    ms: float  # that the check took


class Health(NamedTuple):
    """The state of both servers."""

    cache: Dependency
    database: Dependency

    @property
    def status(self) -> str:
        """`ok` with both, `degraded` with one, `unavailable` with none."""
        return ("unavailable", "degraded", "ok")[self.cache.up + self.database.up]

    def document(self) -> dict[str, object]:
        """Return the answer of GET /health."""
        return {"status": self.status, "cache": self.cache._asdict(), "database": self.database._asdict()}


def check_health(cache: Pingable, database: Pingable) -> Health:
    """Return the state of both servers. Each driver has its own short timeout. Never raises."""
    return Health(_check(cache.ping), _check(database.ping))


def _check(ping: Callable[[], None]) -> Dependency:
    began = time.perf_counter()
    try:
        ping()
        up = True
    except CacheasideError:
        up = False
    return Dependency(up, round((time.perf_counter() - began) * 1000, 2))
