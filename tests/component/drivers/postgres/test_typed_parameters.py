"""A parameter has its declared type, whatever the value is: each answer is that of PREPARE with declared types."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

import psycopg2
import pytest

from cacheaside.catalogue.parameters import Parameter, Value, canonical
from cacheaside.catalogue.statements import Command
from cacheaside.drivers.postgres.commands import Commands
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import DatabaseError
from cacheaside.reading.steps import Load
from cacheaside.settings import Authentication, DatabaseSettings
from local.servers.postgres import PostgresServer
from tests.component.support.question import question
from tests.component.support.temporary_database import temporary_database

SCHEMA = """
create type mood as enum ('sad', 'it''s "ok"', 'so\\so');
create table typed (
    id integer primary key, big bigint, amount numeric, flag boolean, day date, at timestamptz, key uuid, name text,
    code varchar(20), mood mood
);
create index on typed (big); create index on typed (amount); create index on typed (flag); create index on typed (day);
create index on typed (at); create index on typed (key); create index on typed (name); create index on typed (code);
create index on typed (mood);
insert into typed
select
    number, number, number / 2.0, number % 2 = 0, date '2024-02-28' + number,
    timestamptz '2024-02-29 23:59:59.5+00' + number * interval '1 day',
    ('0e37df36-f698-11e6-8dd4-' || lpad(abs(number)::text, 12, '0'))::uuid, 'name ' || number, 'code ' || number,
    (enum_range(null::mood))[number % 3 + 1]
