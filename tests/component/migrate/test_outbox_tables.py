"""Partitions, and watched tables that are altered: every change is recorded, and no writer fails."""

from __future__ import annotations

import pytest

from tests.component.support.session import Session

PARTS = """
    create table parts (id bigint, country text, value text, primary key (id, country)) partition by list (country);
    create table parts_de partition of parts for values in ('DE');
    create table parts_other partition of parts default partition by range (id);
    create table parts_other_low partition of parts_other for values from (0) to (100);
    insert into parts values (1, 'DE'), (2, 'FR');
    select cacheaside.watch('parts');
"""
THINGS = """
    create table things (id bigint primary key, value text);
    insert into things values (1);
    select cacheaside.watch('things');
"""


@pytest.fixture
def parts(session: Session) -> Session:
    session.run(PARTS)
    return session


@pytest.mark.parametrize(
    ("statement", "changes"),
    [
        ("insert into parts values (3, 'DE'), (4, 'GB')", ["parts:3,DE", "parts:4,GB"]),
        ("insert into parts_de values (3, 'DE')", ["parts:3,DE"]),
        ("insert into parts_other values (4, 'GB')", ["parts:4,GB"]),
        ("insert into parts_other_low values (4, 'GB')", ["parts:4,GB"]),
        ("update parts set value = 'x'", ["parts:1,DE", "parts:2,FR"]),
        ("update parts_de set value = 'x'", ["parts:1,DE"]),
        ("update parts set country = 'FR' where id = 1", ["parts:1,DE", "parts:1,FR"]),  # moves to another partition
        ("delete from parts", ["parts:1,DE", "parts:2,FR"]),
        ("delete from parts_other_low", ["parts:2,FR"]),
        ("truncate parts", ["parts"]),
        ("truncate parts_de", ["parts"]),
        ("create table parts_fr (value text, country text not null, id bigint not null)", []),
        ("create table parts_gb partition of parts for values in ('GB')", ["parts"]),
        ("alter table parts detach partition parts_de", ["parts"]),
        ("alter table parts detach partition parts_other", ["parts"]),
        ("drop table parts_de", ["parts"]),
        ("drop table parts_other_low", ["parts"]),
        ("drop table parts", ["parts"]),
    ],
)
def test_partitions_are_the_table(parts: Session, statement: str, changes: list[str]) -> None:
    assert parts.changes(statement) == changes
    assert parts.notices == ""


def test_partition_has_the_tag_of_its_table(parts: Session) -> None:
    assert parts.run("select cacheaside.tag('parts_other_low'), cacheaside.tag('customers')") == [
        ("parts", "customers")
    ]


def test_partition_that_is_detached_while_others_read(parts: Session) -> None:
    parts.run("drop table parts_other")  # a default partition rules it out
    parts.run("alter table parts detach partition parts_de concurrently")
    # Queries may read it directly. They were deployed with the tag of the whole table.
    assert parts.changes("insert into parts_de values (3, 'DE')") == ["parts"]
    assert parts.run("select relation::text, complete from cacheaside.watched where tag = 'parts'") == [("parts", True)]


def test_partition_that_comes_later_is_watched(parts: Session) -> None:
    parts.run("create table parts_gb partition of parts for values in ('GB')")
    assert parts.changes("insert into parts_gb values (3, 'GB')") == ["parts:3,GB"]
    parts.run("create table parts_fr (value text, country text, id bigint, primary key (id, country))")
    parts.run(
        "delete from parts where country = 'FR'; alter table parts attach partition parts_fr for values in ('FR')"
    )
    assert parts.changes("insert into parts_fr values ('x', 'FR', 5)") == ["parts:5,FR"]
    assert parts.changes("update parts set value = 'y' where id = 5") == ["parts:5,FR"]
    assert parts.changes("truncate parts_fr") == ["parts"]


def test_watched_table_that_becomes_a_partition_is_recorded_under_both_names(parts: Session) -> None:
    parts.run("create table parts_gb (like parts including all); select cacheaside.watch('parts_gb')")
    assert parts.changes("alter table parts attach partition parts_gb for values in ('GB')") == ["parts", "parts_gb"]
    assert parts.changes("insert into parts_gb values (3, 'GB')") == ["parts:3,GB", "parts_gb"]


def test_watched_table_that_becomes_a_partition_of_an_unwatched_one_is_recorded(session: Session) -> None:
    session.run(
        """create table parts (id bigint primary key) partition by list (id);
           create table parts_1 (id bigint primary key);
           select cacheaside.watch('parts_1');
           alter table parts attach partition parts_1 for values in (1)"""
    )
    assert session.run("select complete from cacheaside.watched where tag = 'parts_1'") == [(True,)]
    assert session.changes("insert into parts values (1)") == ["parts_1"]
    assert session.changes("delete from parts_1") == ["parts_1"]


