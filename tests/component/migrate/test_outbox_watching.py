"""`cacheaside.watch` and `unwatch`: what they create, drop and refuse, and when they wait."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from local.servers.postgres import PostgresServer
from migrate.upgrade import upgrade
from tests.component.support.session import Session

THINGS = """
    create table things (id bigint primary key, value text);
    create table parts (id bigint primary key) partition by range (id);
    create table parts_low partition of parts for values from (0) to (10);
"""
# Every object that watching could leave behind.
TRACES = """
    select 'trigger ' || tgname || ' on ' || tgrelid::regclass from pg_trigger where not tgisinternal
    union select 'function ' || oid::regprocedure from pg_proc where pronamespace <> 'pg_catalog'::regnamespace
    union select 'relation ' || oid::regclass from pg_class where relnamespace <> 'pg_catalog'::regnamespace
    union select 'comment ' || description from pg_description where objoid > 16384
    order by 1
"""


@pytest.fixture
def things(session: Session) -> Session:
    session.run(THINGS)
    return session


def test_unwatching_leaves_nothing_behind(things: Session) -> None:
    before = things.run(TRACES)
    for table in ("things", "parts", "things"):
        things.run(f"select cacheaside.watch('{table}')")
    assert things.run(TRACES) != before
    for table in ("things", "parts"):
        things.run(f"select cacheaside.unwatch('{table}')")
    assert things.run(TRACES) == before
    assert things.changes("insert into things values (1)", "insert into parts_low values (1)") == []
    assert things.notices == ""


def test_watching_again_changes_nothing_and_records_the_table(things: Session) -> None:
    things.run("select cacheaside.watch('parts')")
    before = things.run(TRACES)
    assert things.changes("select cacheaside.watch('parts')") == ["parts"]
    assert things.run(TRACES) == before


def test_watch_returns_the_tag(things: Session) -> None:
    things.run("create schema sales; create table sales.items (id bigint primary key)")
    assert things.run("select cacheaside.watch('things'), cacheaside.watch('sales.items')") == [
        ("things", "sales.items")
    ]


def test_dropped_trigger_is_created_at_once(things: Session) -> None:
    things.run("select cacheaside.watch('things')")
    [(trigger,)] = things.run(
        "select tgname from pg_trigger where tgrelid = 'things'::regclass and tgname like '%insert%'"
    )
    things.run(f"drop trigger {trigger} on things")
    assert things.changes("insert into things values (1)") == ["things:1"]


def test_name_that_is_not_watched_cannot_be_unwatched(things: Session) -> None:
    with pytest.raises(psycopg2.errors.RaiseException, match="cannot unwatch thigns: it is not watched"):
        things.run("select cacheaside.unwatch('thigns')")


def test_partition_is_not_unwatched_alone(things: Session) -> None:
    things.run("select cacheaside.watch('parts')")
    with pytest.raises(psycopg2.errors.RaiseException, match="it is a partition\nHINT:  Unwatch parts"):
        things.run("select cacheaside.unwatch('parts_low')")
    assert things.changes("insert into parts_low values (1)") == ["parts:1"]


def test_shop_is_watched(session: Session) -> None:
    watched = session.run("select tag, complete from cacheaside.watched order by 1")
    assert watched == [(table, True) for table in ("customers", "order_items", "orders", "products")]


REFUSED = {
    "partition": ("parts_low", "it is a partition: watch parts with all of its partitions"),
    "foreign table": ("far", "its rows, or some of them, are stored elsewhere"),
    "partly foreign table": ("partly_far", "its rows, or some of them, are stored elsewhere"),
    "sequence": ("a_sequence", "its rows, or some of them, are stored elsewhere"),
    "unlogged table": ("unlogged", "it is not a permanent table"),
    "partly unlogged table": ("partly_unlogged", "it is not a permanent table"),
    "temporary table": ("temporary", "it is not a permanent table"),
    "subscribed table": ("subscribed", "a subscription writes to it"),
    "the outbox": ("cacheaside.outbox", "it is a system table"),
    "the catalogue": ("pg_class", "it is a system table"),
}


@pytest.mark.parametrize(("relation", "reason"), REFUSED.values(), ids=REFUSED)
def test_table_whose_changes_could_go_unrecorded_is_refused(things: Session, relation: str, reason: str) -> None:
    refused = f"""
        create foreign data wrapper nowhere; create server nowhere foreign data wrapper nowhere;
        create foreign table far (id bigint) server nowhere;
        create table partly_far (id bigint) partition by list (id);
        create foreign table partly_far_1 partition of partly_far for values in (1) server nowhere;
        create sequence a_sequence;
        create unlogged table unlogged (id bigint primary key);
        create table partly_unlogged (id bigint) partition by list (id);
        create unlogged table partly_unlogged_1 partition of partly_unlogged for values in (1);
        create temporary table temporary (id bigint primary key);
        create table subscribed (id bigint primary key);
        create subscription nobody connection '' publication nobody with (connect = false);
        insert into pg_subscription_rel select oid, 'subscribed'::regclass, 'r', null from pg_subscription;
        select cacheaside.watch('{relation}')
    """
    with pytest.raises(psycopg2.errors.RaiseException) as caught:
        things.run(refused)
    assert f"cannot watch {relation}: {reason}" in str(caught.value)


def test_second_watch_waits_for_neither_readers_nor_writers(things: Session) -> None:
    things.run("select cacheaside.watch('things'), cacheaside.watch('parts')")
    with closing(things.another()) as writer:
        writer.run("begin; insert into things values (1); insert into parts values (1)")
        things.run("set lock_timeout = '20s'")
        things.run("select cacheaside.watch('things'), cacheaside.watch('parts')")
        things.run("create table parts_high (id bigint primary key)")
        things.run("alter table parts attach partition parts_high for values from (10) to (20)")
        assert things.notices == ""
        writer.run("commit")
    assert things.changes("insert into parts_high values (10)") == ["parts:10"]


@pytest.mark.parametrize("before", ["select", "select cacheaside.watch('things')"])
def test_watching_at_once_leaves_one_set_of_triggers(things: Session, before: str) -> None:
    things.run(before)
    with closing(things.another()) as first, closing(things.another()) as second:
        first.run("begin; select cacheaside.watch('things')")
        with ThreadPoolExecutor() as pool:
            waits = pool.submit(second.run, "select cacheaside.watch('things')")
            assert not wait([waits], timeout=0.3).done
            first.run("commit")
            assert waits.result() == [("things",)]
    assert things.run("select tag, complete from cacheaside.watched where tag = 'things'") == [("things", True)]
    assert things.run("select count(*) from cacheaside.recorders where 'things' = any(tags)") == [(1,)]


def test_hundreds_of_partitions_are_watched_at_once(things: Session) -> None:
    things.run(
        """do $$ begin for i in 10..309 loop
               execute format('create table parts_%s partition of parts for values from (%s) to (%s)', i, i, i + 1);
           end loop; end $$"""
    )
    things.run("set statement_timeout = '10s'")  # it takes 0.2 s
    things.run("select cacheaside.watch('parts')")
    assert things.changes("insert into parts_100 values (100)") == ["parts:100"]


def test_first_watch_waits_for_a_writer_and_records_the_table(things: Session) -> None:
    with closing(things.another()) as writer, closing(things.another()) as watcher, ThreadPoolExecutor() as pool:
        writer.run("begin; insert into things values (1)")
        waits = pool.submit(watcher.run, "select cacheaside.watch('things')")
        assert not wait([waits], timeout=0.3).done
        writer.run("commit")
        waits.result()
    assert things.run("select count(*) from cacheaside.outbox where change = 'things'") == [(1,)]


def test_restored_dump_is_watched(things: Session, postgres: PostgresServer, sql: Callable[..., Any]) -> None:
    things.run("create type mood as enum ('fine'); create table moods (id mood primary key)")
    things.run("select cacheaside.watch('moods'), cacheaside.watch('parts')")
    dump = subprocess.run(
        [postgres.programs / "pg_dump", things.url], capture_output=True, text=True, check=True
    ).stdout
    sql("create database restored")
    try:
        with closing(Session(postgres, "restored")) as restored:
            restored.psql(dump)
            assert restored.changes("insert into moods values ('fine')", "truncate parts") == ["moods:fine", "parts"]
            assert restored.run("select count(*), bool_and(complete) from cacheaside.watched") == [(6, True)]
            assert "moods" in restored.changes("alter table moods rename to feelings")
            assert restored.run("select cacheaside.watch('things')") == [("things",)]
    finally:
        sql("drop database restored with (force)")


@pytest.fixture
def stranger(things: Session, sql: Callable[..., Any]) -> Iterator[Session]:
    """A role that owns a schema and has no rights in ours."""
    sql("create role stranger_with_schema login")
    things.run("create schema mine authorization stranger_with_schema")
    with closing(things.another("stranger_with_schema")) as stranger:
        yield stranger
    things.run("drop schema mine cascade")
    sql("drop role stranger_with_schema")


DDL = [
    "create table mine.items (id bigint primary key)",
    "create temporary table items (id bigint primary key)",
    "alter table mine.items rename to goods",
    "create materialized view mine.totals as select count(*) as n from mine.goods",
    "refresh materialized view mine.totals",
    "drop materialized view mine.totals",
    "drop table mine.goods, items",
]


def test_ddl_of_a_role_without_rights_succeeds(stranger: Session, things: Session) -> None:
    for statement in DDL:
        stranger.run(statement)
    assert stranger.notices == ""


def test_ddl_succeeds_even_if_the_event_trigger_fails(stranger: Session, things: Session) -> None:
    things.run("select cacheaside.watch('things')")
    things.run("alter function cacheaside.is_relevant rename to gone")
    things.run("truncate cacheaside.unfollowed")  # our own change was not followed either
    for statement in DDL:
        stranger.run(statement)
    assert stranger.notices.count("WARNING:  cacheaside could not follow this change") == 4
    assert things.run("select count(*) from cacheaside.outbox where change = 'things'") != [(0,)]
    assert things.run("select count(*) from cacheaside.unfollowed") == [(4,)]  # commands record what they write
    things.run("alter function cacheaside.gone rename to is_relevant; select cacheaside.follow()")
    assert things.run("select count(*) from cacheaside.unfollowed") == [(0,)]


@pytest.mark.parametrize("function", ["watch", "unwatch", "record"])
def test_roles_of_the_functions_cannot_watch(things: Session, function: str) -> None:
    things.run("select cacheaside.watch('things')")
    before = things.run(TRACES)
    for role in ("cacheaside_query", "cacheaside_command", "cacheaside_invalidate"):
        with closing(things.another(role)) as session:
            session.run("set default_transaction_read_only = off")
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                session.run(f"select cacheaside.{function}('things')")
        called = f"select bool_or(has_function_privilege('{role}', recorder, 'execute')) from cacheaside.recorders"
        assert things.run(called) == [(False,)]
    assert things.run(TRACES) == before


def test_owner_who_is_not_superuser_gets_a_notice_instead_of_event_triggers(
    postgres: PostgresServer, sql: Callable[..., Any]
) -> None:
    sql("create role landlord login createrole")
    sql("grant cacheaside_query, cacheaside_command, cacheaside_invalidate to landlord with admin option")
    sql("create database rented owner landlord")
    try:
        with closing(psycopg2.connect(postgres.url_for("landlord", "rented"))) as connection:
            upgrade(connection)
            assert any(
                "no event triggers: changes of the schema are followed by the next sweep" in notice
                for notice in connection.notices
            )
        with closing(Session(postgres, "rented", "landlord")) as landlord:
            insert = "insert into products (sku, name, category, price) values ('{}', '', '', 1)"
            assert landlord.changes(insert.format("a")) == ["products:1"]
            landlord.run("alter table products rename id to number")
            assert landlord.changes(insert.format("b")) == ["products"]
            landlord.run("select cacheaside.follow()")
            assert landlord.changes(insert.format("c")) == ["products"]
            landlord.run("select cacheaside.unwatch('products')")
            assert landlord.changes(insert.format("d")) == []
    finally:
        sql("drop database rented with (force)")
        sql("drop role landlord")
