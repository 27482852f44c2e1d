"""The stats of a deployed stack, from CloudWatch: metrics in a namespace named as the stack, by query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from local.errors import LocalError
from local.live.query_stats import COUNTS, Distribution, QueryStats

__all__ = ["cloudwatch_stats"]

_TIMES: Final = ("CacheTime", "DatabaseTime")
_OF_TIMES: Final = ("SampleCount", "Sum", "p50", "p99")
# A call may ask for 500 time series; each query has 15.
_QUERIES_PER_CALL: Final = 500 // (len(_TIMES) * len(_OF_TIMES) + len(COUNTS))
_MINUTE_S: Final = 60
_DAY_S: Final = 86_400

Series = dict[tuple[str, str], dict[datetime, float]]
"""The values of one query by metric and statistic, and by the start of each period in which there were any."""


def cloudwatch_stats(cloudwatch: Any, stack: str, since_s: int, now: datetime) -> list[QueryStats]:
    """Return the stats of the last `since_s` seconds by query, in the order of names. Raises `LocalError`.

    A period is as long as the time that was asked for, up to a day, so mostly there are one or two. Percentiles of
    several are their mean, weighted by the number of values: CloudWatch cannot tell those of all.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        queries = sorted(set(_queries(cloudwatch, stack)))
        stats = []
        for start in range(0, len(queries), _QUERIES_PER_CALL):
            some = queries[start : start + _QUERIES_PER_CALL]
            found = _ask(cloudwatch, stack, some, since_s, now)
            stats += [_stats(query, found[index]) for index, query in enumerate(some)]
    except (BotoCoreError, ClientError) as error:
        raise LocalError(f"CloudWatch: {error}") from None
    return [each for each in stats if each.answers or any(each.counts.values())]


def _queries(cloudwatch: Any, stack: str) -> Iterator[str]:
    asked = {"Namespace": stack, "Dimensions": [{"Name": "query"}]}
    for page in cloudwatch.get_paginator("list_metrics").paginate(**asked):
        for metric in page["Metrics"]:
            yield from (each["Value"] for each in metric["Dimensions"] if each["Name"] == "query")


def _ask(cloudwatch: Any, stack: str, queries: Sequence[str], since_s: int, now: datetime) -> list[Series]:
    wanted = [(metric, statistic) for metric in _TIMES for statistic in _OF_TIMES]
    wanted += [(metric, "Sum") for metric in COUNTS]
    period_s = min(max(-(-since_s // _MINUTE_S) * _MINUTE_S, _MINUTE_S), _DAY_S)
    asked = [
        {
            "Id": f"q{index}_{column}",
            "MetricStat": {
                "Metric": {
                    "Namespace": stack,
                    "MetricName": metric,
                    "Dimensions": [{"Name": "query", "Value": query}],
                },
                "Period": period_s,
                "Stat": statistic,
            },
        }
        for index, query in enumerate(queries)
        for column, (metric, statistic) in enumerate(wanted)
    ]
    found: list[Series] = [{each: {} for each in wanted} for _ in queries]
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=asked,
        StartTime=now.astimezone(UTC) - timedelta(seconds=since_s),
        EndTime=now.astimezone(UTC),
        ScanBy="TimestampAscending",
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            index, column = result["Id"][1:].split("_")
            found[int(index)][wanted[int(column)]].update(zip(result["Timestamps"], result["Values"], strict=True))
    return found


def _stats(query: str, series: Series) -> QueryStats:
    counts = {name: round(sum(series[name, "Sum"].values())) for name in COUNTS}
    return QueryStats(query, _distribution(series, "CacheTime"), _distribution(series, "DatabaseTime"), counts)


def _distribution(series: Series, metric: str) -> Distribution:
    counts = series[metric, "SampleCount"]
    number = sum(counts.values())
    if not number:
        return Distribution()
    p50, p99 = (
        sum(counts.get(start, 0) * value for start, value in series[metric, name].items()) / number
        for name in ("p50", "p99")
    )
    return Distribution(round(number), sum(series[metric, "Sum"].values()) / number, p50, p99)
