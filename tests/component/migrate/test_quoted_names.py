"""Tables with names of any characters: what is recorded names them as PostgreSQL prints them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from cacheaside.catalogue.tags import table_of
from migrate.upgrade import FUNCTIONS, upgrade
from tests.component.support.hostile_names import HOSTILE_NAMES, quoted
from tests.component.support.session import Session
from tests.support.root import ROOT

any_name = pytest.mark.parametrize(("schema", "table"), HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
Connect = Callable[..., Connection]


def value(session: Session, expression: str) -> str:
    [(found,)] = session.run(f"select {expression}")
    return str(found)


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def create(session: Session, schema: str, table: str) -> tuple[str, str]:
    """Create the table. Returns its name in SQL, and the tag that it must have."""
    name = quoted(schema, table)
    session.run(f"create schema if not exists {quoted(schema)}")
    session.run(f"create table {name} ({quoted(table)} bigint primary key, value text)")
    printed = [value(session, f"quote_ident({literal(part)})") for part in (schema, table)]
    return name, printed[1] if schema == "public" else ".".join(printed)


@any_name
def test_changes_are_recorded_under_the_name_as_postgresql_prints_it(session: Session, schema: str, table: str) -> None:
    name, tag = create(session, schema, table)
    session.run(f"create table {quoted(schema, 'spare')} (like {name} including all)")
    assert value(session, f"cacheaside.watch({literal(name)})") == tag
    assert session.changes(f"insert into {name} values (1), (2)") == [f"{tag}:1", f"{tag}:2"]
    assert session.changes(f"truncate {name}") == [tag]
    swap = f"drop table {name}; alter table {quoted(schema, 'spare')} rename to {quoted(table)}"
    assert session.changes(f"begin; {swap}; commit") == [tag]
    assert session.changes(f"insert into {name} values (3)") == [f"{tag}:3"]
    assert session.run("select relation::text, complete from cacheaside.watched where tag = " + literal(tag)) == [
        (value(session, f"{literal(name)}::regclass::text"), True)
    ]
    assert "WARNING" not in session.notices
    session.run(f"select cacheaside.unwatch({literal(tag)})")
    assert session.changes(f"insert into {name} values (4)") == []


@any_name
def test_dump_of_a_table_is_restored_and_watched(session: Session, schema: str, table: str) -> None:
    name, tag = create(session, schema, table)
    session.run(f"select cacheaside.watch({literal(name)})")
    triggers = session.run(f"select pg_get_triggerdef(oid) from pg_trigger where tgrelid = {literal(name)}::regclass")
    restored = f"drop table {name}; create table {name} ({quoted(table)} bigint primary key, value text);"
    restored += ";".join(definition for (definition,) in triggers)
    assert session.changes(f"begin; {restored}; commit") == [tag]
    assert session.changes(f"insert into {name} values (1)") == [f"{tag}:1"]


def test_tables_whose_names_look_alike_are_kept_apart(session: Session) -> None:
    names = ("orders", '"Orders"', '"sales.orders"', "sales.orders", '"sales"."Orders"', '"sales.orders"."x"')
    session.run('create schema sales; create schema "sales.orders"; drop table orders cascade')
    for name in names:
        session.run(f"create table {name} (id bigint primary key); select cacheaside.watch('{name}')")
    tags = ["orders", '"Orders"', '"sales.orders"', "sales.orders", 'sales."Orders"', '"sales.orders".x']
    for name, tag in zip(names, tags, strict=True):
        assert session.changes(f"insert into {name} values (1)") == [f"{tag}:1"]


@any_name
def test_function_and_materialized_view_are_recorded(session: Session, schema: str, table: str) -> None:
    name, tag = create(session, schema, table)
    session.run(f"drop table {name}; create materialized view {name} as select 1 as n")
    assert session.changes(f"refresh materialized view {name}") == [tag]
    hidden = f"create or replace function {name}() returns int language plpgsql as 'begin return 1; end'"
    assert session.changes(f"drop materialized view {name}; {hidden}") == [tag]
    assert session.changes(f"drop function {name}()") == [tag]


def test_parts_of_any_tag_are_the_names_that_it_was_made_of(session: Session) -> None:
    for schema, table in HOSTILE_NAMES.values():
        tag = value(session, f"cacheaside.tag_of({literal(schema)}, {literal(table)})")
        split = f"select cacheaside.schema_of({literal(tag)}), cacheaside.name_of({literal(tag)})"
        assert session.run(split) == [(schema, table)]
        for change in (tag, f"{tag}:1", f'{tag}:a:"b', f"{tag}:", f'{tag}:"'):
            assert table_of(change) == value(session, f"cacheaside.table_of({literal(change)})") == tag
    # A former release may have stored any text. None of the functions fails on it.
    for text in ("", '"', '"a', "a.", ".", '"a".', 'a"b', "a b", '"a"b"', "Orders"):
        value(session, f"cacheaside.spelled({literal(text)}) || cacheaside.table_of({literal(text)})")


def test_search_path_is_read_as_postgresql_reads_it(session: Session) -> None:
    schemas = sorted({schema for schema, _ in HOSTILE_NAMES.values()} | {"sets=this", "  ", "lower"})
    session.run("; ".join(f"create schema if not exists {quoted(schema)}" for schema in schemas))
    path = " ,".join([*map(quoted, schemas), ' LOWER, "$user"'])
    name = quoted(value(session, "current_database()"))
    session.run(f"alter role cacheaside_query in database {name} set search_path = {path}")
    ours = "select schema from cacheaside.search_path() as schema order by 1"
    assert session.run(ours) == sorted((each,) for each in [*schemas, "lower", "cacheaside_query"])


def test_setting_that_quotes_all_names_changes_no_tag(session: Session) -> None:
    session.run("create table things (id bigint primary key); create view shown as select id from things")
    session.run("set quote_all_identifiers = on; select cacheaside.watch('things')")
    assert session.changes("create or replace view shown as select id from things where id > 1") == ["things"]
    assert session.changes("alter table things add more int; insert into things values (1)") == ["things", "things:1"]
    assert session.run("select tag from cacheaside.names where tag like '%things%'") == [("things",)]
    session.run("select cacheaside.declare('{things}')")
    assert session.run("select distinct tag from cacheaside.sources where identity ~ 'shown'") == [("things",)]
    session.run("select cacheaside.unwatch('things')")


@pytest.mark.parametrize(("given", "stays"), [("Users", '"Users"'), ('"Users"', "users"), ("USERS", '"Users"')])
def test_unwatch_takes_the_table_that_watch_takes(session: Session, given: str, stays: str) -> None:
    session.run('create table users (id bigint); create table "Users" (id bigint)')
    session.run("""select cacheaside.watch('users', '"Users"')""")
    session.run(f"select cacheaside.unwatch('{given}')")
    assert session.run("select tag from cacheaside.names where tag ilike '%users%'") == [(stays,)]
    with pytest.raises(psycopg2.Error, match="it is not watched"):
        session.run(f"select cacheaside.unwatch('{given}')")


# Upgrade from the release before: it wrote reserved words, and names with a $, without quotes.

FORMER = """
    drop table orders cascade;
    create schema sales; create schema "order";
    create table "user" (id bigint primary key, value text);
    create table a$b (id bigint primary key, value text);
    create table sales."table" (id bigint primary key, value text);
    create table "order"."Plain" (id bigint primary key);
    create table plain (id bigint primary key, value text);
    create view shown as select "user".id, p."Plain" from "user" cross join "order"."Plain" as p;
    select cacheaside.watch(name) from unnest('{"\\"user\\"",a$b,"sales.\\"table\\"",plain}'::regclass[]) as name;
    select cacheaside.declare('{user,a$b,sales.table,plain,order}');
    delete from cacheaside.outbox;
    insert into "user" values (1);
