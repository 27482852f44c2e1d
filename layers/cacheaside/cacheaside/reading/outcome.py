"""The outcome of a read: the answer, and where it came from."""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum
from typing import Any, Final, NamedTuple

from cacheaside.reading.entry import Entry
from cacheaside.reading.steps import Release, Step

__all__ = ["NO_ROOM", "Outcome", "Refresh", "Source"]


NO_ROOM: Final = "new-keys"  # as `detail`: too many answers of the query were new, and this one was not kept


class Refresh(NamedTuple):
    """The fill of an elected request, to be run after its answer was sent. It holds the lease from now on."""

    path: Generator[Step, Any, bool]  # returns whether the entry was stored
    release: Release  # the step that gives the lease back


class Source(Enum):
    """Where an answer came from."""

    LOCAL = "in the memory of this process", "hit", True
    HIT = "fresh in the cache", "hit", True
    STALE = "past its time to live, while one request refreshes it", "hit", True  # its ttl is negative
    COLLAPSED = "the load of another request, which this one waited for", "fwd=miss; collapsed", False
    MISS = "a load: nothing usable was in the cache", "fwd=miss", False
    EXPIRED = "a load: the entry in the cache was past its time", "fwd=stale", False
    STALE_IF_ERROR = "past its time, because the load failed", "fwd=stale", False
    BYPASS = "a load: the cache was unavailable", "fwd=bypass", False
    DIRECT = "a load: the caller asked for one", "fwd=request", False

    def __init__(self, _meaning: str, status: str, is_hit: bool) -> None:
        self.status = status  # the words of Cache-Status for it (RFC 9211 section 2)
        self.is_hit = is_hit


class Outcome(NamedTuple):
    """An answer. `stored`: other requests can read it now. `detail` is for people, and for Cache-Status."""

    source: Source
    entry: Entry
    stored: bool = False
    detail: str | None = None
    refresh: Refresh | None = None
