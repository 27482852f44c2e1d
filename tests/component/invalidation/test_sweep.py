"""The invalidate function without a request: on its schedule, and listening for what psql and others change."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from cacheaside.errors import DatabaseUnavailable
from cacheaside.invalidation import verifier
from cacheaside.reading.keys import tag_key
from cacheaside.runtime.sweep_metrics import measured_sweep
from cacheaside.settings import DatabaseSettings, InvalidationMode
from local.servers.postgres import PostgresServer
from local.servers.valkey import ValkeyServer
from tests.component.support.fault_proxy import Fault, fault_proxy
from tests.component.support.patience import impatience
from tests.support.root import ROOT
from tests.support.until import until

Sql = Callable[..., list[tuple[Any, ...]]]
PRODUCT = tag_key("products:1")


@pytest.fixture(autouse=True)
def nothing_is_pending(outbox_settings: DatabaseSettings, client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the cache is empty."""
    # An answer that a slow machine took long to load is compared as well.
    monkeypatch.setattr(verifier, "_LOAD_AT_MOST_MS", 60_000)


def change(sql: Sql) -> None:
    sql("update products set price = price where id = 1")


def pending(sql: Sql) -> int:
    return int(sql("select count(*) from cacheaside.outbox where drained_at is null")[0][0])


@dataclass
class Background:
    """A sweep that listens in the background for as long as a block lasts, by a clock that can be stopped."""

    errors: list[Exception] = field(default_factory=list)  # that it ended with
    pauses: int = 0  # after trouble
    heard: list[bool] = field(default_factory=list)  # for each drain of anything, whether it was told to
    _told: bool = False
    _ahead_s: float = 0.0
    _stopped_s: float | None = None

    def now(self) -> float:
        return (time.monotonic() if self._stopped_s is None else self._stopped_s) + self._ahead_s

    def stop_clock(self) -> None:
        self._stopped_s = time.monotonic()

    def advance(self, seconds: float) -> None:
        self._ahead_s += seconds

    def spy_on(self, module: Any) -> None:
        sweep = module.sweep
        await_change, drain, sleep = module.outbox.await_change, sweep._drain_for, sweep._sleep

        def awaited(seconds: float) -> bool:
            self._told = await_change(seconds)
            return self._told

        def drained(*seconds: float) -> Any:
            done = drain(*seconds)
            if done.rows:
                self.heard.append(self._told)
            return done

        def paused(seconds: float) -> None:
            self.pauses += 1
            sleep(seconds)

        module.outbox.await_change = awaited
        sweep._drain_for, sweep._sleep, sweep._now = drained, paused, self.now


@contextmanager
def sweeping(api: Any) -> Iterator[Background]:
    module, background = api.module("InvalidateFunction"), Background()
    background.spy_on(module)

    def run() -> None:
        try:
            measured_sweep(module.sweep, 600)
        except Exception as error:
            background.errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield background
    finally:
        background.advance(1_000)
        thread.join(60)
        assert not thread.is_alive()


def scheduled(api: Any, left_s: float) -> None:
    """One invocation by the schedule, which has so much time."""
    event = json.loads((ROOT / "events" / "invalidate_schedule.json").read_text())
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


# A change may come when the sweep happens to look by itself, or while this machine stands still.
TRIES = 10
LISTENING = "select 1 from cacheaside.listener where listening_until > now()"


def is_heard_of(sweep: Background, sql: Sql, client: redis.Redis) -> bool:
    """Change something after a quiet second. Returns whether the sweep was told, once it is out of the cache."""
    drains = len(sweep.heard)
    client.set(PRODUCT, b"version")
    until(lambda: sql(LISTENING))
    time.sleep(0.05)  # it still looks once itself before it waits
    change(sql)
    until(lambda: not client.exists(PRODUCT) and len(sweep.heard) > drains)
    return sweep.heard[-1]


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
        with impatience("cache"):
            scheduled(api, left_s=29)
    assert pending(sql) == 1
    (line,) = metrics_of(capsys)
    assert (line["Drained"], line["Pending"]) == ([0.0], [1.0])
    assert line["Lag"][0] > 0


