"""Which changes a statement records in the outbox: a table of statements, and one of primary keys."""

from __future__ import annotations

import pytest

from tests.component.support.session import Session

THINGS = """
    create table things (id bigint primary key, value text, parent bigint references things on delete cascade);
    insert into things (id, parent) values (1, null), (2, null), (3, null), (4, 3), (5, 4);
    select cacheaside.watch('things');
"""

STATEMENTS = {
    "insert": ("insert into things values (7), (8)", ["things:7", "things:8"]),
    "update": ("update things set value = 'x' where id < 3", ["things:1", "things:2"]),
    "update of what stays the same": ("update things set id = id where id = 1", ["things:1"]),
    "update of a key: the old row and the new one": ("update things set id = 9 where id = 1", ["things:1", "things:9"]),
    "delete": ("delete from things where id = 1", ["things:1"]),
    "truncate": ("truncate things", ["things"]),
    "truncate of an empty table": ("truncate things; truncate things", ["things"]),
    "insert of no row": ("insert into things select 7 where false", []),
    "update of no row": ("update things set value = 'x' where id = 404", []),
    "delete of no row": ("delete from things where id = 404", []),
    "upsert": (
        "insert into things values (1), (7) on conflict (id) do update set value = 'x'",
        ["things:1", "things:7"],
    ),
    "upsert that does nothing": ("insert into things values (1) on conflict do nothing", []),
    "merge": (
        """merge into things using (values (1, 'delete'), (2, 'update'), (7, 'insert')) as given (id, action)
               on things.id = given.id
           when matched and action = 'delete' then delete
           when matched then update set value = action
           when not matched then insert (id) values (given.id)""",
        ["things:1", "things:2", "things:7"],
    ),
    "writing cte": (
        "with gone as (delete from things where id = 1 returning id) insert into things select id + 10 from gone",
        ["things:1", "things:11"],
    ),
    "two parts of one statement": (
        "with a as (update things set value = 'x' where id = 1) update things set value = 'x' where id = 2",
        ["things:1", "things:2"],
    ),
    "function": (
        "do $$ begin for each in 1..2 loop update things set value = 'x' where id = each; end loop; end $$",
        ["things:1", "things:2"],
    ),
    "foreign key that cascades": ("delete from things where id = 3", ["things:3", "things:4", "things:5"]),
    "as many rows as are listed": ("insert into things select generate_series(1001, 1100)", 100),
    "one row more": ("insert into things select generate_series(1001, 1101)", ["things"]),
    "update of as many rows as are listed": (
        "insert into things select generate_series(1001, 1095); update things set value = 'x'",
        100,
    ),
    "update of one row more": (
        "insert into things select generate_series(1001, 1096); update things set value = 'x'",
        ["things", *(f"things:{number}" for number in range(1001, 1097))],
    ),
    "update of the keys of as many rows": (
        "insert into things select generate_series(1001, 1095); update things set id = id + 10000, parent = null",
        200,
    ),
    "100,000 rows": (
        """insert into things select generate_series(1001, 101000);
           update things set value = 'x'""",
        ["things"],
    ),
    "same row twice": (
        "update things set value = 'x' where id = 1; update things set value = 'y' where id = 1",
        ["things:1"],
    ),
    "row that comes back": ("delete from things where id = 1; insert into things values (1)", ["things:1"]),
    "transaction that is rolled back": ("begin; update things set value = 'x'; rollback", []),
    "savepoint that is rolled back": (
        """begin; update things set value = 'x' where id = 1; savepoint a; update things set value = 'x' where id = 2;
           rollback to a; update things set value = 'x' where id = 3; commit""",
        ["things:1", "things:3"],
    ),
    "row that is changed again after its savepoint was rolled back": (
        """begin; savepoint a; update things set value = 'x' where id = 1; rollback to a;
           update things set value = 'x' where id = 1; commit""",
        ["things:1"],
    ),
    "error that is caught": (
        """do $$ begin
               update things set value = 'x' where id = 1;
               begin update things set value = 'x'; raise 'no'; exception when others then null; end;
           end $$""",
        ["things:1"],
    ),
    "serializable": (
        """begin isolation level serializable; update things set value = 'x' where id = 1;
           update things set value = 'y' where id = 1; commit""",
        ["things:1"],
    ),
    "session that switches triggers off": (
        "set session_replication_role = replica; update things set value = 'x' where id = 1; truncate things cascade",
        ["things", "things:1"],
    ),
}


