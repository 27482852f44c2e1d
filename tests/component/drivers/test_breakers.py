"""Circuit breakers stop calls to a failed server and find it again. A cap on loads meanwhile protects PostgreSQL."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis

from bench.fault_proxy import Fault, fault_proxy
from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.parameters import Parameter
from cacheaside.drivers.breakers import BreakerOptions
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.guarded import CACHE, DATABASE, GuardedCache, GuardedQueries
from cacheaside.drivers.postgres import connection
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import (
    CacheUnavailable,
    DatabaseError,
    DatabaseSilent,
    DatabaseUnavailable,
    Overloaded,
    StatementFailed,
    StatementTimeout,
)
from cacheaside.reading.steps import Load, Loaded, Look, Store
from cacheaside.runtime.read_metrics import ReadMetrics
from cacheaside.settings import Authentication, CacheSettings, DatabaseSettings
from local.servers.postgres import PostgresServer
from local.servers.valkey import ValkeyServer
from migrate.upgrade import upgrade
from tests.component.support.closed_port import closed_port, refusing_url
from tests.component.support.question import question
from tests.component.support.sql import Sql
from tests.component.support.timeouts import production_timeouts_of
from tests.support.problem_document import check_problem
from tests.support.wait_until import wait_until

CAP = 5
TOKEN = b"sixteen bytes ok"
TRIES = 10  # if this machine stops for a second


class BreakerContext:
    """A clock that only the test moves, a chance that never shortens a pause, and the pauses of the breakers."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000
        self.pauses: list[int] = []

    def guard(self, kind: Any, driver: Any) -> Any:
        """Return the guarded driver. It probes at once, in the call that is refused after a pause."""
        options = BreakerOptions(on_open=self.pauses.append, now_ms=lambda: self.now_ms, chance=lambda: 0.0)
        return kind(driver, options)


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


def load(sql: str, *, timeout_ms: int = 10_000, bypass: bool = False, direct: bool = False) -> Load:
    return Load(question(sql), timeout_ms, bypass=bypass, direct=direct)


def rows(loaded: Loaded) -> Any:
    assert loaded.body is not None
    return json.loads(loaded.body)["data"]


def look(query: str) -> Look:
    return Look(question("select 1", name=query).keys)


def test_dead_cache_gets_no_calls_from_the_third_request_on_and_is_used_again_by_itself(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path / "valkey") as server:
        settings = CacheSettings(url=server.url, authentication=Authentication.URL, region="", name="")
        breaker, port = BreakerContext(), server.port
        cache = breaker.guard(GuardedCache, Cache(settings))
        cache.look(look("q"))
        server.kill()
        with closed_port(port) as listener:
            for _ in range(2):
                with pytest.raises(CacheUnavailable):
                    cache.look(look("q"))
            with counted_connections(listener) as seen:
                assert_no_calls_until_the_pause_ends(breaker, cache, seen)
        with ValkeyServer(tmp_path / "again", port=port):
            with pytest.raises(CacheUnavailable, match="not asked again"):
                cache.look(look("q"))
            breaker.now_ms += 2 * CACHE.pause_ms
            with pytest.raises(CacheUnavailable, match="not asked again"):
                cache.look(look("q"))  # and the probe has run
            for _ in range(3):
                cache.look(look("q"))
    assert breaker.pauses == [CACHE.pause_ms, 2 * CACHE.pause_ms]


def assert_no_calls_until_the_pause_ends(breaker: BreakerContext, cache: Any, seen: list[object]) -> None:
    for _ in range(10):
        with pytest.raises(CacheUnavailable, match="not asked again"):
            cache.look(look("q"))
    assert seen == []
    with pytest.raises(CacheUnavailable):
        cache.ping()
    assert seen != []
    seen.clear()
    breaker.now_ms += CACHE.pause_ms
    for _ in range(10):
        with pytest.raises(CacheUnavailable):
            cache.look(look("q"))
    assert 1 <= len(seen) <= 2, "one probe, which the driver may try twice"


