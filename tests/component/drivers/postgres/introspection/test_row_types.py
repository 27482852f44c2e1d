"""The types of rows as PostgreSQL describes them, compared with the rows that it renders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import psycopg2
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from cacheaside.catalogue.columns import Column, Described
from cacheaside.catalogue.statements import Command, Query, Statement
from cacheaside.drivers.postgres.commands import Commands
from cacheaside.drivers.postgres.introspection.inspector import inspecting
from cacheaside.drivers.postgres.introspection.rendered_types import OTHER, RENDERED
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.reading.steps import Load
from cacheaside.settings import Authentication, DatabaseSettings
from local.servers.postgres import PostgresServer
from tests.component.support.declared import declared
from tests.component.support.question import question
from tests.component.support.temporary_database import temporary_database

INTEGER: Final = {"type": ["integer", "null"], "format": "int32"}
BIGINT: Final = {"type": ["integer", "null"], "format": "int64"}
NUMBER: Final = {"type": ["number", "string", "null"], "pattern": "^(NaN|-?Infinity)$"}
STRING: Final = {"type": ["string", "null"]}
MOOD: Final = {"type": ["string", "null"], "enum": ["so so", 'it\'s "ok"', None]}


def array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": ["array", "null"], "items": items}


def object_of(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": ["object", "null"], "properties": properties, "required": list(properties)}


PAIR: Final = object_of(mood=MOOD, amounts=array(NUMBER))
# Each type with the schema of its values, and some of them as SQL.
TYPES: Final[dict[str, tuple[dict[str, Any], list[str]]]] = {
    "smallint": (INTEGER, ["-32768"]),
    "integer": (INTEGER, ["2147483647"]),
    "bigint": (BIGINT, ["9223372036854775807"]),
    "numeric": (NUMBER, ["1.50", "1e60", "'NaN'", "'-Infinity'"]),
    "numeric(10,2)": (NUMBER, ["9.99", "'NaN'"]),
    "real": (NUMBER, ["1e-30", "'Infinity'"]),
    "double precision": (NUMBER, ["1e300", "'NaN'"]),
    "boolean": ({"type": ["boolean", "null"]}, ["true", "false"]),
    "text": (STRING, ["''", "'\"'"]),
    "varchar(20)": (STRING, ["'a'"]),
    "char(3)": (STRING, ["'a'"]),
    '"char"': (STRING, ["'a'"]),
    "name": (STRING, ["'a'"]),
    "uuid": ({**STRING, "format": "uuid"}, ["gen_random_uuid()"]),
    "date": ({**STRING, "format": "date"}, ["'2024-02-29'"]),
    "timestamp": (STRING, ["'2024-02-29 10:00'", "'infinity'"]),
    "timestamptz": ({**STRING, "format": "date-time"}, ["'2024-02-29 10:00:00.5+02'"]),
    "time": (STRING, ["'10:00'", "'24:00'"]),
    "timetz": (STRING, ["'10:00+02'"]),
    "interval": (STRING, ["'1 year -2 days'"]),
    "json": ({}, ["'[1, {\"a\": null}]'", "'7'", "'null'"]),
    "jsonb": ({}, ["'{\"a\": 1}'"]),
    "bytea": (STRING, ["'\\x00ff'"]),
    "int4range": (STRING, ["'[1,3)'", "'empty'"]),
    "nummultirange": (STRING, ["'{[1,3)}'"]),
    "tstzrange": (STRING, ["'[2024-01-01,)'"]),
    "inet": (STRING, ["'::1/64'"]),
    "money": (STRING, ["'7'"]),
    "bit(3)": (STRING, ["'101'"]),
    "point": (STRING, ["'(1,2)'"]),
    "polygon": (STRING, ["'((0,0),(1,1),(1,0))'"]),
    "tsvector": (STRING, ["'a b'"]),
    "oid": (STRING, ["1"]),
    "regclass": (STRING, ["'pg_class'"]),
    "integer[]": (array(INTEGER), ["'{}'", "'{1,null}'"]),
    "text[]": (array(STRING), ["'{a,null}'"]),
    "jsonb[]": (array({}), ["array['1', null]::jsonb[]"]),
    "int2vector": (array(INTEGER), ["'1 2'"]),
    "mood": (MOOD, ["'so so'", "'it''s \"ok\"'"]),
    "mood[]": (array(MOOD), ["array['so so']::mood[]"]),
    "price": (NUMBER, ["1.5", "'NaN'"]),
    "prices": (array(NUMBER), ["'{1.5}'"]),
    "top_price": (NUMBER, ["2"]),
    "pair": (PAIR, ["('so so', '{1,null}')", "(null, null)"]),
    "pair[]": (array(PAIR), ["array[('so so', '{}')]::pair[]"]),
    "pair_domain": (PAIR, ["('so so', '{1}')"]),
    "part": (object_of(pairs=array(PAIR), label=STRING), ["(array[('so so', '{}')]::pair[], 'x')"]),
    "celsius": ({}, ["'(21.5)'"]),
    "celsius[]": (array({}), ["array['(21.5)']::celsius[]"]),
    "hidden.mood": ({**STRING, "enum": ["a", None]}, ["'a'"]),
}
SCHEMA: Final = f"""
create type mood as enum ('so so', 'it''s "ok"');
create schema hidden; create type hidden.mood as enum ('a'); grant usage on schema hidden to public;
create domain price as numeric check (value > 0); create domain prices as numeric[];
create domain top_price as price check (value > 1);
create type pair as (mood mood, gone integer, amounts price[]); alter type pair drop attribute gone;
create domain pair_domain as pair;
create table part (pairs pair[], label varchar(10));
create type celsius;
create function celsius_in(cstring) returns celsius language internal immutable strict as 'textin';
create function celsius_out(celsius) returns cstring language internal immutable strict as 'textout';
create type celsius (input = celsius_in, output = celsius_out, like = text);
create function as_json(celsius) returns json language sql immutable as $$ select '{{"degrees": 21.5}}'::json $$;
create cast (celsius as json) with function as_json;
create table everything (id integer, {", ".join(f"c{n} {name}" for n, name in enumerate(TYPES))});
grant select on everything to public;
create table wares (id integer primary key, price numeric, mood mood);
create table firm (mood mood not null, at timestamptz not null, doc json not null, day date not null);
create table parent (id integer not null); create table child () inherits (parent);
create table parts (day date not null) partition by range (day);
create view dear as select id, price as high from wares where price > 100;
create function series(n integer) returns table (n bigint, at timestamptz) language sql stable
    begin atomic select n, now() from generate_series(1, n) as n; end;
