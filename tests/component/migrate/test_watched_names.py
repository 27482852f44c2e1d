"""A watched name goes on being recorded, whatever takes it: nobody has to call `watch` again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from local.servers.postgres import PostgresServer
from migrate.upgrade import upgrade
from tests.component.support.session import Session

THINGS = """
    create table things (id bigint primary key, value text);
    insert into things values (1, 'a'), (2, 'b');
    create table others (id bigint primary key, value text);
    insert into others values (1, 'a');
    select cacheaside.watch('things');
"""
NEW_TABLE = "create table things_new (like things including all); insert into things_new select * from things"
NO_EVENT_TRIGGERS = "drop event trigger cacheaside_follow_schema; drop event trigger cacheaside_follow_drop"
UPDATE = "update things set value = 'x' where id = 1"


@pytest.fixture
def things(session: Session) -> Session:
    session.run(THINGS)
    return session


SWAPS = {
    "drop and rename": "begin; drop table things; alter table things_new rename to things; commit",
    "two renames": "begin; alter table things rename to things_old; alter table things_new rename to things; commit",
    "schema": """create schema fresh; create schema old; alter table things_new set schema fresh;
                 alter table fresh.things_new rename to things;
                 begin; alter table things set schema old; alter table fresh.things set schema public; commit""",
    "renamed schema": """create schema fresh; alter table things_new set schema fresh;
                         alter table fresh.things_new rename to things; grant usage on schema fresh to public;
                         alter schema public rename to old; alter schema fresh rename to public""",
    "drop and create": "drop table things; create table things as select * from things_new; "
    "alter table things add primary key (id)",
    "into a former name": "alter table things rename to gone; drop table gone; alter table things_new rename to things",
}


@pytest.mark.parametrize("swap", SWAPS.values(), ids=SWAPS)
def test_table_that_takes_the_name_is_recorded(things: Session, swap: str) -> None:
    things.run(NEW_TABLE)
    assert "things" in things.changes(swap)
    assert things.changes(UPDATE) == ["things:1"]
    assert things.notices == ""


def test_table_is_recorded_after_every_nightly_swap(things: Session) -> None:
    for _ in range(3):
        things.run(NEW_TABLE)
        assert things.changes(SWAPS["drop and rename"]) == ["things"]
        assert things.changes(UPDATE) == ["things:1"]


@pytest.mark.parametrize("write", ["update items set value = 'x' where id = 1", UPDATE, "truncate items"])
def test_view_in_the_place_of_its_table_is_recorded_under_the_former_name(things: Session, write: str) -> None:
    things.run("begin; alter table things rename to items; create view things as select * from items; commit")
    assert "things" in things.changes(write)
    things.run("insert into items values (1) on conflict do nothing")
    things.run("begin; drop view things; alter table items rename to things; commit")
    assert things.changes(UPDATE) == ["things:1"]
    assert things.notices == ""


def test_name_that_nothing_has_for_a_while_is_recorded_when_it_is_taken(things: Session) -> None:
    things.run("drop table things")
    assert things.changes("create table things (id bigint primary key, value text)") == ["things"]
    assert things.changes("insert into things values (7)") == ["things:7"]


def test_type_that_is_dropped_with_a_column_of_a_watched_table_is_recorded(things: Session) -> None:
    things.run("create type dims as (width integer); alter table things add size dims default '(1)'")
    assert things.changes("drop type dims cascade") == ["things"]


def test_dump_of_a_watched_table_is_restored_over_it(things: Session, postgres: PostgresServer) -> None:
    dump = [postgres.programs / "pg_dump", "--clean", "--if-exists", "--table", "things", things.url]
    dumped = subprocess.run(dump, capture_output=True, text=True, check=True).stdout
    things.run(f"{UPDATE}; delete from cacheaside.outbox")
    restore = [postgres.programs / "psql", "-qX1", "-v", "ON_ERROR_STOP=1", things.url]
    restored = subprocess.run(restore, input=dumped, env=os.environ, capture_output=True, text=True, check=False)
    assert (restored.returncode, restored.stderr) == (0, "")
    assert ("things",) in things.run("select change from cacheaside.outbox")
    assert things.changes(UPDATE) == ["things:1"]


def test_table_that_becomes_unlogged_is_recorded(things: Session) -> None:
    assert "things" in things.changes("alter table things set unlogged")


@pytest.mark.parametrize("inherit", ["create table child () inherits (things)", "alter table others inherit things"])
def test_table_that_gets_a_child_is_recorded_with_it(things: Session, inherit: str) -> None:
    assert "things" in things.changes(inherit)
    child = "child" if "child" in inherit else "others"
    assert things.changes(f"insert into {child} values (8)") != []


PARTS = """
    create table parts (id bigint, country text, primary key (id, country)) partition by list (country);
    select cacheaside.watch('parts');
    create table parts_de (id bigint, country text, primary key (id, country)) partition by range (id);
    create table parts_de_low partition of parts_de for values from (0) to (100);
    create table parts_de_high (id bigint, country text, primary key (id, country));
    insert into parts_de values (1, 'DE')
