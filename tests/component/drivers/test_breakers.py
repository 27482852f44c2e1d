"""Servers that fail are left alone and found again; while the cache is gone, PostgreSQL is not overrun."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.drivers.breaker import BreakerState
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.guarded import CACHE, DATABASE, GuardedCache, GuardedQueries
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import (
    CacheUnavailable,
    DatabaseError,
    DatabaseUnavailable,
    Overloaded,
    StatementFailed,
    StatementTimeout,
)
from cacheaside.reading.question import Question
from cacheaside.reading.steps import Load, Loaded, Look
from cacheaside.runtime.read_metrics import breaker_counter
from cacheaside.settings import Authentication, CacheSettings, DatabaseSettings
from local.servers.postgres import PostgresServer
from local.servers.valkey import ValkeyServer
from tests.component.support.closed_port import closed_port
from tests.support.problem import problem
from tests.support.until import until

CAP = 5


class World:
    """A clock that only the test moves, dice that never shorten a pause, and what the breaker told."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000
        self.changes: list[BreakerState] = []

    def guard(self, kind: Any, driver: Any) -> Any:
        return kind(driver, self.changes.append, lambda: self.now_ms, lambda: 0.0)


@contextmanager
def visitors(door: socket.socket) -> Iterator[list[object]]:
    """Opens the port of a dead server, hangs up on whoever connects, and counts them."""
    seen: list[object] = []

    def accept() -> None:
        while True:
            try:
                connection, address = door.accept()
            except OSError:
                return
            seen.append(address)
            connection.close()

    door.listen()
    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield seen
    door.shutdown(socket.SHUT_RDWR)
    thread.join()


def query(sql: str, **changes: Any) -> Question:
    policy = Policy(ttl_ms=60_000)
    fields: dict[str, Any] = {"name": "q", "summary": "", "returns": "many", "tags": (), "parameters": {}}
    fields |= {"timeout_ms": 10_000, "policy": policy} | changes
    return Question(Query(sql=sql, **fields), {})


def load(sql: str, *, timeout_ms: int = 10_000, bypass: bool = False) -> Load:
    return Load(query(sql), timeout_ms, bypass=bypass)


def rows(loaded: Loaded) -> Any:
    assert loaded.body is not None
    return json.loads(loaded.body)["data"]


def test_dead_cache_is_left_alone_from_the_third_request_on_and_used_again_by_itself(tmp_path: Path) -> None:
    look = Look(query("select 1").keys)
    with ValkeyServer(tmp_path / "valkey") as server:
        settings = CacheSettings(url=server.url, authentication=Authentication.URL, region="", name="")
        world, port = World(), server.port
        cache = world.guard(GuardedCache, Cache(settings))
        cache.look(look)
        server.kill()
        with closed_port(port) as door:
            for _ in range(CACHE.failures):
                with pytest.raises(CacheUnavailable):
                    cache.look(look)
            with visitors(door) as seen:
                look_in_vain(world, cache, look, seen)
        with ValkeyServer(tmp_path / "again", port=port):
            with pytest.raises(CacheUnavailable, match="left alone"):
                cache.look(look)
            world.now_ms += 2 * CACHE.pause_ms
            for _ in range(3):
                cache.look(look)
    assert world.changes == [
        BreakerState.OPEN,
        BreakerState.HALF_OPEN,
        BreakerState.OPEN,
        BreakerState.HALF_OPEN,
        BreakerState.CLOSED,
    ]


def look_in_vain(world: World, cache: Any, look: Look, seen: list[object]) -> None:
    for _ in range(10):
        with pytest.raises(CacheUnavailable, match="left alone"):
            cache.look(look)
    assert seen == []
    with pytest.raises(CacheUnavailable):
        cache.ping()
    assert seen != []
    seen.clear()
    world.now_ms += CACHE.pause_ms
    for _ in range(10):
        with pytest.raises(CacheUnavailable):
            cache.look(look)
    assert 1 <= len(seen) <= 2, "of one call: the driver may try twice"


