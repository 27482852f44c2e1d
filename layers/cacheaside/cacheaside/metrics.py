"""Metrics in the CloudWatch embedded metric format: one line of log for each answer, by query."""

from __future__ import annotations

from typing import Final

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from cacheaside.catalogue import BoundQuery
from cacheaside.errors import DatabaseError
from cacheaside.outcome import Source
from cacheaside.reader import Answer, Reader

__all__ = ["measured_read"]

_COUNTED_AS: Final = {Source.HIT: "Hit", Source.MISS: "Miss", Source.EXPIRED: "Miss", Source.BYPASS: "Bypass"}


def measured_read(reader: Reader, bound: BoundQuery) -> Answer:
    """Return the answer to `bound`, and publish how it was had: Hit, Miss, Bypass or Error, and the ms of each part."""
    metrics = EphemeralMetrics()
    metrics.add_dimension("query", bound.query.name)
    try:
        answer = reader.read(bound)
        metrics.add_metric(_COUNTED_AS[answer.outcome.source], MetricUnit.Count, 1)
        metrics.add_metric("CacheTime", MetricUnit.Milliseconds, answer.cache_ms)
        if answer.database_ms is not None:
            metrics.add_metric("DatabaseTime", MetricUnit.Milliseconds, answer.database_ms)
        return answer
    except DatabaseError:
        metrics.add_metric("Error", MetricUnit.Count, 1)
        raise
    finally:
        metrics.flush_metrics()
