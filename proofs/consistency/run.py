"""A run: start all processes, inject faults for a while, let everything drain, then compare cache and database."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg2

from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import CacheasideError
from cacheaside.reading.outcome import Source
from cacheaside.reading.question import Question
from cacheaside.reading.reader import Reader
from local.servers.postgres import PostgresServer
from proofs.consistency.api_processes import Answered, read_values, run_api_reader, run_api_writer
from proofs.consistency.cache_faults import CACHE_KINDS, CacheFault
from proofs.consistency.defects import Defect
from proofs.consistency.fault_injection import FaultInjector
from proofs.consistency.history import API_WRITERS, INVALIDATORS, READERS, ROWS, SQL_WRITERS, Count, History
from proofs.consistency.invalidate_processes import run_invalidate
from proofs.consistency.outbox_checker import count_undrained, run_outbox_checker
from proofs.consistency.register import create_register, drop_register, register_catalogue
from proofs.consistency.report import OPERATIONS, ConsistencyReport, FinalCheck
from proofs.consistency.schema_changes import run_schema_changer
from proofs.consistency.sql_writers import run_sql_writer
from proofs.consistency.supervisor import (
    API_READER,
    API_WRITER,
    INVALIDATE,
    OUTBOX_CHECKER,
    SCHEMA_CHANGER,
    SQL_WRITER,
    Supervisor,
)
from proofs.consistency.system import SystemUnderTest, system_under_test

__all__ = ["OnProgress", "check_consistency"]

# Called with the seconds that have passed, operations, violations.
OnProgress = Callable[[float, int, int], object]

_DRAINED_WITHIN_S: Final = 30.0
_ACKNOWLEDGED_WITHIN_S: Final = 10.0
_READ_WITHIN_S: Final = 10.0
_FROM_CACHE: Final = (Source.HIT, Source.STALE, Source.COLLAPSED)


def check_consistency(
    seconds: float,
    kind: str,
    postgres: PostgresServer,
    folder: Path,
    progress: OnProgress = lambda *_: None,
    defect: Defect | None = None,
    only: CacheFault | None = None,
) -> ConsistencyReport:
    """Run for about `seconds`, with a cache of `kind` in `folder`, and a table that is removed at the end.

    `defect`: a deliberate defect, to see that it is found. Then the schema stays as it is. `only`: inject no other
    fault into the cache, and none into its network. Raises RuntimeError if a process ended by itself.
    """
    history, supervisor = History(), Supervisor()
    with CACHE_KINDS[kind](folder / "cache", history, None) as cache:
        create_register(postgres.url, trigger_missing=defect is Defect.TRIGGER_MISSING)
        system = system_under_test(postgres, cache, register_catalogue(folder, cache.ttl), folder)
        faults = FaultInjector(cache, supervisor, only)

        def tick(passed: float) -> None:
            progress(passed, history.total(*OPERATIONS), history.total(Count.VIOLATION))

        try:
            _start(supervisor, system, history, defect)
            faults.run(seconds, tick)
            supervisor.stop(API_WRITER, SQL_WRITER, SCHEMA_CHANGER)
            met = cache.network.calm()
            final = _final_check(system, history)
        finally:
            supervisor.stop()
            drop_register(postgres.url)
    examples = system.violations.read_text(encoding="utf-8").splitlines() if system.violations.exists() else []
    return ConsistencyReport.of(kind, seconds, history, faults.injected, met, final, examples)


def _start(supervisor: Supervisor, system: SystemUnderTest, history: History, defect: Defect | None) -> None:
    supervisor.add(OUTBOX_CHECKER, run_outbox_checker, system, history)
    for number in range(INVALIDATORS):
        worker = READERS + API_WRITERS + SQL_WRITERS + number
        supervisor.add(INVALIDATE, run_invalidate, worker, system, history, defect)
    for number in range(API_WRITERS):
        supervisor.add(API_WRITER, run_api_writer, number, READERS + number, system, history, defect)
    for number in range(SQL_WRITERS):
        supervisor.add(SQL_WRITER, run_sql_writer, READERS + API_WRITERS + number, system, history)
    if defect is None:  # else the same number of reads would find fewer of its violations
        changer = READERS + API_WRITERS + SQL_WRITERS + INVALIDATORS
        supervisor.add(SCHEMA_CHANGER, run_schema_changer, changer, system, history)
    for number in range(READERS):
        supervisor.add(API_READER, run_api_reader, number, system, history)


def _final_check(system: SystemUnderTest, history: History) -> FinalCheck:
    """Wait until every change is drained, and compare the answers with the database, while the readers continue."""
    began = time.monotonic()
    with closing(psycopg2.connect(system.owner_url)) as connection, connection.cursor() as cur:
        connection.autocommit = True
        _wait(lambda: not count_undrained(cur)[0] and not history.failover_to_replay, _DRAINED_WITHIN_S)
        drained_s = time.monotonic() - began
        _wait(lambda: not count_undrained(cur)[1], _ACKNOWLEDGED_WITHIN_S)
        pending, lost = count_undrained(cur)
        cur.execute("select value from register_view order by id")
        expected = [value for (value,) in cur.fetchall()]
    reader = Reader(Cache(system.cache), Queries(system.query))
    one, every = (system.catalogue.query(name) for name in ("one", "all"))
    questions = [Question(every, {}), *(Question(one, {"id": row}) for row in range(ROWS + 1))]
    answers = [_read(reader, question) for question in questions]
    wanted = [expected, *([value] for value in expected)]
    return FinalCheck(
        pending=pending,
        lost=lost,
        compared=len(answers),
        from_cache=sum(answer.source in _FROM_CACHE for answer in answers),
        different=sum(answer.values != values for answer, values in zip(answers, wanted, strict=True)),
        drained_s=drained_s,
    )


def _read(reader: Reader, question: Question) -> Answered:
    """Return the answer; try again while servers are slow, since a missing answer could not be compared."""
    deadline = time.monotonic() + _READ_WITHIN_S
    while True:
        try:
            return read_values(reader, question)
        except CacheasideError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    """Return when `condition` holds, or after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
