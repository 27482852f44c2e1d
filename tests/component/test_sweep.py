"""The invalidate function without a request: on its schedule, and listening for what psql and others change."""

from __future__ import annotations

import json
import logging
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from cacheaside.errors import DatabaseUnavailable
from cacheaside.keys import tag_key
from cacheaside.metrics import measured_sweep
from cacheaside.settings import DatabaseSettings, InvalidationMode
from local.postgres import PostgresServer
from local.valkey import ValkeyServer
from tests.component.fault_proxy import Fault, fault_proxy

Sql = Callable[..., list[tuple[Any, ...]]]
PRODUCT = tag_key("products:1")


@pytest.fixture(autouse=True)
def nothing_is_pending(outbox_settings: DatabaseSettings, client: redis.Redis) -> None:
    """And the cache is empty."""


def change(sql: Sql) -> None:
    sql("update products set price = price where id = 1")


def pending(sql: Sql) -> int:
    return int(sql("select count(*) from cacheaside.outbox where drained_at is null")[0][0])


def until(condition: Callable[[], object], seconds: float = 15.0) -> float:
    """Wait for `condition`, and return how long that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it never came to be"
        time.sleep(0.005)
    return time.monotonic() - began


@contextmanager
def sweeping(api: Any, seconds: float) -> Iterator[list[Exception]]:
    """A sweep in the background that listens, and the error that it ends with, if it does."""
    errors: list[Exception] = []

    def run() -> None:
        try:
            measured_sweep(api.module("InvalidateFunction").sweep, seconds)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield errors
    finally:
        thread.join()


def scheduled(api: Any, left_s: float) -> None:
    """One invocation by the schedule, which has so much time."""
    event = json.loads((Path(__file__).parents[2] / "events" / "invalidate_schedule.json").read_text())
    context = SimpleNamespace(
        aws_request_id="1",
        function_name="InvalidateFunction",
        memory_limit_in_mb=256,
        invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:local",
        get_remaining_time_in_millis=lambda: left_s * 1000,
    )
    assert api.module("InvalidateFunction").handler(event, context) is None


def metrics_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was published by an invocation of the schedule."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    return [line for line in lines if line["service"] == "invalidate" and "Drained" in line]


LISTENING = "select 1 from cacheaside.listener where listening_until > now()"


def delays(sql: Sql, client: redis.Redis, writes: int = 4, *, told: bool = True) -> list[float]:
    """How long after COMMIT each of some changes, with a quiet second before it, is out of the cache."""
    took = []
    for _ in range(writes):
        client.set(PRODUCT, b"version")
        until(lambda: sql(LISTENING))
        time.sleep(0.05)
        if not told:
            sql("update cacheaside.listener set listening_until = '-infinity'")
        change(sql)
        took.append(until(lambda: not client.exists(PRODUCT)))
    return took


# On the schedule


def test_what_psql_has_changed_is_out_of_the_cache_after_the_schedule(api: Any, sql: Sql) -> None:
    old = api.get("/queries/product?id=1")
    sql("update products set price = price + 1 where id = 1")
    assert api.get("/queries/product?id=1").body == old.body, "nobody has told the cache"
    scheduled(api, left_s=29)
    assert api.get("/queries/product?id=1").body != old.body


def test_on_the_schedule_alone_nobody_listens(api: Any, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    module = api.module("InvalidateFunction")
    monkeypatch.setattr(module, "settings", replace(module.settings, mode=InvalidationMode.SCHEDULE))
    scheduled(api, left_s=120)
    assert sql("select 1 from cacheaside.listener where listening_until > '-infinity'") == []


def test_one_line_of_metrics_says_what_an_invocation_did(
    api: Any, sql: Sql, client: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    api.get("/queries/product?id=2")
    change(sql)
    capsys.readouterr()
    scheduled(api, left_s=29)
    (line,) = metrics_of(capsys)
    (published,) = line["_aws"]["CloudWatchMetrics"]
    assert (published["Namespace"], published["Dimensions"]) == ("cacheaside", [["service"]])
    assert line["service"] == "invalidate"
    units = {metric["Name"]: metric["Unit"] for metric in published["Metrics"]}
    assert units == {
        "Drained": "Count",
        "Replayed": "Count",
        "Pending": "Count",
        "Lag": "Seconds",
        "Folded": "Count",
        "StaleAfterSeconds": "Seconds",
    }
    assert {name: line[name] for name in units} == {
        "Drained": [1.0],
        "Replayed": [1.0],  # it has not seen this cache before
        "Pending": [0.0],
        "Lag": [0.0],
        "Folded": [0.0],
        "StaleAfterSeconds": [0.0],
    }


def test_an_answer_that_no_trigger_took_out_is_published_as_stale(
    api: Any, sql: Sql, capsys: pytest.CaptureFixture[str]
) -> None:
    api.get("/queries/product?id=3")
    sql("select cacheaside.unwatch('products')")
    try:
        sql("update products set price = price + 1 where id = 3")
        scheduled(api, left_s=29)
    finally:
        sql("select cacheaside.watch('products')")
    (line,) = metrics_of(capsys)
    assert len(line["StaleAfterSeconds"]) == 1
    assert line["StaleAfterSeconds"][0] > 0


def test_a_database_that_is_away_fails_the_invocation(start_api: Any, postgres: PostgresServer) -> None:
    with fault_proxy(postgres.url) as (proxy, url):
        api = start_api(database_url=url)
        proxy.switch(Fault.REFUSAL)
        with pytest.raises(DatabaseUnavailable):
            scheduled(api, left_s=29)


def test_a_cache_that_is_away_does_not_fail_it_and_leaves_all_pending(
    start_api: Any, sql: Sql, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ValkeyServer(tmp_path / "valkey") as server:
        api = start_api(cache_url=server.url)
        change(sql)
        server.freeze()
        scheduled(api, left_s=29)
    assert pending(sql) == 1
    (line,) = metrics_of(capsys)
    assert (line["Drained"], line["Pending"]) == ([0.0], [1.0])
    assert line["Lag"][0] > 0


# Listening


def test_a_change_is_heard_of_and_not_only_found(api: Any, sql: Sql, client: redis.Redis) -> None:
    with sweeping(api, seconds=14):
        heard = delays(sql, client)
        found = delays(sql, client, told=False)
    assert statistics.median(heard) < statistics.median(found) / 4


def test_one_change_after_the_other_is_looked_for_so_that_no_commit_waits_to_tell(
    api: Any, sql: Sql, client: redis.Redis
) -> None:
    with sweeping(api, seconds=5):
        delays(sql, client, writes=1)
        told = set()
        for _ in range(20):
            change(sql)
            told.add(bool(sql(LISTENING)))
            time.sleep(0.1)
        assert told == {False}
        until(lambda: sql(LISTENING))


def test_what_was_written_before_anyone_listened_is_found(
    api: Any, sql: Sql, client: redis.Redis, postgres: PostgresServer
) -> None:
    sql("begin")
    change(sql)
    with sweeping(api, seconds=4):
        time.sleep(1)
        client.set(PRODUCT, b"version")
        sql("commit")
        assert until(lambda: not client.exists(PRODUCT)) < 2


def test_a_connection_that_is_lost_while_it_listens_is_opened_again(api: Any, sql: Sql, client: redis.Redis) -> None:
    backends = "select pid from pg_stat_activity where usename = 'cacheaside_invalidate'"
    with sweeping(api, seconds=14) as errors:
        delays(sql, client, writes=1)
        before = sql(backends)
        sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'cacheaside_invalidate'")
        assert delays(sql, client, writes=1)[0] < 2
        heard = delays(sql, client)
        assert not {*sql(backends)} & {*before}
        found = delays(sql, client, writes=3, told=False)
    assert statistics.median(heard) < statistics.median(found) / 4, "it listens again"
    assert errors == []


def test_a_database_that_is_away_is_tried_again_and_said_so_once(
    start_api: Any, postgres: PostgresServer, client: redis.Redis, sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cacheaside.sweep")
    with fault_proxy(postgres.url) as (proxy, url):
        api = start_api(database_url=url)
        proxy.switch(Fault.REFUSAL)
        with sweeping(api, seconds=6) as errors:
            time.sleep(2.5)
            client.set(PRODUCT, b"version")
            change(sql)
            proxy.switch(Fault.NONE)
            until(lambda: not client.exists(PRODUCT))
    assert errors == []
    assert [record.levelname for record in caplog.records if record.name == "cacheaside.sweep"] == ["WARNING", "INFO"]


def test_a_cache_that_is_away_is_tried_again_and_said_so_once(
    start_api: Any, sql: Sql, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cacheaside.sweep")
    with ValkeyServer(tmp_path / "valkey") as server:
        api = start_api(cache_url=server.url)
        with sweeping(api, seconds=6) as errors:
            time.sleep(0.5)
            server.freeze()
            change(sql)
            time.sleep(2.5)
            assert pending(sql) == 1
            server.thaw()
            until(lambda: pending(sql) == 0)
    assert errors == []
    assert [record.levelname for record in caplog.records if record.name == "cacheaside.sweep"] == ["WARNING", "INFO"]


def test_a_sweep_stops_listening_in_time(api: Any, sql: Sql) -> None:
    began = time.monotonic()
    scheduled(api, left_s=47)  # of which 45 are kept for what comes after
    assert 1.5 < time.monotonic() - began < 15
    assert api.module("InvalidateFunction").outbox._rows("select * from pg_listening_channels()") == []
