"""The freshness policy of one query: how long an answer may be served, and how long a caller waits for one.

created          fresh until                          gone
   ├───── ttl ───────┼────── stale ───────┤              │
   │                 ├────── stale if error ─────────────┤
  HIT              STALE              only if the load fails
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

__all__ = [
    "ANSWER_MARGIN_MS",
    "BRIEFLY_MS",
    "FAILURE_MS",
    "LEASE_MS",
    "LONGEST_LOAD_MS",
    "NEW_ANSWERS",
    "RENEW_EVERY_MS",
    "Freshness",
    "Policy",
    "WaitedOut",
]

# A lease is short: when its holder has died, this is how long others wait in vain. A live holder renews it during the
# load. Two renewals in a row can get lost, and the last one leaves time to store a large answer.
LEASE_MS: Final = 1_000
RENEW_EVERY_MS: Final = 250

# How long those who ask the same share the failure of a load, before one of them tries again.
FAILURE_MS: Final = 1_000

# A request needs this much besides the load: two round trips to the cache, and a pause of the runtime.
ANSWER_MARGIN_MS: Final = 2_000

# A waiter may take an answer that is no longer fresh when it arrives, so the cache must keep it a little longer. An
# answer for which there is no room is kept for the waiters only.
BRIEFLY_MS: Final = 2_000

# How many new answers of a query the cache takes at once, and again in the lifetime of an answer. At 2 kB each, twice
# as many take up some 90 MB.
NEW_ANSWERS: Final = 20_000

# No request lives longer: API Gateway ends it.
LONGEST_LOAD_MS: Final = 30_000


class Freshness(Enum):
    """How an entry may be used, judged by its age alone."""

    FRESH = "may be served"
    STALE = "may be served while one request refreshes it"
    LAST_RESORT = "may be served if a load fails"
    GONE = "may not be served"


class WaitedOut(Enum):
    """What a request does when its time to wait for another request's load is over."""

    FAIL = "503"
    LOAD = "load"


class Policy(NamedTuple):
    """Times in milliseconds, as declared in the catalogue."""

    ttl_ms: int
    stale_ms: int = 0
    stale_if_error_ms: int = 0
    negative_ttl_ms: int = 0  # of the answer "no such row" (negative caching)
    wait_ms: int = 10_000  # for the load of another request
    waited_out: WaitedOut = WaitedOut.FAIL
    jitter: float = (
        0.0  # largest share of the ttl to cut off at random, so that entries of one moment do not expire together
    )
    early_refresh: float = 0.0  # β of XFetch; 0: never refresh before the ttl is over
    compress: bool = True  # store the body compressed, where that pays
    local_ms: int = 0  # how long one process may keep the answer in memory, where no invalidation reaches it
    client_ms: int = 0  # how long a browser or CDN may keep the answer without asking; 0: it must ask
    new_answers: int = NEW_ANSWERS  # how many the cache takes at once, and again in the lifetime of an answer

    @property
    def tag_ms(self) -> int:
        """Return the lifetime of a tag: longer than that of any entry with its version. A missing tag is a miss."""
        return 2 * self.lifetime_ms(max(self.ttl_ms, self.negative_ttl_ms)) + LONGEST_LOAD_MS

    @property
    def brief_tag_ms(self) -> int:
        """Return the lifetime of a tag until the answer for which it was made has found room."""
        return 2 * BRIEFLY_MS + LONGEST_LOAD_MS

    def fresh_ms(self, *, found: bool, chance: float) -> int:
        """Return how long a new answer is fresh. `found` is False for "no such row"; `chance` is in [0, 1)."""
        ttl_ms = self.ttl_ms if found else self.negative_ttl_ms
        return ttl_ms - int(ttl_ms * self.jitter * chance)

    def lifetime_ms(self, fresh_ms: int) -> int:
        """Return how long the cache keeps an answer that is fresh for `fresh_ms`."""
        return fresh_ms + max(self.stale_ms, self.stale_if_error_ms, BRIEFLY_MS)

    def freshness(self, fresh_until_ms: int, now_ms: int) -> Freshness:
        """Return how an entry that is fresh until `fresh_until_ms` may be used now."""
        past_ms = now_ms - fresh_until_ms
        if past_ms < 0:
            return Freshness.FRESH
        if past_ms < self.stale_ms:
            return Freshness.STALE
        return Freshness.LAST_RESORT if past_ms < self.stale_if_error_ms else Freshness.GONE

    def refreshes_early(self, fresh_until_ms: int, load_ms: int, now_ms: int, chance: Callable[[], float]) -> bool:
        """Return whether to refresh a fresh entry now. The nearer its end and the longer its load, the likelier.

        XFetch: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015, §4.
        """
        if self.early_refresh == 0:
            return False
        # `chance` is in [0, 1), and the logarithm is defined in (0, 1].
        head_start_ms = -load_ms * self.early_refresh * math.log(1 - chance())
        return now_ms + head_start_ms >= fresh_until_ms
