"""An error that a value of the caller causes is the caller's: 422, no SQL, no error in the log, no old answer."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Final

import psycopg2
import pytest

from cacheaside.http import application
from local.servers.postgres import PostgresServer
from tests.component.support.api import Api
from tests.component.support.declared import declared, declared_command, declared_query
from tests.component.support.sql import Sql
from tests.support.answer import Answer
from tests.support.problem_document import check_problem
from tests.support.wait_until import wait_until

SCHEMA: Final = """
create schema refusing;
create type refusing.mood as enum ('sad', 'happy');
create domain refusing.positive as integer check (value > 0);
create table refusing.rows (id integer primary key, name varchar(5), mood refusing.mood, owner text);
create index on refusing.rows (owner);
create view refusing.small as select * from refusing.rows where id < 100 with check option;
create table refusing.owned (owner text);
alter table refusing.owned enable row level security;
create policy own on refusing.owned using (true) with check (owner = 'me');
create function refusing.refuse(reason text, code text) returns text language plpgsql
    as 'begin raise ''%'', reason using errcode = code; end';
create function refusing.strict(wanted integer) returns integer language plpgsql as
    'declare one integer; begin
         select id into strict one from refusing.rows where id >= wanted; return one;
     end';
create function refusing.named(given integer) returns text language plpgsql as
    'begin case given when 1 then return ''one''; end case; end';
create function refusing.broken() returns integer language plpgsql as
    'begin return (select id from no_such_table); end';
create function refusing.outdated() returns integer language plpgsql as
    'begin return (select no_such_column from refusing.rows limit 1); end';
