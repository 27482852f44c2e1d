"""Short runs of `make consistency`; then, step by step, the interleavings that such a run meets only by chance."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis

from cacheaside.drivers.cache import exchange
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.cache.tags import ConfirmedTagCache
from cacheaside.drivers.postgres.commands import Commands
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.invalidation.drain import Drainer
from cacheaside.reading.keys import tag_key
from cacheaside.reading.outcome import Source
from cacheaside.reading.question import Question
from cacheaside.reading.reader import Reader
from cacheaside.writing.writer import Invalidation, Writer
from local.servers.postgres import PostgresServer
from proofs.consistency import CacheFault, ConsistencyReport, Defect, check_consistency
from proofs.consistency.api_processes import CrashingCache, read_values
from proofs.consistency.cache_faults import CACHE_KINDS, ReplicatedUnderTest
from proofs.consistency.cache_network import NetworkFault
from proofs.consistency.history import Count, History, fork
from proofs.consistency.register import create_register, drop_register, register_catalogue
from proofs.consistency.replicated_valkey import ReplicatedValkey
from proofs.consistency.report import FinalCheck
from proofs.consistency.system import SystemUnderTest, system_under_test

CONFIRM_MS = exchange._CONFIRM_MS


@pytest.fixture
def run(production_timeouts: None, postgres: PostgresServer, tmp_path: Path) -> Callable[..., ConsistencyReport]:
    numbers = count()

    def run(seconds: float, kind: str, **options: Any) -> ConsistencyReport:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return check_consistency(seconds, kind, postgres, folder, **options)

    return run


@pytest.mark.parametrize("kind", CACHE_KINDS)
def test_no_read_is_older_than_a_write_acknowledged_before_it(run: Callable[..., ConsistencyReport], kind: str) -> None:
    for _ in range(4):  # in a run during which the machine stalls, too little may happen
        report = run(15, kind)
        assert report.held, report
        if not (missing := missing_evidence(report)):
            break
    assert not missing, report


def missing_evidence(report: ConsistencyReport) -> list[str]:
    """Return what a run had too little of: without faults and conflicts it is no evidence."""
    counted = (Count.READ_ALL, Count.DONE, Count.PENDING, Count.COMMITTED, Count.ROLLED_BACK, Count.SCHEMA_CHANGED)
    enough = {
        "operations": report.operations > 500,
        "faults": sum(report.faults.values()) > 20,
        "commands and replies that met a fault": sum(report.met.values()) > 10,
        "hits": report.sources["HIT"] > 100,
        **{what.value: report.counts[what] > 0 for what in counted},
        **{fault.value: f"network {fault.value}" in report.faults for fault in NetworkFault},
    }
    return [what for what, is_enough in enough.items() if not is_enough]


@pytest.mark.parametrize(("seconds", "lost", "held"), [(60, 1, True), (60, 0, False), (4, 0, True)])
def test_long_run_that_met_no_fault_of_a_kind_is_no_evidence(seconds: float, lost: int, held: bool) -> None:
    met = {"replies delayed": 1, "replies lost": lost}
    end = FinalCheck(pending=0, lost=0, compared=1, from_cache=1, different=0, drained_s=0.0)
    assert ConsistencyReport.of("node", seconds, History(), {}, met, end, []).held is held


@pytest.mark.parametrize(
    ("defect", "kind", "only"),
    [
        (Defect.INVALIDATED_BEFORE_COMMIT, "node", None),
        (Defect.MARKED_FIRST, "node", None),
        (Defect.CHANGES_SKIPPED, "node", None),
        (Defect.TRIGGER_MISSING, "node", None),
        (Defect.DONE_UNCONFIRMED, "pair", CacheFault.FAILED_OVER_BEHIND),
        (Defect.DONE_UNCONFIRMED, "unnamed-pair", CacheFault.FAILED_OVER_BEHIND),
    ],
)
def test_deliberate_defect_is_found(
    run: Callable[..., ConsistencyReport], defect: Defect, kind: str, only: CacheFault | None
) -> None:
    for attempt in range(1, 7):  # on a busy machine few operations happen: each run is longer than the one before
        report = run(attempt * (8 if only else 4), kind, defect=defect, only=only)
        if report.violations > 0:
            break
    assert report.violations > 0, report
    assert (report.final.lost > 0) == (defect is Defect.TRIGGER_MISSING), report
    assert not report.held


@dataclass
class Stepper:
    """One reader, one writer and one drainer in this process. A test does their steps one by one."""

    system: SystemUnderTest
    history: History
    cache: ReplicatedValkey
    sql: Callable[..., list[tuple[Any, ...]]]

    def __post_init__(self) -> None:
        self._reader = Reader(Cache(self.system.cache), Queries(self.system.query))
        self._drainer = Drainer(Outbox(self.system.invalidate), Cache(self.system.cache))
        self._writer = Writer(ConfirmedTagCache(self.system.confirmed_cache), Commands(self.system.command))
        self.await_replica()
        self.drain()  # to watch the table is a change, too

    def read(self, row: int = 1) -> tuple[int, Source]:
        answer = read_values(self._reader, Question(self.system.catalogue.query("one"), {"id": row}))
        [value] = answer.values
        return value, answer.source

    def write(self, writer: Writer | None = None, row: int = 1) -> tuple[int, Invalidation]:
        written = (writer or self._writer).write(self.system.catalogue.command("increment"), {"id": row})
        return json.loads(written.body or b"")["data"]["value"], written.invalidation

    def drain(self) -> int:
        return self._drainer.drain().rows

    def await_replica(self) -> None:
        with redis.Redis.from_url(self.cache.url) as client:
            client.set("reached", "")
            assert client.wait(1, 60_000) == 1

    def pending(self) -> list[str]:
        return [change for (change,) in self.sql("select change from cacheaside.outbox where drained_at is null")]


@pytest.fixture
def stepper(postgres: PostgresServer, tmp_path: Path, sql: Callable[..., list[tuple[Any, ...]]]) -> Iterator[Stepper]:
    history = History()
    create_register(postgres.url)
    with ReplicatedUnderTest(tmp_path / "cache", history) as cache:
        system = system_under_test(postgres, cache, register_catalogue(tmp_path, ttl="10m"), tmp_path)
        yield Stepper(system, history, cache.servers, sql)
    drop_register(postgres.url)


@pytest.fixture
def replicated(stepper: Stepper, monkeypatch: pytest.MonkeyPatch) -> Stepper:
    """Row 1 is cached, also on the replica. From now on a write waits for the replica only as long as when deployed."""
    stepper.read()
    stepper.await_replica()
    monkeypatch.setattr(exchange, "_CONFIRM_MS", CONFIRM_MS)
    return stepper


def test_write_of_a_process_killed_between_commit_and_drain_is_delivered(stepper: Stepper) -> None:
    assert stepper.read() == (0, Source.MISS)

    def write_and_die() -> None:
        cache = CrashingCache(stepper.system.confirmed_cache, 1.0, stepper.history, 0)
        stepper.write(Writer(cache, Commands(stepper.system.command)))

    process = fork.Process(target=write_and_die)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert stepper.read() == (0, Source.HIT)  # the write was not acknowledged
    assert stepper.pending() == ["register:1"]
    assert stepper.drain() == 1
    assert stepper.read() == (1, Source.MISS)


def test_transaction_that_rolls_back_invalidates_nothing(stepper: Stepper, postgres: PostgresServer) -> None:
    stepper.read()
    connection = psycopg2.connect(postgres.url)
    with connection.cursor() as cursor:
        cursor.execute("update register set value = value + 1 where id = 1")
    connection.rollback()
    assert stepper.pending() == []
    assert stepper.drain() == 0
    assert stepper.read() == (0, Source.HIT)


def test_write_that_a_lagging_replica_has_not_seen_is_pending_until_it_is_replayed(replicated: Stepper) -> None:
    replicated.cache.cut_replication()
    assert replicated.write() == (1, Invalidation.PENDING)
    replicated.cache.fail_over()
    assert replicated.read() == (0, Source.HIT)  # the replica still has the old answer, as expected
    replicated.drain()
    assert replicated.read() == (1, Source.MISS)


def test_write_that_a_connected_replica_has_not_seen_is_pending_although_nobody_named_the_replica(
    replicated: Stepper,
) -> None:
    unnamed = Writer(ConfirmedTagCache(replicated.system.cache), Commands(replicated.system.command))
    replicated.cache.jam_replication()
    assert replicated.write(unnamed) == (1, Invalidation.PENDING)
    replicated.cache.fail_over()
    assert replicated.read() == (0, Source.HIT)


def test_change_drained_shortly_before_a_failover_is_drained_again(replicated: Stepper) -> None:
    replicated.cache.cut_replication()
    replicated.write()
    assert replicated.drain() == 1
    replicated.cache.fail_over()
    assert replicated.read() == (0, Source.HIT)
    assert replicated.drain() >= 1
    assert replicated.read() == (1, Source.MISS)


def test_write_that_is_done_stays_done_after_a_failover(stepper: Stepper) -> None:
    stepper.read()
    stepper.await_replica()
    assert stepper.write() == (1, Invalidation.DONE)
    stepper.cache.cut_replication()
    stepper.cache.fail_over()
    assert stepper.read() == (1, Source.MISS)


def test_write_is_pending_if_a_drainer_deleted_its_tags_first_and_no_replica_confirmed(replicated: Stepper) -> None:
    replicated.cache.replica.freeze()
    with redis.Redis.from_url(replicated.cache.url) as drainer:
        drainer.delete(tag_key("register:1"), tag_key("register"))  # a second delete of a missing key is not replicated
    assert replicated.write() == (1, Invalidation.PENDING)
    replicated.cache.replica.thaw()
