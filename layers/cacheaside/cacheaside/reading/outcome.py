"""The outcome of a read: the answer, and where it came from."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from cacheaside.reading.entry import Entry
from cacheaside.reading.steps import Release, Step

__all__ = ["Outcome", "Refresh", "Source"]


@dataclass(frozen=True, slots=True)
class Refresh:
    """The fill of an elected request, to be run after its answer was sent. It holds the lease from now on."""

    path: Generator[Step, Any, bool]  # returns whether the entry was stored
    release: Release  # the step that gives the lease back


class Source(Enum):
    """Where an answer came from."""

    LOCAL = "in the memory of this process"
    HIT = "fresh in the cache"
    STALE = "past its time to live, while one request refreshes it"
    COLLAPSED = "the load of another request, which this one waited for"
    MISS = "a load: nothing usable was in the cache"
    EXPIRED = "a load: the entry in the cache was past its time"
    STALE_IF_ERROR = "past its time, because the load failed"
    BYPASS = "a load: the cache was unavailable"

    @property
    def status(self) -> str:
        """The words of Cache-Status for it (RFC 9211 section 2)."""
        return _STATUS[self]


_STATUS: Final = {
    Source.LOCAL: "hit",
    Source.HIT: "hit",
    Source.STALE: "hit",  # its ttl is negative
    Source.COLLAPSED: "fwd=miss; collapsed",
    Source.MISS: "fwd=miss",
    Source.EXPIRED: "fwd=stale",
    Source.STALE_IF_ERROR: "fwd=stale",
    Source.BYPASS: "fwd=bypass",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """An answer. `stored`: other requests can read it now. `detail` is for people, and for Cache-Status."""

    source: Source
    entry: Entry
    stored: bool = False
    detail: str | None = None
    refresh: Refresh | None = None
