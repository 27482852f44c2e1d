"""Metrics in the CloudWatch embedded metric format: lines of the log, from which CloudWatch makes metrics.

A line costs more than its values: CPU to print it, and bytes to keep it. So the values of a second are collected and
written together, as arrays. CloudWatch counts each value of an array, so sums, averages and percentiles stay exact.

    add    add add         add                  add            a line is written by the first event a second
     │      ·   ·           │                    │             or more after the last line
    line   ├─── 1 s ───┤   line (3 values)      line

A sandbox that dies loses the values that were collected since its last line: those of one second at most. `write` loses
none: call it after what must not be lost or late, such as errors.

The format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from cacheaside.clock import epoch_ms

__all__ = ["EmbeddedMetrics"]

_VALUES_AT_MOST: Final = 100  # of one metric, by the format

_log = logging.getLogger(__name__)


class EmbeddedMetrics:
    """Collects values and writes them, by function, and by query where one is named. Not safe for threads at once.

    `units` has the units of the metrics that are no counts. The namespace and the name of the function come from
    POWERTOOLS_METRICS_NAMESPACE and POWERTOOLS_SERVICE_NAME, where Powertools for AWS Lambda looks for them too.
    """

    def __init__(
        self,
        units: Mapping[str, str],
        write_every_ms: float = 1_000,
        now_ms: Callable[[], int] = epoch_ms,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._units = units
        self._write_every_ms = write_every_ms
        self._now_ms = now_ms
        self._namespace = environment.get("POWERTOOLS_METRICS_NAMESPACE") or "cacheaside"
        self._service = environment.get("POWERTOOLS_SERVICE_NAME") or "cacheaside"
        self._collected: dict[str | None, dict[str, list[float]]] = {}
        self._since_ms = 0  # the time of the first value that is collected
        self._written_ms = 0

    def add(self, values: Mapping[str, float], query: str | None = None) -> None:
        """Add one value to each of the metrics. They are written if the last line is old enough."""
        now_ms = self._now_ms()
        is_due = not 0 <= now_ms - self._written_ms < self._write_every_ms  # the clock may have been set back
        if self._collected and now_ms - self._since_ms >= 2 * self._write_every_ms:
            self.write()  # the values of before a pause, under their own time
        if not self._collected:
            self._since_ms = now_ms
        metrics = self._collected.setdefault(query, {})
        is_full = False
        for name, value in values.items():
            collected = metrics.setdefault(name, [])
            collected.append(value)
            is_full = is_full or len(collected) == _VALUES_AT_MOST
        if is_full or is_due:
            self.write()

    def write(self) -> None:
        """Print what is collected. An error is only logged: an answer is more than its metrics."""
        collected, self._collected = self._collected, {}
        self._written_ms = self._now_ms()
        try:
            for query, metrics in collected.items():
                print(json.dumps(self._document(query, metrics), separators=(",", ":")))
        except Exception:
            _log.exception("metrics were lost")

    def _document(self, query: str | None, metrics: Mapping[str, list[float]]) -> dict[str, Any]:
        of_query = {} if query is None else {"query": query}
        dimensions = {"service": self._service, **of_query}
        declared = [{"Name": name, "Unit": self._units.get(name, "Count")} for name in metrics]
        directive = {"Namespace": self._namespace, "Dimensions": [[name] for name in dimensions], "Metrics": declared}
        return {"_aws": {"Timestamp": self._since_ms, "CloudWatchMetrics": [directive]}, **dimensions, **metrics}