def test_detached_partition_is_recorded_until_no_deployed_query_can_read_it(parts: Session) -> None:
    parts.run("alter table parts detach partition parts_other")
    write = "insert into parts_other values (4, 'GB')"
    assert parts.changes(write, "truncate parts_other_low") == ["parts", "parts"]
    assert parts.changes("insert into parts values (4, 'DE')", "truncate parts_de") == ["parts", "parts:4,DE"]
    parts.run("select cacheaside.declare('{parts}')")
    assert parts.changes(write) == ["parts"]  # the former code of the functions may still run
    parts.run("update cacheaside.sources set valid_until = now() where valid_until < 'infinity'")
    parts.run("select cacheaside.follow()")
    assert parts.changes("insert into parts_other values (5, 'GB')", "truncate parts_other_low") == []
    triggers = "select from pg_trigger where tgrelid = any (array['parts_other', 'parts_other_low']::regclass[])"
    assert parts.run(triggers) == []


def test_unlogged_partition_takes_the_answers_out_and_is_reported(parts: Session) -> None:
    assert parts.changes("create unlogged table parts_gb partition of parts for values in ('GB')") == ["parts"]
    assert "changes of parts could go unrecorded: public.parts_gb: it is not a permanent table" in parts.notices
    assert parts.run("select complete from cacheaside.watched where tag = 'parts'") == [(False,)]


def test_table_that_inherits_later_is_recorded_under_the_name_of_its_parent(session: Session) -> None:
    session.run(THINGS)
    assert session.changes("create table more_things () inherits (things)") == ["things"]
    assert session.changes("insert into more_things values (7)") == ["things"]
    assert session.changes("update things set value = 'x' where id = 1") == ["things:1"]
    assert session.changes("alter table more_things no inherit things") == ["things"]
    assert session.run("select complete from cacheaside.watched where tag = 'things'") == [(True,)]


# The statement that alters, a write after it, and the changes that this write records.
ALTERATIONS = {
    "name of a key column": (
        "alter table things rename id to nr",
        "update things set nr = 7",
        ["things"],
    ),
    "type": ("alter table things alter id type text", "insert into things values ('a b')", ["things"]),
    "type without names": ("alter table things alter id type numeric", "insert into things values (7)", ["things"]),
    "view in its place": (
        "begin; alter table things rename to items; create view things as select * from items; commit",
        "insert into items values (7)",
        ["things"],
    ),
    "no key": ("alter table things drop constraint things_pkey", "insert into things values (7)", ["things"]),
    "key that is dropped": ("alter table things drop id", "insert into things values ('x')", ["things"]),
    "key of another column": (
        "alter table things drop constraint things_pkey; alter table things add code text primary key default 'a'",
        "insert into things values (7, 'x', 'b')",
        ["things"],
    ),
    "key that has the name of another column": (
        "alter table things drop id; alter table things rename value to id; alter table things add primary key (id)",
        "insert into things values ('y')",
        ["things"],
    ),
    "column": ("alter table things add code text", "insert into things values (7)", ["things:7"]),
    "triggers off": ("alter table things disable trigger all", "insert into things values (7)", ["things:7"]),
    "table in its place": (
        """create table fresh (id bigint primary key);
           begin; alter table things rename to old; alter table fresh rename to things; commit""",
        "insert into things values (7)",
        ["things:7"],
    ),
}


@pytest.fixture
def things(session: Session) -> Session:
    session.run(f"create schema other; {THINGS}")
    # This session has called the recorder, so it keeps the plans of its statements.
    session.run("update things set value = 'x'")
    return session


@pytest.mark.parametrize(("altered", "write", "changes"), ALTERATIONS.values(), ids=ALTERATIONS)
def test_triggers_follow_a_table_that_is_altered(things: Session, altered: str, write: str, changes: list[str]) -> None:
    things.run(altered)
    assert things.changes(write) == changes
    assert things.run("select bool_and(complete) from cacheaside.watched") == [(True,)]
    assert things.notices == ""


@pytest.mark.parametrize(("altered", "write", "changes"), ALTERATIONS.values(), ids=ALTERATIONS)
def test_without_event_triggers_no_writer_fails_and_following_is_enough(
    things: Session, altered: str, write: str, changes: list[str]
) -> None:
    things.run("drop event trigger cacheaside_follow_schema")
    things.run(altered)
    things.run(f"begin; {write}; rollback")
    things.run("select cacheaside.follow()")
    assert things.changes(write) == changes
    assert things.run("select bool_and(complete) from cacheaside.watched") == [(True,)]


