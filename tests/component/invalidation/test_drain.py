"""Draining the outbox loses no change: not in crashes, with several drainers, or while the cache is unavailable."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis

from cacheaside.drivers.cache import deadline
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.commands import Commands
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.errors import CacheUnavailable, DatabaseUnavailable
from cacheaside.invalidation.drain import Drainer
from cacheaside.reading.keys import tag_key
from cacheaside.settings import CacheSettings, DatabaseSettings
from local.servers.postgres import PostgresServer
from local.servers.valkey import ValkeyServer
from tests.component.support.cache_servers import settings_of
from tests.component.support.drain_batch import drain_batch
from tests.component.support.outages import OUTAGES
from tests.component.support.sql import Sql
from tests.component.support.timeouts import production_timeouts_of
from tests.support.wait_until import wait_until


@pytest.fixture
def cache(cache_settings: CacheSettings) -> Cache:
    return Cache(cache_settings)


@pytest.fixture
def drainer(outbox: Outbox, cache: Cache) -> Drainer:
    return Drainer(outbox, cache)


def change(sql: Sql, *products: int) -> list[str]:
    """Change rows, each in a transaction of its own. Returns the changes that the triggers record."""
    for product in products:
        sql("update products set price = price where id = %s", product)
    return [f"products:{product}" for product in products]


def changes_of(sql: Sql, condition: str = "true") -> list[str]:
    return [row[0] for row in sql(f"select change from cacheaside.outbox where {condition} order by written_at")]


def pending(sql: Sql) -> list[str]:
    return changes_of(sql, "drained_at is null")


@contextmanager
def watched_table(sql: Sql, rows: int) -> Iterator[None]:
    """Create and watch a table `many`, and drop it after the block."""
    sql("create table many (id integer primary key, n integer not null)")
    try:
        sql("insert into many select n, n from generate_series(1, %s) as n", rows)
        sql("select cacheaside.watch('many')")
        yield
    finally:
        sql("select cacheaside.unwatch('many')")
        sql("drop table many")


def test_a_drained_change_is_invalidated_in_the_cache(drainer: Drainer, client: redis.Redis, sql: Sql) -> None:
    for tag in ("products", "products:1", "products:2", "products:*"):
        client.set(tag_key(tag), b"version")
    change(sql, 1)
    assert drainer.drain().rows == 1
    left = {tag for tag in ("products", "products:1", "products:2", "products:*") if client.exists(tag_key(tag))}
    assert left == {"products:2", "products:*"}
    assert (pending(sql), changes_of(sql)) == ([], ["products:1"])


def test_uncommitted_changes_are_not_drained(outbox: Outbox, sql: Sql) -> None:
    sql("begin")
    change(sql, 1)
    assert drain_batch(outbox, lambda _: None) == 0
    sql("rollback")
    assert drain_batch(outbox, lambda _: None) == 0


def test_a_crash_between_invalidating_and_marking_repeats_the_changes_and_loses_none(
    outbox: Outbox, outbox_settings: DatabaseSettings, sql: Sql
) -> None:
    expected, taken = change(sql, 1, 2), []

    def crash(changes: Sequence[str]) -> None:
        taken.append(list(changes))
        sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'cacheaside_invalidate'")

    with pytest.raises(DatabaseUnavailable):
        drain_batch(outbox, crash)
    assert pending(sql) == expected
    assert drain_batch(Outbox(outbox_settings), lambda changes: taken.append(list(changes))) == 2
    assert taken == [expected, expected]
    assert pending(sql) == []


def test_changes_stay_pending_if_the_cache_fails_and_the_connection_still_works(outbox: Outbox, sql: Sql) -> None:
    expected = change(sql, 1)

    def refuse(_: Sequence[str]) -> None:
        raise CacheUnavailable("not now")

    with pytest.raises(CacheUnavailable):
        drain_batch(outbox, refuse)
    assert pending(sql) == expected
    assert drain_batch(outbox, lambda _: None) == 1


def test_the_oldest_changes_are_drained_first(outbox: Outbox, sql: Sql) -> None:
    expected, taken = change(sql, 5, 3, 4), list[str]()
    while drain_batch(outbox, taken.extend, at_most=1):
        pass
    assert taken == expected


def test_two_drainers_share_the_rows_and_lose_none(outbox_settings: DatabaseSettings, sql: Sql) -> None:
    expected = change(sql, *range(1, 41))
    taken: list[list[str]] = [[], []]
    both = threading.Barrier(2)

    def drain(number: int) -> None:
        outbox = Outbox(outbox_settings)

        def invalidate(changes: Sequence[str]) -> None:
            if not taken[number]:
                both.wait(60)  # each drainer has locked a batch
            taken[number] += changes

        while drain_batch(outbox, invalidate, at_most=5):
            pass

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(drain, range(2)))
    assert sorted(taken[0] + taken[1]) == sorted(expected), "each row once"
    assert pending(sql) == []


def test_a_frozen_drainer_blocks_no_other_and_loses_its_rows_after_a_timeout(
    outbox_settings: DatabaseSettings, outbox: Outbox, sql: Sql
) -> None:
    change(sql, 1, 2, 3)
    locked, thaw, taken = threading.Event(), threading.Event(), list[str]()

    def freeze(_: Sequence[str]) -> None:
        locked.set()
        thaw.wait(120)

    def drain() -> None:
        with suppress(DatabaseUnavailable):
            drain_batch(Outbox(outbox_settings), freeze, at_most=2)
            taken.append("marked by the frozen drainer")

    thread = threading.Thread(target=drain)
    thread.start()
    assert locked.wait(60)
    assert drain_batch(outbox, taken.extend) == 1
    wait_until(lambda: drain_batch(outbox, taken.extend))
    thaw.set()
    thread.join()
    assert taken == ["products:3", "products:1", "products:2"]


def test_transaction_of_ten_thousand_updates_is_drained_in_bounded_batches(
    outbox: Outbox, cache: Cache, client: redis.Redis, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    with watched_table(sql, rows=10_000):
        sql("truncate cacheaside.outbox")
        sql("do $$ begin for row in 1..10000 loop update many set n = n where id = row; end loop; end $$")
        assert len(pending(sql)) == 10_000
        with client.pipeline(transaction=False) as pipeline:
            for number in range(1, 10_001):
                pipeline.set(tag_key(f"many:{number}"), b"version")
            pipeline.execute()
        batches, invalidate = list[int](), cache.invalidate_tags
        monkeypatch.setattr(cache, "invalidate_tags", lambda tags: (batches.append(len(tags)), invalidate(tags))[1])
        assert Drainer(outbox, cache).drain(seconds=60).rows == 10_000
    assert max(batches) <= 1_001, "a thousand rows and their table"
    assert client.keys(tag_key("many") + "*") == []


def test_an_update_of_all_rows_is_one_change(outbox: Outbox, sql: Sql) -> None:
    with watched_table(sql, rows=100_000):
        sql("truncate cacheaside.outbox")
        sql("update many set n = n + 1")
        assert pending(sql) == ["many"]


# While the cache is unavailable


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path / "valkey") as server:
        yield server


@pytest.mark.parametrize("failure", OUTAGES)
def test_writers_do_not_wait_for_an_unavailable_cache_and_it_is_drained_afterwards(
    outbox: Outbox, own_valkey: ValkeyServer, sql: Sql, failure: str
) -> None:
    drainer = Drainer(outbox, Cache(settings_of(own_valkey)))
    change(sql, 1)
    assert drainer.drain().reachable
    took = list[float]()
    with OUTAGES[failure](own_valkey), production_timeouts_of("cache"):
        for product in range(2, 12):
            began = time.monotonic()
            change(sql, product)
            took.append(time.monotonic() - began)
            if product % 5 == 0:
                drained = drainer.drain()
                assert (drained.rows, drained.reachable) == (0, False)
        assert min(took) < deadline.CALL_S, "a writer never waits for the cache"
        backlog = outbox.backlog()
        assert backlog.rows == 10
        assert backlog.age_s > 0
    drained = drainer.drain()
    # After a kill it has a new replication id, so the change that was drained before is replayed too.
    assert (drained.rows, drained.replayed) == ((10, 0) if failure == "freeze" else (11, 1))
    assert outbox.backlog().rows == 0


# Retention


ORDERS = '"or:ders"'


def fill(sql: Sql, rows: int, age: str) -> None:
    sql(
        "insert into cacheaside.outbox (transaction_id, change, written_at) "
        """select n::text::xid8, (array['products:', '"or:ders":'])[n %% 2 + 1] || n, """
        "clock_timestamp() - %s::interval "
        "from generate_series(1, %s) as n",
        age,
        rows,
    )


def test_too_many_pending_rows_are_folded_into_their_tables(outbox: Outbox, sql: Sql) -> None:
    fill(sql, 150_000, age="1 day")
    before = outbox.backlog()
    folded = outbox.fold()
    after = outbox.backlog()
    assert after.rows == before.rows - folded <= 100_000
    assert after.age_s >= before.age_s, "folding keeps the age of the oldest change"
    taken = set[str]()
    while drain_batch(outbox, taken.update, at_most=10_000):
        pass
    named = {f"{ORDERS if n % 2 else 'products'}:{n}" for n in range(1, 150_001)}
    assert {"products", ORDERS} <= taken
    assert taken - {"products", ORDERS} < named
    assert outbox.fold() == 0


def test_rows_that_a_command_may_still_drain_are_not_folded(outbox: Outbox, sql: Sql) -> None:
    fill(sql, 110_000, age="20 seconds")
    assert outbox.fold() == 0
    assert outbox.backlog().rows == 110_000


def test_a_repeated_request_still_finds_the_tables_of_its_folded_rows(
    outbox: Outbox, sql: Sql, postgres: PostgresServer, outbox_settings: DatabaseSettings
) -> None:
    fill(sql, 110_000, age="1 hour")
    sql("insert into cacheaside.idempotency_keys values ('sent', '', '7', null, clock_timestamp() - interval '1 hour')")
    outbox.fold()
    assert sql("select change from cacheaside.outbox where transaction_id = '7'") == [], "the rows must be folded"
    commands = Commands(outbox_settings._replace(url=postgres.url_for("cacheaside_command")))
    assert ORDERS in commands.changes("7")


def test_a_small_backlog_is_not_folded(outbox: Outbox, sql: Sql) -> None:
    fill(sql, 1_000, age="1 day")
    assert outbox.fold() == 0
    assert outbox.backlog().rows == 1_000


def test_drained_rows_are_kept_for_15_minutes_and_idempotency_keys_for_a_day(outbox: Outbox, sql: Sql) -> None:
    for number, (written, drained) in enumerate(((20, 16), (20, 14), (9_999, None))):
        sql(
            "insert into cacheaside.outbox values (%s::text::xid8, 'products', now() - make_interval(mins => %s), "
            "now() - make_interval(mins => %s))",
            number,
            written,
            drained,
        )
    for key, hours in (("old", 25), ("young", 23)):
        sql(
            "insert into cacheaside.idempotency_keys (key, fingerprint, created_at) "
            "values (%s, '', now() - make_interval(hours => %s))",
            key,
            hours,
        )
    outbox.prune()
    outbox.prune_keys()
    assert sql("select transaction_id::text from cacheaside.outbox order by 1") == [("1",), ("2",)]
    assert sql("select key from cacheaside.idempotency_keys") == [("young",)]
