"""256 at once: one load, as PostgreSQL's own log counts them, and nobody waits who need not."""

from __future__ import annotations

import multiprocessing
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final
from uuid import uuid4

import pytest
import redis

from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.clock import epoch_ms
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.reading.question import Question
from cacheaside.reading.reader import Reader
from cacheaside.reading.steps import Look, Looked
from cacheaside.settings import CacheSettings, DatabaseSettings, Settings
from local.servers.postgres import PostgresServer

PROCESSES: Final = 8
THREADS: Final = 32

_fork = multiprocessing.get_context("fork")


@pytest.fixture
def settings(cache_settings: CacheSettings, database_settings: DatabaseSettings) -> Settings:
    return Settings(database_settings, cache_settings)


@pytest.fixture
def loads(sql: Callable[..., Any], postgres: PostgresServer) -> Iterator[Callable[[str], int]]:
    """How often a query has run that calls `counted_load`: each run writes a line to the server's log."""
    sql(
        """create or replace function counted_load(mark text, seconds double precision) returns text
           language plpgsql as $$
           begin
               raise log 'counted load %%', mark;
               perform pg_advisory_xact_lock_shared(256), pg_sleep(seconds);
               return mark;
           end $$"""
    )
    yield lambda mark: postgres.log.read_text(errors="replace").count(f"counted load {mark}\n")
    sql("drop function counted_load")


def slow_query(mark: str, policy: Policy, seconds: float = 0.0) -> Question:
    """One that is loaded when all have looked, and for so long more."""
    return Question(
        Query(
            name="stampede",
            summary="",
            sql=f"select counted_load('{mark}', {seconds})",
            returns="one",
            timeout_ms=120_000,
            tags=("stampede",),
            parameters={},
            policy=policy,
        ),
        {},
    )


def all_at_once(settings: Settings, sql: Callable[..., Any], bound: Question) -> Counter[str]:
    """Ask in 256 threads of 8 processes, each with connections of its own. Returns how their reads ended."""
    start, ended, looked = _fork.Barrier(PROCESSES), _fork.SimpleQueue(), _fork.Semaphore(0)

    def ask(gate: threading.Barrier) -> None:
        cache = Cache(settings.cache)
        reader = Reader(CountsFirstLook(cache, looked.release), Queries(settings.database))
        try:
            cache.ping()  # 256 connections are not opened at once
            gate.wait(120)
            outcome = reader.read(bound, lambda: 120_000).outcome
        except Exception as error:
            ended.put((repr(error), False))
            return
        ended.put((outcome.source.name, outcome.refresh is not None))
        if outcome.refresh is not None:
            reader.refresh(outcome.refresh)

    def crowd() -> None:
        gate = threading.Barrier(THREADS, action=start.wait)
        threads = [threading.Thread(target=ask, args=[gate]) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

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


class CountsFirstLook:
    """A cache that says when it has been looked at for the first time."""

    def __init__(self, cache: Cache, say: Callable[[], object]) -> None:
        self._cache, self._say = cache, say

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def look(self, step: Look) -> Looked:
        looked = self._cache.look(step)
        self._say()
        self._say = lambda: None
        return looked


def test_cold_key_is_loaded_once(
    settings: Settings, sql: Callable[..., Any], loads: Callable[[str], int], client: redis.Redis
) -> None:
    mark = uuid4().hex
    ended = all_at_once(settings, sql, slow_query(mark, Policy(ttl_ms=60_000, wait_ms=120_000)))
    assert loads(mark) == 1, ended
    assert ended["MISS"] == 1
    assert ended["COLLAPSED"] + ended["HIT"] == PROCESSES * THREADS - 1


def test_expiry_under_load_is_one_load_for_which_nobody_waits(
    settings: Settings, sql: Callable[..., Any], loads: Callable[[str], int], client: redis.Redis
) -> None:
    mark = uuid4().hex
    bound = slow_query(mark, Policy(ttl_ms=60_000, stale_ms=600_000))
    a_while_ago_ms = epoch_ms() - 90_000
    Reader(Cache(settings.cache), Queries(settings.database), lambda: a_while_ago_ms).read(bound, lambda: 29_000)
    ended = all_at_once(settings, sql, bound)
    assert loads(mark) == 2, ended  # the first fill, and the refresh
    assert ended["STALE + refresh"] == 1
    assert ended["STALE"] == PROCESSES * THREADS - 1


def test_load_longer_than_the_ttl_is_shared_by_those_who_came_before_it_and_one_more_by_the_rest(
    settings: Settings, sql: Callable[..., Any], loads: Callable[[str], int], client: redis.Redis
) -> None:
    mark = uuid4().hex
    # It stays where it can be seen: some of 256 look again only after seconds.
    policy = Policy(ttl_ms=300, stale_if_error_ms=600_000, wait_ms=120_000)
    ended = all_at_once(settings, sql, slow_query(mark, policy, seconds=1.0))
    # Who came while the first load ran finds its answer older than the ttl allows; all of them share the second.
    assert loads(mark) <= 2, ended
    assert ended["COLLAPSED"] + ended["HIT"] >= PROCESSES * THREADS - 2