# Listening


def test_a_change_is_heard_of_and_not_only_found(api: Any, sql: Sql, client: redis.Redis) -> None:
    with sweeping(api) as sweep:
        is_heard_of(sweep, sql, client)  # the first look may be at what was told before
        assert any(is_heard_of(sweep, sql, client) for _ in range(TRIES))


def test_one_change_after_the_other_is_looked_for_so_that_no_commit_waits_to_tell(
    api: Any, sql: Sql, client: redis.Redis
) -> None:
    with sweeping(api) as sweep:
        until(lambda: sql(LISTENING))
        sweep.stop_clock()  # so that none of these changes comes after a quiet second
        change(sql)
        until(lambda: not sql(LISTENING))
        for _ in range(20):
            client.set(PRODUCT, b"version")
            change(sql)
            assert not sql(LISTENING)
            until(lambda: not client.exists(PRODUCT))
        sweep.advance(1.1)
        until(lambda: sql(LISTENING))


def test_what_was_written_before_anyone_listened_is_found(
    api: Any, sql: Sql, client: redis.Redis, postgres: PostgresServer
) -> None:
    sql("begin")
    change(sql)
    with sweeping(api):
        until(lambda: sql(LISTENING))
        client.set(PRODUCT, b"version")
        sql("commit")
        until(lambda: not client.exists(PRODUCT))


def test_a_connection_that_is_lost_while_it_listens_is_opened_again(api: Any, sql: Sql, client: redis.Redis) -> None:
    backends = "select pid from pg_stat_activity where usename = 'cacheaside_invalidate'"
    with sweeping(api) as sweep:
        is_heard_of(sweep, sql, client)
        before = sql(backends)
        sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'cacheaside_invalidate'")
        is_heard_of(sweep, sql, client)
        until(lambda: not {*sql(backends)} & {*before})
        assert any(is_heard_of(sweep, sql, client) for _ in range(TRIES)), "it listens again"
    assert sweep.errors == []


SWEEP_LOG = "cacheaside.invalidation.sweep"


def levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records if record.name == SWEEP_LOG]


def test_a_database_that_is_away_is_tried_again_and_said_so_once(
    start_api: Any, postgres: PostgresServer, client: redis.Redis, sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, SWEEP_LOG)
    with fault_proxy(postgres.url) as (proxy, url):
        api = start_api(database_url=url)
        proxy.switch(Fault.REFUSAL)
        with sweeping(api) as sweep:
            until(lambda: sweep.pauses > 2)
            client.set(PRODUCT, b"version")
            change(sql)
            proxy.switch(Fault.NONE)
            until(lambda: not client.exists(PRODUCT))
    assert sweep.errors == []
    assert levels(caplog) == [
        "WARNING",
        "INFO",
    ]


def test_a_cache_that_is_away_is_tried_again_and_said_so_once(
    start_api: Any, sql: Sql, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, SWEEP_LOG)
    with ValkeyServer(tmp_path / "valkey") as server:
        api = start_api(cache_url=server.url)
        with sweeping(api) as sweep:
            until(lambda: sql(LISTENING))
            server.freeze()
            with impatience("cache"):
                change(sql)
                until(lambda: sweep.pauses > 2)
            assert pending(sql) == 1
            server.thaw()
            until(lambda: pending(sql) == 0)
    assert sweep.errors == []
    assert levels(caplog) == [
        "WARNING",
        "INFO",
    ]


def test_a_sweep_stops_listening_in_time(api: Any, sql: Sql) -> None:
    began = time.monotonic()
    scheduled(api, left_s=47)  # of which 45 are kept for what comes after
    assert 1.5 < time.monotonic() - began < 45
    assert api.module("InvalidateFunction").outbox._rows("select * from pg_listening_channels()") == []
