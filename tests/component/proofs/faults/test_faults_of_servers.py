"""Faults of the servers themselves: dead, frozen, full, read-only, locked. Each is felt, and its end heals."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress

import psycopg2
import pytest
import redis

from proofs.chaos.faults.database import DATABASE_FAULTS
from proofs.chaos.faults.memory import MEMORY_FAULTS
from proofs.chaos.faults.processes import PROCESS_FAULTS
from proofs.chaos.stack import ChaosStack
from tests.component.support.one_fault import cache_client, injected
from tests.support.wait_until import wait_until

PATIENCE_S = 2  # for a server that is not going to answer
Felt = Callable[[ChaosStack], bool]


def cache_of(stack: ChaosStack) -> AbstractContextManager[redis.Redis]:
    return cache_client(stack.cache.nodes[0].port, PATIENCE_S)


def cache_is_silent(stack: ChaosStack) -> bool:
    with cache_of(stack) as client:
        return raises(redis.RedisError, client.ping)


def replica_is_silent(stack: ChaosStack) -> bool:
    with cache_client(stack.cache.servers.replica.port, PATIENCE_S) as client:
        return raises(redis.RedisError, client.ping)


def cache_refuses(why: type[redis.RedisError]) -> Felt:
    def felt(stack: ChaosStack) -> bool:
        with cache_of(stack) as client:
            return raises(why, lambda: client.set("key", "value", px=1000))

    return felt


def cache_evicts(stack: ChaosStack) -> bool:
    with cache_of(stack) as client:
        for number in range(200):
            with suppress(redis.exceptions.OutOfMemoryError):
                client.set(f"evicted:{number}", bytes(10_000), px=1000)
        return client.info("stats")["evicted_keys"] > 0


def database_fails(
    statement: str, why: type[psycopg2.Error] = psycopg2.OperationalError, role: str = "postgres"
) -> Felt:
    def felt(stack: ChaosStack) -> bool:
        def ask() -> None:
            url = stack.postgres.url_for(role)
            with (
                closing(psycopg2.connect(url, connect_timeout=PATIENCE_S)) as connection,
                connection.cursor() as cursor,
            ):
                cursor.execute(statement)

        return raises(why, ask)

    return felt


def ask(stack: ChaosStack, role: str, statement: str) -> None:
    url = stack.postgres.url_for(role)
    with closing(psycopg2.connect(url, connect_timeout=PATIENCE_S)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)


def raises(error: type[Exception], do: Callable[[], object]) -> bool:
    try:
        do()
    except error:
        return True
    return False


PROCESSES: dict[str, Felt] = {
    "cache killed, and started again empty": cache_is_silent,
    "cache frozen": cache_is_silent,
    "PostgreSQL killed": database_fails("select 1"),
    "PostgreSQL frozen": database_fails("select 1"),
}
REPLICAS: dict[str, Felt] = {
    "replica of the cache killed": replica_is_silent,
    "replica of the cache frozen": replica_is_silent,
}
MEMORY: dict[str, Felt] = {
    "memory of the cache full, without eviction": cache_refuses(redis.exceptions.OutOfMemoryError),
    "memory of the cache full, all keys evicted": cache_refuses(redis.exceptions.OutOfMemoryError),
    "memory of the cache full, half of the keys evicted": cache_evicts,
    "a read-only replica at the address of the cache": cache_refuses(redis.ReadOnlyError),
}
INSERT = "create table full_disk as select repeat('x', 1000) as text from generate_series(1, 30000)"
UPDATE = "set lock_timeout = '50ms'; update register set value = value"
SLEEP = "set statement_timeout = '5min'; select pg_sleep(30)"
DATABASE: dict[str, Felt] = {
    "PostgreSQL restarted (fast)": database_fails("select 1"),
    "PostgreSQL restarted (immediate)": database_fails("select 1"),
    "PostgreSQL out of connections": database_fails("select 1", role="cacheaside_command"),
    "PostgreSQL read-only": database_fails(UPDATE, psycopg2.errors.ReadOnlySqlTransaction),
    "disk of PostgreSQL full": database_fails(INSERT),
    "table locked, as by a DDL statement": database_fails(
        "set lock_timeout = '50ms'; select from register", psycopg2.errors.LockNotAvailable
    ),
    "rows locked by a long transaction": database_fails(UPDATE, psycopg2.errors.LockNotAvailable),
}
# These strike what is there at that moment.
MOMENTS = {
    "one process of PostgreSQL killed",
    "one process of PostgreSQL frozen",
    "statements cancelled, as by a timeout",
    "connections ended by an operator",
    "cache failed over",
    "cache failed over to a replica that lagged",
    "sandboxes killed while they load",
    "sandboxes killed between COMMIT and invalidation",
}


def test_every_fault_of_a_server_is_tried() -> None:
    tried = MOMENTS.union(PROCESSES, REPLICAS, MEMORY, DATABASE)
    faults = {fault.name for fault in (*PROCESS_FAULTS, *MEMORY_FAULTS, *DATABASE_FAULTS)}
    assert {name for name in faults if not name.startswith("sandboxes of ")} == tried


@pytest.mark.parametrize("name", [*PROCESSES, *MEMORY, *DATABASE])
def test_fault_of_a_server_is_felt_until_it_ends(stack: ChaosStack, name: str) -> None:
    felt = {**PROCESSES, **MEMORY, **DATABASE}[name]
    with injected(stack, name):
        assert felt(stack)
    if felt is not cache_evicts:
        wait_until(lambda: not felt(stack))


@pytest.mark.parametrize("stack", ["pair"], indirect=True)
@pytest.mark.parametrize("name", REPLICAS)
def test_fault_of_the_replica_is_felt_until_it_ends(stack: ChaosStack, name: str) -> None:
    with injected(stack, name):
        assert replica_is_silent(stack)
    wait_until(lambda: not replica_is_silent(stack))


@pytest.mark.parametrize("stack", ["pair"], indirect=True)
@pytest.mark.parametrize("name", ["cache failed over", "cache failed over to a replica that lagged"])
def test_failover_brings_back_what_the_replica_has(stack: ChaosStack, name: str) -> None:
    stack.cache.servers.await_replica()
    with cache_of(stack) as client:
        client.set("kept", "")
        assert client.wait(1, 60_000) == 1
    failovers = len(stack.failovers.completed)
    with injected(stack, name):
        if "lagged" in name:
            with cache_of(stack) as client:
                client.delete("kept")
    with cache_of(stack) as client:
        assert client.exists("kept") == 1
    assert len(stack.failovers.completed) == failovers + 1


@pytest.mark.parametrize(
    ("name", "cancelled"),
    [
        ("one process of PostgreSQL killed", False),
        ("statements cancelled, as by a timeout", True),
        ("connections ended by an operator", False),
    ],
)
def test_statement_that_runs_ends_with_an_error(stack: ChaosStack, name: str, cancelled: bool) -> None:
    errors = []

    def run() -> None:
        try:
            ask(stack, "cacheaside_query", SLEEP)
        except psycopg2.Error as raised:
            errors.append(raised)

    with running(run, stack), injected(stack, name):
        pass
    assert [isinstance(each, psycopg2.errors.QueryCanceled) for each in errors] == [cancelled]


def test_frozen_process_of_postgresql_goes_on_later(stack: ChaosStack) -> None:
    answered, slept_s = threading.Event(), 5  # so long that it is frozen while it sleeps

    def run() -> None:
        ask(stack, "cacheaside_query", f"select pg_sleep({slept_s})")
        answered.set()

    with running(run, stack):
        with injected(stack, "one process of PostgreSQL frozen"):
            assert not answered.wait(slept_s + PATIENCE_S)
        assert answered.wait(60)


@contextmanager
def running(run: Callable[[], None], stack: ChaosStack) -> Iterator[None]:
    """Run `run` in a thread. The block begins when its statement runs."""
    thread = threading.Thread(target=run)
    thread.start()
    with closing(psycopg2.connect(stack.owner_url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True

        def runs() -> bool:
            cursor.execute("select from pg_stat_activity where usename = 'cacheaside_query' and state = 'active'")
            return cursor.rowcount > 0

        wait_until(runs)
    yield
    thread.join()
