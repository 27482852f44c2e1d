"""256 reads at once cause one load, counted in PostgreSQL's own log, and no read waits longer than it must."""

from __future__ import annotations

import multiprocessing
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from uuid import uuid4

import pytest
import redis

from cacheaside.catalogue.policy import Policy
from cacheaside.clock import epoch_ms
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.reading.question import Question
from cacheaside.reading.reader import Reader
from cacheaside.reading.steps import Look, Looked
from cacheaside.settings import CacheSettings, DatabaseSettings, Settings
from local.servers.postgres import PostgresServer
from tests.component.support.question import question
from tests.component.support.sql import Sql

PROCESSES: Final = 8
THREADS: Final = 32

_fork = multiprocessing.get_context("fork")


@pytest.fixture
def settings(cache_settings: CacheSettings, database_settings: DatabaseSettings) -> Settings:
    return Settings(database_settings, cache_settings)


@pytest.fixture
def loads(sql: Sql, postgres: PostgresServer) -> Iterator[Callable[[str], int]]:
    """Counts the runs of a query that calls `counted_load`: each run writes a line to the server's log."""
    sql(
        """create or replace function counted_load(mark text, seconds double precision) returns text
           language plpgsql as $$
           begin
               raise log 'counted load %%', mark;
               while not pg_try_advisory_xact_lock_shared(256) loop  -- not a wait for a lock, which has a limit
                   perform pg_sleep(0.01);
               end loop;
               perform pg_sleep(seconds);
               return mark;
           end $$"""
    )
    yield lambda mark: postgres.log.read_text(errors="replace").count(f"counted load {mark}\n")
    sql("drop function counted_load")


def slow_query(mark: str, policy: Policy, seconds: float = 0.0) -> Question:
    """Return a query whose load ends `seconds` after all readers have looked."""
    sql = f"select counted_load('{mark}', {seconds})"
    return question(sql, returns="one", timeout_ms=120_000, tags=("stampede",), policy=policy)


def read_at_once(settings: Settings, sql: Sql, question: Question) -> Counter[str]:
    """Read in 256 threads of 8 processes, each with connections of its own. Returns how often each outcome came."""
    start, ended, looked = _fork.Barrier(PROCESSES), _fork.SimpleQueue(), _fork.Semaphore(0)

    def ask(gate: threading.Barrier) -> None:
        cache = Cache(settings.cache)
        reader = Reader(ReportsFirstLook(cache, looked.release), Queries(settings.database))
        try:
            cache.ping()  # opens the connection before the gate, not 256 at once
            gate.wait(120)
            outcome = reader.read(question, lambda: 120_000).outcome
        except Exception as error:
            ended.put((repr(error), False))
            return
        ended.put((outcome.source.name, outcome.refresh is not None))
        if outcome.refresh is not None:
            reader.refresh(outcome.refresh)

    def crowd() -> None:
        gate = threading.Barrier(THREADS, action=start.wait)
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(ask, [gate] * THREADS))

    processes = [_fork.Process(target=crowd) for _ in range(PROCESSES)]
    sql("select pg_advisory_lock(256)")
    try:
        for process in processes:
            process.start()
        for _ in range(PROCESSES * THREADS):
            assert looked.acquire(timeout=120)
    finally:
        sql("select pg_advisory_unlock(256)")
    answers = [ended.get() for _ in range(PROCESSES * THREADS)]
    for process in processes:
        process.join()
    return Counter(f"{source}{' + refresh' if refresh else ''}" for source, refresh in answers)


class ReportsFirstLook:
    """A cache that calls `report` after its first look."""

    def __init__(self, cache: Cache, report: Callable[[], object]) -> None:
        self._cache, self._report = cache, report

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def look(self, step: Look) -> Looked:
        looked = self._cache.look(step)
        self._report()
        self._report = lambda: None
        return looked


def test_cold_key_is_loaded_once(
    settings: Settings, sql: Sql, loads: Callable[[str], int], client: redis.Redis
) -> None:
    mark = uuid4().hex
    ended = read_at_once(settings, sql, slow_query(mark, Policy(ttl_ms=60_000, wait_ms=120_000)))
    assert loads(mark) == 1, ended
    assert ended["MISS"] == 1
    assert ended["COLLAPSED"] + ended["HIT"] == PROCESSES * THREADS - 1


def test_expiry_under_load_causes_one_load_and_no_read_waits_for_it(
    settings: Settings, sql: Sql, loads: Callable[[str], int], client: redis.Redis
) -> None:
    mark = uuid4().hex
    question = slow_query(mark, Policy(ttl_ms=60_000, stale_ms=600_000))
    past_ms = epoch_ms() - 90_000
    Reader(Cache(settings.cache), Queries(settings.database), lambda: past_ms).read(question, lambda: 29_000)
    ended = read_at_once(settings, sql, question)
    assert loads(mark) == 2, ended  # the first fill, and the refresh
    assert ended["STALE + refresh"] == 1
    assert ended["STALE"] == PROCESSES * THREADS - 1


def test_load_longer_than_the_ttl_is_shared_and_causes_at_most_one_more(
    settings: Settings, sql: Sql, loads: Callable[[str], int], client: redis.Redis
) -> None:
    mark = uuid4().hex
    # `stale_if_error_ms` keeps the entry in the cache: some of the 256 look again only after seconds.
    policy = Policy(ttl_ms=300, stale_if_error_ms=600_000, wait_ms=120_000)
    ended = read_at_once(settings, sql, slow_query(mark, policy, seconds=1.0))
    # Reads that began during the first load find its answer older than the ttl. They share the second load.
    assert loads(mark) <= 2, ended
    assert ended["COLLAPSED"] + ended["HIT"] >= PROCESSES * THREADS - 2
