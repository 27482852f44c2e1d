"""The outbox driver: what writers left word of in PostgreSQL, on one kept connection that can also listen for more.

It connects directly even where an RDS Proxy is put in: LISTEN would pin one of the proxy's connections for good.
"""

from __future__ import annotations

import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any, Final

from psycopg2.extensions import connection, cursor

from cacheaside.drivers.postgres.connection import KeptConnection
from cacheaside.invalidation.drain import EVER, Backlog, Batch
from cacheaside.settings import DatabaseSettings

__all__ = ["Outbox"]

# PostgreSQL ends a statement that takes this long. A drainer that is frozen with a batch in hand loses it much sooner.
_LIMIT_S: Final = 21.0
# Not with the isolation that is the default here: see `_SEE`.
_BEGIN: Final = (
    "begin isolation level read committed; "
    "set local statement_timeout = 20000; set local idle_in_transaction_session_timeout = 5000; "
)

# While a batch is in hand nobody can replay, or rows that are marked as drained a moment later would be left out. And
# rows are only taken if the cache that they are drained into is still the one that everyone else sees.
# Sorting is off because statistics say of a queue that next to nothing is pending, and a plan for that sorts all of it
# for each batch, though the index has the order: four times slower where 300,000 rows are pending (bench/draining.py).
_LOCK: Final = """
set local enable_sort = off;
select from cacheaside.cache for share;
select ctid::text, change, written_at from cacheaside.outbox
where drained_at is null
  and written_at >= %(since)s
  and (select string_to_array(%(ids)s, ',') <@ string_to_array(replication_ids, ',') from cacheaside.cache)
order by written_at limit %(at_most)s for update skip locked"""
# Nobody else can have touched the rows, so they are where they were.
_MARK: Final = "update cacheaside.outbox set drained_at = clock_timestamp() where ctid = any (%s::tid[]); commit"

# Fewer ids than last time are those of the servers that answer: nobody has taken over from the others yet.
_SEEN_BEFORE: Final = "select string_to_array(%s, ',') <@ string_to_array(replication_ids, ',') from cacheaside.cache"
# Two statements, because the second must see what was marked while the first one waited for batches in hand. It adds
# rows and leaves the old ones, which may be needed for another failover. As in `changed_tags`, many become the table.
_SEE: Final = """
update cacheaside.cache set replication_ids = %(ids)s
where not string_to_array(%(ids)s, ',') <@ string_to_array(replication_ids, ',')
returning true"""
_PEND_AGAIN: Final = """
insert into cacheaside.outbox (change)
select distinct case when count(*) over (partition by split_part(change, ':', 1)) > 1000
    then split_part(change, ':', 1) else change end
from (select distinct change from cacheaside.outbox where drained_at is not null) as kept; """

_BACKLOG: Final = """
select count(*), coalesce(extract(epoch from clock_timestamp() - min(written_at)), 0)::float
from cacheaside.outbox where drained_at is null"""

_AT_ONCE: Final = 10_000
_ROUNDS: Final = 100  # of _AT_ONCE rows in a row; the next minute has the rest

# What was drained is kept for a failover that is yet to be noticed, a key for a request that is sent again.
_PRUNE_DRAINED: Final = """delete from cacheaside.outbox where ctid = any (array(
    select ctid from cacheaside.outbox where drained_at < clock_timestamp() - interval '15 minutes'
    limit %s for update skip locked))"""
_PRUNE_KEYS: Final = """delete from cacheaside.idempotency_keys where ctid = any (array(
    select ctid from cacheaside.idempotency_keys where created_at < clock_timestamp() - interval '24 hours'
    limit %s))"""

# While the cache is away rows are folded: those of one table become one, which stands for all of it. So the outbox
# keeps to about this many, and what the writers of the last minute add.
_PENDING_AT_MOST: Final = 100_000
# A command reads its own rows back, so those of the last minute, which it cannot outlast, are left alone.
_FOLD: Final = """
set local enable_sort = off;
with folded as (
    delete from cacheaside.outbox where ctid = any (array(
        select ctid from cacheaside.outbox
        where drained_at is null and written_at < clock_timestamp() - interval '1 minute'
        order by written_at limit %s for update skip locked))
    returning change, written_at
), as_tables as (
    insert into cacheaside.outbox (change, written_at)
    select split_part(change, ':', 1), min(written_at) from folded group by 1
    returning change
)
select (select count(*) from folded) - (select count(*) from as_tables)"""

_LISTEN: Final = "listen cacheaside"
# Nothing is written where it is so already.
_ASK_TO_BE_TOLD: Final = """
update cacheaside.listener set listening_until = clock_timestamp() + make_interval(secs => %(s)s)
where listening_until < clock_timestamp() + make_interval(secs => %(s)s) - interval '1 second'"""
_ASK_FOR_SILENCE: Final = "update cacheaside.listener set listening_until = '-infinity' where listening_until > now()"


