"""What PostgreSQL and the cache say of themselves during a campaign, asked directly, past the product and the proxies.

Observer    when each change was drained, and when a failover of the cache was replayed
Prober      whether PostgreSQL could answer a query at each moment, through the proxy of the functions
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from types import TracebackType
from typing import Final, Self

import psycopg2
import redis
from psycopg2.extensions import connection, cursor

from cacheaside.drivers.postgres.deadline import wait_deadline
from local.servers.processes import HOST
from proofs.chaos.history import Change, Drained, History, Probe, Window
from proofs.chaos.stack import ChaosStack
from proofs.consistency.cache_faults import ReplicatedUnderTest
from proofs.consistency.replicated_valkey import execute

__all__ = ["Observer", "Prober"]

_LOOK_S: Final = 0.05
_PROBE_S: Final = 0.2
_PROMPT_S: Final = 1.0

# The outbox has the change of the row, or of the whole table, in the same transaction.
_COVERED: Final = """journal join cacheaside.outbox
on outbox.transaction_id = journal.transaction_id and outbox.change in ('register', 'register:' || journal.id)"""
_DRAINED_LATELY: Final = f"""select distinct journal.transaction_id::text, journal.id, journal.value
from register_journal as {_COVERED}
where outbox.drained_at > clock_timestamp() - interval '20 seconds'"""
_COMMITTED: Final = "select id, value, operation from register_journal"
_UNDRAINED: Final = f"""select id, value, operation from register_journal as changed
where not exists (
    select from register_journal as {_COVERED}
    where journal.transaction_id = changed.transaction_id and journal.id = changed.id and outbox.drained_at is not null
)"""
_PENDING: Final = "select count(*) from cacheaside.outbox where drained_at is null"
# A replay records the new primary in the transaction that makes rows pending again.
_REPLAYING: Final = "select clock_timestamp() from cacheaside.cache where replication_ids = %s"
_REPLAYED: Final = "select not exists (select from cacheaside.outbox where drained_at is null and written_at <= %s)"
_PROBED: Final = "select value from register_view where id = 0"


class _Watcher(ABC):
    """Calls `_look` again and again in a thread of its own, within a `with` block."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._ended = threading.Event()
        self._threads = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        self._running = self._threads.submit(self._run)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._running.result()  # raises what it raised: a record with a gap would excuse too much

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            self._look()

    @abstractmethod
    def _look(self) -> None:
        """Ask once, and record what was said."""


class Observer(_Watcher):
    """Records in the history when changes are drained, and the windows after failovers of the cache."""

    def __init__(self, stack: ChaosStack, history: History) -> None:
        super().__init__(_LOOK_S)
        self._stack = stack
        self._history = history
        self._connection: connection | None = None
        self._seen: set[tuple[str, int, int]] = set()
        self._replaying: tuple[int, object] | None = None  # how many failovers there were, and when their replay began

    def finish(self, within_s: float) -> None:
        """Wait until every change is drained and every failover replayed, at most so long. Records what is left."""
        self.__exit__(None, None, None)
        deadline = time.monotonic() + within_s
        with closing(psycopg2.connect(self._stack.owner_url)) as own, own.cursor() as cur:
            own.autocommit = True
            while self._observe(cur) and time.monotonic() < deadline:
                time.sleep(_LOOK_S)
            self._history.pending = self._observe(cur)
            for kind, sql in ((self._history.changes, _COMMITTED), (self._history.undrained, _UNDRAINED)):
                cur.execute(sql)
                kind += [Change(*row) for row in cur.fetchall()]
        now, undrained = time.monotonic(), set(self._history.undrained)
        drained = [change for change in self._history.changes if change not in undrained]
        # So the answers that are asked for at the end must equal the database.
        self._history.drained += [Drained(now, change.row, change.value) for change in drained]

    def _look(self) -> None:
        try:
            if self._connection is None:
                self._connection = psycopg2.connect(self._stack.owner_url, connect_timeout=2)
                self._connection.autocommit = True
            with self._connection.cursor() as cur:
                self._observe(cur)
        except psycopg2.Error:  # a fault of PostgreSQL
            self._connection = None

    def _observe(self, cur: cursor) -> int:
        """Record what has been drained since the last look. Returns how many rows and replays are pending."""
        cur.execute(_DRAINED_LATELY)
        for key in cur.fetchall():
            if key not in self._seen:
                self._seen.add(key)
                self._history.drained.append(Drained(time.monotonic(), key[1], key[2]))
        self._observe_replay(cur)
        cur.execute(_PENDING)
        [(pending,)] = cur.fetchall()
        return int(pending) + (len(self._stack.failovers.begun) > len(self._history.windows))

    def _observe_replay(self, cur: cursor) -> None:
        times, cache, number = self._stack.failovers, self._stack.cache, len(self._stack.failovers.completed)
        if not isinstance(cache, ReplicatedUnderTest) or len(times.begun) > number:
            return
        if number == len(self._history.windows):
            return
        if self._replaying is None or self._replaying[0] != number:
            with suppress(redis.RedisError):
                lines = execute(cache.servers.primary, "INFO", "replication").decode().split()
                cur.execute(_REPLAYING, [dict(line.split(":") for line in lines if ":" in line)["master_replid"]])
                if found := cur.fetchone():
                    self._replaying = (number, found[0])
            return
        cur.execute(_REPLAYED, [self._replaying[1]])
        if cur.fetchone() == (True,):
            begun = times.begun[len(self._history.windows) : number]
            self._history.windows += [Window(begin, time.monotonic()) for begin in begun]


class Prober(_Watcher):
    """Records whether PostgreSQL answers the query role, on a new connection and on one that is kept.

    It takes the proxy, so that it sees what the functions see of the network.
    """

    def __init__(self, stack: ChaosStack, record: Callable[[Probe], object]) -> None:
        super().__init__(_PROBE_S)
        self._url = f"postgresql://cacheaside_query@{HOST}:{stack.database_proxy.port}/cacheaside"
        self._record = record
        self._kept: connection | None = None

    def _look(self) -> None:
        begin = time.monotonic()
        try:
            with wait_deadline(_PROMPT_S):
                with closing(psycopg2.connect(self._url)) as own:
                    _ask(own)
                if self._kept is None:
                    self._kept = psycopg2.connect(self._url)
                    self._kept.autocommit = True
                _ask(self._kept)
        except (psycopg2.Error, UnicodeDecodeError):  # psycopg2 cannot decode noise
            self._kept = None
            self._record(Probe(begin, time.monotonic(), answered=False))
        else:
            self._record(Probe(begin, time.monotonic(), answered=True))


def _ask(own: connection) -> None:
    with own.cursor() as cur:
        cur.execute(_PROBED)
