"""Alarms name their section of the runbook, the dashboard answers three questions, and all their metrics exist."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cacheaside.invalidation import verifier
from cacheaside.invalidation.verification import StaleAnswer
from tests.template.support.stack import ROOT, Stack, stack_of

RUNBOOK = ROOT / "docs" / "operations.md"
PUBLISHERS = (ROOT / "layers" / "cacheaside" / "cacheaside" / "runtime").glob("*_metrics.py")
ALWAYS = {
    "api-errors",
    "api-latency",
    "query-errors",
    "command-errors",
    "invalidate-errors",
    "throttles",
    "function-memory",
    "dropped-sweeps",
    "stale-answer",
    "unrecorded",
    "invalidation-lag",
    "hit-ratio",
    "breaker-open",
}
WITH = {
    "DatabaseSubnets": {"database-cpu", "database-memory", "database-connections"},
    "Database": {"database-storage", "database-credits"},
    "AuroraCluster": {"database-capacity"},
    "DatabaseProxy": {"proxy-pinned"},
    "Cache": {"cache-memory", "cache-evictions", "cache-credits"},
    "CacheCluster": {"shard-memory", "shard-cpu"},
    "CacheServerless": {"cache-throttles"},
}
# The sets of dimensions with which AWS publishes its own metrics.
NODE = {"CacheClusterId", "CacheNodeId"}
DATABASE = [{"DBInstanceIdentifier"}, {"DBClusterIdentifier"}, {"DBClusterIdentifier", "Role"}]
OF_AWS: dict[str, dict[str, list[set[str]]]] = {
    "AWS/ApiGateway": {name: [{"ApiId"}] for name in ("4xx", "5xx", "Count", "Latency")},
    "AWS/Lambda": {
        name: [{"FunctionName"}] for name in ("Errors", "Throttles", "ConcurrentExecutions", "AsyncEventsDropped")
    },
    "AWS/Scheduler": {"InvocationDroppedCount": [{"ScheduleGroup"}]},
    "AWS/RDS": {
        **dict.fromkeys(("CPUUtilization", "FreeableMemory", "DatabaseConnections"), DATABASE),
        **{name: [{"DBInstanceIdentifier"}] for name in ("FreeStorageSpace", "CPUCreditBalance")},
        "ACUUtilization": [{"DBClusterIdentifier"}],
        "DatabaseConnectionsCurrentlySessionPinned": [{"ProxyName"}],
    },
    "AWS/ElastiCache": {
        "DatabaseMemoryUsagePercentage": [NODE],
        "DatabaseMemoryUsageCountedForEvictPercentage": [NODE, {"ReplicationGroupId"}],
        "EngineCPUUtilization": [NODE, {"ReplicationGroupId", "Role"}],
        "Evictions": [NODE],
        "CPUCreditBalance": [NODE],
        "ThrottledCmds": [{"clusterId"}],
        "ElastiCacheProcessingUnits": [{"clusterId"}],
    },
}
SEARCH = re.compile(r"""SEARCH\('\{([^,]+),([\w,]+)\} (\w+)=(\S+) MetricName="(\w+)"', '(?:Maximum|Sum)', 60\)""")


class Metric(NamedTuple):
    namespace: str
    name: str
    dimensions: dict[str, str]


@cache
def published() -> set[str]:
    """Return the names of all metrics that the library may publish."""
    trees = [ast.parse(path.read_text()) for path in PUBLISHERS]
    literals = {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    names = {literal for literal in literals if re.fullmatch(r"[A-Z][A-Za-z]+", literal)}
    return names | {"CacheBreakerOpen", "DatabaseBreakerOpen"}


@cache
def sections() -> set[str]:
    """Return the anchors of the runbook's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", RUNBOOK.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def metrics_of(alarm: dict[str, Any]) -> Iterator[Metric]:
    single = [alarm] if "MetricName" in alarm else []
    for metric in single + [part["MetricStat"]["Metric"] for part in alarm.get("Metrics", []) if "MetricStat" in part]:
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in metric.get("Dimensions", [])}
        yield Metric(metric["Namespace"], metric["MetricName"], dimensions)


def widgets(stack: Stack) -> list[dict[str, Any]]:
    body = json.loads(stack.of_type("AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"])
    found: list[dict[str, Any]] = body["widgets"]
    return found


