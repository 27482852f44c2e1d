"""The figures of `stats`, from the lines of the log and from CloudWatch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from cacheaside.runtime.embedded_metrics import EmbeddedMetrics
from local.errors import LocalError
from local.live.cloudwatch_stats import cloudwatch_stats
from local.live.logged_stats import stats_of_lines
from local.live.query_stats import Distribution, QueryStats, as_documents, as_table

FOREIGN = [
    '{"_aws": cut off\n',
    '{"_aws":5}\n',
    '{"_aws":{"Timestamp":1000,"CloudWatchMetrics":[]},"query":"product"}\n',
]
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def logged(capsys: pytest.CaptureFixture[str], at_ms: int, *answers: dict[str, float]) -> list[str]:
    """Return the lines that the query function writes for `answers`."""
    metrics = EmbeddedMetrics({"CacheTime": "Milliseconds"}, now_ms=lambda: at_ms)
    for each in answers:
        metrics.add(each, "product")
    metrics.write()
    return capsys.readouterr().out.splitlines()


def test_answers_that_are_counted_nowhere_else_are_hits(capsys: pytest.CaptureFixture[str]) -> None:
    lines = logged(
        capsys,
        1_000,
        {"CacheTime": 2, "Miss": 1, "NewKeysRefused": 1, "DatabaseTime": 100},
        *({"CacheTime": 2} for _ in range(5)),
        {"CacheTime": 2, "Stale": 1},
        {"CacheTime": 2, "Collapsed": 1},
        {"Error": 1},
    )
    [stats] = stats_of_lines(["to the log\n", *FOREIGN, *lines], since_ms=0)
    assert (stats.answers, stats.hits, stats.counts["Error"]) == (8, 5, 1)
    assert stats.hit_ratio == 7 / 8
    assert stats.saved_ms == (5 + 1) * (100 - 2)
    assert as_documents([stats])[0]["new_keys_refused"] == 1


def test_what_was_logged_before_the_period_does_not_count(capsys: pytest.CaptureFixture[str]) -> None:
    lines = logged(capsys, 1_000, {"CacheTime": 1}) + logged(capsys, 5_000, {"CacheTime": 3})
    [stats] = stats_of_lines(lines, since_ms=2_000)
    assert stats.cache == Distribution(1, 3, 3, 3)


def test_percentiles_are_values_that_occurred() -> None:
    assert Distribution.of([*range(1, 201)]) == Distribution(200, 100.5, 100, 198)
    assert Distribution.of([7.0]) == Distribution(1, 7.0, 7.0, 7.0)


def test_without_a_load_nothing_tells_what_was_saved() -> None:
    only_hits = QueryStats("product", Distribution.of([1, 2]), Distribution(), {})
    assert only_hits.saved_ms is None
    assert as_table([only_hits]).splitlines()[2].split() == (
        "product 2 2 0 0 0 0 0 100.0% 1.0 2.0 – – –".split()  # noqa: SIM905
    )


@pytest.fixture
def cloudwatch() -> Iterator[Stubber]:
    """botocore checks question and answer against the service's model."""
    client = boto3.client("cloudwatch", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def answered(asked: list[dict[str, Any]], values: dict[tuple[str, str], list[float]]) -> dict[str, Any]:
    results = []
    for each in asked:
        statistic = each["MetricStat"]
        found = values.get((statistic["Metric"]["MetricName"], statistic["Stat"]), [])
        times = [NOW - timedelta(hours=hours) for hours in range(len(found), 0, -1)]
        results.append({"Id": each["Id"], "Timestamps": times, "Values": found})
    return {"MetricDataResults": results}


def test_a_deployed_stack_is_read_from_its_metrics_by_query(cloudwatch: Stubber, monkeypatch: Any) -> None:
    metric = {
        "Namespace": "shop-prod",
        "MetricName": "CacheTime",
        "Dimensions": [{"Name": "query", "Value": "product"}],
    }
    listed = {"Metrics": [metric, {**metric, "MetricName": "Miss"}]}
    cloudwatch.add_response("list_metrics", listed, {"Namespace": "shop-prod", "Dimensions": [{"Name": "query"}]})
    values = {
        ("CacheTime", "SampleCount"): [300.0, 100.0],
        ("CacheTime", "Sum"): [600.0, 200.0],
        ("CacheTime", "p50"): [2.0, 4.0],
        ("CacheTime", "p99"): [8.0, 4.0],
        ("DatabaseTime", "SampleCount"): [10.0],
        ("DatabaseTime", "Sum"): [1_000.0],
        ("DatabaseTime", "p50"): [90.0],
        ("DatabaseTime", "p99"): [200.0],
        ("Miss", "Sum"): [10.0],
        ("Stale", "Sum"): [30.0],
    }
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(
        cloudwatch.client, "_make_api_call", _answering(cloudwatch.client._make_api_call, asked, values)
    )
    [stats] = cloudwatch_stats(cloudwatch.client, "shop-prod", 5_400, NOW)
    assert {each["MetricStat"]["Period"] for each in asked} == {5_400}
    assert {str(each["MetricStat"]["Metric"]["Dimensions"]) for each in asked} == {str(metric["Dimensions"])}
    assert stats.cache == Distribution(400, 2.0, 2.5, 7.0)
    assert (stats.hits, stats.hit_ratio) == (360, 1 - 10 / 400)
    assert stats.saved_ms == (360 + 30) * (100 - 2)


def _answering(call: Any, asked: list[dict[str, Any]], values: dict[tuple[str, str], list[float]]) -> Any:
    def make(operation: str, parameters: dict[str, Any]) -> Any:
        if operation != "GetMetricData":
            return call(operation, parameters)
        asked.extend(parameters["MetricDataQueries"])
        return answered(parameters["MetricDataQueries"], values)

    return make


def test_a_refusal_of_aws_is_a_sentence(cloudwatch: Stubber) -> None:
    cloudwatch.add_client_error("list_metrics", "AccessDenied", "not authorized to perform cloudwatch:ListMetrics")
    with pytest.raises(LocalError, match=r"^CloudWatch: .*not authorized to perform cloudwatch:ListMetrics"):
        cloudwatch_stats(cloudwatch.client, "shop-prod", 3_600, NOW)