def test_slow_cache_is_cut_off_before_a_fast_query_and_still_serves_a_slow_one(valkey: ValkeyServer) -> None:
    """50 ms a command: a gain for a query of 5 s, a loss for one of 2 ms."""
    breaker = BreakerContext()
    with fault_proxy(valkey.url) as (proxy, url):
        settings = CacheSettings(url=url, authentication=Authentication.URL, region="", name="")

        def serves_the_slow_one(cache: Any) -> bool:
            """Try it once, with a guard that is new: two failures by chance open the breaker of the slow query, too."""
            proxy.switch(Fault.NONE)
            cache.ping()
            cache.note_load("fast", 2)
            cache.note_load("slow", 5_000)
            proxy.switch(Fault.SLOW_COMMANDS, latency_s=0.05)
            with production_timeouts_of("cache"):
                for _ in range(2):
                    with pytest.raises(CacheUnavailable, match="did not answer"):
                        cache.look(look("fast"))
                requests = proxy.requests
                for _ in range(10):
                    with pytest.raises(CacheUnavailable, match="not asked again"):
                        cache.look(look("fast"))
                return proxy.requests == requests and succeeds(lambda: cache.look(look("slow")))

        guards = (breaker.guard(GuardedCache, Cache(settings)) for _ in range(TRIES))
        cache = next(filter(serves_the_slow_one, guards), None)
        assert cache is not None, "calls for the fast query go on, or none for the slow one"
        with production_timeouts_of("cache"):
            breaker.now_ms += CACHE.pause_ms
            for _ in range(2):  # a ping of 50 ms does not close it
                with pytest.raises(CacheUnavailable, match="not asked again"):
                    cache.look(look("fast"))
        proxy.switch(Fault.NONE)
        breaker.now_ms += 10 * CACHE.pause_ms
        with pytest.raises(CacheUnavailable, match="not asked again"):
            cache.look(look("fast"))
        assert cache.look(look("fast")).entry is None


def succeeds(act: Callable[[], object]) -> bool:
    try:
        act()
    except CacheUnavailable:
        return False
    return True


@pytest.fixture
def narrow_cache(valkey: ValkeyServer, client: redis.Redis) -> Iterator[tuple[BreakerContext, Any]]:
    """A guarded cache that can be reached at 5 MB/s, with the timeouts of production. Both queries take 2 ms."""
    breaker = BreakerContext()
    with fault_proxy(valkey.url) as (proxy, url):
        cache = breaker.guard(
            GuardedCache, Cache(CacheSettings(url=url, authentication=Authentication.URL, region="", name=""))
        )
        cache.ping()
        proxy.switch(Fault.NARROW, rate=5e6)
        with production_timeouts_of("cache"):
            yield breaker, cache


def test_large_answer_has_its_time(narrow_cache: tuple[BreakerContext, Any], client: redis.Redis) -> None:
    breaker, cache = narrow_cache
    answer, keys = bytes(1_400_000), look("large").keys

    def new_guard() -> Any:
        """Return a guard that leaves out no entry: after a try that was too slow, the last one leaves out this."""
        guarded = breaker.guard(GuardedCache, cache._cache)
        guarded.note_load("large", 20)
        return guarded

    def is_stored() -> bool:
        client.set(keys.lease, TOKEN)  # a store that is late may have released it
        return succeeds(lambda: new_guard().store(Store(keys, TOKEN, answer, 60_000)))

    assert any(is_stored() for _ in range(TRIES))
    assert client.get(keys.entry) == answer
    assert any(succeeds(lambda: new_guard().look(Look(keys))) for _ in range(TRIES))


def test_value_that_is_too_large_opens_no_breaker(
    narrow_cache: tuple[BreakerContext, Any], client: redis.Redis
) -> None:
    breaker, cache = narrow_cache
    large, small = look("q").keys, question("select 2", name="q").keys
    client.set(small.entry, b"small")

    healed: list[bool] = []

    def opens_none() -> bool:
        before = len(breaker.pauses)
        guarded = breaker.guard(GuardedCache, cache._cache)
        for _ in range(2):
            client.set(large.entry, bytes(60_000_000))
            assert not succeeds(lambda: guarded.look(Look(large)))
            healed.append(not client.exists(large.entry))
            assert not succeeds(lambda: guarded.store(Store(large, TOKEN, bytes(12_000_000), 60_000)))
        return len(breaker.pauses) == before and succeeds(lambda: guarded.look(Look(small)))

    assert any(opens_none() for _ in range(TRIES))
    assert any(healed), "each look is slow, because nobody deletes the value"