class Outbox:
    """What is pending. All of its methods raise DatabaseError, and connect anew when a connection was lost."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._kept = KeptConnection(settings)
        self._listening: connection | None = None

    @contextmanager
    def batch(self, at_most: int = 1_000, replication_ids: str = "", since: datetime = EVER) -> Iterator[Batch]:
        """Lock the oldest pending rows for the block, which takes them out of the cache, and then mark them as drained.

        What the block raises comes out, and the rows stay pending; so they do if we crash, or lose the connection.
        Rows that another drainer has in hand are left to it. `replication_ids`: of the cache, if it tells.
        """
        values = {"at_most": at_most, "ids": replication_ids, "since": since}
        with self._transaction(_LOCK, values) as locked:
            yield Batch([change for _, change, _ in locked], locked[-1][2] if locked else since)
            rows = [row for row, _, _ in locked]
            self._kept.ask(lambda cur: cur.execute(_MARK, [rows]), _LIMIT_S)

    def replay(self, replication_ids: str) -> bool:
        """Make what was drained lately pending again if the cache has other ids than last time. Returns whether so.

        A cache that does not tell ("") is taken for the same.
        """
        if not replication_ids or self._rows(_SEEN_BEFORE, [replication_ids]) == [(True,)]:
            return False
        with self._transaction(_SEE, {"ids": replication_ids}) as seen:  # nothing, if another drainer came first
            self._kept.ask(lambda cur: cur.execute((_PEND_AGAIN if seen else "") + "commit"), _LIMIT_S)
        return bool(seen)

    def backlog(self) -> Backlog:
        """Return what is still to be drained, in hand or not."""
        ((rows, age_s),) = self._rows(_BACKLOG)
        return Backlog(rows, age_s)

    def prune(self) -> None:
        """Delete what was drained more than 15 minutes ago. Not while the cache is away: it may all be needed again."""
        self._delete(_PRUNE_DRAINED)

    def prune_keys(self) -> None:
        """Delete idempotency keys older than a day."""
        self._delete(_PRUNE_KEYS)

    def fold(self) -> int:
        """Make rows into tables where more than 100,000 are pending. Returns how many rows are gone by that."""
        excess, folded = self.backlog().rows - _PENDING_AT_MOST, 0
        for _ in range(_ROUNDS):
            if folded >= excess:
                break
            ((batch,),) = self._rows(_FOLD, [_AT_ONCE])
            if batch <= 0:  # all are of the last minute, or in hand
                break
            folded += batch
        return folded

    def listen(self, seconds: float) -> None:
        """Have writers tell us for so long when they have changed something. Then drain, for what they did before."""
        self._kept.ask_again_if_dead(self._listen, _LIMIT_S)
        self._kept.ask_again_if_dead(lambda cur: cur.execute(_ASK_TO_BE_TOLD, {"s": seconds}), _LIMIT_S)

    def await_change(self, seconds: float) -> bool:
        """Return True as soon as a writer tells of a change, False after `seconds`.

        Also True, at once, on a new connection, for what was told between the two. Transactions that wrote before
        `listen` do not tell, so do not wait long.
        """
        return self._kept.ask_again_if_dead(lambda cur: self._await_change(cur, seconds), seconds + _LIMIT_S)

    def stop_notifications(self) -> None:
        """Have writers tell nobody, until the next `listen`: commits that tell wait for each other."""
        self._kept.ask_again_if_dead(lambda cur: cur.execute(_ASK_FOR_SILENCE), _LIMIT_S)

    def unlisten(self) -> None:
        """Stop listening. What is told to a sandbox that is frozen would pile up in PostgreSQL."""
        self._listening = None
        self._kept.ask_again_if_dead(lambda cur: cur.execute("unlisten cacheaside"), _LIMIT_S)

    def _listen(self, cur: cursor) -> None:
        cur.execute(_LISTEN)
        self._listening = cur.connection

    def _await_change(self, cur: cursor, seconds: float) -> bool:
        if cur.connection is not self._listening:
            self._listen(cur)
            return True
        told: list[Any] = cur.connection.notifies  # some may have come along with answers
        if not told:
            select.select([cur.connection], [], [], seconds)
            cur.connection.poll()
        change = bool(told)
        told.clear()
        return change

    @contextmanager
    def _transaction(self, statement: str, values: dict[str, object]) -> Iterator[list[tuple[Any, ...]]]:
        """Begin with `statement` and give its rows. Whoever goes on in there commits; if that fails, roll back."""
        try:
            yield self._kept.ask_again_if_dead(lambda cur: _all(cur, _BEGIN + statement, values), _LIMIT_S)
        except BaseException:
            self._kept.roll_back()
            raise

    def _delete(self, statement: str) -> None:
        for _ in range(_ROUNDS):
            if self._kept.ask_again_if_dead(partial(_changed, statement), _LIMIT_S) < _AT_ONCE:
                break

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self._kept.ask_again_if_dead(lambda cur: _all(cur, statement, values), _LIMIT_S)


def _all(cur: cursor, statement: str, values: Any) -> list[tuple[Any, ...]]:
    cur.execute(statement, values)
    return list(cur.fetchall()) if cur.description else []


def _changed(statement: str, cur: cursor) -> int:
    cur.execute(statement, [_AT_ONCE])
    return int(cur.rowcount)
