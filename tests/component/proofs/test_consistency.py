"""Readers, writers, jobs and drainers as processes while everything fails: short runs of `make consistency`.

And what such a run meets by chance only, step by step.
"""

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

from cacheaside.catalogue.statements import BoundQuery
from cacheaside.drivers.cache import exchange
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.commands import Commands
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.drivers.postgres.queries import Database
from cacheaside.invalidation.drain import Drainer
from cacheaside.reading.keys import tag_key
from cacheaside.reading.outcome import Source
from cacheaside.reading.reader import Reader
from cacheaside.writing.writer import Invalidation, Writer
from local.servers.postgres import PostgresServer
from proofs.consistency import Broken, Report, Trouble, consistency
from proofs.consistency.api import LethalCache, Servers, read_values
from proofs.consistency.caches import KINDS, Pair
from proofs.consistency.ledger import Happened, Ledger, fork
from proofs.consistency.pair import ValkeyPair
from proofs.consistency.register import create_register, drop_register, register_catalogue
from proofs.consistency.run import servers_of

CONFIRM_MS = exchange._CONFIRM_MS


@pytest.fixture
def run(impatient: None, postgres: PostgresServer, tmp_path: Path) -> Callable[..., Report]:
    numbers = count()

    def run(seconds: float, kind: str, **options: Any) -> Report:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return consistency(seconds, kind, postgres, folder, **options)

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_no_read_is_older_than_a_write_acknowledged_before_it(run: Callable[..., Report], kind: str) -> None:
    report = run(15, kind)
    assert report.held, report
    assert report.operations > 1_000, report
    # A run in which nothing happens proves nothing.
    for what in (Happened.READ_ALL, Happened.DONE, Happened.PENDING, Happened.COMMITTED, Happened.ROLLED_BACK):
        assert report.counts[what] > 0, report
    assert sum(report.chaos.values()) > 20, report
    assert report.sources["HIT"] > 500, report


@pytest.mark.parametrize(
    ("broken", "kind", "only"),
    [
        (Broken.TAGS_BEFORE_COMMIT, "node", None),
        (Broken.DRAINED_FIRST, "node", None),
        (Broken.ROWS_SKIPPED, "node", None),
        (Broken.UNRECORDED, "node", None),
        (Broken.DONE_UNCONFIRMED, "pair", Trouble.FAILED_OVER_BEHIND),
    ],
)
def test_what_is_done_wrong_is_found(
    run: Callable[..., Report], broken: Broken, kind: str, only: Trouble | None
) -> None:
    for _ in range(3):  # in one that falls into a moment in which this machine stands still, too little may happen
        report = run(8 if only else 4, kind, broken=broken, only=only)
        if report.violations > 0:
            break
    assert report.violations > 0, report
    assert (report.ending.lost > 0) == (broken is Broken.UNRECORDED), report
    assert not report.held


@dataclass
class Stage:
    """Everyone once, in this process, to be moved step by step."""

    servers: Servers
    ledger: Ledger
    pair: ValkeyPair
    sql: Callable[..., list[tuple[Any, ...]]]

    def __post_init__(self) -> None:
        self._reader = Reader(Cache(self.servers.cache), Database(self.servers.query))
        self._drainer = Drainer(Outbox(self.servers.invalidate), Cache(self.servers.cache))
        self._writer = Writer(Cache(self.servers.confirmed), Commands(self.servers.command))
        self.await_replica()
        self.drain()  # that the table is watched now is a change of its own

    def read(self, row: int = 1) -> tuple[int, Source]:
        [value], source = read_values(self._reader, BoundQuery(self.servers.catalogue.query("one"), {"id": row}))
        return value, source

    def write(self, writer: Writer | None = None, row: int = 1) -> tuple[int, Invalidation]:
        written = (writer or self._writer).write(self.servers.catalogue.command("increment"), {"id": row})
        return json.loads(written.body or b"")["data"]["value"], written.invalidation

    def drain(self) -> int:
        return self._drainer.drain().rows

    def await_replica(self) -> None:
        with redis.Redis.from_url(self.pair.url) as client:
            client.set("reached", "")
            assert client.wait(1, 60_000) == 1

    def pending(self) -> list[str]:
        return [change for (change,) in self.sql("select change from cacheaside.outbox where drained_at is null")]


@pytest.fixture
def stage(postgres: PostgresServer, tmp_path: Path, sql: Callable[..., list[tuple[Any, ...]]]) -> Iterator[Stage]:
    ledger = Ledger()
    create_register(postgres.url)
    with Pair(tmp_path / "cache", ledger) as cache:
        yield Stage(
            servers_of(postgres, cache, register_catalogue(tmp_path, ttl="10m"), tmp_path), ledger, cache.pair, sql
        )
    drop_register(postgres.url)


def test_write_of_a_process_killed_between_commit_and_drain_is_delivered(stage: Stage) -> None:
    assert stage.read() == (0, Source.MISS)

    def write_and_die() -> None:
        cache = LethalCache(stage.servers.confirmed, 1.0, stage.ledger, 0)
        stage.write(Writer(cache, Commands(stage.servers.command)))

    process = fork.Process(target=write_and_die)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert stage.read() == (0, Source.HIT)  # nobody was told that it is written
    assert stage.pending() == ["register:1"]
    assert stage.drain() == 1
    assert stage.read() == (1, Source.MISS)


def test_transaction_that_rolls_back_takes_nothing_out(stage: Stage, postgres: PostgresServer) -> None:
    stage.read()
    connection = psycopg2.connect(postgres.url)
    with connection.cursor() as cursor:
        cursor.execute("update register set value = value + 1 where id = 1")
    connection.rollback()
    assert stage.pending() == []
    assert stage.drain() == 0
    assert stage.read() == (0, Source.HIT)


def test_write_that_a_lagging_replica_has_not_seen_is_pending_until_it_is_replayed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.read()
    stage.await_replica()
    monkeypatch.setattr(exchange, "_CONFIRM_MS", CONFIRM_MS)
    stage.pair.cut()
    assert stage.write() == (1, Invalidation.PENDING)
    stage.pair.fail_over()
    assert stage.read() == (0, Source.HIT)  # the replica still has the old answer, as foreseen
    stage.drain()
    assert stage.read() == (1, Source.MISS)


def test_what_was_drained_shortly_before_a_failover_is_drained_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.read()
    stage.await_replica()
    monkeypatch.setattr(exchange, "_CONFIRM_MS", CONFIRM_MS)
    stage.pair.cut()
    stage.write()
    assert stage.drain() == 1
    stage.pair.fail_over()
    assert stage.read() == (0, Source.HIT)
    assert stage.drain() >= 1
    assert stage.read() == (1, Source.MISS)


def test_write_that_is_done_stays_done_after_a_failover(stage: Stage) -> None:
    stage.read()
    stage.await_replica()
    assert stage.write() == (1, Invalidation.DONE)
    stage.pair.cut()
    stage.pair.fail_over()
    assert stage.read() == (1, Source.MISS)


def test_write_is_not_done_because_a_drainer_was_quicker_to_delete_what_no_replica_confirmed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.read()
    stage.await_replica()
    monkeypatch.setattr(exchange, "_CONFIRM_MS", CONFIRM_MS)
    stage.pair.replica.freeze()
    with redis.Redis.from_url(stage.pair.url) as drainer:
        drainer.delete(tag_key("register:1"), tag_key("register"))  # to delete it once more is no write
    assert stage.write() == (1, Invalidation.PENDING)
    stage.pair.replica.thaw()
