"""The lines of the embedded metric format: when one is written, and what is in it. The test moves the clock."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from cacheaside.runtime.embedded_metrics import EmbeddedMetrics

ENVIRONMENT = {"POWERTOOLS_METRICS_NAMESPACE": "shop", "POWERTOOLS_SERVICE_NAME": "query"}


class Log:
    """Metrics whose clock the test moves, and the lines that they have written since the last look."""

    def __init__(self, capsys: pytest.CaptureFixture[str], **options: Any) -> None:
        self.now_ms = 5_000_000
        self.metrics = EmbeddedMetrics(
            {"Took": "Milliseconds"}, now_ms=lambda: self.now_ms, environment=ENVIRONMENT, **options
        )
        self._capsys = capsys

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Log:
    return Log(capsys)


def test_a_line_is_of_the_format(log: Log) -> None:
    log.metrics.add({"Took": 0.25, "Miss": 1}, "product")
    assert log.lines() == [
        {
            "_aws": {
                "Timestamp": 5_000_000,
                "CloudWatchMetrics": [
                    {
                        "Namespace": "shop",
                        "Dimensions": [["service"], ["query"]],
                        "Metrics": [{"Name": "Took", "Unit": "Milliseconds"}, {"Name": "Miss", "Unit": "Count"}],
                    }
                ],
            },
            "service": "query",
            "query": "product",
            "Took": [0.25],
            "Miss": [1],
        }
    ]


def test_values_of_a_second_are_one_line_for_each_query(log: Log) -> None:
    log.metrics.add({"Took": 1}, "a")
    assert [line["Took"] for line in log.lines()] == [[1]], "the first one is written at once"
    for took, query in ((2, "a"), (3, "b"), (4, "a")):
        log.now_ms += 100
        log.metrics.add({"Took": took}, query)
    assert log.lines() == []
    log.now_ms += 700
    log.metrics.add({"Took": 5}, "a")
    first, second = log.lines()
    assert (first["query"], first["Took"], first["_aws"]["Timestamp"]) == ("a", [2, 4, 5], 5_000_100)
    assert (second["query"], second["Took"]) == ("b", [3])


def test_values_of_before_a_pause_keep_their_time(log: Log) -> None:
    log.metrics.add({"Took": 1}, "a")
    log.now_ms += 300
    log.metrics.add({"Took": 2}, "a")
    log.now_ms += 1_200_000
    log.metrics.add({"Error": 1}, "a")
    log.metrics.write()
    assert [(line.get("Took"), line.get("Error"), line["_aws"]["Timestamp"]) for line in log.lines()] == [
        ([1], None, 5_000_000),
        ([2], None, 5_000_300),
        (None, [1], 6_200_300),
    ]


def test_what_is_written_is_forgotten(log: Log) -> None:
    log.metrics.add({"Took": 1})
    log.metrics.write()
    log.now_ms += 1_000
    log.metrics.add({"Took": 2})
    assert [line["Took"] for line in log.lines()] == [[1], [2]]


def test_no_metric_of_a_line_has_more_than_100_values(log: Log) -> None:
    log.metrics.add({"Took": 0})
    for number in range(250):
        log.metrics.add({"Took": number})
    assert [len(line["Took"]) for line in log.lines()] == [1, 100, 100]
    log.metrics.write()
    assert [len(line["Took"]) for line in log.lines()] == [50]


def test_a_clock_that_was_set_back_does_not_stop_the_lines(log: Log) -> None:
    log.metrics.add({"Took": 1})
    log.now_ms -= 3_600_000
    log.metrics.add({"Took": 2})
    assert [line["Took"] for line in log.lines()] == [[1], [2]]


def test_metrics_of_a_whole_invocation_are_written_when_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log(capsys, write_every_ms=float("inf"))
    for _ in range(3):
        log.now_ms += 60_000
        log.metrics.add({"Miss": 1})
    assert log.lines() == []
    log.metrics.write()
    log.metrics.write()
    assert [line["Miss"] for line in log.lines()] == [[1, 1, 1]]


def test_a_log_that_cannot_be_written_fails_no_request(
    log: Log, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError("no space left on device")

    monkeypatch.setattr("sys.stdout", Full())
    log.metrics.add({"Took": 1})
    assert "metrics were lost" in caplog.text