grant select, insert, update, delete on wares to cacheaside_command;
create function noticed() returns integer language plpgsql as
    'begin raise exception ''a function of the statement was run''; end';
"""


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> Iterator[str]:
    with temporary_database(postgres, "row_types", SCHEMA) as url:
        with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("insert into everything (id) values (0)")
            for number, (_, values) in enumerate(TYPES.values()):
                for value in values:
                    cursor.execute(f"insert into everything (id, c{number}) values ({number + 1}, {value})")
        yield url


@pytest.fixture(scope="module")
def settings(postgres: PostgresServer, url: str) -> dict[str, DatabaseSettings]:
    return {
        role: DatabaseSettings(
            url=postgres.url_for(f"cacheaside_{role}", "row_types"), authentication=Authentication.URL, region=""
        )
        for role in ("query", "command")
    }


def a_query(sql: str, **types: str) -> Query:
    return question(sql, parameters=declared(**types)).query


def a_command(sql: str, **types: str) -> Command:
    return Command("c", "", sql, "many", 10_000, declared(**types))


def described(url: str, statement: Statement) -> Described | None:
    with closing(psycopg2.connect(url)) as connection, inspecting(connection) as database:
        return database.described(statement)


def columns(url: str, statement: Statement) -> list[tuple[str, str]]:
    found = described(url, statement)
    assert found is not None
    return [(column.name, column.type) for column in found.columns]


def rows_schema(found: tuple[Column, ...]) -> dict[str, Any]:
    properties = {column.name: column.schema for column in found}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def test_every_type_is_described_as_it_is_rendered(url: str, settings: dict[str, DatabaseSettings]) -> None:
    asked = question("select * from everything")
    found = described(url, asked.query)
    assert found is not None
    assert {name: column.schema for name, column in zip(TYPES, found.columns[1:], strict=True)} == {
        name: schema for name, (schema, _) in TYPES.items()
    }
    body = Queries(settings["query"]).load(Load(asked, timeout_ms=10_000)).body
    rows = json.loads(body or b"")["data"]
    assert len(rows) == 1 + sum(len(values) for _, values in TYPES.values())
    validator = Draft202012Validator(rows_schema(found.columns), format_checker=FormatChecker())
    for row in [*rows, {column.name: column.example for column in found.columns}]:
        validator.validate(row)


def test_infinite_times_are_valid_where_a_format_is_a_note(url: str, settings: dict[str, DatabaseSettings]) -> None:
    asked = question("select timestamptz 'infinity' as at, date '-infinity' as day, date '0044-03-15 BC' as ides")
    found = described(url, asked.query)
    assert found is not None
    body = Queries(settings["query"]).load(Load(asked, timeout_ms=10_000)).body
    [row] = json.loads(body or b"")["data"]
    assert row == {"at": "infinity", "day": "-infinity", "ides": "0044-03-15 BC"}
    Draft202012Validator(rows_schema(found.columns)).validate(row)


@pytest.mark.parametrize("name", sorted(RENDERED.keys() - {"anyarray", "record", "void"}))
def test_example_is_a_value_as_postgres_renders_it(url: str, name: str) -> None:
    example = RENDERED[name].example
    text = example if isinstance(example, str) else json.dumps(example)
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("set timezone = 'UTC'")
        cursor.execute(f'select row_to_json(row (%s::pg_catalog."{name}"))', [text])
        assert cursor.fetchall() == [({"f1": example},)]


def test_examples_of_own_types(url: str) -> None:
    found = described(url, a_query("select null::mood m, null::part p, null::price[] a, null::celsius c"))
    assert found is not None
    pair = {"mood": "so so", "amounts": [9.99]}
    assert [column.example for column in found.columns] == [
        "so so",
        {"pairs": [pair], "label": OTHER.example},
        [9.99],
        RENDERED["json"].example,
    ]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (a_query("select * from dear"), [("id", "integer"), ("high", "numeric")]),
        (
            a_query("select * from series(%(n)s::integer)", n="integer"),
            [("n", "bigint"), ("at", "timestamp with time zone")],
        ),
        (a_query("select row(1, 'a') as pair, wares from wares"), [("pair", "record"), ("wares", "wares")]),
        (
            a_query("with w as (select price from wares) select sum(price), 'x' as x from w"),
            [("sum", "numeric"), ("x", "text")],
        ),
        (a_query("select id from wares union all select 1.5"), [("id", "numeric")]),
        (
            a_query("select pg_sleep(0), most_common_vals from pg_stats"),
            [("pg_sleep", "void"), ("most_common_vals", "anyarray")],
        ),
        (a_query("select %(a)s as a, %(b)s as b", a="number[]", b="date"), [("a", "numeric[]"), ("b", "date")]),
        (a_query('select 1 as "a b", null::hidden.mood as "%%"'), [("a b", "integer"), ("%", "hidden.mood")]),
        (a_query("select 1 as n -- no semicolon"), [("n", "integer")]),
        (
            a_command("insert into wares values (1, 2) returning *"),
            [("id", "integer"), ("price", "numeric"), ("mood", "mood")],
        ),
        (
            a_command("update wares set price = %(p)s returning id, price > 1 as dear;", p="number"),
            [("id", "integer"), ("dear", "boolean")],
        ),
        (a_command("delete from wares returning count_of(id)"), None),
        (a_command("delete from wares returning mood"), [("mood", "mood")]),
        (
            a_command("with gone as (delete from wares returning price) select max(price) from gone"),
            [("max", "numeric")],
        ),
        (a_command("with w as (select 1 as id) insert into wares select id from w returning id"), [("id", "integer")]),
        (a_command("values (1, 'a')"), [("column1", "integer"), ("column2", "text")]),
    ],
    ids=lambda each: getattr(each, "sql", ""),
)
def test_columns(url: str, statement: Statement, expected: list[tuple[str, str]] | None) -> None:
    if expected is None:
        assert described(url, statement) is None
    else:
        assert columns(url, statement) == expected


def not_null(url: str, statement: Statement) -> set[str]:
    found = described(url, statement)
    assert found is not None
    return {column.name for column in found.columns if not Draft202012Validator(column.schema).is_valid(None)}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select * from wares", {"id"}),
        ("select id as i, price, id + 1 as next, wares from wares", {"i"}),
        ("with w as (select id from wares) select a.id, b.id as b from w as a join wares as b using (id)", {"id", "b"}),
        ("select mood, at, doc from firm", {"mood", "at"}),  # doc may be the null of JSON
        ("select day from parts", {"day"}),
        ("select a.id from wares as a left join wares as b on false", set()),
        ("select b.id from wares as a left join wares as b on false", set()),
        ("select id from wares as a full join wares as b using (id)", set()),
        ("select b.id from (select 1 as n) as a right join wares as b on false", set()),
        ("select id from wares group by rollup (id)", set()),
        ("select id from wares union all select null", set()),
        ("with u as (select id from wares union select null) select id from u", set()),
        ("select (select id from wares limit 0) as id", set()),
        ("select id from dear", set()),
        ("select id from parent", set()),
        ("select max(id) from wares", set()),
    ],
)
def test_column_is_not_null_where_that_is_certain(url: str, sql: str, expected: set[str]) -> None:
    assert not_null(url, a_query(sql)) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("insert into wares values (1) returning id, price", {"id"}),
        ("update wares set price = 1 returning id", {"id"}),
        ("delete from wares as w using wares as v where v.id = w.id returning w.id, v.id as v", {"id", "v"}),
        ("insert into wares values (1) returning old.id as before, new.id as after", set()),
        ("merge into wares using firm on false when not matched then insert values (1) returning day, id", set()),
    ],
)
def test_column_of_a_command_is_not_null_where_that_is_certain(url: str, sql: str, expected: set[str]) -> None:
    assert described(url, a_command(sql)) is not None
    assert not_null(url, a_command(sql)) == expected


def test_type_that_is_never_null_has_no_null(url: str) -> None:
    found = described(url, a_query("select mood, at from firm"))
    assert found is not None
    assert [column.schema for column in found.columns] == [
        {"type": "string", "enum": ["so so", 'it\'s "ok"']},
        {"type": "string", "format": "date-time"},
    ]


def test_rows_of_a_command_are_rendered_as_described(url: str, settings: dict[str, DatabaseSettings]) -> None:
    command = a_command("insert into wares values (%(id)s, 'NaN', 'so so') returning wares, *", id="integer")
    found = described(url, command)
    assert found is not None
    answer = Commands(settings["command"]).execute(command, {"id": 7}).body
    [row] = json.loads(answer or b"")["data"]
    Draft202012Validator(rows_schema(found.columns)).validate(row)
    assert row["wares"] == {"id": 7, "price": "NaN", "mood": "so so"}


def test_nothing_is_run_and_nothing_is_left(url: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        for _ in range(2):
            with inspecting(connection) as database:
                assert database.described(a_command("insert into wares values (noticed()) returning id"))
                assert database.described(a_query("select noticed() as n, id from wares where id < noticed()"))
                assert database.described(a_query("select id from no_such_table")) is None
                assert database.described(a_query("select 1; drop table wares")) is None
                assert database.described(a_query("select 1 as a"))
        with connection.cursor() as cursor:
            cursor.execute("select count(*) from pg_prepared_statements")
            assert cursor.fetchall() == [(0,)]
            cursor.execute("select to_regprocedure('pg_temp.cacheaside_statement()')")
            assert cursor.fetchall() == [(None,)]


def test_names_mean_what_they_mean_to_the_role(postgres: PostgresServer) -> None:
    schema = """
        create table t (id integer); create schema other; create table other.t (id text);
        grant usage on schema other to cacheaside_query;
        alter role cacheaside_query in database row_types_path set search_path = other, public;
    """
    with temporary_database(postgres, "row_types_path", schema) as url:
        assert columns(url, a_query("select id from t")) == [("id", "text")]
        assert columns(url, a_command("select id from t")) == [("id", "integer")]
