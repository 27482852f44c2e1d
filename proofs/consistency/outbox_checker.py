"""The outbox checker, a process that finds lost changes: every committed change must pass through the outbox.

Writers also record each change in a journal, in the same transaction. When the outbox marks a change as drained, this
process acknowledges it in the history and deletes it from the journal. A change left there at the end was lost.
"""

from __future__ import annotations

import time
from contextlib import closing, suppress
from typing import Final

import psycopg2
import redis
from psycopg2.extensions import cursor
from redis.backoff import NoBackoff
from redis.retry import Retry

from proofs.consistency.history import History
from proofs.consistency.system import SystemUnderTest

__all__ = ["acknowledge_drained_changes", "count_undrained", "run_outbox_checker"]

_EVERY_S: Final = 0.02

# The transaction's change of the row, or of the whole table, was drained.
_DELETE_DRAINED: Final = """delete from register_journal as journal
using cacheaside.outbox
where outbox.transaction_id = journal.transaction_id
  and outbox.change in ('register', 'register:' || journal.id)
  and outbox.drained_at is not null
returning journal.id, journal.value"""

_COUNT_UNDRAINED: Final = """select
    (select count(*) from cacheaside.outbox where drained_at is null),
    (select count(*) from register_journal)"""

# A replay records the new primary in the transaction that makes rows pending again.
_REPLAYING: Final = "select clock_timestamp() from cacheaside.cache where replication_ids = %s"
_REPLAYED: Final = "select not exists (select from cacheaside.outbox where drained_at is null and written_at <= %s)"


def run_outbox_checker(system: SystemUnderTest, history: History) -> None:
    """Acknowledge drained changes and replayed failovers. Never returns."""
    with closing(psycopg2.connect(system.owner_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cur:
            replays = _ReplayDetector(system, history)
            while True:
                acknowledge_drained_changes(cur, history)
                replays.detect(cur)
                time.sleep(_EVERY_S)


def acknowledge_drained_changes(cur: cursor, history: History) -> None:
    """Acknowledge the changes that were drained since the last call."""
    cur.execute(_DELETE_DRAINED)
    for row, value in cur.fetchall():
        history.acknowledge_drained(row, value)


def count_undrained(cur: cursor) -> tuple[int, int]:
    """Return how many changes in the outbox are pending, and how many in the journal were not seen as drained."""
    cur.execute(_COUNT_UNDRAINED)
    [(pending, unacknowledged)] = cur.fetchall()
    return pending, unacknowledged


class _ReplayDetector:
    """Records in the history when the changes that a failover may have lost are invalidated again."""

    def __init__(self, system: SystemUnderTest, history: History) -> None:
        self._history = history
        self._primary = redis.Redis.from_url(system.cache.url, socket_timeout=0.2, retry=Retry(NoBackoff(), 0))
        self._replaying: tuple[int, object] | None = None  # the failover, and when its replay was first seen

    def detect(self, cur: cursor) -> None:
        failover = self._history.failover_to_replay
        if failover is None:
            return
        if self._replaying is None or self._replaying[0] != failover:
            with suppress(redis.RedisError):
                cur.execute(_REPLAYING, [self._primary.info("replication")["master_replid"]])
                if found := cur.fetchone():
                    self._replaying = (failover, found[0])
            return
        cur.execute(_REPLAYED, [self._replaying[1]])
        if cur.fetchone() == (True,):
            self._history.record_replay(failover)
