"""The stats of the stack on this machine: from the lines of metrics in the log of its query function."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

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
    for at_ms, query, logged in _logged(lines):
        if at_ms >= since_ms:
            for metric, numbers in logged.items():
                values[query][metric] += numbers
    return [
        QueryStats(
            query,
            Distribution.of(metrics["CacheTime"]),
            Distribution.of(metrics["DatabaseTime"]),
            {name: int(sum(metrics[name])) for name in COUNTS},
        )
        for query, metrics in sorted(values.items())
    ]


def _logged(lines: Iterable[str]) -> Iterator[tuple[int, str, dict[str, list[float]]]]:
    """Yield time, query and numbers by metric of each line that the query function wrote about a query."""
    for line in lines:
        if line.startswith(_START):
            try:
                document = json.loads(line)
                metrics = document["_aws"]["CloudWatchMetrics"][0]["Metrics"]
                numbers = {each["Name"]: [*map(float, document[each["Name"]])] for each in metrics}
                yield int(document["_aws"]["Timestamp"]), str(document["query"]), numbers
            except (ValueError, TypeError, LookupError):  # it was killed while it wrote, or the line is another's
                continue
