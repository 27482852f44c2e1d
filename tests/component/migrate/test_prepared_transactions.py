"""Transactions that another service prepares (two-phase commit): none is refused, and none that stays open stops us."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cacheaside.drivers.postgres import outbox as outbox_driver
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.settings import Authentication, DatabaseSettings
from tests.component.support.drain_batch import drain_batch
from tests.component.support.session import Session

SCHEMA = """
    create table items (id bigint primary key, value text);
    create table others (id bigint primary key, value text);
    create table written (id bigint primary key, value text);
    create table new_items (like items including all);
    create table parts (id bigint primary key, value text) partition by range (id);
    create table first_part partition of parts for values from (0) to (100);
    create table spare_part (like parts including all);
    create view shown as select id, value from items;
    create materialized view totals as select 1 as n;
    create function best() returns setof bigint begin atomic select id from items; end;
    select cacheaside.watch(name) from unnest('{items,others,written,parts}'::regclass[]) as name;
"""
WRITES = {
    "insert": ("insert into items values (1)", ["items:1"]),
    "update and delete": (
        "insert into items values (1), (2); update items set id = 3 where id = 2; delete from items where id = 1",
        ["items:1", "items:2", "items:3"],
    ),
    "truncate": ("truncate items", ["items"]),
    "many rows": ("insert into items select generate_series(1, 1000)", ["items"]),
    "row of a partition": ("insert into parts values (1)", ["parts:1"]),
    "savepoints": (
        """savepoint a; insert into items values (1); rollback to a;
           savepoint b; insert into items values (2); release b""",
        ["items:2"],
    ),
    "error that is caught": (
        """do $$ begin
               insert into items values (1);
               begin insert into items values (1); exception when unique_violation then null; end;
           end $$""",
        ["items:1"],
    ),
}
SCHEMA_CHANGES = {
    "add a column": ("alter table items add column more integer", ["items"]),
    "add a column to partitions": ("alter table parts add column more integer", ["parts"]),
    "attach a partition": ("alter table parts attach partition spare_part for values from (100) to (200)", ["parts"]),
    "detach a partition": ("alter table parts detach partition first_part", ["parts"]),
    "swap by renaming": (
        "drop table items cascade; alter table new_items rename to items; insert into items values (7)",
        ["best", "items", "items:7"],
    ),
    "replace a view": ("create or replace view shown as select id, value from others", ["items", "others"]),
    "create a view": ("create view more as select id from items", ["items"]),
    "refresh": ("refresh materialized view totals", ["totals"]),
    "watch": ("select cacheaside.watch('new_items')", ["new_items"]),
    "unwatch": ("select cacheaside.unwatch('items')", []),
}


@contextmanager
def prepared(session: Session, statements: str) -> Iterator[Callable[[str], None]]:
    """Prepare a transaction. The function that is yielded ends it: "commit" or "rollback". The block's end, if not."""
    name = session.run("select current_database()")[0][0]
    session.run(f"begin; {statements}; prepare transaction '{name}'")

    def end(how: str) -> None:
        session.another().run(f"{how} prepared '{name}'")

    try:
        yield end
    finally:
        if session.run("select 1 from pg_prepared_xacts where database = current_database()"):
            end("rollback")


def changes(session: Session) -> list[str]:
    return [change for (change,) in session.run("select change from cacheaside.outbox order by 1")]


@pytest.fixture
def shop(session: Session) -> Session:
    session.run(SCHEMA)
    session.run("delete from cacheaside.outbox")
    return session


@pytest.mark.parametrize(("statements", "recorded"), (WRITES | SCHEMA_CHANGES).values(), ids=WRITES | SCHEMA_CHANGES)
@pytest.mark.parametrize("how", ["commit", "rollback"])
def test_changes_are_recorded_when_the_transaction_is_committed_and_not_if_it_is_rolled_back(
    shop: Session, statements: str, recorded: list[str], how: str
) -> None:
    with prepared(shop, statements) as end:
        assert changes(shop) == []
        end(how)
        assert changes(shop) == (recorded if how == "commit" else [])


def test_session_that_has_used_temporary_tables_before_can_prepare(shop: Session) -> None:
    shop.run("create temporary table outbox (id integer)")
    with prepared(shop, "insert into items values (1)") as end:
        end("commit")
    assert changes(shop) == ["items:1"]


@pytest.fixture
def outbox(shop: Session) -> Iterator[Outbox]:
    url = shop.url.replace("postgres@", "cacheaside_invalidate@")
    outbox = Outbox(DatabaseSettings(url=url, authentication=Authentication.URL, region=""))
    yield outbox
    outbox._kept.forget()


@pytest.mark.parametrize("statements", ["insert into items values (1)", *(each for each, _ in SCHEMA_CHANGES.values())])
def test_transaction_that_stays_open_stops_nothing_else(
    shop: Session, outbox: Outbox, statements: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A deployment that replaced the tags of a source was an hour ago: the next call that follows deletes such a row.
    shop.run(
        """insert into cacheaside.sources (class, identity, tag, valid_until)
           values ('pg_class'::regclass, 'public.shown', 'others', now())"""
    )
    monkeypatch.setattr(outbox_driver, "_PENDING_AT_MOST", 0)
    with prepared(shop, statements):
        writer = shop.another()
        writer.run("set lock_timeout = '20s'; insert into written values (7)")
        assert outbox.oldest_recent() is not None
        drained: list[Any] = []
        drain_batch(outbox, drained.extend)
        assert "written:7" in drained
        assert outbox.follow() == {}
        writer.run("alter table written add column more integer; create view all_written as select * from written")
        assert writer.notices == ""
        assert outbox.follow() == {}
        writer.run("create table one_more (id bigint primary key); select cacheaside.watch('one_more')")
        writer.run("update cacheaside.outbox set written_at = now() - interval '1 hour' where drained_at is null")
        writer.run("insert into cacheaside.outbox (change, written_at) values ('written:8', now() - interval '1 hour')")
        assert outbox.fold() > 0
        writer.run("update cacheaside.outbox set drained_at = now() - interval '1 hour'")
        outbox.prune()
        assert changes(shop) == []


def test_a_look_for_changes_skips_the_index_entries_of_drained_rows(shop: Session) -> None:
    """PostgreSQL keeps them while an older transaction is open. With all of them the look would take ever longer."""
    shop.run("set enable_seqscan = off")
    plan = "\n".join(line for (line,) in shop.run(f"explain {outbox_driver._OLDEST_RECENT}"))
    assert "outbox_pending_idx" in plan
    assert "Index Cond: (written_at > " in plan