create materialized view refusing.computed as select 1 as one;
create sequence refusing.ended maxvalue 2;
select nextval('refusing.ended'), nextval('refusing.ended');
insert into refusing.rows values (1), (2);
grant usage on schema refusing to cacheaside_query, cacheaside_command;
grant select on refusing.rows to cacheaside_query, cacheaside_command;
grant insert, update on refusing.rows, refusing.small, refusing.owned to cacheaside_command;
grant select on refusing.small, refusing.owned to cacheaside_command;
grant select, update on refusing.computed to cacheaside_command;
grant usage on sequence refusing.ended to cacheaside_command;
"""

DEEP: Final = "[" * 100_000
IN_A_QUERY: Final = [
    ("100 / %(x)s", "integer", "0"),  # 22012
    ("%(x)s::smallint", "integer", "70000"),  # 22003
    ("%(x)s * %(x)s", "integer", str(2**62)),
    ("sqrt(%(x)s)", "number", "-1"),  # 2201F
    ("ln(%(x)s)", "number", "0"),  # 2201E
    ("%(x)s + interval '300000 years'", "timestamp", "2024-01-01T00:00:00Z"),  # 22008
    ("to_tsquery('simple', %(x)s)::text", "text", "foo bar"),  # 42601
    ("to_tsvector(%(x)s::regconfig, 'a')::text", "text", "klingon"),  # 42704
    ("%(x)s::regclass::text", "text", "no_such_table"),  # 42P01
    ("%(x)s::regclass::text", "text", "no_such.table"),  # 3F000
    ("%(x)s::regclass::text", "text", "a.b.c"),  # 0A000
    ("pg_database_size(%(x)s)", "text", "no_such_database"),  # 3D000
    ("to_regtype(%(x)s)::text", "text", "int["),  # 42601, with a position in the text
    ("%(x)s::regtype::text", "text", "int["),
    ("%(x)s::regclass::text", "text", ""),  # 42602
    ("%(x)s::regproc::text", "text", "no_such_function"),  # 42883
    ("%(x)s::regproc::text", "text", "lower"),  # 42725
    ("has_column_privilege('refusing.rows', %(x)s, 'select')", "text", "no_such_column"),  # 42703
    ("pg_get_serial_sequence('refusing.rows', %(x)s)", "text", "no_such_column"),
    ("nextval(%(x)s::regclass)", "text", "refusing.rows"),  # 42809
    ("(select count(*) from ts_stat(%(x)s))", "text", "selec"),  # 42601, of a text that is run as a query
    ("(select count(*) from ts_stat(%(x)s))", "text", "select no_such_column"),
    ("query_to_xml(%(x)s, true, true, '')::text", "text", "selec"),
    ("date_trunc(%(x)s, timestamp '2024-01-01')", "text", "fortnight"),  # 22023
    ("date_trunc(%(x)s, timestamp '2024-01-01')", "text", "timezone"),  # 0A000
    ("'a' ~ %(x)s", "text", "("),  # 2201B
    ("'ab' like %(x)s", "text", "a\\"),  # 22025
    ("%(x)s::jsonb", "text", DEEP),  # 54001
    ("jsonb_path_query('{}', %(x)s::jsonpath)", "text", "$["),
    ("jsonb_path_query('[]', %(x)s::jsonpath)", "text", "strict $.a"),  # 2203A
    ("array_position(%(x)s::integer[], 1)", "text", "{{1}}"),  # 0A000
    ("%(x)s::integer", "text", "seven"),
    ("%(x)s::date", "text", "2024-02-30"),  # 22008
    ("%(x)s::interval", "text", "soon"),  # 22007
    ("%(x)s::refusing.mood", "text", "angry"),
    ("(%(x)s::integer)::refusing.positive", "integer", "-1"),  # 23514
    ("chr(%(x)s::integer)", "integer", "-1"),  # 54000
    ("repeat('abc', %(x)s::integer)", "integer", "1000000000"),
    ("width_bucket(1, 1, 1, %(x)s::integer)", "integer", "5"),  # 2201G
    ("generate_series(1, 5, %(x)s)", "integer", "0"),
    ("(select id from refusing.rows where id >= %(x)s)", "integer", "1"),  # 21000
    ("refusing.refuse(%(x)s, 'P0001')", "text", "a secret reason"),
    ("refusing.refuse(%(x)s, 'SH042')", "text", "a secret reason"),  # a code of the function's own
    ("refusing.refuse(%(x)s, '38000')", "text", "a secret reason"),  # another language
    ("refusing.strict(%(x)s::integer)", "integer", "7"),  # P0002
    ("refusing.strict(%(x)s::integer)", "integer", "1"),  # P0003
    ("refusing.named(%(x)s::integer)", "integer", "2"),  # 20000
    ("select id from refusing.rows limit %(x)s", "integer", "-1"),  # 2201W
    ("select id from refusing.rows offset %(x)s", "integer", "-1"),  # 2201X
    ("select id from refusing.rows tablesample bernoulli (%(x)s)", "number", "101"),  # 2202H
    ("select id from refusing.rows where mood = %(x)s::refusing.mood", "text", "angry"),
]
IN_A_COMMAND: Final = [
    ("insert into refusing.rows (id) values (%(x)s)", "integer", 2**40),
    ("insert into refusing.rows (id, name) values (5, %(x)s)", "text", "far too long"),  # 22001
    ("insert into refusing.rows (id, owner) values (5, %(x)s)", "text", "".join(map(chr, range(1000, 9000)))),  # 54000
    ("insert into refusing.small (id) values (%(x)s)", "integer", 100),  # 44000
    ("insert into refusing.owned values (%(x)s)", "text", "you"),  # 42501, of a policy
    (
        "insert into refusing.rows (id) select unnest(%(x)s) on conflict (id) do update set name = 'b'",
        *("integer[]", [5, 5]),  # 21000
    ),
]
OURS: Final = [
    ("select 1 / 0 as it", None),  # no parameter
    ("select 1 / 0 as it, %(x)s", "7"),  # the default
    ("select refusing.refuse('always', 'P0001') as it", None),
    ("select (-7)::refusing.positive as it", None),
    ("select no_such_column, %(x)s as it", "5"),
    ("select no_such_function(%(x)s) as it", "5"),
    ("select from no_such_table where 1 = %(x)s", "5"),
    ("select %(x)s::no_such_type as it", "5"),
    ("select 'a'::no_such_schema.type, %(x)s as it", "5"),
    ("selec %(x)s as it", "5"),
    ("select refusing.broken() + %(x)s as it", "5"),  # a table is missing in a function
    ("select refusing.outdated() + %(x)s as it", "5"),  # a column is
    ("select abs(%(x)s) over () as it", "5"),  # not a window function
    ("select owner, %(x)s as it from refusing.owned", "5"),  # a grant is missing
    ("select refusing.refuse(%(x)s::text, 'XX000') as it", "5"),
    ("select refusing.refuse(%(x)s::text, 'P0004') as it", "5"),  # an assertion
    ("select refusing.refuse(%(x)s::text, '58030') as it", "5"),  # a broken disk
    ("select nextval('refusing.ended') + %(x)s as it", "5"),  # a query writes
]
SECRETS: Final = (b"select", b"SELECT", b"refusing", b"secret", b"psycopg", b"syntax", b"LINE ", b"function")


@pytest.fixture(scope="module", autouse=True)
def schema(postgres: PostgresServer) -> Iterator[None]:
    with closing(psycopg2.connect(postgres.url)) as owner, owner.cursor() as cursor:
        owner.autocommit = True
        cursor.execute(SCHEMA)
        yield
        cursor.execute("drop schema refusing cascade")


@pytest.fixture
def log(api: Api) -> Iterator[list[logging.LogRecord]]:
    """What the query function logs."""
    records: list[logging.LogRecord] = []
    handler, logger = logging.Handler(), application._logger()
    handler.emit = records.append  # type: ignore[method-assign]
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


def whole(place: str) -> str:
    return place if place.startswith("select") else f"select {place} as it"


def is_callers_error(answer: Answer) -> bool:
    """Whether it is a 422 without a word of the SQL."""
    is_422 = answer.status == 422 and answer.json["type"] == "/docs#unprocessable"
    return is_422 and not any(word in answer.body for word in SECRETS)


def test_value_that_a_query_cannot_take_is_the_callers_error(api: Api) -> None:
    answers = {(place, value): declared_query(api, whole(place), x=kind)(x=value) for place, kind, value in IN_A_QUERY}
    assert [asked for asked, answer in answers.items() if not is_callers_error(answer)] == []


def test_value_that_a_command_cannot_take_is_the_callers_error(api: Api) -> None:
    def given(kind: str, value: str) -> Any:
        return json.loads(value) if kind in ("integer", "number") else value

    statements = [(whole(place), kind, given(kind, value)) for place, kind, value in IN_A_QUERY]
    statements += [(f"{statement} returning 1 as one", kind, value) for statement, kind, value in IN_A_COMMAND]
    answers = [(sql, value, declared_command(api, sql, x=kind)(x=value)) for sql, kind, value in statements]
    assert [(sql, value) for sql, value, answer in answers if not is_callers_error(answer)] == []


def test_error_that_no_value_can_cause_is_ours(api: Api, log: list[logging.LogRecord]) -> None:
    with_default = {"x": declared(x="integer")["x"]._replace(required=False, default=7)}
    answers = {
        (sql, x): declared_query(api, sql, {"parameters": with_default if x else {}})(**({"x": x} if x else {}))
        for sql, x in OURS
    }
    assert [asked for asked, answer in answers.items() if answer.status != 500] == []
    assert [record.levelname for record in log] == ["ERROR"] * len(OURS)


def test_callers_error_counts_for_no_alarm_and_no_breaker(
    api: Api, log: list[logging.LogRecord], capsys: pytest.CaptureFixture[str]
) -> None:
    ask = declared_query(api, "select to_tsquery('simple', %(x)s)::text as it", x="text")
    for _ in range(4):  # more than open a breaker
        assert is_callers_error(ask(x="foo bar"))
    counted = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("Unprocessable") for line in counted] == [[1.0]] * 4
    assert not any("Error" in line for line in counted)
    assert [(record.levelname, record.exc_info) for record in log] == [("WARNING", None)] * 4
    assert api.get("/queries/product?id=42").status == 200


@pytest.mark.parametrize(
    "sql", ["select nextval('refusing.ended') + %(x)s as it", "update refusing.computed set one = %(x)s returning one"]
)
def test_write_that_no_value_makes_possible_is_no_error_of_a_caller(api: Api, sql: str) -> None:
    answer = declared_command(api, sql, x="integer")(x=5)
    assert check_problem(answer, 500)["type"] == "/docs#internal"


@pytest.fixture
def divided(api: Api, sql: Sql) -> Iterator[Callable[..., Callable[..., Answer]]]:
    """Declares a query that divides by a stored number. Its answers expire at once. `policy` changes its policy."""
    sql("create table refusing.changing as select 1 as divisor")
    sql("grant select on refusing.changing to cacheaside_query")

    def declare(**policy: int) -> Callable[..., Answer]:
        changed = api.module("QueryFunction").catalogue.query("product").policy._replace(ttl_ms=1, **policy)
        query = "select %(x)s / divisor as it from refusing.changing"
        return declared_query(api, query, {"policy": changed}, x="integer")

    yield declare
    sql("drop table refusing.changing")


def test_callers_error_is_not_cached_and_serves_no_old_answer(divided: Any, sql: Sql) -> None:
    ask = divided(stale_ms=0, stale_if_error_ms=600_000)
    assert ask(x=4).json["data"] == [{"it": 4}]
    sql("update refusing.changing set divisor = 0")
    check_problem(ask(x=4), 422)
    sql("update refusing.changing set divisor = 2")
    assert ask(x=4).json["data"] == [{"it": 2}]


def test_refresh_that_meets_a_callers_error_is_no_error_in_the_log(
    divided: Any, sql: Sql, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = divided(stale_ms=600_000, stale_if_error_ms=600_000)
    ask(x=4)
    sql("update refusing.changing set divisor = 0")
    assert ask(x=4).json["data"] == [{"it": 4}]  # at once; it is refreshed after that
    wait_until(lambda: '"Unprocessable":[1]' in capsys.readouterr().out)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_value_refused_at_the_end_of_a_transaction_is_the_callers_error(api: Api, sql: Sql) -> None:
    sql("""create function refusing.late() returns trigger language plpgsql
           as 'begin raise ''secret''; end'""")
    sql("""create constraint trigger late after insert on refusing.rows deferrable initially deferred
           for each row execute function refusing.late()""")
    try:
        call = declared_command(api, "insert into refusing.rows (id) values (%(x)s) returning id", x="integer")
        answer = call(x=9)
        assert b"secret" not in answer.body
        check_problem(answer, 422)
        assert sql("select count(*) from refusing.rows where id = 9") == [(0,)]
    finally:
        sql("drop function refusing.late cascade")
