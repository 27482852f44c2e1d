"""Metrics of a sweep: its counts, and for each query with stale answers their number."""

from __future__ import annotations

import logging
from collections import Counter
from math import inf

from cacheaside.errors import DatabaseError, in_full
from cacheaside.invalidation.drain import Backlog, Drained
from cacheaside.invalidation.sweep import Sweep
from cacheaside.invalidation.verification import Verification
from cacheaside.runtime.embedded_metrics import EmbeddedMetrics

__all__ = ["measured_sweep"]

_log = logging.getLogger(__name__)


def measured_sweep(sweep: Sweep, poll_s: float) -> None:
    """Run a sweep, and publish its counts. Lambda logs and counts the DatabaseError that this may raise."""
    report = _SweepMetrics()
    try:
        sweep.run(poll_s, report)
    except DatabaseError as error:
        _log.error("the sweep failed: %s", in_full(error), extra={"sqlstate": getattr(error.__cause__, "pgcode", None)})
        raise
    finally:
        report.metrics.write()


class _SweepMetrics:
    def __init__(self) -> None:
        self.metrics = EmbeddedMetrics({"Lag": "Seconds", "StaleAfterSeconds": "Seconds"}, write_every_ms=inf)

    def followed(self, unrecorded: int) -> None:
        self.metrics.add({"Unrecorded": unrecorded})

    def drained(self, drained: Drained, backlog: Backlog) -> None:
        counts = {"Drained": drained.rows, "Replayed": drained.replayed, "Pending": backlog.rows}
        self.metrics.add({**counts, "Lag": backlog.age_s})

    def folded(self, rows: int) -> None:
        self.metrics.add({"Folded": rows})

    def verified(self, verification: Verification) -> None:
        self.metrics.add({"Unverified": verification.unchecked})
        if verification.checked:
            oldest_s = max((answer.age_s for answer in verification.stale), default=0.0)
            self.metrics.add({"StaleAfterSeconds": oldest_s})
        for query, answers in Counter(answer.query for answer in verification.stale).items():
            self.metrics.add({"StaleAnswers": answers}, query)
