"""A run: start everyone, let things go wrong for a while, let it calm down, and look whether all is as it should be."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg2

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.statements import BoundQuery
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.queries import Database
from cacheaside.errors import CacheasideError
from cacheaside.reading.outcome import Source
from cacheaside.reading.reader import Reader
from cacheaside.settings import Authentication, DatabaseSettings
from local.servers.postgres import PostgresServer
from proofs.consistency.api import Servers, read_values, run_reader, run_writer
from proofs.consistency.auditor import run_auditor, what_is_left
from proofs.consistency.broken import Broken
from proofs.consistency.caches import KINDS, Kind, Trouble
from proofs.consistency.chaos import AUDITOR, INVALIDATE, JOB, READER, WRITER, Chaos, Crew
from proofs.consistency.invalidate import run_invalidate
from proofs.consistency.jobs import run_job
from proofs.consistency.ledger import API_WRITERS, INVALIDATORS, JOBS, READERS, ROWS, Happened, Ledger
from proofs.consistency.register import create_register, drop_register, register_catalogue
from proofs.consistency.report import Ending, Report

__all__ = ["Progress", "consistency", "servers_of"]

# Seconds that have passed, operations, violations.
Progress = Callable[[float, int, int], object]

_DRAINED_WITHIN_S: Final = 30.0
_AUDITED_WITHIN_S: Final = 10.0
_READ_WITHIN_S: Final = 10.0
_CACHED: Final = (Source.HIT, Source.STALE, Source.COLLAPSED)


def consistency(
    seconds: float,
    kind: str,
    postgres: PostgresServer,
    folder: Path,
    progress: Progress = lambda *_: None,
    broken: Broken | None = None,
    only: Trouble | None = None,
) -> Report:
    """Run for about that long, with a cache of that kind in `folder`, and a table that is removed again.

    `broken`: what to do wrong, to see that it is found. `only`: what happens to the cache, and nothing else. Raises
    RuntimeError if a process failed by itself.
    """
    ledger, crew = Ledger(), Crew()
    with KINDS[kind](folder / "cache", ledger) as cache:
        create_register(postgres.url, recorded=broken is not Broken.UNRECORDED)
        servers = servers_of(postgres, cache, register_catalogue(folder), folder)
        chaos = Chaos(cache, crew, only)
        try:
            _start(crew, servers, ledger, broken)
            chaos.run(seconds, lambda passed: progress(passed, _operations(ledger), ledger.total(Happened.VIOLATION)))
            crew.end(WRITER, JOB)
            ending = _ending(servers, ledger)
        finally:
            crew.end()
            drop_register(postgres.url)
    examples = servers.violations.read_text(encoding="utf-8").splitlines() if servers.violations.exists() else []
    return Report.of(kind, seconds, ledger, chaos.done, ending, examples)


def servers_of(postgres: PostgresServer, cache: Kind, catalogue: Catalogue, folder: Path) -> Servers:
    """Return where everything is. Violations are written down below `folder`."""

    def signed_in_as(role: str) -> DatabaseSettings:
        return DatabaseSettings(url=postgres.url_for(role), authentication=Authentication.URL, region="")

    return Servers(
        cache=cache.settings(),
        confirmed=cache.settings(cache.replicas),
        query=signed_in_as("cacheaside_query"),
        command=signed_in_as("cacheaside_command"),
        invalidate=signed_in_as("cacheaside_invalidate"),
        owner_url=postgres.url,
        catalogue=catalogue,
        violations=folder / "violations",
    )


def _start(crew: Crew, servers: Servers, ledger: Ledger, broken: Broken | None) -> None:
    crew.add(AUDITOR, run_auditor, servers, ledger)
    for number in range(INVALIDATORS):
        crew.add(INVALIDATE, run_invalidate, READERS + API_WRITERS + JOBS + number, servers, ledger, broken)
    for number in range(API_WRITERS):
        crew.add(WRITER, run_writer, number, READERS + number, servers, ledger, broken)
    for number in range(JOBS):
        crew.add(JOB, run_job, READERS + API_WRITERS + number, servers, ledger)
    for number in range(READERS):
        crew.add(READER, run_reader, number, servers, ledger)


def _ending(servers: Servers, ledger: Ledger) -> Ending:
    """Wait until everything that was written is out of the outbox, and compare, while readers go on."""
    began = time.monotonic()
    with closing(psycopg2.connect(servers.owner_url)) as connection, connection.cursor() as cur:
        connection.autocommit = True
        _wait(lambda: not what_is_left(cur)[0] and not ledger.awaits_replay, _DRAINED_WITHIN_S)
        drained_s = time.monotonic() - began
        _wait(lambda: not what_is_left(cur)[1], _AUDITED_WITHIN_S)
        pending, lost = what_is_left(cur)
        cur.execute("select value from register order by id")
        expected = [value for (value,) in cur.fetchall()]
    reader = Reader(Cache(servers.cache), Database(servers.query))
    one, every = (servers.catalogue.query(name) for name in ("one", "all"))
    answers = [_read(reader, BoundQuery(every, {}))]
    answers += [_read(reader, BoundQuery(one, {"id": row})) for row in range(ROWS)]
    wanted = [expected, *([value] for value in expected)]
    return Ending(
        pending=pending,
        lost=lost,
        compared=len(answers),
        from_cache=sum(source in _CACHED for _, source in answers),
        different=sum(values != value for (values, _), value in zip(answers, wanted, strict=True)),
        drained_s=drained_s,
    )


def _read(reader: Reader, bound: BoundQuery) -> tuple[list[int], Source]:
    """Return what is read, also from servers that are slow just then: no answer would be no difference either."""
    ends = time.monotonic() + _READ_WITHIN_S
    while True:
        try:
            return read_values(reader, bound)
        except CacheasideError:
            if time.monotonic() > ends:
                raise
        time.sleep(0.1)


def _wait(until: Callable[[], bool], seconds: float) -> None:
    """Return when it is so, or the time is over."""
    ends = time.monotonic() + seconds
    while not until() and time.monotonic() < ends:
        time.sleep(0.02)


def _operations(ledger: Ledger) -> int:
    return sum(map(ledger.total, (Happened.READ, Happened.DONE, Happened.PENDING, Happened.COMMITTED)))
