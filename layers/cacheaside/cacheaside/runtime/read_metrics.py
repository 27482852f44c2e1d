"""Metrics in the CloudWatch embedded metric format: one line of log for each answer, by query, and for each sweep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from cacheaside.catalogue.statements import BoundQuery
from cacheaside.drivers.breaker import State
from cacheaside.errors import CacheasideError, DatabaseError, Overloaded, WaitedTooLong
from cacheaside.invalidation.drain import Backlog, Drained
from cacheaside.invalidation.sweep import Sweep
from cacheaside.invalidation.verifier import Verification
from cacheaside.reading.outcome import Refresh, Source
from cacheaside.reading.reader import Answer, Reader

__all__ = ["breaker_counter", "measured_read", "measured_refresh", "measured_sweep"]

_COUNTED_AS: Final = {
    Source.LOCAL: "Hit",
    Source.HIT: "Hit",
    Source.STALE: "Stale",
    Source.COLLAPSED: "Collapsed",
    Source.MISS: "Miss",
    Source.EXPIRED: "Miss",
    Source.STALE_IF_ERROR: "StaleIfError",
    Source.BYPASS: "Bypass",
}

# Answers that took no load of their own. The mean of FromCache is the hit ratio.
_FROM_CACHE: Final = frozenset([Source.LOCAL, Source.HIT, Source.STALE, Source.COLLAPSED])

_STATE: Final = {State.CLOSED: "Closed", State.OPEN: "Open", State.HALF_OPEN: "HalfOpen"}


def measured_read(reader: Reader, bound: BoundQuery, time_left_ms: Callable[[], int]) -> Answer:
    """Return the answer to `bound`, and publish how it was had, an Error if it was not, and the ms of each part."""
    metrics = EphemeralMetrics()
    metrics.add_dimensions(query=bound.query.name)
    try:
        answer = reader.read(bound, time_left_ms)
        metrics.add_metric(_COUNTED_AS[answer.outcome.source], MetricUnit.Count, 1)
        metrics.add_metric("FromCache", MetricUnit.Count, int(answer.outcome.source in _FROM_CACHE))
        metrics.add_metric("CacheTime", MetricUnit.Milliseconds, answer.cache_ms)
        if answer.database_ms is not None:
            metrics.add_metric("DatabaseTime", MetricUnit.Milliseconds, answer.database_ms)
        return answer
    except (DatabaseError, WaitedTooLong) as error:
        metrics.add_metric("Error", MetricUnit.Count, 1)
        if isinstance(error, Overloaded):
            metrics.add_metric("Overloaded", MetricUnit.Count, 1)
        raise
    finally:
        metrics.flush_metrics()


def measured_refresh(reader: Reader, bound: BoundQuery, refresh: Refresh, *, inline: bool) -> None:
    """Run a refresh, and publish whether it was stored, and whether it had to delay the response (RefreshInline)."""
    metrics = EphemeralMetrics()
    metrics.add_dimensions(query=bound.query.name)
    if inline:
        metrics.add_metric("RefreshInline", MetricUnit.Count, 1)
    try:
        stored = reader.refresh(refresh)
        metrics.add_metric("Refreshed" if stored else "RefreshLost", MetricUnit.Count, 1)
    except CacheasideError:
        # The answer was sent, nobody waits for this one. The lease keeps others from trying until it ends.
        metrics.add_metric("RefreshFailed", MetricUnit.Count, 1)
        raise
    finally:
        metrics.flush_metrics()


def measured_sweep(sweep: Sweep, listen_s: float) -> None:
    """Run a sweep, and publish what it did."""
    report = _SweepReport()
    try:
        sweep.run(listen_s, report)
    finally:
        if report.metrics.metric_set:  # there is none if PostgreSQL failed
            report.metrics.flush_metrics()


class _SweepReport:
    def __init__(self) -> None:
        self.metrics = EphemeralMetrics()

    def drained(self, drained: Drained, backlog: Backlog) -> None:
        self.metrics.add_metric("Drained", MetricUnit.Count, drained.rows)
        self.metrics.add_metric("Replayed", MetricUnit.Count, drained.replayed)
        self.metrics.add_metric("Pending", MetricUnit.Count, backlog.rows)
        self.metrics.add_metric("Lag", MetricUnit.Seconds, backlog.age_s)

    def folded(self, rows: int) -> None:
        self.metrics.add_metric("Folded", MetricUnit.Count, rows)

    def verified(self, verification: Verification) -> None:
        ages = [answer.age_s for answer in verification.stale]
        for age_s in ages + [0.0] * (verification.checked - len(ages)):
            self.metrics.add_metric("StaleAfterSeconds", MetricUnit.Seconds, age_s)


def breaker_counter(server: str) -> Callable[[State], None]:
    """Return what counts the changes of a breaker: CacheBreakerOpen, CacheBreakerHalfOpen, CacheBreakerClosed.

    While a server stays away, its breaker opens again after each probe. So an alarm on the sum of CacheBreakerOpen
    over a minute, missing data being good, lasts as long as the trouble, given traffic.
    """

    def count(state: State) -> None:
        metrics = EphemeralMetrics()
        metrics.add_metric(f"{server}Breaker{_STATE[state]}", MetricUnit.Count, 1)
        metrics.flush_metrics()

    return count