def test_silent_database_gets_no_calls_and_is_used_again_by_itself(
    database_settings: DatabaseSettings, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaker = BreakerContext()
    with fault_proxy(postgres.url_for("cacheaside_query")) as (proxy, url):
        database = breaker.guard(GuardedQueries, Queries(database_settings._replace(url=url)))
        proxy.switch(Fault.SILENCE)
        with monkeypatch.context() as patch:
            patch.setattr(connection, "_CONNECT_S", 0.1)
            for _ in range(2):
                with pytest.raises(DatabaseSilent):
                    database.load(load("select 1 as one"))
        calls = proxy.connections
        for _ in range(10):
            with pytest.raises(DatabaseUnavailable, match="not asked again"):
                database.load(load("select 1 as one"))
        with pytest.raises(DatabaseUnavailable, match="not asked again"):
            database.row_types(Catalogue({"q": question("select 1").query}, {}))
        assert proxy.connections == calls
        proxy.switch(Fault.NONE)
        breaker.now_ms += DATABASE.pause_ms
        with pytest.raises(DatabaseUnavailable, match="not asked again"):
            database.load(load("select 1 as one"))  # and the probe has run
        assert rows(database.load(load("select 1 as one"))) == [{"one": 1}]
    assert breaker.pauses == [DATABASE.pause_ms]


@pytest.mark.parametrize("fault", [Fault.REFUSAL, Fault.RESET, Fault.GARBAGE], ids=lambda fault: fault.name.lower())
def test_database_that_refuses_is_asked_by_each_request_and_used_again_at_once(
    fault: Fault, database_settings: DatabaseSettings, postgres: PostgresServer
) -> None:
    breaker = BreakerContext()
    with fault_proxy(postgres.url_for("cacheaside_query")) as (proxy, url):
        database = breaker.guard(GuardedQueries, Queries(database_settings._replace(url=url)))
        proxy.switch(fault)
        for _ in range(10):
            with pytest.raises(DatabaseUnavailable):
                database.load(load("select 1 as one"))
        proxy.switch(Fault.NONE)
        assert rows(database.load(load("select 1 as one"))) == [{"one": 1}]
    assert breaker.pauses == []


def test_postgresql_that_restarts_after_a_crash_is_used_by_every_sandbox_as_soon_as_it_is_back(tmp_path: Path) -> None:
    with PostgresServer(tmp_path / "postgres", durable=False) as server:
        with closing(psycopg2.connect(server.url)) as owner:
            upgrade(owner)
        settings = DatabaseSettings(url=server.url, authentication=Authentication.URL, region="")
        sandboxes = [GuardedQueries(Queries(settings)) for _ in range(8)]
        for sandbox in sandboxes:
            sandbox.load(load("select 1 as one"))
        assert any(count_refused_in_a_crash(server, sandboxes) >= 3 for _ in range(TRIES))
        for sandbox in sandboxes:
            assert rows(sandbox.load(load("select 1 as one"))) == [{"one": 1}]


def count_refused_in_a_crash(server: PostgresServer, sandboxes: list[GuardedQueries]) -> int:
    """Kill a process of PostgreSQL, and count the loads that are refused until it is back.

    It may be back before a load has met its absence. So after some seconds it counts as back without any.
    """
    refused = 0
    with closing(psycopg2.connect(server.url)) as victim:
        os.kill(victim.info.backend_pid, signal.SIGKILL)
        patient_until = time.monotonic() + 5

        def is_over() -> bool:
            nonlocal refused
            refused += sum(is_refused(sandbox) for sandbox in sandboxes)
            return is_up(server) and (refused >= 3 or time.monotonic() > patient_until)

        wait_until(is_over)
    return refused


def is_refused(sandbox: GuardedQueries) -> bool:
    try:
        sandbox.load(load("select 1 as one"))
    except DatabaseUnavailable:
        return True
    return False


def is_up(server: PostgresServer) -> bool:
    try:
        psycopg2.connect(server.url).close()
    except psycopg2.OperationalError:
        return False
    return True


def test_queries_that_fail_do_not_open_the_breaker(database_settings: DatabaseSettings) -> None:
    breaker = BreakerContext()
    database = breaker.guard(GuardedQueries, Queries(database_settings))
    for _ in range(3):
        with pytest.raises(StatementFailed):
            database.load(load("select 1 / 0 as impossible"))
        with pytest.raises(StatementTimeout):
            database.load(load("select pg_sleep(60)::text", timeout_ms=20))
    assert breaker.pauses == []


# The cap on loads without a lease

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


# It does not wait for the lock, because that has a limit.
UNTIL_UNLOCKED = """with recursive attempts (succeeded) as (
    select pg_try_advisory_xact_lock_shared(30)
    union all
    select pg_try_advisory_xact_lock_shared(30) from attempts, pg_sleep(0.01) where not succeeded
) select count(*) as attempts from attempts"""


def test_of_thirty_loads_at_once_five_run_and_the_rest_are_overloaded(databases: list[Queries], sql: Sql) -> None:
    running = (
        "select count(*) from pg_stat_activity "
        "where state = 'active' and query like '%%_shared(30)%%' and pid <> pg_backend_pid()"
    )
    slow = load(UNTIL_UNLOCKED, timeout_ms=120_000)
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


def test_twenty_direct_loads_at_once_leave_five_slots_to_loads_that_bypass_a_failing_cache(
    databases: list[Queries], sql: Sql
) -> None:
    def attempt_without_lease(database: Queries, step: Load) -> Loaded | DatabaseError:
        try:
            return database.load(step)
        except DatabaseError as error:
            return error

    slow, direct = (
        load(UNTIL_UNLOCKED, timeout_ms=120_000, bypass=True, direct=is_direct) for is_direct in (False, True)
    )
    sql("select pg_advisory_lock(30)")
    with ThreadPoolExecutor(len(databases)) as pool:
        try:
            visitors = [pool.submit(attempt_without_lease, database, direct) for database in databases[:20]]
            wait_until(lambda: sum(each.done() for each in visitors) >= 15)
            assert sql(SLOTS_HELD) == [(5,)]
            bypasses = [pool.submit(attempt_without_lease, database, slow) for database in databases[20:25]]
            wait_until(lambda: sql(SLOTS_HELD) == [(10,)])
            late = [attempt_without_lease(databases[29], each) for each in (slow, direct)]
        finally:
            sql("select pg_advisory_unlock(30)")
    assert sum(isinstance(each.result(), Loaded) for each in visitors) == 5
    assert sum(isinstance(each.result(), Overloaded) for each in visitors) == 15
    assert all(isinstance(each.result(), Loaded) for each in bypasses)
    assert all(isinstance(each, Overloaded) for each in late)


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


def test_load_without_a_lease_is_one_message_to_the_server(database_settings: DatabaseSettings) -> None:
    loaded = Queries(database_settings).load(load("select current_query() as message", bypass=True))
    message = rows(loaded)[0]["message"]  # the whole message that PostgreSQL received, not only this statement
    assert message.index("read_only => true") < message.index("take_slot(") < message.index("current_query()")


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
    assert '"Overloaded":[1]' in capsys.readouterr().out


def test_load_without_a_lease_cannot_write(database_settings: DatabaseSettings, postgres: PostgresServer) -> None:
    owner = Queries(database_settings._replace(url=postgres.url))
    with pytest.raises(StatementFailed) as refused:
        owner.load(load("select nextval('orders_id_seq') as n", bypass=True))
    assert isinstance(refused.value.__cause__, psycopg2.errors.ReadOnlySqlTransaction)


def test_opening_of_a_breaker_becomes_a_metric_unless_it_is_short(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "cacheaside")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "query")
    for pause_ms in (CACHE.pause_ms, CACHE.pause_at_most_ms // 2, DATABASE.pause_ms // 2):
        ReadMetrics().breaker_counter("Cache")(pause_ms)
    assert [json.loads(line)["CacheBreakerOpen"] for line in capsys.readouterr().out.splitlines()] == [[1.0]] * 2
