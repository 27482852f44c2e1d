"""How long an answer may be served, and who waits how long for it: the freshness policy of one query.

created          fresh until                          gone
   ├───── ttl ───────┼────── stale ───────┤              │
   │                 ├────── stale if error ─────────────┤
  HIT              STALE              only if the load fails
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from cacheaside.reading.entry import Entry

__all__ = ["LEASE_MARGIN_MS", "Freshness", "Policy", "WaitedOut"]

# What a holder needs besides the load itself: two round trips to the cache, and a pause of the runtime.
LEASE_MARGIN_MS: Final = 2_000

# Those who waited for a load may take its answer even if it is past its time already, so it must be there to be seen.
_FOR_WAITERS_MS: Final = 2_000

# No request lives longer: API Gateway gives up.
_LONGEST_LOAD_MS: Final = 30_000


class Freshness(Enum):
    """What an entry is good for, by its age alone."""

    FRESH = "may be served"
    STALE = "may be served while somebody refreshes it"
    LAST_RESORT = "may be served if a load fails"
    GONE = "is no answer any more"


class WaitedOut(Enum):
    """What a request does that has waited for another's load as long as it may."""

    FAIL = "503"
    LOAD = "load"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Times in milliseconds, as declared in the catalogue."""

    ttl_ms: int
    stale_ms: int = 0
    stale_if_error_ms: int = 0
    negative_ttl_ms: int = 0  # for "no such row", which is an answer too
    wait_ms: int = 10_000  # for another's load
    waited_out: WaitedOut = WaitedOut.FAIL
    jitter: float = 0.0  # share of the ttl by which it may be shortened, so that keys filled together part
    early_refresh: float = 0.0  # β of XFetch; 0: never refresh before the ttl is over
    compress: bool = True  # store the body compressed, where that pays
    local_ms: int = 0  # how long one process may keep the answer for itself, where no invalidation reaches it
    client_ms: int = 0  # how long a browser or CDN may keep the answer without asking; 0: it must ask

    @property
    def tag_ms(self) -> int:
        """A tag outlives every entry that embeds its version; one that went early could only cause a miss."""
        return 2 * self.lifetime_ms(max(self.ttl_ms, self.negative_ttl_ms)) + _LONGEST_LOAD_MS

    def fresh_ms(self, *, found: bool, chance: float) -> int:
        """How long a new answer is fresh. A row that is missing now may well appear; `chance` is in [0, 1)."""
        ttl_ms = self.ttl_ms if found else self.negative_ttl_ms
        return ttl_ms - int(ttl_ms * self.jitter * chance)

    def lifetime_ms(self, fresh_ms: int) -> int:
        """How long the cache keeps an answer that is fresh for `fresh_ms`."""
        return fresh_ms + max(self.stale_ms, self.stale_if_error_ms, _FOR_WAITERS_MS)

    def freshness(self, entry: Entry, now_ms: int) -> Freshness:
        """Return what `entry` is good for now."""
        past_ms = now_ms - entry.fresh_until_ms
        if past_ms < 0:
            return Freshness.FRESH
        if past_ms < self.stale_ms:
            return Freshness.STALE
        return Freshness.LAST_RESORT if past_ms < self.stale_if_error_ms else Freshness.GONE

    def refreshes_early(self, entry: Entry, now_ms: int, chance: Callable[[], float]) -> bool:
        """Elect few requests to refresh a fresh entry, more the closer its end and the longer its load.

        XFetch: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015, §4.
        """
        if self.early_refresh == 0:
            return False
        # A chance is in [0, 1), the logarithm wants (0, 1].
        head_start_ms = -entry.load_ms * self.early_refresh * math.log(1 - chance())
        return now_ms + head_start_ms >= entry.fresh_until_ms