def metrics_in(widget: dict[str, Any]) -> Iterator[Metric]:
    """Return the metrics of a widget. "." repeats the value above; "..." repeats the start of the line above.

    A search names one of its dimensions. The others have the value "*".
    """
    above: list[str] = []
    for line in widget["properties"].get("metrics", []):
        if "expression" in line[0] and "id" in line[0]:  # of other metrics of the widget, by their ids
            used = set(re.findall(r"\b[a-z]\w*", line[0]["expression"]))
            assert used == {each["id"] for *_, each in widget["properties"]["metrics"] if "id" in each} - {
                line[0]["id"]
            }
            continue
        if "expression" in line[0]:
            ((namespace, dimensions, given, value, name),) = SEARCH.findall(line[0]["expression"])
            yield Metric(namespace, name, dict.fromkeys(dimensions.split(","), "*") | {given: value})
            continue
        given = [item for item in line if isinstance(item, str)]
        if given[0] == "...":
            given = above[: len(above) - len(given) + 1] + given[1:]
        above = [above[at] if item == "." else item for at, item in enumerate(given)]
        namespace, name, *dimensions = above
        yield Metric(namespace, name, dict(zip(dimensions[::2], dimensions[1::2], strict=True)))


def is_published(metric: Metric, stack: Stack) -> bool:
    if metric.namespace in OF_AWS:
        return metric.dimensions.keys() in OF_AWS[metric.namespace][metric.name]
    filters = stack.of_type("AWS::Logs::MetricFilter").values()
    counted = [transformation for each in filters for transformation in each["MetricTransformations"]]
    if metric in [Metric(one["MetricNamespace"], one["MetricName"], {}) for one in counted]:
        return True
    services = {f["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] for f in stack.functions.values()}
    namespaces = {f["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"] for f in stack.functions.values()}
    return (
        {metric.namespace} == namespaces
        and metric.name in published()
        and metric.dimensions.keys() == {"service"}
        and metric.dimensions["service"] in services
    )


def test_alarms_match_the_resources(stack: Stack) -> None:
    expected = {f"shop-{name}" for name in ALWAYS.union(*(WITH[name] for name in WITH if name in stack.resources))}
    assert {alarm["AlarmName"] for alarm in stack.of_type("AWS::CloudWatch::Alarm").values()} == expected


def test_every_alarm_notifies_when_it_begins_and_ends(stack: Stack) -> None:
    for alarm in stack.of_type("AWS::CloudWatch::Alarm").values():
        assert (alarm["AlarmActions"], alarm["OKActions"]) == (["Alarms"], ["Alarms"])
        assert alarm["TreatMissingData"] in ("breaching", "notBreaching")  # "missing" would keep an old alarm on


def test_every_alarm_names_its_section_of_the_runbook(stack: Stack) -> None:
    for alarm in stack.of_type("AWS::CloudWatch::Alarm").values():
        (anchor,) = re.findall(r"What to do: docs/operations\.md#([\w-]+)", alarm["AlarmDescription"])
        assert alarm["AlarmName"] == f"shop-{anchor}"
        assert anchor in sections()


def test_an_alarm_warns_before_the_memory_of_a_function_is_used_up(default: Stack) -> None:
    """Each filter counts reports of its own function above 90 % of its memory, which the log names `record.metrics`."""
    filters = {
        each["LogGroupName"]: each["FilterPattern"] for each in default.of_type("AWS::Logs::MetricFilter").values()
    }
    memory = {name.replace("Function", "Logs"): f["MemorySize"] for name, f in default.functions.items()}
    del memory["MigrateLogs"]  # its failure fails the deployment
    assert filters == {
        group: f'{{ $.type = "platform.report" && $.record.metrics.maxMemoryUsedMB > {size * 9 // 10} }}'
        for group, size in memory.items()
    }


def test_saved_query_finds_the_line_that_names_a_stale_answer(stack: Stack) -> None:
    (saved,) = stack.of_type("AWS::Logs::QueryDefinition").values()
    assert saved["LogGroupNames"] == ["InvalidateLogs"]
    line, columns = re.findall(r'filter message like "(.+)"\n\| fields (.+)', saved["QueryString"])[0]
    assert f'"{line} %s"' in Path(verifier.__file__).read_text()
    assert {*columns.split(", ")} <= {"@timestamp", "message", *(column.name for column in fields(StaleAnswer))}


def test_alarm_email_receives_the_alarms(stack: Stack) -> None:
    subscriptions = list(stack.of_type("AWS::SNS::Subscription").values())
    address = stack.parameters["AlarmEmail"]
    wanted = [{"TopicArn": "Alarms", "Protocol": "email", "Endpoint": address}] if address else []
    assert subscriptions == wanted


def test_alarms_and_dashboard_use_published_metrics(stack: Stack) -> None:
    for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items():
        read = list(metrics_of(alarm))
        assert read
        assert not [metric for metric in read if not is_published(metric, stack)], name
    for widget in widgets(stack):
        title = widget["properties"]["title"]
        assert not [metric for metric in metrics_in(widget) if not is_published(metric, stack)], title


def test_dashboard_finds_all_nodes_of_the_cache_by_its_name(stack: Stack) -> None:
    (widget,) = [widget for widget in widgets(stack) if widget["properties"]["title"] == "Cache"]
    searched = [metric for metric in metrics_in(widget) if metric.dimensions.keys() == NODE]
    cache = stack.functions["QueryFunction"]["Environment"]["Variables"]["CACHE_NAME"]
    assert [metric.dimensions for metric in searched] == [{"CacheClusterId": cache, "CacheNodeId": "*"}] * 3


def test_alarms_of_a_cluster_look_at_all_its_shards() -> None:
    """Those of a node name its nodes. The names of a cluster's nodes depend on the number of shards."""
    stack = stack_of(CacheType="cluster", HighAvailability="on")
    watched = {
        metric.name: metric.dimensions
        for alarm in stack.of_type("AWS::CloudWatch::Alarm").values()
        for metric in metrics_of(alarm)
        if metric.namespace == "AWS/ElastiCache"
    }
    assert watched == {
        "DatabaseMemoryUsageCountedForEvictPercentage": {"ReplicationGroupId": "CacheCluster"},
        "EngineCPUUtilization": {"ReplicationGroupId": "CacheCluster", "Role": "Primary"},
    }


def test_an_expression_uses_every_metric_that_is_fetched_for_it(stack: Stack) -> None:
    for alarm in stack.of_type("AWS::CloudWatch::Alarm").values():
        expressions = [part["Expression"] for part in alarm.get("Metrics", []) if "Expression" in part]
        assert len(expressions) == ("MetricName" not in alarm)
        for expression in expressions:
            ids = {part["Id"] for part in alarm["Metrics"] if "MetricStat" in part}
            assert set(re.findall(r"\b[a-z]\w*", expression)) == ids


@pytest.mark.parametrize(
    ("answers", "loads", "ratio"), [(1_000, 250, 0.75), (100, None, 1), (100, 100, 0), (99, 99, 1)]
)
def test_hit_ratio_is_the_share_of_answers_without_a_load(
    default: Stack, answers: int, loads: int | None, ratio: float
) -> None:
    expression, *metrics = default.of_type("AWS::CloudWatch::Alarm")["HitRatioAlarm"]["Metrics"]
    counted = {each["Id"]: each["MetricStat"] for each in metrics}
    assert {name: each["Metric"]["MetricName"] for name, each in counted.items()} == {
        "answers": "CacheTime",
        "loads": "DatabaseTime",
    }
    assert {each["Stat"] for each in counted.values()} == {"SampleCount"}
    known = {
        "FILL": lambda value, other: other if value is None else value,
        "IF": lambda condition, one, other: one if condition else other,
        "answers": answers,
        "loads": loads,
    }
    assert eval(expression["Expression"], known) == ratio  # noqa: S307


def test_no_traffic_is_no_alarm_but_no_sweep_is_one(default: Stack) -> None:
    alarms = default.of_type("AWS::CloudWatch::Alarm")
    breaching = {name for name, alarm in alarms.items() if alarm["TreatMissingData"] == "breaching"}
    assert breaching == {"InvalidationLagAlarm"}


def test_first_row_asks_the_three_questions(stack: Stack) -> None:
    first = sorted((widget for widget in widgets(stack) if widget["y"] == 0), key=lambda widget: widget["x"])
    titles = [widget["properties"]["title"].partition("?")[0] for widget in first]
    assert titles == ["Is it fast", "Is it right", "What does the cache save"]
    names = [{metric.name for metric in metrics_in(widget)} for widget in first]
    assert names[0] == {"Latency"}
    assert names[1] == {"StaleAfterSeconds", "Lag"}
    assert names[2] >= {"CacheTime", "Miss", "Stale", "Collapsed", "Bypass", "Direct"}


def test_widgets_fill_the_grid_without_overlap(default: Stack) -> None:
    found = [(w["x"], w["y"], w["width"], w["height"]) for w in widgets(default)]
    for (x, y, width, height), (x2, y2, width2, height2) in combinations(found, 2):
        assert x + width <= x2 or x2 + width2 <= x or y + height <= y2 or y2 + height2 <= y
    assert all(x + width <= 24 for x, _, width, _ in found)


def test_dashboard_shows_alarms_that_exist(stack: Stack) -> None:
    (shown,) = [widget["properties"]["alarms"] for widget in widgets(stack) if widget["type"] == "alarm"]
    assert {arn.removesuffix(".Arn") for arn in shown} <= stack.of_type("AWS::CloudWatch::Alarm").keys()
    assert len(shown) == len(ALWAYS)
