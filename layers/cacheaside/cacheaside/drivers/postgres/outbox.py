"""The outbox driver: finds, reads, marks, replays and prunes the changes that triggers recorded.

    Drainer ──► batch, replay, backlog
    Sweep ────► oldest_recent, follow, backlog, prune, prune_keys, fold

It uses one kept connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any, Final

from psycopg2.extensions import cursor

from cacheaside.drivers.postgres.connection import KeptConnection
from cacheaside.invalidation.drain import EVER, Backlog, Batch
from cacheaside.settings import DatabaseSettings

__all__ = ["Outbox"]

# The client waits 1 s longer than PostgreSQL lets a statement run. A frozen drainer loses its locked batch after 5 s.
_LIMIT_S: Final = 21.0
# Not the default isolation, which may be set to another: `_REPLAY` must see the commits that `_RECORD_IDS` waited for.
_BEGIN: Final = (
    "begin isolation level read committed; "
    "set local statement_timeout = 20000; set local idle_in_transaction_session_timeout = 5000; "
)

# The share lock makes a replay wait for this batch, else the replay would omit rows that are marked drained just after.
# Rows are locked only if the cache that they will be drained into is still the recorded one.
# Sorting is off: statistics of a queue say that almost no row is pending, so PostgreSQL would sort all pending rows for
# each batch, though the index has the order. With 300,000 pending rows that is four times slower (bench/draining.py).
_LOCK_BATCH: Final = """
set local enable_sort = off;
select from cacheaside.cache for share;
select ctid::text, change, written_at from cacheaside.outbox
where drained_at is null
  and written_at >= %(since)s
  and (select string_to_array(%(ids)s, ',') <@ string_to_array(replication_ids, ',') from cacheaside.cache)
order by written_at limit %(at_most)s for update skip locked"""
# No other transaction can move the locked rows, so their ctid is still right.
_SET_DRAINED: Final = "update cacheaside.outbox set drained_at = clock_timestamp() where ctid = any (%s::tid[]); commit"

# Fewer ids than recorded are no failover: some servers do not answer, and no replica has replaced them yet.
_IDS_KNOWN: Final = "select string_to_array(%s, ',') <@ string_to_array(replication_ids, ',') from cacheaside.cache"
# Two statements, because the second must see the rows that were marked while the first waited for locked batches. It
# adds rows and keeps the old ones for another failover. More than 1,000 rows become their table, as in `changed_tags`.
_RECORD_IDS: Final = """
update cacheaside.cache set replication_ids = %(ids)s
where not string_to_array(%(ids)s, ',') <@ string_to_array(replication_ids, ',')
returning true"""
_REPLAY: Final = """
insert into cacheaside.outbox (change)
select distinct case when count(*) over (partition by cacheaside.table_of(change)) > 1000
    then cacheaside.table_of(change) else change end
from (select distinct change from cacheaside.outbox where drained_at is not null) as kept; """

# A table that lacks triggers gets them only while no writer holds it. Those that come meanwhile wait as long.
_FOLLOW: Final = """
set local lock_timeout = '500ms';
select cacheaside.follow();
select tag, problem from cacheaside.names where problem is not null order by tag"""

_BACKLOG: Final = """
select count(*), coalesce(extract(epoch from clock_timestamp() - min(written_at)), 0)::float
from cacheaside.outbox where drained_at is null"""

# The statement runs many times a second. The index keeps the entries of drained rows while any transaction is open that
# began before them, such as a prepared one. The limit in time skips them. `clock_timestamp()` is volatile, so it could
# not limit the scan of the index.
_OLDEST_RECENT: Final = """
select written_at from cacheaside.outbox
where drained_at is null and written_at > statement_timestamp() - interval '5 seconds'
order by written_at limit 1"""

_ROWS_AT_ONCE: Final = 10_000
_REPETITIONS: Final = 100  # of a statement for _ROWS_AT_ONCE rows; the next sweep does the rest

# Drained rows are kept for a failover that is not yet detected, and keys for a request that is sent again.
_PRUNE_DRAINED: Final = """delete from cacheaside.outbox where ctid = any (array(
    select ctid from cacheaside.outbox where drained_at < clock_timestamp() - interval '15 minutes'
    limit %s for update skip locked))"""
_PRUNE_KEYS: Final = """delete from cacheaside.idempotency_keys where ctid = any (array(
    select ctid from cacheaside.idempotency_keys where created_at < clock_timestamp() - interval '24 hours'
    limit %s))"""

# While the cache is unavailable, rows are folded: one row for a whole table replaces the rows of that table. So the
# outbox holds about this many rows, and those of the last minute.
_PENDING_AT_MOST: Final = 100_000
# A command reads its own rows after COMMIT. It takes less than a minute, so rows of the last minute are not folded.
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
    select cacheaside.table_of(change), min(written_at) from folded group by 1
    returning change
)
select (select count(*) from folded) - (select count(*) from as_tables)"""