@pytest.mark.parametrize(
    ("altered", "write", "changes"),
    [
        ("alter table things rename id to nr", "update things set nr = 7", ["things"]),
        ("alter table things alter id type text", "update things set id = 'a'", ["things"]),
        ("alter table days alter id type text", "insert into days values ('today')", ["days"]),
        ("alter table moods alter id type text", "insert into moods values ('mixed')", ["moods"]),
        ("alter type mood rename to state", "insert into moods values ('fine')", ["moods"]),
        ("drop type mood cascade", "insert into moods values ('x')", ["moods"]),
    ],
)
def test_key_that_changed_without_event_trigger_stands_for_the_table(
    things: Session, altered: str, write: str, changes: list[str]
) -> None:
    things.run(
        """create type mood as enum ('fine');
           create table moods (id mood primary key, value text);
           create table days (id date primary key);
           select cacheaside.watch('moods'), cacheaside.watch('days');
           insert into moods values ('fine'); delete from moods;
           drop event trigger cacheaside_follow_schema"""
    )
    things.run(altered)
    assert things.changes(write) == changes


def test_disabled_trigger_is_reported_where_there_are_no_event_triggers(things: Session) -> None:
    things.run("drop event trigger cacheaside_follow_schema; alter table things disable trigger user")
    assert things.changes("update things set value = 'x'") == []
    complete = "select complete from cacheaside.watched where relation = 'things'::regclass"
    assert things.run(complete) == [(False,)]
    things.run("select cacheaside.watch('things')")
    assert things.run(complete) == [(True,)]


def test_dropped_table_is_recorded_and_so_is_the_next_one_of_its_name(things: Session) -> None:
    assert things.changes("drop table things; create table things (id bigint primary key)") == ["things"]
    assert things.changes("insert into things values (7)") == ["things:7"]


@pytest.mark.parametrize("given_up", ["rename to items", "set schema other"])
def test_name_that_was_given_up_stands_for_nothing(things: Session, given_up: str) -> None:
    assert things.changes(f"alter table things {given_up}") == ["things"]
    assert things.run("select relation, complete from cacheaside.watched where tag = 'things'") == [(None, True)]
    assert (
        things.run("select from pg_trigger join cacheaside.recorders on recorder = tgfoid where 'things' = any(tags)")
        == []
    )


@pytest.mark.parametrize("statement", ["drop schema other cascade", "drop table other.things"])
def test_table_that_is_dropped_with_its_schema_is_recorded(things: Session, statement: str) -> None:
    things.run("alter table things set schema other; select cacheaside.watch('other.things')")
    assert things.changes(statement) == ["other.things"]


def test_altering_and_dropping_other_tables_records_nothing(parts: Session) -> None:
    parts.run(
        """create table mine (id bigint primary key);
           create function mine() returns trigger language plpgsql as $$ begin return null; end $$;
           create trigger mine after insert on mine execute function mine()"""
    )
    assert parts.changes("alter table mine add x int", "create temporary table t ()", "drop table mine, t") == []


def test_changes_of_the_schema_that_are_replicated_are_followed(parts: Session) -> None:
    parts.run("set session_replication_role = replica")
    assert parts.changes("drop table parts_de") == ["parts"]
    assert parts.changes("alter table parts rename to pieces") == ["parts"]


@pytest.mark.parametrize(
    "refresh", ["refresh materialized view totals", "refresh materialized view concurrently totals"]
)
def test_refresh_of_a_materialized_view_is_recorded(things: Session, refresh: str) -> None:
    things.run("create materialized view totals as select count(*) as n from things; create unique index on totals (n)")
    assert things.changes(refresh) == ["totals"]


@pytest.mark.parametrize(
    "swap",
    [
        "alter materialized view totals rename to former; alter materialized view fresh rename to totals",
        "alter table totals rename to former; alter table fresh rename to totals",
        "drop materialized view totals; create materialized view totals as select 1 as n",
    ],
)
def test_swap_of_materialized_views_is_recorded(things: Session, swap: str) -> None:
    things.run("create materialized view totals as select 1 as n; create materialized view fresh as select 2 as n")
    assert "totals" in things.changes(swap)


@pytest.mark.parametrize(
    "change",
    [
        "alter table things set unlogged",
        # The row of a subscription. A real one needs a second server, and only this row is read.
        "insert into pg_subscription_rel (srsubid, srrelid, srsubstate) values (1, 'things'::regclass, 'r')",
    ],
)
def test_table_whose_changes_fire_no_trigger_any_more_is_not_complete(things: Session, change: str) -> None:
    complete = "select complete from cacheaside.watched where relation = 'things'::regclass"
    assert things.run(complete) == [(True,)]
    things.run(f"set allow_system_table_mods = on; {change}")
    assert things.run(complete) == [(False,)]


def test_schema_change_that_is_rolled_back_leaves_nothing(things: Session) -> None:
    assert things.changes("begin; alter table things rename to items; drop table items; rollback") == []
    assert things.changes("update things set value = 'y'") == ["things:1"]
