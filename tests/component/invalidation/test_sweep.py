"""The invalidate function without a request: on its schedule, and while it polls for changes by other clients."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis

from bench.fault_proxy import Fault, fault_proxy
from cacheaside.errors import DatabaseUnavailable
from cacheaside.reading.keys import tag_key
from cacheaside.runtime.sweep_metrics import measured_sweep
from cacheaside.settings import DatabaseSettings, InvalidationMode
from local.servers.postgres import PostgresServer
from local.servers.valkey import ValkeyServer
from tests.component.support.api import lambda_context
from tests.component.support.outages import frozen
from tests.component.support.sql import Sql
from tests.component.support.timeouts import production_timeouts_of
from tests.support.root import ROOT
from tests.support.wait_until import wait_until

PRODUCT = tag_key("products:1")


@pytest.fixture(autouse=True)
def nothing_is_pending(outbox_settings: DatabaseSettings, client: redis.Redis) -> None:
    """The cache is empty too."""


def change(sql: Sql) -> None:
    sql("update products set price = price where id = 1")


def pending(sql: Sql) -> int:
    return int(sql("select count(*) from cacheaside.outbox where drained_at is null")[0][0])


@dataclass
class ObservedSweep:
    """A sweep in a thread, with a clock that the test can stop and advance."""

    errors: list[Exception] = field(default_factory=list)  # that ended it
    drains: int = 0
    failures: int = 0  # of a server
    _ahead_s: float = 0.0
    _stopped_s: float | None = None

    def now(self) -> float:
        return (time.monotonic() if self._stopped_s is None else self._stopped_s) + self._ahead_s

    def stop_clock(self) -> None:
        self._stopped_s = time.monotonic()

    def advance(self, seconds: float) -> None:
        self._ahead_s += seconds

    def observe(self, module: Any) -> None:
        sweep = module.sweep
        drain, sleep = sweep._drain_for, sweep._sleep

        def drained(*arguments: Any) -> Any:
            self.drains += 1
            return drain(*arguments)

        def slept(seconds: float) -> None:
            self.failures += seconds >= 1
            sleep(seconds)

        sweep._drain_for, sweep._sleep, sweep._now = drained, slept, self.now


@contextmanager
def sweeping(api: Any) -> Iterator[ObservedSweep]:
    """Run a sweep of the function in a thread until the block ends."""
    module, observed = api.module("InvalidateFunction"), ObservedSweep()
    observed.observe(module)

    def run() -> None:
        try:
            measured_sweep(module.sweep, 600)
        except Exception as error:
            observed.errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield observed
    finally:
        observed.advance(1_000)
        thread.join(60)
        assert not thread.is_alive()


def invoke_by_schedule(api: Any, left_s: int) -> None:
    """Invoke the function as its schedule does, with `left_s` until Lambda ends it."""
    event = json.loads((ROOT / "events" / "invalidate_schedule.json").read_text())
    context = lambda_context("InvalidateFunction", left_ms=left_s * 1000)
    assert api.module("InvalidateFunction").handler(event, context) is None


def metrics_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the metrics that invocations of the schedule published."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    return [line for line in lines if "Drained" in line or "StaleAnswers" in line]


# On the schedule


def test_a_change_by_psql_is_invalidated_on_the_schedule(api: Any, sql: Sql) -> None:
    old = api.get("/queries/product?id=1")
    sql("update products set price = price + 1 where id = 1")
    assert api.get("/queries/product?id=1").body == old.body, "not invalidated yet"
    invoke_by_schedule(api, left_s=29)
    assert api.get("/queries/product?id=1").body != old.body


def test_in_schedule_mode_the_sweep_does_not_poll(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module, observed = api.module("InvalidateFunction"), ObservedSweep()
    observed.observe(module)
    monkeypatch.setattr(module, "settings", module.settings._replace(mode=InvalidationMode.SCHEDULE))
    invoke_by_schedule(api, left_s=120)
    assert observed.drains == 1


def test_one_line_of_metrics_says_what_an_invocation_did(
    api: Any, sql: Sql, client: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    api.get("/queries/product?id=2")
    change(sql)
    capsys.readouterr()
    invoke_by_schedule(api, left_s=29)
    (line,) = metrics_of(capsys)
    (published,) = line["_aws"]["CloudWatchMetrics"]
    assert (published["Namespace"], published["Dimensions"]) == ("cacheaside", [["service"]])
    assert line["service"] == "invalidate"
    assert {metric["Name"]: (metric["Unit"], line[metric["Name"]]) for metric in published["Metrics"]} == {
        "Unrecorded": ("Count", [0.0]),
        "Drained": ("Count", [1.0]),
        "Replayed": ("Count", [1.0]),  # the first drain into this cache
        "Pending": ("Count", [0.0]),
        "Lag": ("Seconds", [0.0]),
        "Folded": ("Count", [0.0]),
        "Unverified": ("Count", [0.0]),
        "StaleAfterSeconds": ("Seconds", [0.0]),
    }


def test_an_answer_that_no_trigger_invalidated_is_published_as_stale_with_its_query(
    api: Any, sql: Sql, capsys: pytest.CaptureFixture[str]
) -> None:
    api.get("/queries/product?id=3")
    sql("select cacheaside.unwatch('products')")
    try:
        sql("update products set price = price + 1 where id = 3")
        invoke_by_schedule(api, left_s=29)
    finally:
        sql("select cacheaside.watch('products')")
    line, by_query = metrics_of(capsys)
    assert line["StaleAfterSeconds"][0] > 0
    assert (by_query["query"], by_query["StaleAnswers"]) == ("product", [1.0])
    assert by_query["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"], ["query"]]


def test_an_unavailable_database_fails_the_invocation(start_api: Any, postgres: PostgresServer) -> None:
    with fault_proxy(postgres.url) as (proxy, url):
        api = start_api(database_url=url)
        proxy.switch(Fault.REFUSAL)
        with pytest.raises(DatabaseUnavailable):
            invoke_by_schedule(api, left_s=29)


def test_an_unavailable_cache_does_not_fail_the_invocation_and_leaves_changes_pending(
    start_api: Any, sql: Sql, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ValkeyServer(tmp_path / "valkey") as server:
        api = start_api(cache_url=server.url)
        change(sql)
        server.freeze()
        with production_timeouts_of("cache"):
            invoke_by_schedule(api, left_s=29)
    assert pending(sql) == 1
    (line,) = metrics_of(capsys)
    assert (line["Drained"], line["Pending"]) == ([0.0], [1.0])
    assert line["Lag"][0] > 0


# Polling


def test_a_change_is_found_by_looking_and_an_older_one_by_the_drain_of_each_second(
    api: Any, sql: Sql, client: redis.Redis
) -> None:
    with sweeping(api) as sweep:
        wait_until(lambda: sweep.drains)
        sweep.stop_clock()  # so that no second passes
        drains = sweep.drains
        time.sleep(0.3)
        assert sweep.drains == drains, "a look that finds nothing asks the cache nothing"
        client.set(PRODUCT, b"version")
        change(sql)
        wait_until(lambda: not client.exists(PRODUCT))
        client.set(PRODUCT, b"version")
        sql("insert into cacheaside.outbox (change, written_at) values ('products:1', now() - interval '1 hour')")
        time.sleep(0.3)
        assert client.exists(PRODUCT)
        sweep.advance(1.1)
        wait_until(lambda: not client.exists(PRODUCT))


def test_a_change_of_a_transaction_that_is_open_for_long_is_found_when_it_commits(
    api: Any, sql: Sql, client: redis.Redis
) -> None:
    sql("begin")
    change(sql)
    with sweeping(api) as sweep:
        wait_until(lambda: sweep.drains > 1)
        client.set(PRODUCT, b"version")
        sql("commit")
        wait_until(lambda: not client.exists(PRODUCT))


def test_a_change_of_a_prepared_transaction_is_invalidated_when_another_session_commits_it(
    api: Any, sql: Sql, postgres: PostgresServer
) -> None:
    old = api.get("/queries/product?id=1")
    with sweeping(api) as sweep:
        sql("begin")
        sql("update products set price = price + 1 where id = 1")
        sql("prepare transaction 'of another service'")
        try:
            drains = sweep.drains
            wait_until(lambda: sweep.drains > drains + 1)
            assert api.get("/queries/product?id=1").body == old.body
        finally:
            sql("commit prepared 'of another service'")
        wait_until(lambda: api.get("/queries/product?id=1").body != old.body)


def test_a_connection_that_is_lost_while_it_polls_is_opened_again(api: Any, sql: Sql, client: redis.Redis) -> None:
    backends = "select pid from pg_stat_activity where usename = 'cacheaside_invalidate'"
    with sweeping(api) as sweep:
        wait_until(lambda: sweep.drains)
        before = sql(backends)
        sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'cacheaside_invalidate'")
        client.set(PRODUCT, b"version")
        change(sql)
        wait_until(lambda: not client.exists(PRODUCT))
        assert not {*sql(backends)} & {*before}
    assert sweep.errors == []


SWEEP_LOG = "cacheaside.invalidation.sweep"


def levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records if record.name == SWEEP_LOG]


def test_an_unavailable_database_is_tried_again_and_logged_once(
    start_api: Any, postgres: PostgresServer, client: redis.Redis, sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, SWEEP_LOG)
    with fault_proxy(postgres.url) as (proxy, url):
        api = start_api(database_url=url)
        proxy.switch(Fault.REFUSAL)
        with sweeping(api) as sweep:
            wait_until(lambda: sweep.failures > 2)
            client.set(PRODUCT, b"version")
            change(sql)
            proxy.switch(Fault.NONE)
            wait_until(lambda: not client.exists(PRODUCT))
    assert sweep.errors == []
    assert levels(caplog) == ["WARNING", "INFO"]


def test_an_unavailable_cache_is_tried_again_and_logged_once(
    start_api: Any, sql: Sql, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, SWEEP_LOG)
    with ValkeyServer(tmp_path / "valkey") as server:
        api = start_api(cache_url=server.url)
        with sweeping(api) as sweep:
            wait_until(lambda: sweep.drains)
            with frozen(server):
                with production_timeouts_of("cache"):
                    change(sql)
                    wait_until(lambda: sweep.failures > 2)
                assert pending(sql) == 1
            wait_until(lambda: pending(sql) == 0)
    assert sweep.errors == []
    assert levels(caplog) == ["WARNING", "INFO"]


def test_a_sweep_stops_polling_in_time(api: Any) -> None:
    began = time.monotonic()
    invoke_by_schedule(api, left_s=47)  # the sweep keeps 45 of them for the steps after it
    assert 1.5 < time.monotonic() - began < 45
