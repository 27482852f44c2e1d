"""Metrics of reads in the CloudWatch embedded metric format: one log line for each answer, by query."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from cacheaside.errors import CacheasideError, DatabaseError, Overloaded, Unprocessable, WaitedTooLong
from cacheaside.reading.outcome import Refresh, Source
from cacheaside.reading.question import Question
from cacheaside.reading.reader import Answer, Reader

__all__ = ["breaker_counter", "measured_read", "measured_refresh"]

_log = logging.getLogger(__name__)

_METRICS: Final = {
    Source.LOCAL: "Hit",
    Source.HIT: "Hit",
    Source.STALE: "Stale",
    Source.COLLAPSED: "Collapsed",
    Source.MISS: "Miss",
    Source.EXPIRED: "Miss",
    Source.STALE_IF_ERROR: "StaleIfError",
    Source.BYPASS: "Bypass",
}

# Answers without a load of their own. The mean of FromCache is the hit ratio.
_FROM_CACHE: Final = frozenset([Source.LOCAL, Source.HIT, Source.STALE, Source.COLLAPSED])

# A shorter pause of a breaker is no outage: a few late replies suffice for it.
_OUTAGE_MS: Final = 500


def measured_read(reader: Reader, question: Question, time_left_ms: Callable[[], int]) -> Answer:
    """Return the answer to `question`, and publish its source or an error, and the time of each part (ms)."""
    metrics = EphemeralMetrics()
    metrics.add_dimensions(query=question.query.name)
    try:
        answer = reader.read(question, time_left_ms)
        metrics.add_metric(_METRICS[answer.outcome.source], MetricUnit.Count, 1)
        metrics.add_metric("FromCache", MetricUnit.Count, int(answer.outcome.source in _FROM_CACHE))
        metrics.add_metric("CacheTime", MetricUnit.Milliseconds, answer.cache_ms)
        if answer.database_ms is not None:
            metrics.add_metric("DatabaseTime", MetricUnit.Milliseconds, answer.database_ms)
        return answer
    except Unprocessable:
        metrics.add_metric("Unprocessable", MetricUnit.Count, 1)  # by a value of the caller
        raise
    except (DatabaseError, WaitedTooLong) as error:
        metrics.add_metric("Error", MetricUnit.Count, 1)
        if isinstance(error, Overloaded):
            metrics.add_metric("Overloaded", MetricUnit.Count, 1)
        raise
    finally:
        _publish(metrics)


def measured_refresh(reader: Reader, question: Question, refresh: Refresh, *, inline: bool) -> None:
    """Run a refresh. Publish whether its entry was stored, and whether it delayed the response (RefreshInline)."""
    metrics = EphemeralMetrics()
    metrics.add_dimensions(query=question.query.name)
    if inline:
        metrics.add_metric("RefreshInline", MetricUnit.Count, 1)
    try:
        stored = reader.refresh(refresh)
        metrics.add_metric("Refreshed" if stored else "RefreshLost", MetricUnit.Count, 1)
    except Unprocessable:
        metrics.add_metric("Unprocessable", MetricUnit.Count, 1)
    except CacheasideError:
        # The answer was sent already. For a second, no other request tries to refresh it.
        metrics.add_metric("RefreshFailed", MetricUnit.Count, 1)
        raise
    finally:
        _publish(metrics)


def breaker_counter(server: str) -> Callable[[int], None]:
    """Return a function that is told of each opening, with its pause in ms: CacheBreakerOpen, DatabaseBreakerOpen.

    While a server does not answer, breakers open again after each probe, for longer each time. So, with traffic, an
    alarm on the sum of CacheBreakerOpen per minute stays on until the server answers. It treats missing data as good.
    """

    def count(pause_ms: int) -> None:
        if pause_ms >= _OUTAGE_MS:
            metrics = EphemeralMetrics()
            metrics.add_metric(f"{server}BreakerOpen", MetricUnit.Count, 1)
            _publish(metrics)

    return count


def _publish(metrics: EphemeralMetrics) -> None:
    """Print the metrics. An error is only logged: an answer is more than its metrics, and its refresh holds a lease."""
    try:
        metrics.flush_metrics()
    except Exception:
        _log.exception("metrics were lost")