"""


@pytest.fixture
def former(connect: Connect, database: str, postgres: object, tmp_path: Path) -> Iterator[Session]:
    """A database of the release before, with a pending change."""
    for folder in ("migrate/system", "catalogue/migrations"):
        shutil.copytree(FUNCTIONS / folder, tmp_path / folder)
    for file in (tmp_path / "migrate/system").glob("*.sql"):
        if file.name >= "0014":
            file.unlink()
    with closing(connect()) as connection:
        upgrade(connection, tmp_path)
    with closing(Session(postgres, database)) as session:  # type: ignore[arg-type]
        session.run(FORMER.replace('p."Plain" from', "p.id as other from"))
        yield session


def test_documented_removal_takes_out_names_with_two_spellings(former: Session, connect: Connect) -> None:
    with closing(connect()) as connection:
        upgrade(connection)
    documented = (ROOT / "docs/deploying.md").read_text().partition("stack is deleted:\n\n```sql\n")[2]
    former.run(documented.partition("grant")[0])  # the roles are those of other databases, too
    assert former.run("select tgname from pg_trigger where tgname like 'cacheaside%'") == []


def test_upgrade_keeps_what_is_watched_under_its_former_tag_too(former: Session, connect: Connect) -> None:
    recorders = former.run("select tgrelid, tgfoid from pg_trigger where tgname like 'cacheaside%' order by 1, 2")
    with closing(connect()) as connection:
        assert upgrade(connection)
    changes = {change for (change,) in former.run("select change from cacheaside.outbox where drained_at is null")}
    assert changes >= {"user:1", "user", '"user"', "a$b", '"a$b"', "sales.table", 'sales."table"'}
    assert "plain" not in changes
    assert former.run("select tag from cacheaside.watched where not complete") == []
    assert recorders == former.run(
        "select tgrelid, tgfoid from pg_trigger where tgname like 'cacheaside%' order by 1, 2"
    )
    # Answers of the former code have the former tag: it is taken out with each change.
    assert former.changes('insert into "user" values (2)') == ['"user":2', "user"]
    assert former.changes("insert into a$b values (2)") == ['"a$b":2', "a$b"]
    assert former.changes('insert into sales."table" values (2)') == ['sales."table":2', "sales.table"]
    assert former.changes("insert into plain values (2)") == ["plain:2"]
    assert set(former.changes("create or replace view shown as select 1::bigint as id, 2::bigint as other")) == {
        '"user"',
        "user",
    }


def test_former_tag_ends_with_the_first_deployment_an_hour_later(former: Session, connect: Connect) -> None:
    with closing(connect()) as connection:
        upgrade(connection)
    deploy = """select cacheaside.declare('{"\\"user\\"",plain}')"""
    former.run(deploy)
    assert former.changes('insert into "user" values (2)') == ['"user":2', "user"]
    former.run("update cacheaside.names set valid_until = now() where valid_until < 'infinity'")
    former.run("select cacheaside.undeclare()")  # the deployment is rolled back: the former code runs on
    former.run("update cacheaside.names set valid_until = now() where valid_until < 'infinity'")
    former.run(deploy)
    assert former.changes('insert into "user" values (3)') == ['"user":3', "user"]
    former.run("update cacheaside.names set valid_until = now() where valid_until < 'infinity'")
    former.run(deploy)
    assert former.changes('insert into "user" values (4)') == ['"user":4']


def test_one_call_unwatches_both_spellings(former: Session, connect: Connect) -> None:
    with closing(connect()) as connection:
        upgrade(connection)
    former.run("select cacheaside.unwatch('user')")
    assert former.changes('insert into "user" values (2)') == []
