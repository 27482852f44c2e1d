"""`python -m bench.stress SECONDS`: readers and writers as processes on real servers, readers killed at random.

Every reader notes the newest write that was acknowledged before it began, and checks that its answer is at least as
new. Writers acknowledge as the command function does: after COMMIT, and after the tag was taken out.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

import psycopg2

from cacheaside.catalogue import BoundQuery, Query
from cacheaside.drivers.cache import Cache
from cacheaside.drivers.database import Database
from cacheaside.errors import CacheasideError, CacheUnavailable
from cacheaside.outcome import Source
from cacheaside.parameters import Parameter
from cacheaside.policy import Policy
from cacheaside.reader import Reader
from cacheaside.settings import Settings
from local.postgres import PostgresServer
from local.valkey import ValkeyServer
from migrate.upgrade import upgrade

__all__ = ["Report", "stress"]

READERS: Final = 24
WRITERS: Final = 2
ROWS: Final = 6
SOURCES: Final = list(Source)

# Short times, so that every path is taken often: expiry, stale answers, lost leases, waiting.
_POLICY: Final = Policy(ttl_ms=400, stale_ms=400, stale_if_error_ms=0, wait_ms=5_000, jitter=0.3, early_refresh=1.0)
_ROW: Final = Query(
    name="stress",
    summary="",
    sql="select value, pg_sleep(0.005)::text as slept from stress where id = %(id)s",
    returns="one",
    timeout_ms=1_000,
    tags=("stress:{id}",),
    parameters={"id": Parameter(name="id", type="integer")},
    policy=_POLICY,
)

_fork: Final = multiprocessing.get_context("fork")


@dataclass(frozen=True, slots=True)
class Report:
    """What was seen. `stale` must be 0; the rest tells whether the run was worth anything."""

    reads: int
    writes: int
    stale: int
    errors: int
    killed: int
    sources: dict[str, int]


class _Shared:
    """Counters in shared memory: one writer each, any reader, no locks."""

    def __init__(self) -> None:
        self.acknowledged = _fork.RawArray("q", WRITERS * ROWS)
        self.reads = _fork.RawArray("q", READERS)
        self.writes = _fork.RawArray("q", WRITERS)
        self.stale = _fork.RawArray("q", READERS)
        self.errors = _fork.RawArray("q", READERS)
        self.sources = _fork.RawArray("q", READERS * len(SOURCES))

    def floor(self, row: int) -> int:
        """The newest write to `row` that has been acknowledged."""
        return max(self.acknowledged[writer * ROWS + row] for writer in range(WRITERS))


def stress(
    seconds: float,
    settings: Settings,
    owner_url: str,
    progress: Callable[[float, float, int], None] | None = None,
    *,
    invalidate_first: bool = False,
) -> Report:
    """Run for about that long. `settings` are the servers, `owner_url` may create a table there.

    `invalidate_first` makes the writers do it wrong, to see that the checker notices.
    """
    _prepare(owner_url)
    shared = _Shared()
    writers = [_start(_write, number, settings, owner_url, shared, invalidate_first) for number in range(WRITERS)]
    readers = [_start(_read, number, settings, shared) for number in range(READERS)]
    killed, began = 0, time.monotonic()
    try:
        while (passed := time.monotonic() - began) < seconds:
            time.sleep(0.2)
            victim = random.randrange(READERS)
            os.kill(readers[victim].pid or 0, signal.SIGKILL)
            readers[victim].join()
            readers[victim] = _start(_read, victim, settings, shared)
            killed += 1
            if progress is not None:
                progress(min(passed, seconds), seconds, sum(shared.reads))
    finally:
        for process in (*readers, *writers):
            process.kill()
            process.join()
    return Report(
        reads=sum(shared.reads),
        writes=sum(shared.writes),
        stale=sum(shared.stale),
        errors=sum(shared.errors),
        killed=killed,
        sources={source.name: sum(shared.sources[at :: len(SOURCES)]) for at, source in enumerate(SOURCES)},
    )


def _prepare(owner_url: str) -> None:
    with closing(psycopg2.connect(owner_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("drop table if exists stress")
        cursor.execute("create table stress (id integer primary key, value bigint not null default 0)")
        cursor.execute("insert into stress (id) select generate_series(0, %s)", [ROWS - 1])
        cursor.execute("grant select on stress to cacheaside_query")


def _start(target: Any, *arguments: Any) -> BaseProcess:
    process = _fork.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def _read(number: int, settings: Settings, shared: _Shared) -> None:
    reader = Reader(Cache(settings.cache), Database(settings.database))
    random.seed()
    while True:
        row = random.randrange(ROWS)
        floor = shared.floor(row)
        try:
            outcome = reader.read(BoundQuery(_ROW, {"id": row}), lambda: 29_000).outcome
            body = outcome.entry.body or b""
            value = int(body.split(b'"value":')[1].split(b",")[0])
            shared.stale[number] += value < floor
            shared.sources[number * len(SOURCES) + SOURCES.index(outcome.source)] += 1
            shared.reads[number] += 1
            if outcome.refresh is not None:
                reader.refresh(outcome.refresh)
        except CacheasideError:
            shared.errors[number] += 1


def _write(number: int, settings: Settings, owner_url: str, shared: _Shared, invalidate_first: bool) -> None:
    cache = Cache(settings.cache)
    random.seed()
    connection = psycopg2.connect(owner_url)
    while True:
        row = random.randrange(ROWS)
        with connection, connection.cursor() as cursor:
            cursor.execute("update stress set value = value + 1 where id = %s returning value", [row])
            [(value,)] = cursor.fetchall()
            if invalidate_first:
                _take_out(cache, row)
                time.sleep(0.02)  # until COMMIT, in which others load the old value
        if not invalidate_first:
            _take_out(cache, row)
        shared.acknowledged[number * ROWS + row] = value
        shared.writes[number] += 1
        time.sleep(random.random() * 0.1)


def _take_out(cache: Cache, row: int) -> None:
    while True:  # a write is not acknowledged before this has worked
        with suppress(CacheUnavailable):
            cache.invalidate_tags([f"stress:{row}"])
            return


def main(seconds: float) -> int:
    from local.environment import function_environment

    def bar(passed: float, total: float, reads: int) -> None:
        done = int(30 * passed / total)
        print(f"\r[{'#' * done}{' ' * (30 - done)}] {passed:4.0f} s, {reads:,} reads", end="", flush=True)

    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="cacheaside-")))
        folder.chmod(0o755)
        postgres = exits.enter_context(PostgresServer(folder / "postgres", durable=False))
        valkey = exits.enter_context(ValkeyServer(folder / "valkey"))
        with closing(psycopg2.connect(postgres.url)) as connection:
            upgrade(connection)
        environment = function_environment(postgres.url, valkey.url, embedded=True)["QueryFunction"]
        progress = bar if sys.stdout.isatty() else None
        report = stress(seconds, Settings.from_environment(environment), postgres.url, progress)
    print(f"\n{report}")
    return 1 if report.stale else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 60))
