"""What stands behind a watched name changes: what is recorded follows, with event triggers or by the sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from tests.component.support.session import Session
from tests.support.wait_until import wait_until

ITEMS = """
    create table items (id bigint primary key, value text);
    create table others (id bigint primary key, value text);
    create view shown as select id, value from items;
    select cacheaside.watch('items');
"""
NO_EVENT_TRIGGERS = "drop event trigger cacheaside_follow_schema; drop event trigger cacheaside_follow_drop"
SWAP = """
    create table fresh (like items including all);
    begin; drop table items cascade; alter table fresh rename to items; commit
"""
WRITE = "insert into items values (7)"


@pytest.fixture
def items(session: Session) -> Session:
    session.run(ITEMS)
    return session


def test_view_that_reads_another_table_is_recorded_under_the_tag_of_its_readers(items: Session) -> None:
    assert items.changes("create or replace view shown as select id, value from others") == ["items"]
    assert items.changes("insert into others values (1)") == ["items"]
    assert items.changes("drop view shown", "create view shown as select id, value from others") == ["items", "items"]
    assert items.changes("insert into others values (2)") == ["items"]


def test_tags_of_a_view_are_renewed_an_hour_after_a_deployment_has_checked_them(items: Session) -> None:
    items.run("select cacheaside.watch('others'); create or replace view shown as select id, value from others")
    items.run("select cacheaside.declare('{others}')")
    assert items.changes("insert into others values (1)") == ["items", "others:1"]  # the former code may still run
    items.run("update cacheaside.sources set valid_from = now() where valid_from > '-infinity'")
    items.run("update cacheaside.sources set valid_until = now() where valid_until < 'infinity'")
    items.run("select cacheaside.follow()")
    assert items.changes("insert into others values (2)") == ["others:2"]


def test_function_with_a_parsed_body_is_followed_like_a_view(items: Session) -> None:
    best = "create or replace function best() returns setof bigint begin atomic select id from {}; end"
    items.run(best.format("items"))
    assert "items" in items.changes(best.format("others"))
    assert items.changes("insert into others values (1)") == ["items"]


HIDDEN = "create or replace function hidden() returns bigint language plpgsql as $$ begin return {}; end $$"


def test_function_that_hides_what_it_reads_is_followed_without_event_triggers_too(items: Session) -> None:
    items.run(f"{HIDDEN.format(1)}; select cacheaside.declare('{{hidden}}')")
    items.run(f"{NO_EVENT_TRIGGERS}; {HIDDEN.format(2)}")
    assert items.changes("select cacheaside.follow()") == ["hidden"]


def test_function_that_hides_what_it_reads_is_recorded_under_its_own_tag(items: Session) -> None:
    items.run(HIDDEN.format(1))
    assert items.changes(HIDDEN.format(2)) == ["hidden"]
    assert items.changes("drop function hidden()") == ["hidden"]


@pytest.mark.parametrize(
    "change",
    [
        "alter type mood rename value 'fine' to 'good'",
        "alter type pair add attribute c int cascade",
        "alter type pair rename attribute a to z cascade",
        "alter type pair drop attribute a cascade",
        "drop type mood cascade",
        "drop domain price cascade",
        "alter table typed enable row level security",
        "create policy more on typed using (true)",
        "alter policy every on typed using (false)",
        "drop policy every on typed",
        "alter table typed alter price type integer using price * 2",
        "alter table typed rename price to cost",
    ],
)
def test_definition_that_an_answer_depends_on_takes_it_out(session: Session, change: str) -> None:
    session.run(
        """create type mood as enum ('fine', 'bad'); create type pair as (a int, b int); create domain price as integer;
           create table typed (id bigint primary key, mood mood, pair pair, price price);
           create policy every on typed using (true);
           select cacheaside.watch('typed')"""
    )
    assert session.changes(change) == ["typed"]
    assert session.notices.replace("NOTICE:  drop cascades to column", "").count("WARNING") == 0


def test_materialized_view_that_gives_up_its_name_is_recorded_like_a_table(items: Session) -> None:
    items.run("create materialized view totals as select 1 as n; select cacheaside.declare('{totals}')")
    assert "totals" in items.changes("begin; drop materialized view totals; create table totals (n int); commit")
    assert items.changes("insert into totals values (1)") == ["totals"]


def test_refresh_is_recorded_under_the_name_of_a_view_in_front_of_it(items: Session) -> None:
    items.run("create materialized view totals as select 1 as n; drop table items cascade")
    items.run("create view items as select n as id from totals")
    assert items.changes("refresh materialized view totals") == ["items", "totals"]


def test_view_that_takes_a_name_and_reads_a_watched_table_is_recorded_under_both(items: Session) -> None:
    items.run("select cacheaside.watch('others'); drop table items cascade; create view items as select * from others")
    assert items.changes("insert into others values (1)") == ["items", "others:1"]


def test_write_through_a_parent_is_recorded_under_the_name_of_its_child(items: Session) -> None:
    items.run("create table child () inherits (others); insert into child values (1); select cacheaside.watch('child')")
    assert items.changes("update others set value = 'x'") == ["child"]
    assert items.changes("insert into child values (2)") == ["child"]  # no key of its own


@pytest.mark.parametrize("of", ["role cacheaside_query in database {}", "role cacheaside_query", "database {}"])
def test_table_that_comes_before_another_on_the_search_path_is_recorded(
    items: Session, of: str, sql: Callable[..., Any]
) -> None:
    altered = of.format(items.run("select current_database()")[0][0])
    sql(f"alter {altered} set search_path = app, public")
    try:
        items.run("create schema app; select cacheaside.follow()")
        assert items.changes("create table app.items (id bigint primary key)") == ["items"]
        assert items.changes("insert into app.items values (1)") == ["items"]
        assert items.changes("drop table app.items") == ["items"]
        assert items.changes("create table app.unread (id bigint primary key)") == []
    finally:
        sql(f"alter {altered} reset search_path")


@pytest.mark.parametrize(
    "key",
    ["drop constraint items_pkey, add primary key (value)", "drop constraint items_pkey, add primary key (id, value)"],
)
def test_rows_are_named_by_another_key_only_when_deployed_queries_know_it(items: Session, key: str) -> None:
    items.run(f"insert into items values (1, 'a'); alter table items alter value set not null, {key}")
    write = "update items set value = value"
    assert items.changes(write) == ["items"]
    items.run("select cacheaside.declare('{items}')")
    assert items.changes(write) == ["items"]  # the former code may still run
    items.run("update cacheaside.names set key_valid_from = now(); select cacheaside.follow()")
    assert items.changes(write) in (["items:a"], ["items:1,a"])


def test_table_that_a_view_reads_since_its_readers_were_deployed_belongs_to_the_view(items: Session) -> None:
    items.run("select cacheaside.watch('others'); create or replace view shown as select id, value from others")
    assert items.changes("alter table others enable row level security") == ["items", "others"]


def test_sequence_that_takes_a_name_is_a_problem(items: Session) -> None:
    items.run("drop table items cascade; create sequence items")
    assert "changes of items could go unrecorded: public.items: its rows" in items.notices


def test_materialized_view_that_is_dropped_with_a_column_is_recorded(items: Session) -> None:
    items.run("create materialized view totals as select id, value from others; select cacheaside.declare('{totals}')")
    assert "totals" in items.changes("alter table others drop column value cascade")


def test_function_that_hides_what_it_reads_since_it_was_replaced_is_a_problem(items: Session) -> None:
    items.run("create function best() returns setof bigint begin atomic select id from items; end")
    hiding = "returns setof bigint language plpgsql as $$ begin return query select id from others; end $$"
    assert "items" in items.changes(f"create or replace function best() {hiding}")
    assert "public.best(): its body is a string now" in items.notices


def test_function_whose_body_is_parsed_since_it_was_replaced_is_recorded_under_its_tag(items: Session) -> None:
    items.run(f"{HIDDEN.format(1)}; select cacheaside.declare('{{hidden}}')")
    items.run("create or replace function hidden() returns bigint begin atomic select count(*) from others; end")
    assert items.changes("insert into others values (1)") == ["hidden"]


@pytest.mark.parametrize(
    "change",
    [
        "grant select on items to public",
        "alter table items set (fillfactor = 90)",
        "alter table items alter value set statistics 7",
        "create index on items (value)",
        "comment on table items is 'x'",
        "analyze items",
        "create temporary view passing as select id from items",
    ],
)
def test_change_that_no_answer_depends_on_leaves_them(items: Session, change: str) -> None:
    assert items.changes(change, "select cacheaside.follow()") == []


def test_ddl_of_two_sessions_on_one_name_does_not_wait_for_each_other(items: Session) -> None:
    with closing(items.another()) as other:
        items.run("begin; create view first as select id from items")
        other.run("begin isolation level repeatable read; create view second as select id from items")
        items.run("create view third as select id from others; commit")
        other.run("create view fourth as select id from items; commit")
        assert (items.notices, other.notices) == ("", "")


def test_trigger_that_cannot_be_dropped_does_not_stop_the_others(items: Session, tenant: Session) -> None:
    items.run("alter table others owner to owner_of_cacheaside; select cacheaside.watch('others')")
    items.run("alter table items rename to former")
    items.run("alter event trigger cacheaside_follow_schema disable; create table fresh (id bigint)")
    assert items.changes("drop table others cascade", "alter table fresh rename to others") != []
    items.run("alter table others owner to owner_of_cacheaside; select cacheaside.follow()")
    assert items.changes("insert into others values (1)") == ["others"]


@pytest.mark.parametrize("rolled_back", [False, True])
def test_rollback_takes_back_what_its_deployment_declared(items: Session, rolled_back: bool) -> None:
    items.run("select cacheaside.watch('others'); create or replace view shown as select id, value from others")
    items.run("select cacheaside.declare('{others}')")
    if rolled_back:
        items.run("select cacheaside.undeclare()")
    items.run("update cacheaside.sources set valid_from = now() where valid_from between now() and now() + '1 day'")
    items.run("update cacheaside.sources set valid_until = now() where valid_until < 'infinity'")
    items.run("select cacheaside.follow()")
    assert items.changes("insert into others values (2)") == (["items", "others:2"] if rolled_back else ["others:2"])


def test_unwatched_name_is_forgotten(items: Session) -> None:
    items.run("create view mixed as select others.id from others, customers; select cacheaside.watch('others')")
    items.run("select cacheaside.unwatch('customers'); drop table items cascade; select cacheaside.unwatch('items')")
    items.run("create table items (id bigint primary key)")
    assert items.changes(WRITE) == []
    assert items.run("select from cacheaside.sources where tag = 'items'") == []
    assert items.run("select to_regprocedure('cacheaside.record_items()')") == [(None,)]


def test_without_event_triggers_the_sweep_repairs_and_records(items: Session) -> None:
    items.run(f"{NO_EVENT_TRIGGERS}; {SWAP}")
    assert items.changes(WRITE) == []
    with closing(items.another("cacheaside_invalidate")) as sweeper:
        assert items.changes("select") == []
        sweeper.run("select cacheaside.follow()")
    assert items.run("select change from cacheaside.outbox") == [("items",)]
    assert items.changes("insert into items values (8)") == ["items:8"]


def test_writes_while_triggers_were_disabled_are_recorded_as_a_whole_when_the_sweep_repairs(items: Session) -> None:
    items.run(f"{NO_EVENT_TRIGGERS}; alter table items disable trigger user; {WRITE}")
    assert items.changes("select cacheaside.follow()") == ["items"]


def test_follower_waits_for_a_writer_that_has_called_the_former_recorder(items: Session) -> None:
    items.run("select cacheaside.watch('others')")
    with closing(items.another()) as writer, closing(items.another()) as owner, ThreadPoolExecutor() as pool:
        writer.run("begin; insert into others values (1)")
        waits = pool.submit(owner.run, "create or replace view shown as select id, value from others")
        assert not wait([waits], timeout=0.3).done
        writer.run("commit")
        waits.result()
    items.run("select cacheaside.follow()")  # on a slow machine the owner may not have waited long enough
    assert items.run("select count(*) from cacheaside.outbox where change = 'items'") != [(0,)]
    assert items.changes("insert into others values (2)") == ["items", "others:2"]


def test_without_event_triggers_a_replaced_view_takes_answers_out_with_the_next_sweep(items: Session) -> None:
    items.run(f"{NO_EVENT_TRIGGERS}; create or replace view shown as select id, value from others")
    assert items.changes("select cacheaside.follow()") == ["items"]
    assert items.changes("insert into others values (1)") == ["items"]
    assert items.changes("select cacheaside.follow()") == []


@pytest.mark.parametrize(
    ("write", "recorded"),
    [(WRITE, ["items"]), ("truncate items", ["items"]), ("insert into others values (1)", [])],
)
def test_command_records_what_it_wrote_to_a_table_without_triggers(
    items: Session, write: str, recorded: list[str]
) -> None:
    items.run(f"{NO_EVENT_TRIGGERS}; {SWAP}")
    assert items.changes(f"begin; {write}; select cacheaside.record_unrecorded(); commit") == recorded


def test_command_records_what_it_wrote_to_a_table_that_a_view_reads_since_it_was_replaced(items: Session) -> None:
    items.run(f"{NO_EVENT_TRIGGERS}; create table unread (id bigint)")
    record = "select cacheaside.record_unrecorded()"
    assert items.changes(f"begin; insert into others values (1), (2); {record}; commit") == []
    items.run("create or replace view shown as select id, value from others")
    assert items.changes(f"begin; insert into others values (3); {record}; commit") == ["items"]
    assert items.changes(f"begin; insert into unread values (3); {record}; commit") == []


def test_command_records_what_it_wrote_behind_a_view_that_has_taken_a_name(items: Session) -> None:
    items.run(f"{NO_EVENT_TRIGGERS}; drop table items cascade; create view items as select * from others")
    assert items.changes(f"begin; {WRITE}; select cacheaside.record_unrecorded(); commit") == ["items"]


@pytest.fixture
def tenant(items: Session, sql: Callable[..., Any]) -> Iterator[Session]:
    """A role of which the owner of our schema, here no superuser, is no member."""
    sql("create role owner_of_cacheaside")
    sql("create role tenant login")
    items.run(
        """grant all on schema cacheaside to owner_of_cacheaside; grant all on schema public to tenant;
           grant all on all tables in schema cacheaside to owner_of_cacheaside;
           grant all on all functions in schema cacheaside to owner_of_cacheaside;
           alter function cacheaside.follow owner to owner_of_cacheaside;
           alter function cacheaside.follow_schema owner to owner_of_cacheaside;
           alter function cacheaside.follow_drop owner to owner_of_cacheaside;
           alter table items owner to tenant"""
    )
    with closing(items.another("tenant")) as tenant:
        yield tenant
    sql("drop owned by owner_of_cacheaside cascade")
    items.run("drop owned by owner_of_cacheaside, tenant cascade")
    sql("drop role owner_of_cacheaside")
    sql("drop role tenant")


def test_table_that_may_not_get_triggers_is_a_problem_that_its_owner_is_told_of(
    items: Session, tenant: Session
) -> None:
    tenant.run(SWAP)
    assert "WARNING:  changes of items could go unrecorded: public.items: it has no triggers" in tenant.notices
    assert items.run("select problem is not null from cacheaside.names where tag = 'items'") == [(True,)]
    assert items.changes(f"begin; {WRITE}; select cacheaside.record_unrecorded(); commit") == ["items"]
    items.run("alter function cacheaside.follow owner to postgres; select cacheaside.follow()")
    assert items.run("select problem is not null from cacheaside.names where tag = 'items'") == [(False,)]


def test_partition_that_is_being_detached_is_recorded_by_the_next_sweep(session: Session) -> None:
    session.run("create table parted (id integer primary key) partition by range (id)")
    session.run("create table part partition of parted for values from (0) to (100); insert into parted values (1)")
    session.run("select cacheaside.watch('parted')")

    def detach() -> None:
        with closing(psycopg2.connect(session.url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute("alter table parted detach partition part concurrently")

    def is_pending() -> bool:
        return session.run("select inhdetachpending from pg_inherits where inhrelid = 'part'::regclass") == [(True,)]

    with closing(psycopg2.connect(session.url)) as reader, reader.cursor() as cursor, ThreadPoolExecutor(1) as threads:
        cursor.execute("select from parted")  # so that the second half of the statement waits
        detached = threads.submit(detach)
        wait_until(is_pending)
        session.run("select pg_cancel_backend(pid) from pg_stat_activity where query like 'alter table parted detach%'")
        with pytest.raises(psycopg2.errors.QueryCanceled):
            detached.result()
    assert session.run("select from parted") == []
    assert "parted" in session.changes("select cacheaside.follow()")
