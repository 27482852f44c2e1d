"""How long an answer may be served, and how long its load may take: the freshness policy of one query.

    created          fresh until                     gone
       ├──── ttl ────────┼─────────── stale ───────────┤

Until `fresh until` an entry is the answer. After it, and until the cache drops it, it is kept for requests that
may take a stale answer (RFC 5861).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["Policy"]

# What a holder needs besides the load itself: the two round trips to the cache and a pause of the runtime.
_LEASE_MARGIN_MS: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All in milliseconds, as declared in the catalogue."""

    ttl_ms: int
    stale_ms: int
    negative_ttl_ms: int  # for "no such row", which is an answer too
    timeout_ms: int  # of the load, enforced by PostgreSQL
    client_ms: int  # how long a browser or CDN may keep the answer without asking; 0: it must ask

    @property
    def lease_ms(self) -> int:
        """Longer than the load can take, so that a live holder never loses its lease to the clock."""
        return self.timeout_ms + _LEASE_MARGIN_MS

    @property
    def longest_ms(self) -> int:
        """The longest time that an entry can stay in the cache."""
        return max(self.ttl_ms, self.negative_ttl_ms) + self.stale_ms

    @property
    def tag_ms(self) -> int:
        """A tag outlives every entry that embeds its version; one that went early could only cause a miss."""
        return 2 * self.longest_ms + self.lease_ms

    def fresh_ms(self, *, found: bool) -> int:
        """How long an answer stays fresh: a row that is missing now may well appear."""
        return self.ttl_ms if found else self.negative_ttl_ms

    def lifetime_ms(self, *, found: bool) -> int:
        """How long the cache keeps the answer."""
        return self.fresh_ms(found=found) + self.stale_ms
