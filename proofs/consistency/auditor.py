"""Checks the outbox against the journal: each change that was committed must be in it, and come out of it.

What has come out is acknowledged to the readers, and leaves the journal. What is left at the end was lost.
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

from proofs.consistency.api import Servers
from proofs.consistency.ledger import Ledger

__all__ = ["run_auditor", "take_drained", "what_is_left"]

_EVERY_S: Final = 0.02

# A row, or its whole table, was taken out for the transaction that changed it.
_TAKE_DRAINED: Final = """delete from register_journal as journal
using cacheaside.outbox
where outbox.transaction_id = journal.transaction_id
  and outbox.change in ('register', 'register:' || journal.id)
  and outbox.drained_at is not null
returning journal.id, journal.value"""

_WHAT_IS_LEFT: Final = """select
    (select count(*) from cacheaside.outbox where drained_at is null),
    (select count(*) from register_journal)"""

# Whoever replays notes the new primary in the same transaction that makes rows pending again.
_REPLAYING: Final = "select clock_timestamp() from cacheaside.cache where replication_ids = %s"
_REPLAYED: Final = "select not exists (select from cacheaside.outbox where drained_at is null and written_at <= %s)"


def run_auditor(servers: Servers, ledger: Ledger) -> None:
    """Acknowledge until killed."""
    with closing(psycopg2.connect(servers.owner_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cur:
            watch = _ReplayWatch(servers, ledger)
            while True:
                take_drained(cur, ledger)
                watch.look(cur)
                time.sleep(_EVERY_S)


def take_drained(cur: cursor, ledger: Ledger) -> None:
    """Acknowledge what has been drained since the last call."""
    cur.execute(_TAKE_DRAINED)
    for row, value in cur.fetchall():
        ledger.acknowledge_drained(row, value)


def what_is_left(cur: cursor) -> tuple[int, int]:
    """Return how many changes are pending, and how many committed ones have not been seen to come out."""
    cur.execute(_WHAT_IS_LEFT)
    [(pending, unseen)] = cur.fetchall()
    return pending, unseen


class _ReplayWatch:
    """Tells when what a failover may have lost has been taken out again."""

    def __init__(self, servers: Servers, ledger: Ledger) -> None:
        self._ledger = ledger
        self._primary = redis.Redis.from_url(servers.cache.url, socket_timeout=0.2, retry=Retry(NoBackoff(), 0))
        self._replaying: tuple[int, object] | None = None  # which failover, and when its replay was first seen

    def look(self, cur: cursor) -> None:
        failover = self._ledger.awaits_replay
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
            self._ledger.failover_is_replayed(failover)