from generate_series(-5, 50) as number;
analyze typed;
grant select on typed to cacheaside_query, cacheaside_command;
"""
MOODS: Final = ("sad", 'it\'s "ok"', "so\\so")
# The declared types. An enum has the type that its place requires.
TYPES: Final = {each: each for each in ("text", "boolean", "date", "uuid")} | {
    "integer": "bigint",
    "number": "numeric",
    "timestamp": "timestamptz",
}
UUID: Final = "0e37df36-f698-11e6-8dd4-000000000007"
AT: Final = datetime(2024, 3, 1, 23, 59, 59, 500_000, UTC)
# The values and the places of each type. A place is an expression or a whole statement.
ANYWHERE: Final = ("%(x)s::text", "coalesce(%(x)s, %(x)s)", "%(x)s is null", "pg_typeof(%(x)s)::text", "array[%(x)s]")
VALUES: Final[dict[str, list[Value]]] = {
    "integer": [0, -5, 7, 2**31, 2**63 - 1, -(2**63), None],
    "number": [*map(Decimal, ("0", "-5", "7", "0.5", "-0.25", "1" + "0" * 60, "0." + "0" * 60 + "1")), None],
    "boolean": [True, False, None],
    "date": [date(2024, 3, 1), date(1, 1, 1), date(9999, 12, 31), None],
    "timestamp": [AT, datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC), None],
    "uuid": [UUID, None],
    "text": [
        "",
        "name 7",
        "it's",
        '"',
        "\\",
        "\\'",
        "%",
        "%s %(x)s %%",
        "{}",
        "null",
        "naïve €🙈",
        "a\n--b",
        "7",
        None,
    ],
}
PLACES: Final[dict[str, tuple[str, ...]]] = {
    "integer": (
        *("%(x)s / 2", "-%(x)s", "1 -%(x)s", "%(x)s * 1.5", "%(x)s %% 3", "abs(%(x)s)", "to_char(%(x)s, '999')"),
        *("'n' || %(x)s", "date '2024-01-01' + %(x)s::integer", "%(x)s * interval '1 day'", "@%(x)s", "1 << %(x)s"),
        *("select id from typed where big = %(x)s", "select id from typed where id < %(x)s order by id limit 3"),
        *("select id from typed order by id limit %(x)s", "select id from typed order by id offset %(x)s"),
        *("select id from typed order by %(x)s, id limit 2", "select id from typed where id in (%(x)s, 3) order by id"),
        "select id from typed order by id offset (%(x)s - 1) * %(x)s limit 3",
        "select count(*) from generate_series(%(x)s, %(x)s + 3)",
        "select sum(id) * %(x)s / 100 from typed",
    ),
    "number": (
        *("%(x)s / 2", "-%(x)s", "1 -%(x)s", "round(%(x)s, 1)", "%(x)s::integer", "%(x)s * 1.5::float8", "abs(%(x)s)"),
        *("select id from typed where amount = %(x)s", "select id from typed where id > %(x)s order by id limit 3"),
        *("select sum(id) * %(x)s / 100 from typed", "select id from typed limit %(x)s", "scale(%(x)s)"),
    ),
    "boolean": ("not %(x)s", "%(x)s and true", "select count(*) from typed where flag = %(x)s or %(x)s"),
    "date": (
        *("%(x)s + 1", "%(x)s - interval '1 day'", "extract(year from %(x)s)", "date_trunc('month', %(x)s)"),
        *("select id from typed where day = %(x)s", "select count(*) from typed where at >= %(x)s"),
    ),
    "timestamp": (
        *("%(x)s - interval '1 day'", "extract(epoch from %(x)s)", "%(x)s::date", "%(x)s at time zone 'Asia/Tokyo'"),
        *("select id from typed where at = %(x)s", "select count(*) from typed where day <= %(x)s"),
    ),
    "uuid": ("select id from typed where key = %(x)s", "'u' || %(x)s"),
    "text": (
        *("%(x)s || %(x)s", "length(%(x)s)", "upper(%(x)s)", "%(x)s::integer", "'%%' || %(x)s", "to_json(%(x)s)"),
        *("select id from typed where name = %(x)s", "select id from typed where code = %(x)s", "concat(%(x)s, 1)"),
        *("select id from typed where name like %(x)s || '%%' order by id limit 3", "now() < now() + %(x)s::interval"),
        *("select id from typed limit %(x)s", "string_to_array(%(x)s, '')", "%(x)s::text[]", "%(x)s ~ %(x)s"),
    ),
}
COLUMNS: Final = {"integer": "big", "number": "amount", "boolean": "flag", "date": "day", "timestamp": "at"} | {
    "uuid": "key",
    "text": "name",
}


@dataclass(frozen=True)
class Asked:
    """A statement with one parameter, x, and its value."""

    sql: str
    parameter: Parameter
    value: Value


def _whole(place: str) -> str:
    return place if place.startswith("select") else f"select {place} as it"


def _asked() -> Iterator[Asked]:
    for kind, values in VALUES.items():
        scalar, several = Parameter(name="x", type=kind), Parameter(name="x", type=kind, is_list=True)
        for value in values:
            yield from (Asked(_whole(place), scalar, value) for place in (*ANYWHERE, *PLACES[kind]))
        present: list[Any] = [value for value in values if value is not None]
        column = f"select id from typed where {COLUMNS[kind]}"
        for items in (None, [], present[:1], present):
            for place in (f"{column} = any (%(x)s) order by id", "%(x)s::text[]", "cardinality(%(x)s)", "%(x)s[1]"):
                yield Asked(_whole(place), several, items)
            yield Asked("select it from unnest(%(x)s) with ordinality as list (it, n) order by n", several, items)
            yield Asked(f"{column} <> all (%(x)s) and %(x)s is not null order by id", several, items)
    for mood in (*MOODS, "unknown", None):
        enum = Parameter(name="x", type="enum", values=MOODS)
        for place in ("where mood = %(x)s", "where name = %(x)s", "order by mood = %(x)s, id limit 1"):
            yield Asked(f"select id from typed {place}", enum, mood)
        for expression in ("%(x)s::mood", "%(x)s || '!'", "upper(%(x)s)", "%(x)s", "enum_first(%(x)s::mood)"):
            yield Asked(_whole(expression), enum, mood)
    for moods in (None, [], list(MOODS[:1]), list(MOODS)):
        enums = Parameter(name="x", type="enum", values=MOODS, is_list=True)
        for place in ("mood = any (%(x)s)", "name = any (%(x)s)", "name = any (%(x)s::text[])"):
            yield Asked(f"select id from typed where {place} order by id", enums, moods)
        yield Asked("select unnest(%(x)s::text[]) as it", enums, moods)


ASKED: Final = list(_asked())


Settings = Callable[..., DatabaseSettings]


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> Iterator[Settings]:
    """Returns the settings of a role, with a setting of PostgreSQL that its sessions begin with."""
    with temporary_database(postgres, "typed", SCHEMA):

        def settings(role: str, setting: str) -> DatabaseSettings:
            url = postgres.url_for(role, "typed") + "?options=-c%20" + setting.replace("=", "%3D")
            return DatabaseSettings(url=url, authentication=Authentication.URL, region="")

        yield settings


@pytest.fixture(scope="module")
def prepared(postgres: PostgresServer, database: object) -> Iterator[Callable[[Asked], object]]:
    """Answers with PREPARE and EXECUTE: the rows, or the SQLSTATE."""
    with closing(psycopg2.connect(postgres.url_for("cacheaside_query", "typed"))) as connection:
        connection.autocommit = True

        def answer(asked: Asked) -> object:
            with connection.cursor() as cursor:
                sql = asked.sql.replace("%(x)s", "$1").replace("%%", "%")
                value: Any = canonical(asked.value)
                if isinstance(value, list):
                    cursor.execute("select (%s::text[])::text", [[str(item) for item in value]])
                    [(value,)] = cursor.fetchall()
                declared = TYPES.get(asked.parameter.type)
                declared = f"{declared}{'[]' * asked.parameter.is_list}" if declared else "unknown"
                cursor.execute("set timezone = 'UTC'; deallocate all")
                try:
                    cursor.execute(f"prepare it ({declared}) as select row_to_json(a.*)::text from ({sql}) as a")
                    cursor.execute("execute it (%s)", [None if value is None else str(value)])
                except psycopg2.Error as error:
                    return error.pgcode
                return [json.loads(row, parse_float=str) for (row,) in cursor.fetchall()]

        yield answer


def as_query(settings: Settings, setting: str) -> Callable[[Asked], bytes | None]:
    queries = Queries(settings("cacheaside_query", setting))

    def load(asked: Asked) -> bytes | None:
        given = question(asked.sql, {"x": asked.value}, parameters={"x": asked.parameter})
        return queries.load(Load(given, 10_000, bypass=False)).body

    return load


def as_command(settings: Settings, setting: str) -> Callable[[Asked], bytes | None]:
    commands = Commands(settings("cacheaside_command", setting))

    def run(asked: Asked) -> bytes | None:
        fields: Any = {"name": "c", "summary": "", "returns": "many", "timeout_ms": 10_000}
        command = Command(sql=asked.sql, parameters={"x": asked.parameter}, **fields)
        return commands.execute(command, {"x": asked.value}).body

    return run


@pytest.mark.parametrize("strings", ["on", "off"])
@pytest.mark.parametrize("driver", [as_query, as_command])
def test_value_decides_no_type(
    database: Settings, prepared: Callable[[Asked], object], driver: Callable[..., Any], strings: str
) -> None:
    ask = driver(database, f"standard_conforming_strings={strings}")

    def ours(asked: Asked) -> object:
        try:
            return json.loads(ask(asked), parse_float=str)["data"]
        except DatabaseError as error:
            return getattr(error.__cause__, "pgcode", None)

    wrong = [f"{asked}: {ours(asked)}, not {prepared(asked)}" for asked in ASKED if ours(asked) != prepared(asked)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("kind", "column", "value"),
    [
        *(("integer", "id", 7), ("integer", "big", 7), ("number", "amount", Decimal(7)), ("boolean", "flag", True)),
        *(("date", "day", date(2024, 3, 1)), ("timestamp", "at", AT), ("uuid", "key", UUID), ("text", "name", "n")),
        *(("text", "code", "c"), ("enum", "mood", "sad"), ("enum", "name", "sad"), ("enum", "code", "sad")),
    ],
)
@pytest.mark.parametrize("comparison", ["= %(x)s", "= any (%(x)s)"])
def test_index_is_used(database: Settings, kind: str, column: str, value: Any, comparison: str) -> None:
    is_list = "any" in comparison
    explain = f"explain select id from typed where {column} {comparison}"
    asked = Asked(explain, Parameter(name="x", type=kind, is_list=is_list), [value, value] if is_list else value)
    assert b"Index Cond" in (as_command(database, "enable_seqscan=off")(asked) or b"")