class Outbox:
    """The pending changes. All methods raise DatabaseError, and open a new connection if the kept one was lost."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._kept = KeptConnection(settings)

    @contextmanager
    def batch(self, at_most: int = 1_000, replication_ids: str = "", since: datetime = EVER) -> Iterator[Batch]:
        """Lock the oldest pending rows, run the block, which invalidates their tags, and mark the rows as drained.

        If the block raises, the process ends or the connection is lost, the rows stay pending. Rows before `since`, and
        those that another drainer has locked, are omitted. `replication_ids`: of the cache, "" if it reports none.
        """
        with self._transaction(_LOCK_BATCH, {"at_most": at_most, "ids": replication_ids, "since": since}) as locked:
            yield Batch([change for _, change, _ in locked], locked[-1][2] if locked else since)
            ctids = [ctid for ctid, _, _ in locked]
            self._kept.run(lambda cur: cur.execute(_SET_DRAINED, [ctids]), _LIMIT_S)

    def replay(self, replication_ids: str) -> bool:
        """Return whether the cache has a new id; if so, make rows drained lately pending again. "" is never new."""
        if not replication_ids or self._rows(_IDS_KNOWN, [replication_ids]) == [(True,)]:
            return False
        with self._transaction(_RECORD_IDS, {"ids": replication_ids}) as recorded:  # empty if another drainer did it
            self._kept.run(lambda cur: cur.execute((_REPLAY if recorded else "") + "commit"), _LIMIT_S)
        return bool(recorded)

    def oldest_recent(self) -> datetime | None:
        """Return when the oldest pending row of the last 5 s was written, None if there is none.

        One cheap round trip. It does not find the rows of a transaction that took longer than that to commit.
        """
        return next((written_at for (written_at,) in self._rows(_OLDEST_RECENT)), None)

    def follow(self) -> dict[str, str]:
        """Bring the triggers in line with what the watched names now stand for.

        Return the names whose changes could go unrecorded all the same, each with the reason.
        """
        return dict(self._rows(_FOLLOW))

    def backlog(self) -> Backlog:
        """Return the number and age of the pending rows, locked ones included."""
        ((rows, age_s),) = self._rows(_BACKLOG)
        return Backlog(rows, age_s)

    def prune(self) -> None:
        """Delete rows drained more than 15 minutes ago. Only while the cache answers: a new one may need them all."""
        self._delete(_PRUNE_DRAINED)

    def prune_keys(self) -> None:
        """Delete idempotency keys older than a day."""
        self._delete(_PRUNE_KEYS)

    def fold(self) -> int:
        """Replace rows by their tables while more than 100,000 are pending. Return how many rows fewer there are."""
        excess, folded = self.backlog().rows - _PENDING_AT_MOST, 0
        for _ in range(_REPETITIONS):
            if folded >= excess:
                break
            ((fewer,),) = self._rows(_FOLD, [_ROWS_AT_ONCE])
            if fewer <= 0:  # the other rows are locked, or of the last minute
                break
            folded += fewer
        return folded

    @contextmanager
    def _transaction(self, statement: str, values: dict[str, object]) -> Iterator[list[tuple[Any, ...]]]:
        """Begin with `statement` and yield its rows. The block must commit. If it raises, roll back."""
        try:
            yield self._rows(_BEGIN + statement, values)
        except BaseException:
            self._kept.roll_back()
            raise

    def _delete(self, statement: str) -> None:
        for _ in range(_REPETITIONS):
            if self._kept.run_repeatable(partial(_deleted, statement), _LIMIT_S) < _ROWS_AT_ONCE:
                break

    def _rows(self, statement: str, values: Sequence[object] | dict[str, object] = ()) -> list[tuple[Any, ...]]:
        return self._kept.run_repeatable(partial(_fetched, statement, values), _LIMIT_S)


def _fetched(statement: str, values: Any, cur: cursor) -> list[tuple[Any, ...]]:
    cur.execute(statement, values)
    return list(cur.fetchall()) if cur.description else []


def _deleted(statement: str, cur: cursor) -> int:
    cur.execute(statement, [_ROWS_AT_ONCE])
    return int(cur.rowcount)
