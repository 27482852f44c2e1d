"""How often an answer is in the cache, from the rates of calls and writes. All times are in seconds.

Calls of one question arrive at rate λ and writes that invalidate its answer at rate μ, both independently of all that
was before (Poisson). An answer lives until its ttl T or the first write, so on average

    D = ∫₀ᵀ e^(-μt) dt = (1 - e^(-μT)) / μ,    and D = T without writes.

The first call after that is a miss, and stores a new answer. So for each miss there are λD hits on average, and

    hit ratio = λD / (1 + λD).

For μ = 0 this is the model of a cache with a ttl by Jung, Berger, Balakrishnan, "Modeling TTL-based Internet Caches",
INFOCOM 2003, §III. It holds for the question of average popularity. Where some are asked more often than others, the
ratio over all calls is higher: the hits of a question, λ·λD / (1 + λD), are convex in λ.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

__all__ = ["TTLS", "Ttl", "answer_life", "chosen_ttl", "hit_ratio"]


class Ttl(NamedTuple):
    """A ttl to propose, and the stale window with it, in the notation of the catalogue."""

    seconds: float
    ttl: str
    stale: str


TTLS: Final = (Ttl(60, "60s", "10m"), Ttl(300, "5m", "1h"), Ttl(900, "15m", "3h"), Ttl(3600, "1h", "12h"))
# A longer ttl must raise the hit ratio by more than this share. Writes invalidate answers whatever the ttl is, but
# what no trigger sees does not.
_WORTH_IT: Final = 0.95


def answer_life(ttl: float, writes: float) -> float:
    """Return how long an answer lives on average, with `writes` per second that invalidate it."""
    return -math.expm1(-writes * ttl) / writes if writes > 0 else ttl


def hit_ratio(calls: float, ttl: float, writes: float) -> float:
    """Return the share of hits among `calls` per second of one question."""
    hits = calls * answer_life(ttl, writes)
    return hits / (1 + hits)


def chosen_ttl(calls: float, writes: float) -> Ttl:
    """Return the shortest ttl with nearly the hit ratio of the longest."""
    best = hit_ratio(calls, TTLS[-1].seconds, writes)
    return next(each for each in TTLS if hit_ratio(calls, each.seconds, writes) >= _WORTH_IT * best)
