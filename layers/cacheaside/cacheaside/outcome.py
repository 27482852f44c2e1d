"""How a read ended: the answer, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from cacheaside.entry import Entry

__all__ = ["Outcome", "Source"]


class Source(Enum):
    """Where an answer came from. The value is how Cache-Status names it (RFC 9211 section 2)."""

    HIT = "hit"
    MISS = "fwd=miss"  # nothing usable was in the cache
    EXPIRED = "fwd=stale"  # an entry was, but past its time to live
    BYPASS = "fwd=bypass"  # the cache could not be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """An answer. `stored` tells whether others can now read it; `detail` is for people, and for Cache-Status."""

    source: Source
    entry: Entry
    stored: bool = False
    detail: str | None = None