def test_dead_database_is_left_alone_and_used_again_by_itself(
    database_settings: DatabaseSettings, postgres: PostgresServer
) -> None:
    world = World()
    with closed_port() as door:
        url = database_settings.url.replace(f":{postgres.port}/", f":{door.getsockname()[1]}/")
        broken = Queries(replace(database_settings, url=url))
        database = world.guard(GuardedQueries, broken)
        for _ in range(DATABASE.failures):
            with pytest.raises(DatabaseUnavailable):
                database.load(load("select 1 as one"))
        with visitors(door) as seen:
            with pytest.raises(DatabaseUnavailable, match="left alone"):
                database.load(load("select 1 as one"))
            assert seen == []
    broken._kept._settings = database_settings  # the server is back
    with pytest.raises(DatabaseUnavailable, match="left alone"):
        database.load(load("select 1 as one"))
    world.now_ms += DATABASE.pause_ms
    assert rows(database.load(load("select 1 as one"))) == [{"one": 1}]
    assert world.changes == [BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED]


def test_queries_that_fail_leave_the_database_in_use(database_settings: DatabaseSettings) -> None:
    world = World()
    database = world.guard(GuardedQueries, Queries(database_settings))
    for _ in range(DATABASE.failures + 1):
        with pytest.raises(StatementFailed):
            database.load(load("select 1 / 0 as impossible"))
        with pytest.raises(StatementTimeout):
            database.load(load("select pg_sleep(60)::text", timeout_ms=20))
    assert world.changes == []


# The cap of direct loads.

Sql = Callable[..., list[tuple[Any, ...]]]
HELD = "select count(*) from pg_locks where locktype = 'advisory' and classid = 1667326824"


@pytest.fixture
def crowd(database_settings: DatabaseSettings, sql: Sql) -> Iterator[list[Queries]]:
    """Thirty sandboxes, each with a connection of its own."""
    assert sql(HELD) == [(0,)]
    databases = [Queries(database_settings) for _ in range(30)]
    for database in databases:
        database.ping()
    yield databases
    for database in databases:
        database._kept.forget()


def attempt(database: Queries, step: Load) -> Loaded | DatabaseError:
    try:
        return database.load_capped(step, CAP)
    except DatabaseError as error:
        return error


def test_of_thirty_at_once_five_run_and_the_rest_are_told_so(crowd: list[Queries], sql: Sql) -> None:
    running = "select count(*) from pg_stat_activity where state = 'active' and wait_event = 'advisory'"
    slow = load("select pg_advisory_xact_lock_shared(30)::text as waited", timeout_ms=120_000)
    sql("select pg_advisory_lock(30)")
    with ThreadPoolExecutor(len(crowd)) as pool:
        try:
            attempts = [pool.submit(attempt, database, slow) for database in crowd]
            until(lambda: sum(each.done() for each in attempts) >= len(crowd) - CAP)
            until(lambda: sql(running) == [(CAP,)])
            assert sql(HELD) == [(CAP,)]
        finally:
            sql("select pg_advisory_unlock(30)")
    results = [each.result() for each in attempts]
    assert sum(isinstance(result, Loaded) for result in results) == CAP
    assert sum(isinstance(result, Overloaded) for result in results) == len(crowd) - CAP


@pytest.mark.parametrize(
    ("statement", "timeout_ms", "end"),
    [
        ("select 1 as one", 10_000, Loaded),
        ("select 1 / 0 as impossible", 10_000, StatementFailed),
        ("select pg_sleep(60)::text", 30, StatementTimeout),
    ],
)
def test_slots_are_free_again_however_the_load_ended(
    crowd: list[Queries], sql: Sql, statement: str, timeout_ms: int, end: type
) -> None:
    for database in crowd:
        assert isinstance(attempt(database, load(statement, timeout_ms=timeout_ms)), end)
        assert sql(HELD) == [(0,)]


