"""The statements that show how a tag is invalidated: each is run, and what the triggers recorded is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from cacheaside.catalogue.tags import changed_tags, resolve_tags
from cacheaside.drivers.postgres.introspection.inspector import inspecting
from local.servers.postgres import PostgresServer
from tests.component.support.declared import declared
from tests.component.support.hostile_names import HOSTILE_NAMES, quoted
from tests.component.support.question import question
from tests.component.support.session import Session
from tests.component.support.temporary_database import temporary_database

SCHEMA = """
create table wares (id integer primary key, name text);
insert into wares select n, n from generate_series(1, 5) as n;
create table lines (ware_id integer, "No" text, day date, primary key (day, "No", ware_id));
insert into lines values (1, 'it''s', '2025-01-31'), (2, 'b', '2025-02-01');
create table counted (id bigint generated always as identity primary key, twice integer generated always as (2) stored,
    name text);
insert into counted (name) values ('a'), ('b');
create table by_amount (amount numeric primary key, flag boolean); insert into by_amount values (1.5, true), (2, true);
create table heap (a integer); insert into heap values (1), (1);
create table flags (flag boolean primary key, key uuid); insert into flags values (true), (false);
create table parts (id integer, day date, primary key (id, day)) partition by range (day);
create table parts_2025 partition of parts for values from ('2025-01-01') to ('2026-01-01');
insert into parts values (1, '2025-01-31');
create table columnless (); create table only_generated (id integer generated always as identity primary key);
create table unwatched (id integer primary key);
create view seen as select * from wares; create materialized view kept as select * from wares;
create function called() returns integer language plpgsql as 'begin return 1; end';
select cacheaside.watch(name) from unnest(array['wares', 'lines', 'counted', 'by_amount', 'heap', 'flags', 'parts',
    'columnless', 'only_generated']) as name;
"""


@pytest.fixture(scope="module")
def session(postgres: PostgresServer) -> Iterator[Session]:
    with temporary_database(postgres, "touches", SCHEMA), closing(Session(postgres, "touches")) as session:
        yield session


def touch(session: Session, tag: str, **types: str) -> str | None:
    query = question("select 1 as n", tags=(tag,), parameters=declared(**types)).query
    with closing(psycopg2.connect(session.url)) as connection, inspecting(connection) as database:
        described = database.described(query)
    assert described is not None
    return described.touches.get(tag)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("wares", "update wares set id = id where id = (select id from wares limit 1)"),
        (
            "lines",
            'update lines set day = day where (day, "No", ware_id) = (select day, "No", ware_id from lines limit 1)',
        ),
        ("counted", "update counted set name = name where id = (select id from counted limit 1)"),
        ("by_amount", "update by_amount set amount = amount where ctid = (select ctid from by_amount limit 1)"),
        ("heap", "update heap set a = a where ctid = (select ctid from heap limit 1)"),
        ("flags", "update flags set flag = flag where flag = (select flag from flags limit 1)"),
        ("parts", "update parts set id = id where (id, day) = (select id, day from parts limit 1)"),
    ],
)
def test_touch_of_a_table_invalidates_it_and_changes_nothing(session: Session, tag: str, expected: str) -> None:
    before = session.run(f"select * from {tag} order by 1")
    statement = touch(session, tag)
    assert statement == expected
    assert tag in changed_tags(session.changes(statement))
    assert session.run(f"select * from {tag} order by 1") == before


@pytest.mark.parametrize(
    ("tag", "types", "values", "expected"),
    [
        ("wares:{id}", {"id": "integer"}, {"id": 2}, "update wares set id = id where id = {id}"),
        (
            "lines:{d},{no},{w}",
            {"d": "date", "no": "text", "w": "integer"},
            {"d": "2025-01-31", "no": "it's", "w": 1},
            "update lines set day = day where day = '{d}' and \"No\" = '{no}' and ware_id = {w}",
        ),
        ("counted:{id}", {"id": "integer"}, {"id": 2}, "update counted set name = name where id = {id}"),
        ("flags:{f}", {"f": "boolean"}, {"f": True}, "update flags set flag = flag where flag = {f}"),
    ],
)
def test_touch_of_a_row_invalidates_that_row(
    session: Session, tag: str, types: dict[str, str], values: dict[str, int | str], expected: str
) -> None:
    statement = touch(session, tag, **types)
    assert statement == expected
    for name, value in values.items():
        statement = statement.replace(f"{{{name}}}", str(value).replace("'", "''"))
    row, any_row = resolve_tags([tag], values)
    changed = changed_tags(session.changes(statement))
    assert row in changed
    assert any_row not in changed


@pytest.mark.parametrize(
    "tag",
    ["seen", "kept", "called", "columnless", "only_generated", "unwatched", "none", "by_amount:{id}", "lines:{id}"],
)
def test_tag_that_no_such_statement_can_invalidate_has_none(session: Session, tag: str) -> None:
    assert touch(session, tag, id="integer") is None


@pytest.mark.parametrize(("schema", "table"), HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_names_of_any_characters(session: Session, schema: str, table: str) -> None:
    name, key = quoted(schema, table), quoted(table)
    session.run(f"create schema if not exists {quoted(schema)}")
    session.run(f"create table {name} ({key} integer primary key); insert into {name} values (1), (2)")
    session.run("select cacheaside.watch('" + name.replace("'", "''") + "')")
    literals = ["'" + part.replace("'", "''") + "'" for part in (schema, table)]
    [(tag,)] = session.run(f"select cacheaside.tag_of({literals[0]}, {literals[1]})")
    statement = touch(session, tag)
    if "{" in name:
        assert statement is None
    else:
        assert statement is not None
        assert tag in changed_tags(session.changes(statement))
