"""What the metrics of one query tell: how its answers were made, how fast, and how much time that saved."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from local.cli.output import table
from local.live.durations import duration, milliseconds

__all__ = ["COUNTS", "Distribution", "QueryStats", "as_documents", "as_table"]

# The metrics that count: see cacheaside.runtime.read_metrics. All answers but these sources are hits.
_NOT_HITS: Final = ("Miss", "Stale", "Collapsed", "Bypass", "StaleIfError")
COUNTS: Final = (*_NOT_HITS, "Error", "Unprocessable", "NewKeysRefused")

_HEAD: Final = (
    *("query", "answers", "hits", "misses", "stale", "collapsed", "other", "errors", "hit ratio"),
    *("cache p50", "p99", "database p50", "p99", "saved"),
)


class Distribution(NamedTuple):
    """Times in milliseconds. All but `number` are None if there are none."""

    number: int = 0
    mean: float | None = None
    p50: float | None = None
    p99: float | None = None

    @classmethod
    def of(cls, values: Sequence[float]) -> Distribution:
        """Return that of `values`, with the percentiles by nearest rank."""
        if not values:
            return cls()
        ranked = sorted(values)
        p50, p99 = (ranked[math.ceil(len(ranked) * share) - 1] for share in (0.5, 0.99))
        return cls(len(ranked), math.fsum(ranked) / len(ranked), p50, p99)


class QueryStats(NamedTuple):
    """`cache` has a value for each answer, `database` one for each answer that waited for a load of its own."""

    query: str
    cache: Distribution
    database: Distribution
    counts: Mapping[str, int]

    @property
    def answers(self) -> int:
        return self.cache.number

    @property
    def hits(self) -> int:
        # A line of the metrics can be cut off between its values by the start of the period.
        return max(0, self.answers - sum(self.counts.get(name, 0) for name in _NOT_HITS))

    @property
    def hit_ratio(self) -> float | None:
        """The share of answers that waited for no load of their own, as the alarm on the hit ratio has it."""
        return 1 - self.database.number / self.answers if self.answers else None

    @property
    def saved_ms(self) -> float | None:
        """Hits and stale answers, times what a load takes longer than a look into the cache. None without a load."""
        if self.database.mean is None or self.cache.mean is None:
            return None
        return (self.hits + self.counts.get("Stale", 0)) * (self.database.mean - self.cache.mean)


def as_table(stats: Sequence[QueryStats]) -> str:
    """Return one line for each query, and the time that all of them saved."""
    lines = table(_HEAD, [_line(each) for each in stats], right=range(1, len(_HEAD)))
    saved = sum(each.saved_ms or 0 for each in stats)
    return f"{lines}\n\nCallers waited {duration(saved)} less than without the cache."


def as_documents(stats: Sequence[QueryStats]) -> list[dict[str, Any]]:
    """Return one item for each query, for a script."""
    return [
        {
            "query": each.query,
            "answers": each.answers,
            "hits": each.hits,
            **{name: each.counts.get(metric, 0) for name, metric in _NAMES.items()},
            "hit_ratio": each.hit_ratio,
            "cache_ms": _times(each.cache),
            "database_ms": _times(each.database),
            "saved_ms": each.saved_ms,
        }
        for each in stats
    ]


_NAMES: Final = {
    "misses": "Miss",
    "stale": "Stale",
    "collapsed": "Collapsed",
    "bypassed": "Bypass",
    "stale_if_error": "StaleIfError",
    "errors": "Error",
    "unprocessable": "Unprocessable",
    "new_keys_refused": "NewKeysRefused",
}


def _times(times: Distribution) -> dict[str, float | None]:
    return {"mean": times.mean, "p50": times.p50, "p99": times.p99}


def _line(each: QueryStats) -> tuple[str, ...]:
    count = each.counts.get
    numbers = (
        *(each.answers, each.hits, count("Miss", 0), count("Stale", 0), count("Collapsed", 0)),
        *(count("Bypass", 0) + count("StaleIfError", 0), count("Error", 0)),
    )
    return (
        each.query,
        *(f"{number:,}" for number in numbers),
        "–" if each.hit_ratio is None else f"{each.hit_ratio:.1%}",
        *(milliseconds(time) for times in (each.cache, each.database) for time in (times.p50, times.p99)),
        "–" if each.saved_ms is None else duration(each.saved_ms),
    )
