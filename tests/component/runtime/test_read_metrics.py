"""The metrics of reads, as the alarm on the hit ratio counts them: numbers of values, not their sums."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from bench.fault_proxy import Fault, fault_proxy


def published(module: Any, capsys: pytest.CaptureFixture[str]) -> Counter[str]:
    """Return how many values each metric has, on all lines since the last look."""
    module.metrics._metrics.write()
    counts: Counter[str] = Counter()
    for line in map(json.loads, capsys.readouterr().out.splitlines()):
        declared = [metric["Name"] for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
        counts.update({name: len(line[name]) for name in declared})
    return counts


def test_each_answer_has_a_cache_time_and_each_load_a_database_time(
    api: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    for number in (1, 1, 1, 2, 1):
        api.get(f"/queries/product?id={number}")
    counts = published(api.module("QueryFunction"), capsys)
    assert counts == {"CacheTime": 5, "DatabaseTime": 2, "Miss": 2}


def test_an_error_is_counted_at_once_and_is_no_answer(
    start_api: Any, postgres: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with fault_proxy(postgres.url) as (proxy, url):
        api = start_api(database_url=url)
        proxy.switch(Fault.REFUSAL)
        capsys.readouterr()
        assert api.get("/queries/customer_orders?customer_id=1").status == 503
        (line,) = [line for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert json.loads(line)["Error"] == [1]
    assert "CacheTime" not in line
