"""Metrics of a sweep in the CloudWatch embedded metric format: a log line for each sweep.

Each query with stale answers has one more, by query.
"""

from __future__ import annotations

from collections import Counter

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from cacheaside.invalidation.drain import Backlog, Drained
from cacheaside.invalidation.sweep import Sweep
from cacheaside.invalidation.verification import Verification

__all__ = ["measured_sweep"]


def measured_sweep(sweep: Sweep, poll_s: float) -> None:
    """Run a sweep, and publish its counts."""
    report = _SweepMetrics()
    try:
        sweep.run(poll_s, report)
    finally:
        if report.metrics.metric_set:  # there is none if PostgreSQL failed before the first report
            report.metrics.flush_metrics()


class _SweepMetrics:
    def __init__(self) -> None:
        self.metrics = EphemeralMetrics()

    def followed(self, unrecorded: int) -> None:
        self.metrics.add_metric("Unrecorded", MetricUnit.Count, unrecorded)

    def drained(self, drained: Drained, backlog: Backlog) -> None:
        self.metrics.add_metric("Drained", MetricUnit.Count, drained.rows)
        self.metrics.add_metric("Replayed", MetricUnit.Count, drained.replayed)
        self.metrics.add_metric("Pending", MetricUnit.Count, backlog.rows)
        self.metrics.add_metric("Lag", MetricUnit.Seconds, backlog.age_s)

    def folded(self, rows: int) -> None:
        self.metrics.add_metric("Folded", MetricUnit.Count, rows)

    def verified(self, verification: Verification) -> None:
        self.metrics.add_metric("Unverified", MetricUnit.Count, verification.unchecked)
        if verification.checked:
            oldest_s = max((answer.age_s for answer in verification.stale), default=0.0)
            self.metrics.add_metric("StaleAfterSeconds", MetricUnit.Seconds, oldest_s)
        for query, answers in Counter(answer.query for answer in verification.stale).items():
            stale = EphemeralMetrics()
            stale.add_dimensions(query=query)
            stale.add_metric("StaleAnswers", MetricUnit.Count, answers)
            stale.flush_metrics()
