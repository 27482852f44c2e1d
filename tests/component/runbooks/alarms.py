"""The metrics in the log of a function, and the alarms of the template that watch them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from tests.template.support.stack import stack_of

__all__ = ["STACK", "Metrics", "is_on", "metrics_of"]

STACK: Final = "shop"
_STATISTICS: Final = {"Sum": sum, "Maximum": max, "SampleCount": len}

# The values of each metric, by namespace, name and dimensions.
Metrics = dict[tuple[str, str, tuple[tuple[str, str], ...]], list[float]]


def metrics_of(lines: Sequence[str]) -> Metrics:
    """Return what CloudWatch makes of the lines in the embedded metric format."""
    metrics: defaultdict[tuple[str, str, tuple[tuple[str, str], ...]], list[float]] = defaultdict(list)
    for line in lines:
        document = json.loads(line) if line.startswith("{") else {}
        for directive in document.get("_aws", {}).get("CloudWatchMetrics", []):
            for names in directive["Dimensions"]:
                dimensions = tuple(sorted((name, document[name]) for name in names))
                for metric in directive["Metrics"]:
                    values = document[metric["Name"]]
                    key = directive["Namespace"], metric["Name"], dimensions
                    metrics[key] += values if isinstance(values, list) else [values]
    return dict(metrics)


def is_on(name: str, metrics: Metrics) -> bool:
    """Return whether one period with these metrics is a breaching one, for the alarm `name` of a metric of ours."""
    [alarm] = [each for each in _alarms() if each["AlarmName"] == f"{STACK}-{name}"]
    dimensions = tuple(sorted((each["Name"], each["Value"]) for each in alarm["Dimensions"]))
    values = metrics.get((alarm["Namespace"], alarm["MetricName"], dimensions))
    if values is None:
        return bool(alarm["TreatMissingData"] == "breaching")
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    return _STATISTICS[alarm["Statistic"]](values) > float(alarm["Threshold"])


def _alarms() -> list[dict[str, Any]]:
    return list(stack_of().of_type("AWS::CloudWatch::Alarm").values())
