"""Circuit breakers stop calls to a failed server and find it again. A cap on direct loads protects PostgreSQL."""

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

from cacheaside.catalogue.parameters import Parameter
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
from cacheaside.reading.steps import Load, Loaded, Look
from cacheaside.runtime.read_metrics import breaker_counter
from cacheaside.settings import Authentication, CacheSettings, DatabaseSettings
from local.servers.postgres import PostgresServer
from local.servers.valkey import ValkeyServer
from tests.component.support.closed_port import closed_port, refusing_url
from tests.component.support.question import question
from tests.component.support.sql import Sql
from tests.support.problem_document import check_problem
from tests.support.wait_until import wait_until

CAP = 5
OPEN, HALF_OPEN, CLOSED = BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED


class BreakerContext:
    """A clock that only the test moves, a chance that never shortens a pause, and the state changes of the breaker."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000
        self.changes: list[BreakerState] = []

    def guard(self, kind: Any, driver: Any) -> Any:
        return kind(driver, self.changes.append, lambda: self.now_ms, lambda: 0.0)


@contextmanager
def counted_connections(listener: socket.socket) -> Iterator[list[object]]:
    """Listen on the port of a dead server, close each connection, and yield the list of their addresses."""
    seen: list[object] = []

    def accept() -> None:
        while True:
            try:
                connection, address = listener.accept()
            except OSError:
                return
            seen.append(address)
            connection.close()

    listener.listen()
    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield seen
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def load(sql: str, *, timeout_ms: int = 10_000, bypass: bool = False) -> Load:
    return Load(question(sql), timeout_ms, bypass=bypass)


def rows(loaded: Loaded) -> Any:
    assert loaded.body is not None
    return json.loads(loaded.body)["data"]


def test_dead_cache_gets_no_calls_from_the_third_request_on_and_is_used_again_by_itself(tmp_path: Path) -> None:
    look = Look(question("select 1").keys)
    with ValkeyServer(tmp_path / "valkey") as server:
        settings = CacheSettings(url=server.url, authentication=Authentication.URL, region="", name="")
        breaker, port = BreakerContext(), server.port
        cache = breaker.guard(GuardedCache, Cache(settings))
        cache.look(look)
        server.kill()
        with closed_port(port) as listener:
            for _ in range(CACHE.failures):
                with pytest.raises(CacheUnavailable):
                    cache.look(look)
            with counted_connections(listener) as seen:
                assert_no_calls_until_the_pause_ends(breaker, cache, look, seen)
        with ValkeyServer(tmp_path / "again", port=port):
            with pytest.raises(CacheUnavailable, match="not asked again"):
                cache.look(look)
            breaker.now_ms += 2 * CACHE.pause_ms
            for _ in range(3):
                cache.look(look)
    assert breaker.changes == [OPEN, HALF_OPEN, OPEN, HALF_OPEN, CLOSED]


def assert_no_calls_until_the_pause_ends(breaker: BreakerContext, cache: Any, look: Look, seen: list[object]) -> None:
    for _ in range(10):
        with pytest.raises(CacheUnavailable, match="not asked again"):
            cache.look(look)
    assert seen == []
    with pytest.raises(CacheUnavailable):
        cache.ping()
    assert seen != []
    seen.clear()
    breaker.now_ms += CACHE.pause_ms
    for _ in range(10):
        with pytest.raises(CacheUnavailable):
            cache.look(look)
    assert 1 <= len(seen) <= 2, "one call, which the driver may try twice"


def test_dead_database_gets_no_calls_and_is_used_again_by_itself(
    database_settings: DatabaseSettings, postgres: PostgresServer
) -> None:
    breaker = BreakerContext()
    with closed_port() as listener:
        url = database_settings.url.replace(f":{postgres.port}/", f":{listener.getsockname()[1]}/")
        broken = Queries(replace(database_settings, url=url))
        database = breaker.guard(GuardedQueries, broken)
        for _ in range(DATABASE.failures):
            with pytest.raises(DatabaseUnavailable):
                database.load(load("select 1 as one"))
        with counted_connections(listener) as seen:
            with pytest.raises(DatabaseUnavailable, match="not asked again"):
                database.load(load("select 1 as one"))
            assert seen == []
    broken._kept._settings = database_settings  # the server is back
    with pytest.raises(DatabaseUnavailable, match="not asked again"):
        database.load(load("select 1 as one"))
    breaker.now_ms += DATABASE.pause_ms
    assert rows(database.load(load("select 1 as one"))) == [{"one": 1}]
    assert breaker.changes == [OPEN, HALF_OPEN, CLOSED]


def test_queries_that_fail_do_not_open_the_breaker(database_settings: DatabaseSettings) -> None:
    breaker = BreakerContext()
    database = breaker.guard(GuardedQueries, Queries(database_settings))
    for _ in range(DATABASE.failures + 1):
        with pytest.raises(StatementFailed):
            database.load(load("select 1 / 0 as impossible"))
        with pytest.raises(StatementTimeout):
            database.load(load("select pg_sleep(60)::text", timeout_ms=20))
    assert breaker.changes == []


# The cap on direct loads

SLOTS_HELD = "select count(*) from pg_locks where locktype = 'advisory' and classid = 1667326824"


@pytest.fixture
def databases(database_settings: DatabaseSettings, sql: Sql) -> Iterator[list[Queries]]:
    """Thirty sandboxes, each with a connection of its own."""
    assert sql(SLOTS_HELD) == [(0,)]
    drivers = [Queries(database_settings) for _ in range(30)]
    for database in drivers:
        database.ping()
    yield drivers
    for database in drivers:
        database._kept.forget()


def attempt(database: Queries, step: Load) -> Loaded | DatabaseError:
    try:
        return database.load_capped(step, CAP)
    except DatabaseError as error:
        return error


def test_of_thirty_loads_at_once_five_run_and_the_rest_are_overloaded(databases: list[Queries], sql: Sql) -> None:
    running = "select count(*) from pg_stat_activity where state = 'active' and wait_event = 'advisory'"
    slow = load("select pg_advisory_xact_lock_shared(30)::text as waited", timeout_ms=120_000)
    sql("select pg_advisory_lock(30)")
    with ThreadPoolExecutor(len(databases)) as pool:
        try:
            attempts = [pool.submit(attempt, database, slow) for database in databases]
            wait_until(lambda: sum(each.done() for each in attempts) >= len(databases) - CAP)
            wait_until(lambda: sql(running) == [(CAP,)])
            assert sql(SLOTS_HELD) == [(CAP,)]
        finally:
            sql("select pg_advisory_unlock(30)")
    results = [each.result() for each in attempts]
    assert sum(isinstance(result, Loaded) for result in results) == CAP
    assert sum(isinstance(result, Overloaded) for result in results) == len(databases) - CAP


@pytest.mark.parametrize(
    ("statement", "timeout_ms", "end"),
    [
        ("select 1 as one", 10_000, Loaded),
        ("select 1 / 0 as impossible", 10_000, StatementFailed),
        ("select pg_sleep(60)::text", 30, StatementTimeout),
    ],
)
def test_each_end_of_a_load_frees_its_slot(
    databases: list[Queries], sql: Sql, statement: str, timeout_ms: int, end: type
) -> None:
    for database in databases:
        assert isinstance(attempt(database, load(statement, timeout_ms=timeout_ms)), end)
        assert sql(SLOTS_HELD) == [(0,)]


def test_killed_connections_free_their_slots(
    databases: list[Queries], sql: Sql, database_settings: DatabaseSettings
) -> None:
    slow = load("select pg_sleep(120)::text as slept", timeout_ms=120_000)
    with ThreadPoolExecutor(CAP) as pool:
        # New drivers: one with a kept connection would rightly ask again after it died.
        killed = [pool.submit(attempt, Queries(database_settings), slow) for _ in range(CAP)]
        wait_until(lambda: sql(SLOTS_HELD) == [(CAP,)])
        assert isinstance(attempt(databases[0], load("select 1 as one")), Overloaded)
        sql("select pg_terminate_backend(pid)" + SLOTS_HELD.removeprefix("select count(*)"))
        assert all(isinstance(each.result(), DatabaseUnavailable) for each in killed)
    wait_until(lambda: sql(SLOTS_HELD) == [(0,)])
    assert isinstance(attempt(databases[0], load("select 1 as one")), Loaded)


def test_overloaded_load_does_not_run_its_query_and_leaves_nothing_on_the_connection(
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


def test_parameters_and_percent_signs_reach_the_query_unchanged(database_settings: DatabaseSettings) -> None:
    parameters = {"n": Parameter(name="n", type="integer")}
    asked = question("select %(n)s + 5 %% 3 as sum, '{at_most}' as braces", {"n": 40}, parameters=parameters)
    loaded = Queries(database_settings).load(Load(asked, 10_000, bypass=True))
    assert rows(loaded) == [{"sum": 42, "braces": "{at_most}"}]


def test_direct_load_is_one_message_to_the_server(database_settings: DatabaseSettings) -> None:
    loaded = Queries(database_settings).load(load("select current_query() as message", bypass=True))
    message = rows(loaded)[0]["message"]  # the whole message that PostgreSQL received, not only this statement
    assert message.startswith("set transaction read only; ")
    assert message.index("pg_try_advisory_xact_lock(") < message.index("current_query()")


def test_overloaded_answer_has_retry_after(
    start_api: Callable[..., Any], postgres: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with refusing_url() as cache_url:
        api = start_api(cache_url=cache_url)
        with closing(psycopg2.connect(postgres.url)) as holder, holder.cursor() as cursor:
            cursor.execute("select pg_try_advisory_xact_lock(1667326824, n) from generate_series(0, 99) as n")
            refusal = check_problem(answer := api.get("/queries/product?id=42"), 503)
            holder.rollback()  # PostgreSQL would notice a closed connection only a little later
        assert api.get("/queries/product?id=42").status == 200
    assert (refusal["type"], answer.headers["retry-after"]) == ("/docs#overloaded", "5")
    assert '"Overloaded":[1.0]' in capsys.readouterr().out


def test_direct_load_cannot_write(database_settings: DatabaseSettings, postgres: PostgresServer) -> None:
    owner = Queries(replace(database_settings, url=postgres.url))
    with pytest.raises(StatementFailed) as refused:
        owner.load(load("select nextval('orders_id_seq') as n", bypass=True))
    assert isinstance(refused.value.__cause__, psycopg2.errors.ReadOnlySqlTransaction)


def test_each_state_change_of_a_breaker_becomes_a_metric(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "cacheaside")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "query")
    for state in BreakerState:
        breaker_counter("Cache")(state)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = ["CacheBreakerClosed", "CacheBreakerOpen", "CacheBreakerHalfOpen"]
    assert [line[name] for line, name in zip(lines, names, strict=True)] == [[1.0]] * 3
