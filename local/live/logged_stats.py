"""The stats of the stack on this machine: from the lines of metrics in the log of its query function."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from local.live.query_stats import COUNTS, Distribution, QueryStats

__all__ = ["logged_stats", "stats_of_lines"]

_START: Final = '{"_aws":'


def logged_stats(log: Path, since_ms: int) -> list[QueryStats]:
    """Return the stats of what was logged from `since_ms` on. There are none if there is no log yet."""
    if not log.exists():
        return []
    with log.open(encoding="utf-8", errors="replace") as lines:
        return stats_of_lines(lines, since_ms)


def stats_of_lines(lines: Iterable[str], since_ms: int) -> list[QueryStats]:
    """Return the stats by query, in the order of names."""
    values: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for document in _documents(lines):
        if document["_aws"]["Timestamp"] >= since_ms and "query" in document:
            for metric in document["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
                values[document["query"]][metric["Name"]] += document[metric["Name"]]
    return [
        QueryStats(
            query,
            Distribution.of(metrics["CacheTime"]),
            Distribution.of(metrics["DatabaseTime"]),
            {name: int(sum(metrics[name])) for name in COUNTS},
        )
        for query, metrics in sorted(values.items())
    ]


def _documents(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith(_START):
            try:
                yield json.loads(line)
            except ValueError:  # the process was killed while it wrote
                continue