def test_slots_are_free_again_when_the_connections_were_killed(
    crowd: list[Queries], sql: Sql, database_settings: DatabaseSettings
) -> None:
    slow = load("select pg_sleep(120)::text as slept", timeout_ms=120_000)
    with ThreadPoolExecutor(CAP) as pool:
        # New ones: with a kept connection that died, a driver would rightly ask again.
        killed = [pool.submit(attempt, Queries(database_settings), slow) for _ in range(CAP)]
        until(lambda: sql(HELD) == [(CAP,)])
        assert isinstance(attempt(crowd[0], load("select 1 as one")), Overloaded)
        sql("select pg_terminate_backend(pid)" + HELD.removeprefix("select count(*)"))
        assert all(isinstance(each.result(), DatabaseUnavailable) for each in killed)
    until(lambda: sql(HELD) == [(0,)])
    assert isinstance(attempt(crowd[0], load("select 1 as one")), Loaded)


def test_overloaded_reaches_no_query_and_leaves_nothing_on_the_connection(
    database_settings: DatabaseSettings, postgres: PostgresServer
) -> None:
    database = Queries(database_settings)
    with closing(psycopg2.connect(postgres.url_for("cacheaside_query"))) as holder, holder.cursor() as cursor:
        cursor.execute("select pg_try_advisory_xact_lock(1667326824, n) from generate_series(0, %s - 1) as n", [CAP])
        with pytest.raises(Overloaded):
            database.load_capped(load("select 1 / 0 as impossible"), CAP)
        assert rows(database.load_capped(load("select 1 as one"), CAP + 1)) == [{"one": 1}]
        assert rows(database.load(load("select 1 as one"))) == [{"one": 1}]
        holder.rollback()
    assert database._kept._connection is not None
    with database._kept._connection.cursor() as cursor:
        cursor.execute("select current_setting('statement_timeout'), txid_current_if_assigned()")
        assert cursor.fetchall() == [("0", None)]


def test_parameters_and_per_cents_reach_the_query_as_they_are(database_settings: DatabaseSettings) -> None:
    bound = replace(query("select %(n)s + 5 %% 3 as sum, '{at_most}' as braces"), values={"n": 40})
    loaded = Queries(database_settings).load(Load(bound, 10_000, bypass=True))
    assert rows(loaded) == [{"sum": 42, "braces": "{at_most}"}]


def test_direct_load_is_one_message_to_the_server(database_settings: DatabaseSettings) -> None:
    loaded = Queries(database_settings).load(load("select current_query() as message", bypass=True))
    message = rows(loaded)[0]["message"]  # as PostgreSQL received it, not only the statement that asks
    assert message.startswith("set transaction read only; ")
    assert message.index("pg_try_advisory_xact_lock(") < message.index("current_query()")


def test_caller_is_told_when_to_come_back(
    start_api: Callable[..., Any], postgres: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with closed_port() as door:
        api = start_api(cache_url=f"redis://127.0.0.1:{door.getsockname()[1]}")
        with closing(psycopg2.connect(postgres.url)) as holder, holder.cursor() as cursor:
            cursor.execute("select pg_try_advisory_xact_lock(1667326824, n) from generate_series(0, 99) as n")
            refusal = problem(answer := api.get("/queries/product?id=42"), 503)
            holder.rollback()  # and not by its end, which PostgreSQL notices a little later
        assert api.get("/queries/product?id=42").status == 200
    assert (refusal["type"], answer.headers["retry-after"]) == ("/docs#overloaded", "5")
    assert '"Overloaded":[1.0]' in capsys.readouterr().out


def test_direct_load_cannot_write(database_settings: DatabaseSettings, postgres: PostgresServer) -> None:
    owner = Queries(replace(database_settings, url=postgres.url))
    with pytest.raises(StatementFailed) as refused:
        owner.load(load("select nextval('orders_id_seq') as n", bypass=True))
    assert isinstance(refused.value.__cause__, psycopg2.errors.ReadOnlySqlTransaction)


def test_changes_become_metrics_that_an_alarm_can_use(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "cacheaside")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "query")
    for state in BreakerState:
        breaker_counter("Cache")(state)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = ["CacheBreakerClosed", "CacheBreakerOpen", "CacheBreakerHalfOpen"]
    assert [line[name] for line, name in zip(lines, names, strict=True)] == [[1.0]] * 3