"""
ATTACH = "alter table parts attach partition parts_de for values in ('DE')"


def test_sub_partitioned_table_that_is_attached_is_recorded(session: Session) -> None:
    session.run(PARTS)
    assert session.changes(ATTACH) == ["parts"]
    assert session.changes("insert into parts_de_low values (2, 'DE')") == ["parts:2,DE"]
    session.run("alter table parts_de attach partition parts_de_high for values from (100) to (200)")
    assert session.changes("insert into parts_de_high values (150, 'DE')") == ["parts:150,DE"]
    assert session.notices == ""


def test_without_event_triggers_a_sub_partitioned_table_is_recorded_after_the_sweep(session: Session) -> None:
    session.run(f"{PARTS}; {NO_EVENT_TRIGGERS}; {ATTACH}; insert into parts_de_low values (2, 'DE')")
    assert session.changes("select cacheaside.follow()") == ["parts"]
    assert session.changes("insert into parts_de_low values (3, 'DE')") == ["parts:3,DE"]


VIEW = "create view cheap as select id, value from things"
REPLACED = {
    "replaced": "create or replace view cheap as select id, value from things where id > 1",
    "reads another table": "create or replace view cheap as select id, value from others",
    "dropped": "drop view cheap",
    "dropped and created": "begin; drop view cheap; create view cheap as select id, value from others; commit",
    "renamed": "alter view cheap rename to dear",
    "moved": "create schema other; alter view cheap set schema other",
    "renamed column": "alter view cheap rename value to price",
}


@pytest.mark.parametrize("change", REPLACED.values(), ids=REPLACED)
def test_view_that_reads_a_watched_table_is_recorded_when_it_changes(things: Session, change: str) -> None:
    things.run(VIEW)
    assert "things" in things.changes(change)


@pytest.mark.parametrize("change", ["reads another table", "dropped and created"])
def test_table_that_a_replaced_view_reads_is_recorded_under_a_tag_of_deployed_queries(
    things: Session, change: str
) -> None:
    things.run(f"{VIEW}; {REPLACED[change]}")
    assert "things" in things.changes("update others set value = 'x'")


WITHOUT_EVENT_TRIGGERS = {
    "swap": (f"drop view cheap; {NEW_TABLE}; {SWAPS['drop and rename']}", UPDATE),
    "view in its place": (
        "drop view cheap; alter table things rename to items; create view things as select * from items",
        UPDATE,
    ),
    "replaced view": (REPLACED["reads another table"], "update others set value = 'x'"),
    "child": ("alter table others inherit things", "update others set value = 'x'"),
}


@pytest.mark.parametrize(("change", "write"), WITHOUT_EVENT_TRIGGERS.values(), ids=WITHOUT_EVENT_TRIGGERS)
def test_without_event_triggers_the_sweep_follows(things: Session, change: str, write: str) -> None:
    things.run(f"{VIEW}; {NO_EVENT_TRIGGERS}")
    things.run(change)
    things.run("delete from cacheaside.outbox")
    with closing(things.another("cacheaside_invalidate")) as sweep:
        sweep.run("select cacheaside.follow()")
    assert ("things",) in things.run("select change from cacheaside.outbox")
    assert set(things.changes(write)) & {"things", "things:1"}


@pytest.fixture
def landlord(postgres: PostgresServer, sql: Callable[..., Any]) -> Iterator[Session]:
    """The owner of a database with event triggers, who is no superuser: as on RDS."""
    sql("create role landlord_of_names superuser login")
    sql("create role tenant_of_names login")
    sql("create database rented_names owner landlord_of_names")
    try:
        with closing(psycopg2.connect(postgres.url_for("landlord_of_names", "rented_names"))) as connection:
            upgrade(connection)
        sql("alter role landlord_of_names nosuperuser")
        with closing(Session(postgres, "rented_names", "landlord_of_names")) as landlord:
            landlord.run(f"{THINGS}; grant create on schema public to tenant_of_names")
            yield landlord
    finally:
        sql("drop database rented_names with (force)")
        sql("drop role landlord_of_names, tenant_of_names")


def test_table_of_another_role_that_takes_the_name_is_reported_to_the_one_who_alters(landlord: Session) -> None:
    with closing(landlord.another("tenant_of_names")) as tenant:
        landlord.run("drop table things")
        tenant.run("create table things (id bigint primary key, value text)")
        assert "WARNING" in tenant.notices
    [(problem,)] = landlord.run("select problem from cacheaside.names where tag = 'things'")
    assert problem


def test_names_watched_in_one_call_are_all_recorded(session: Session) -> None:
    session.run("create table a (id bigint primary key); create table b (id bigint primary key)")
    assert session.run("select cacheaside.watch('b', 'a', 'b')") == [("a, b",)]
    assert session.changes("insert into a values (1); insert into b values (2)") == ["a:1", "b:2"]
    session.run("create unlogged table c (id bigint); create table d (id bigint)")
    with pytest.raises(psycopg2.Error, match="cannot watch c: it is not a permanent table"):
        session.run("select cacheaside.watch('d', 'c')")
    assert session.run("select tag from cacheaside.names where tag in ('c', 'd')") == []


def test_names_are_looked_up_once_each_and_not_for_one_another(session: Session) -> None:
    names = [f"many{number}" for number in range(40)]
    session.run("; ".join(f"create table {name} (id bigint)" for name in names))
    listed = ", ".join(f"'{name}'" for name in names)
    session.run(f"begin; set local track_functions = 'all'; select cacheaside.watch({listed})")
    calls = session.run("select max(calls) from pg_stat_xact_user_functions where schemaname = 'cacheaside'")
    session.run("rollback")
    assert calls[0][0] < 40 * 40