@pytest.mark.parametrize(("statement", "changes"), STATEMENTS.values(), ids=STATEMENTS)
def test_statement_records_its_changes(session: Session, statement: str, changes: list[str] | int) -> None:
    session.run(THINGS)
    found = session.changes(statement)
    assert (len(found) if isinstance(changes, int) else found) == changes


def test_each_transaction_records_its_own_rows(session: Session) -> None:
    session.run(THINGS)
    touch = "update things set value = 'x' where id = 1"
    assert session.changes(touch, touch) == ["things:1", "things:1"]
    assert session.run("select count(distinct transaction_id), count(drained_at) from cacheaside.outbox") == [(2, 0)]


def test_copy(session: Session) -> None:
    session.run(THINGS)
    session.run("delete from cacheaside.outbox")
    session.psql("copy things (id) from stdin;\n7\n8\n\\.\n")
    assert session.run("select change from cacheaside.outbox order by 1") == [("things:7",), ("things:8",)]
    session.psql("copy things (id) from stdin;\n" + "".join(f"{number}\n" for number in range(1001, 2001)) + "\\.\n")
    assert session.run("select count(*) from cacheaside.outbox") == [(3,)]


KEYS = {
    "smallint": ("k smallint primary key", "(-7)", ["keyed:-7"]),
    "bigint": ("k bigint primary key", "(9223372036854775807)", ["keyed:9223372036854775807"]),
    "identity": ("k integer generated always as identity primary key", "(default)", ["keyed:1"]),
    "uuid": (
        "k uuid primary key",
        "('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11')",
        ["keyed:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    ),
    "text": ("k text primary key", "('Größe: 5, \"x\"')", ['keyed:Größe: 5, "x"']),
    "empty text": ("k text primary key", "('')", ["keyed:"]),
    "varchar": ("k varchar(10) primary key", "('a b')", ["keyed:a b"]),
    "boolean": ("k boolean primary key", "(true), (false)", ["keyed:false", "keyed:true"]),
    "date that the writer's time zone skips": ("k date primary key", "('2011-12-30')", ["keyed:2011-12-30"]),
    "date in any style": ("k date primary key", "('2026-01-31')", ["keyed:2026-01-31"]),
    "enum": ("k mood primary key", "('so so')", ["keyed:so so"]),
    "columns in the order of the key": ("b integer, a text, primary key (a, b)", "(7, 'x')", ["keyed:x,7"]),
    "columns beside the key": ("k integer, v text, primary key (k) include (v)", "(7, 'x')", ["keyed:7"]),
    "names that need quotes": (
        '"Order" integer, "a b" integer, primary key ("Order", "a b")',
        "(7, 8)",
        ["keyed:7,8"],
    ),
    "name that would end the function": ('"a $$ b" integer primary key', "(7)", ["keyed:7"]),
    "type that would end the function": ('k "so $$ so" primary key', "('fine')", ["keyed:fine"]),
    "names that the function has": (
        """tag text, key text, changed_rows integer, updated_rows integer, tg_op text, tg_relid integer, keys text,
           new_keys text, change text, attrelid integer, primary key (tag, key, changed_rows, updated_rows, tg_op)""",
        "('a', 'b', 2, 3, 'd')",
        ["keyed:a,b,2,3,d"],
    ),
    "as long as a name may be": ("k text primary key", f"('{'x' * 512}')", [f"keyed:{'x' * 512}"]),
    "longer": ("k text primary key", f"('{'x' * 513}')", ["keyed"]),
    "longer in bytes": ("k text primary key", f"('{'ü' * 257}')", ["keyed"]),
    "date after the last timestamp": (
        "k date primary key",
        "('300000-01-01'), ('9999-12-31')",
        ["keyed", "keyed:9999-12-31"],
    ),
    "date without end": ("k date primary key", "('infinity')", ["keyed"]),
    "numeric": ("k numeric primary key", "(1.50)", ["keyed"]),
    "timestamp": ("k timestamptz primary key", "('2026-01-31')", ["keyed"]),
    "padded": ("k char(3) primary key", "('a')", ["keyed"]),
    "domain": ("k whole primary key", "(7)", ["keyed"]),
    "array": ("k integer[] primary key", "('{7}')", ["keyed"]),
    "equal texts that are written differently": ("k text collate loose primary key", "('a')", ["keyed"]),
    "one such column of two": ("k integer, n numeric, primary key (k, n)", "(7, 1)", ["keyed"]),
    "unique, but no primary key": ("k integer unique", "(7)", ["keyed"]),
    "no key": ("k integer", "(7)", ["keyed"]),
}


@pytest.mark.parametrize(("columns", "values", "changes"), KEYS.values(), ids=KEYS)
def test_row_is_named_by_its_key_or_else_the_table(
    session: Session, columns: str, values: str, changes: list[str]
) -> None:
    session.run(
        f"""create type mood as enum ('so so');
            create type "so $$ so" as enum ('fine');
            create domain whole as integer;
            create collation loose (provider = builtin, locale = 'C');
            -- The embedded server comes without the provider that can really compare like this.
            update pg_collation set collisdeterministic = false where collname = 'loose';
            create table keyed ({columns}, touched boolean);
            select cacheaside.watch('keyed');
            set datestyle = 'SQL, DMY';
            set timezone = 'Pacific/Apia'"""
    )
    assert session.changes(f"insert into keyed values {values}") == changes
    assert session.changes("update keyed set touched = true") == changes
    assert session.changes("delete from keyed") == changes


def test_cast_of_an_enum_that_its_owner_defines_is_not_called(session: Session) -> None:
    session.run(
        """create type mood as enum ('fine');
           create table moods (mood mood primary key);
           select cacheaside.watch('moods');
           create function betray(mood) returns text language plpgsql as $$ begin raise 'betrayed'; end $$;
           create cast (mood as text) with function betray(mood)"""
    )
    assert session.changes("insert into moods values ('fine')") == ["moods:fine"]


def test_table_of_another_schema_has_it_in_its_tag(session: Session) -> None:
    session.run("create schema sales; create table sales.things (id bigint primary key)")
    assert session.changes("select cacheaside.watch('sales.things')") == ["sales.things"]
    assert session.changes("insert into sales.things values (1)") == ["sales.things:1"]
    assert session.changes("truncate sales.things") == ["sales.things"]


def test_name_of_a_table_cannot_end_the_function(session: Session) -> None:
    session.run("create table a$$b (id bigint primary key); select cacheaside.watch('a$$b')")
    assert session.changes("insert into a$$b values (1)") == ['"a$$b":1']


def test_writer_needs_no_right_in_the_schema(session: Session) -> None:
    session.run(THINGS)
    session.run(
        """do $$ begin create role stranger; exception when duplicate_object then null; end $$;
           grant select, insert, update, delete, truncate on things to stranger"""
    )
    writes = (
        "insert into things values (7); update things set value = 'x' where id = 1; delete from things where id = 2"
    )
    assert session.changes(f"set role stranger; {writes}; reset role") == ["things:1", "things:2", "things:7"]
    assert session.changes("set role stranger; truncate things; reset role") == ["things"]


def test_search_path_of_a_writer_does_not_change_which_functions_the_trigger_calls(session: Session) -> None:
    session.run(THINGS)
    session.run(
        """create schema evil;
           create function evil.octet_length(text) returns integer language plpgsql as $$ begin raise 'evil'; end $$;
           create temporary table pg_attribute (); create temporary table outbox ()"""
    )
    session.run("set search_path = pg_temp, evil, pg_catalog, public")
    assert session.changes("update things set value = 'x' where id = 1") == ["things:1"]
