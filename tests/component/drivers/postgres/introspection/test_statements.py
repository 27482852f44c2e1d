"""Statements that PostgreSQL would refuse when the function runs them, or that would lose a part of the answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from local.servers.postgres import PostgresServer
from tests.component.support.checked_statement import checked_command, checked_query
from tests.component.support.temporary_database import temporary_database

SCHEMA = """
    create type size as enum ('s', 'm');
    create table shirts (id bigint primary key, size size, answer text, question text);
    select cacheaside.watch('shirts');
    create view locked as select id from products for no key update;
    create function writes() returns bigint language sql
        begin atomic insert into orders (customer_id) values (1) returning id; end;
    create function takes(integer) returns integer language sql immutable as 'select $1';
    grant select, insert, update, delete on shirts, customers to cacheaside_command;
"""


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> Iterator[str]:
    with temporary_database(postgres, "statements", SCHEMA) as url:
        yield url


@pytest.mark.parametrize(
    ("sql", "line", "part"),
    [
        ("select id, price from products\nwhere id = 1\nfor update", 3, "for update"),
        ("select id from products\nfor\nkey share of products nowait", 2, "for share"),
        ("select * from (\nselect id from products for share) as part", 2, "for share"),
        ("with part as (\nselect id from products for no key update)\nselect id from part", 2, "for update"),
        ("with unused as (\nselect id from products for update)\nselect 1 as n", 2, "for update"),
        ("select 1 as n where false and exists (\nselect from products for update)", 2, "for update"),
        ("select 'for update' as words,\nid from locked", 1, "for update"),
        ("select 1 as n,\nwrites()", 1, "insert"),
        ("select\nnextval('orders_id_seq')", 2, "nextval()"),
        ("select 1 as n,\nsetval('orders_id_seq', 1)", 2, "setval()"),
    ],
)
def test_query_that_a_read_only_transaction_refuses_is_told(
    url: str, tmp_path: Path, sql: str, line: int, part: str
) -> None:
    [problem] = checked_query(url, tmp_path, sql).problems
    assert "read-only transaction" in problem.message
    assert part in problem.message
    assert problem.line == 3 + line


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("select orders.id, customers.id, name from orders, customers", "id"),
        ("select * from orders, customers", "id"),
        ("select 1, 2", "?column?"),
        ('select 1 as "a b", 2 as "a b"', "a b"),
        ('select 1 as ":a", 2 as ":b", 3 as ":a"', ":a"),
        ("with part as (select 1 as n, 2 as n) table part", "n"),
        ("select 1 as n, 2 as n union all select 3, 4", "n"),
    ],
)
def test_two_columns_of_one_name_are_told(url: str, tmp_path: Path, sql: str, name: str) -> None:
    message = f'2 columns of the answer are called "{name}"'
    tags = [table for table in ("orders", "customers") if table in sql]
    [problem] = checked_query(url, tmp_path, sql, *tags).problems
    assert problem.message.startswith(message)
    assert message in str(checked_command(url, tmp_path, sql))


@pytest.mark.parametrize(
    "sql",
    [
        "insert into shirts (id) values (1) returning id, answer as id",
        "update shirts set size = 's' returning *, id",
        "delete from shirts returning id, old.id",
        "with part as (delete from shirts returning id) select id, id from part",
    ],
)
def test_two_columns_of_one_name_in_returning_are_told(url: str, tmp_path: Path, sql: str) -> None:
    [problem] = checked_command(url, tmp_path, sql).problems
    assert 'called "id"' in problem.message


@pytest.mark.parametrize(
    "name", ["answer", ":a", "<>", "cacheaside_statement", "a b", "id", "QUERY", "select", "{sql}", "ä"]
)
def test_column_may_have_any_name(url: str, tmp_path: Path, name: str) -> None:
    sql = f'select question as "{name}" from shirts'
    assert checked_query(url, tmp_path, sql, "shirts").problems == ()
    assert checked_command(url, tmp_path, sql).problems == ()


@pytest.mark.parametrize(
    ("sql", "line", "says"),
    [
        ("update nowhere\nset a = 1 returning a", 1, 'relation "nowhere" does not exist'),
        ("insert into shirts (id)\nvalues (1)\nreturning prize", 3, 'column "prize" does not exist'),
        ("update shirts\nset id = 'one' returning id", 2, 'invalid input syntax for type bigint: "one"'),
        ("update shirts\nset size = %(it)s returning id", 2, "write %(it)s::size"),
        ("select 1 as n\nwhere )", 2, "syntax error"),
        ("select takes(\n%(it)s)", 1, "write %(it)s::integer"),
        ("insert into shirts (id) values (1)", 1, "one statement that returns rows"),
        ("insert into shirts (id) values (1)\nreturning id; select 1", 2, "a file has one statement"),
        ("select 1 as n; drop table shirts", 1, "a file has one statement"),
        ("select 1 as n; end; delete from shirts", 1, "a file has one statement"),
        ("vacuum shirts", 1, "one statement that returns rows"),
        ("set search_path = app", 1, "one statement that returns rows"),
        ("commit", 1, ""),
    ],
)
def test_command_that_postgresql_refuses_is_told(url: str, tmp_path: Path, sql: str, line: int, says: str) -> None:
    types = {"it": "text"} if "%(it)s" in sql else {}
    [problem] = checked_command(url, tmp_path, sql, **types).problems
    assert says in problem.message
    assert problem.line == 1 + len(types) + line


@pytest.mark.parametrize(
    "sql", ["select ';' as a; -- then; nothing", "select $a$;$a$ as a /* ; */", 'select 1 as ";";']
)
def test_semicolon_that_ends_nothing_is_accepted(url: str, tmp_path: Path, sql: str) -> None:
    assert checked_command(url, tmp_path, sql).problems == ()


def test_no_command_is_run(url: str, tmp_path: Path) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        checked_command(url, tmp_path, "insert into shirts (id) values (1) returning id")
        checked_command(url, tmp_path, "select 1 as n; end; insert into shirts (id) values (2)")
        checked_query(url, tmp_path, "select 1 as n) as answer; end; insert into shirts (id) values (3); select (1")
        cursor.execute("select count(*) from shirts")
        assert cursor.fetchone() == (0,)


@pytest.mark.parametrize(
    ("sql", "kind", "cast"),
    [
        ("select repeat('x', %(it)s)", "integer", "%(it)s::integer"),
        ("select make_date(2025, %(it)s, %(it)s)", "integer", "%(it)s::integer"),
        ("select id from shirts where question = %(it)s", "integer", "%(it)s::text"),
        ("select id from shirts where size = %(it)s", "text", "%(it)s::size"),
        ("select id from shirts where size = any (%(it)s)", "text[]", "%(it)s::size[]"),
        ("select id from shirts limit %(it)s", "text", "%(it)s::bigint"),
        ("select id from shirts where id = any (%(it)s)", "text[]", "%(it)s::bigint[]"),
        ("select to_tsquery(%(it)s, 'a') as t", "text", "%(it)s::regconfig"),
        ("select jsonb_path_exists('{}', %(it)s) as t", "text", "%(it)s::jsonpath"),
        ("select timestamp '2025-01-01' + %(it)s as t", "text", "%(it)s::interval"),
        ("select extract(%(it)s from timestamp '2025-01-01') as t", "text", "date_part(%(name)s, …)"),
        ("select interval %(it)s as t", "text", "%(name)s::interval"),
    ],
)
def test_type_that_postgresql_refuses_is_told_with_the_cast(
    url: str, tmp_path: Path, sql: str, kind: str, cast: str
) -> None:
    [problem] = checked_query(url, tmp_path, sql, "shirts", it=kind).problems
    assert cast in problem.message


def test_casts_of_several_parameters_are_told(url: str, tmp_path: Path) -> None:
    sql = "select make_date(%(year)s, %(month)s, 1)"
    [problem] = checked_query(url, tmp_path, sql, year="integer", month="integer").problems
    assert problem.message.endswith("write %(year)s::integer and %(month)s::integer")


def test_enum_needs_no_cast(url: str, tmp_path: Path) -> None:
    sql = "select id from shirts where size = %(it)s or question = %(it)s or %(it)s is null or size = any (%(all)s)"
    assert checked_query(url, tmp_path, sql, "shirts", it="enum:s", all="enum[]:s,m").problems == ()


def test_value_of_an_enum_that_the_type_lacks_is_told(url: str, tmp_path: Path) -> None:
    sql = "select id from shirts where size = %(it)s"
    [problem] = checked_query(url, tmp_path, sql, "shirts", it="enum:s,m,xl").problems
    assert problem.message == 'invalid input value for enum size: "xl"'
