"""`python -m bench.draining [ROWS]`: how many rows of the outbox are drained in a second, and in which batches.

Measures two outboxes, with one cache server and with a cluster of three. One has the changes of many transactions that
each updated one row; one process drains it, then two. The other has 10,000 single-row updates of one transaction.
No changed row was read before, so no tag is in the cache; deleting a tag that is there costs the same round trip.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final, NamedTuple

import psycopg2
from psycopg2.extensions import cursor as Cursor

from bench.servers import CACHES, RunningServers, running_servers
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.invalidation.drain import Batch, Drainer
from cacheaside.settings import DatabaseSettings, Settings
from local.progress import Progress

__all__ = ["DrainResult", "drain_all", "fill", "write_in_one_transaction"]

ROWS: Final = 100_000
UPDATES: Final = 10_000

# The rows that triggers would insert, but in bulk. Of every three transactions one updated a product, of which there
# are 20,000, one an order, and one a line of an order.
_FILL: Final = """
    insert into cacheaside.outbox (transaction_id, change)
    select number::text::xid8, case number %% 3
        when 0 then 'products:' || 1 + abs(hashint4(number)::bigint) %% 20000
        when 1 then 'orders:' || number
        else 'order_items:' || number || ',' || number %% 7
    end
    from generate_series(%(first)s, %(last)s) as number"""
_FILLED_AT_ONCE: Final = 20_000

_UPDATE: Final = """
    do $$ begin
        for number in 1..%(updates)s loop
            update rows_of_bench set value = value + 1 where id = number;
        end loop;
    end $$"""

_fork: Final = multiprocessing.get_context("fork")


class DrainResult(NamedTuple):
    """The rows of each batch, and the seconds from the start of the drainers until the last one was done."""

    batches: list[int]
    seconds: float


class _CountedOutbox(Outbox):
    """Records the size of each batch."""

    def __init__(self, settings: DatabaseSettings) -> None:
        super().__init__(settings)
        self.batches: list[int] = []

    @contextmanager
    def batch(self, *arguments: Any) -> Iterator[Batch]:
        """Give a batch, and record its size."""
        with super().batch(*arguments) as batch:
            yield batch
        self.batches.append(len(batch.changes))


def drain_all(settings: Settings, drainers: int) -> DrainResult:
    """Drain the outbox with `drainers` processes at once."""
    ready, results = _fork.Barrier(drainers + 1), _fork.Queue()
    processes = [_fork.Process(target=_drain, args=(settings, ready, results), daemon=True) for _ in range(drainers)]
    for process in processes:
        process.start()
    ready.wait(30)
    began = time.monotonic()
    batches = [batch for _ in processes for batch in results.get(timeout=600) if batch]
    seconds = time.monotonic() - began
    for process in processes:
        process.join()
    return DrainResult(batches, seconds)


def _drain(settings: Settings, ready: Any, results: Any) -> None:
    outbox, cache = _CountedOutbox(settings.database), Cache(settings.cache)
    outbox.backlog()  # connects
    cache.ping()
    ready.wait(30)
    assert Drainer(outbox, cache).drain(seconds=600).reachable
    results.put(outbox.batches)


def fill(owner: Cursor, rows: int) -> None:
    """Fill the outbox as `rows` transactions of one row each would."""
    owner.execute("truncate cacheaside.outbox")
    progress = Progress("Outbox")
    for first in range(1, rows + 1, _FILLED_AT_ONCE):
        last = min(first + _FILLED_AT_ONCE - 1, rows)
        owner.execute(_FILL, {"first": first, "last": last})
        progress(last, rows)


def write_in_one_transaction(owner: Cursor, updates: int) -> float:
    """Update `updates` rows, each with a statement of its own. Returns the seconds until COMMIT."""
    owner.execute("create table rows_of_bench (id integer primary key, value integer not null default 0)")
    owner.execute("insert into rows_of_bench select generate_series(1, %s)", [updates])
    owner.execute("select cacheaside.watch('rows_of_bench')")
    owner.execute("truncate cacheaside.outbox")
    began = time.monotonic()
    owner.execute(_UPDATE, {"updates": updates})
    return time.monotonic() - began


def _measure(mode: str, servers: RunningServers, owner: Cursor, rows: int) -> Iterator[str]:
    settings = servers.settings("InvalidateFunction")
    for drainers in (1, 2):
        fill(owner, rows)
        yield _line(f"{rows:,} transactions", mode, drainers, drain_all(settings, drainers))
    written_s = write_in_one_transaction(owner, UPDATES)
    print(f"{UPDATES:,} updates of one transaction took {written_s:.1f} s", file=sys.stderr)
    yield _line("one transaction", mode, 1, drain_all(settings, 1))


def _line(outbox: str, mode: str, drainers: int, result: DrainResult) -> str:
    rows, batches = sum(result.batches), f"{len(result.batches):,} of at most {max(result.batches):,}"
    return f"| {outbox} | {mode} | {drainers} | {rows:,} | {batches} | {rows / result.seconds:,.0f} |"


def main(rows: int) -> None:
    lines = ["| changes of | cache | drainers | rows | batches | rows a second |", "|---|---|---:|---:|---:|---:|"]
    for mode in CACHES:
        with running_servers(mode) as servers, closing(psycopg2.connect(servers.postgres.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as owner:
                for line in _measure(mode, servers, owner, rows):
                    print(line, file=sys.stderr)
                    lines.append(line)
    print("\n".join(lines))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
