"""The check of queries on tables whose names need quotes, with another spelling, or in schemas that need quotes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from local.servers.postgres import PostgresServer
from tests.component.support.checked_statement import checked_command, checked_query
from tests.component.support.temporary_database import temporary_database
from tests.support.root import ROOT

# As Prisma makes it, and a schema whose name needs quotes.
SCHEMA = """
    create table "User" (id serial primary key, name text);
    create table "Post" (id serial primary key, title text, "authorId" integer references "User");
    create table "user" (id bigint primary key);
    create table lower_only (id bigint primary key);
    create function "Hidden"() returns integer language plpgsql stable as 'begin return 1; end';
    create schema "My, Sales";
    create table "My, Sales"."Order Lines" ("orderId" bigint, line integer, primary key ("orderId", line));
    create function "My, Sales"."F f"() returns bigint language sql stable return 1::bigint;
    select cacheaside.watch('"User"'), cacheaside.watch('"Post"'), cacheaside.watch('"user"'),
        cacheaside.watch('lower_only'), cacheaside.watch('"My, Sales"."Order Lines"');
"""
LINES = '"My, Sales"."Order Lines"'


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> Iterator[str]:
    with temporary_database(postgres, "quoted_introspection", SCHEMA) as url:
        yield url


def toml(tag: str) -> str:
    return tag.replace('"', '\\"')


def messages(url: str, folder: Path, sql: str, *tags: str, **types: str) -> list[str]:
    return [each.message for each in checked_query(url, folder, sql, *map(toml, tags), **types).problems]


def test_example_of_the_documentation_is_right(url: str, tmp_path: Path) -> None:
    text = (ROOT / "docs/catalogue.md").read_text()
    example = text[text.index('-- summary = "The posts of an author"') :].partition("```")[0]
    header, sql = example[: example.index("select")], example[example.index("select") :]
    assert """-- tags    = ['"Post"', '"User":{authorId}']""" in header
    assert messages(url, tmp_path, sql.strip(), '"Post"', '"User":{authorId}', authorId="integer") == []


@pytest.mark.parametrize(
    ("sql", "tag", "printed"),
    [
        ('select * from "user" where id = %(id)s', "user:{id}", """'"user":{id}'"""),
        ('select * from "Post" where id = %(id)s', "Post:{id}", """'"Post":{id}'"""),
        ("select * from lower_only where id = %(id)s", "Public.Lower_Only:{id}", '"lower_only:{id}"'),
        ("select * from lower_only where id = %(id)s", "public.lower_only:{id}", '"lower_only:{id}"'),
        ('select * from lower_only where id = %(id)s', '"lower_only":{id}', '"lower_only:{id}"'),
        ('select "Hidden"(), %(id)s', "Hidden", """'"Hidden"'"""),
    ],
)  # fmt: skip
def test_other_spelling_is_a_problem_with_the_line_to_write(
    url: str, tmp_path: Path, sql: str, tag: str, printed: str
) -> None:
    [message] = messages(url, tmp_path, sql, tag, id="integer")
    assert message.startswith(f"the tag {tag} is not as PostgreSQL prints it, ")
    assert message.endswith(f"; write -- tags = [{printed}]")


def test_row_of_a_table_in_a_quoted_schema(url: str, tmp_path: Path) -> None:
    run(url, f"""grant usage on schema "My, Sales" to cacheaside_query; grant select on {LINES} to cacheaside_query""")
    sql = f'select * from {LINES} where "orderId" = %(orderId)s and line = %(line)s'
    types = {"orderId": "integer", "line": "integer"}
    assert messages(url, tmp_path, sql, f"{LINES}:{{orderId}},{{line}}", **types) == []
    [message] = messages(url, tmp_path, sql, f"{LINES}:{{line}},{{orderId}}", **types)
    assert "the query reads, or may read, other rows of " + LINES in message


def test_rights_in_a_quoted_schema_are_told_with_their_grants(url: str, tmp_path: Path) -> None:
    run(url, f'revoke usage on schema "My, Sales" from cacheaside_query; revoke all on {LINES} from cacheaside_query')
    found = messages(url, tmp_path, f"select * from {LINES}", LINES)
    found += messages(url, tmp_path, 'select "My, Sales"."F f"()')
    run(url, """alter role cacheaside_query in database quoted_introspection set search_path = "My, Sales", public""")
    found += messages(url, tmp_path, 'select * from "Order Lines"', LINES)
    found += [
        each.message
        for each in checked_command(url, tmp_path, f"insert into {LINES} values (1, 1) returning line").problems
    ]
    grants = {each.partition("put into a migration: ")[2] for each in found if "put into a migration: " in each}
    assert grants >= {
        'grant usage on schema "My, Sales" to cacheaside_query;',
        f"grant select on {LINES} to cacheaside_query;",
        f"grant insert, select on {LINES} to cacheaside_command;",
    }
    for grant in sorted(grants, key=lambda each: "usage" not in each):
        run(url, grant)
    assert messages(url, tmp_path, 'select * from "Order Lines"', LINES) == []
    run(url, "alter role cacheaside_query in database quoted_introspection reset search_path")


def test_parameters_that_differ_in_case_are_two(url: str, tmp_path: Path) -> None:
    sql = 'select * from "Post" where "authorId" = %(authorId)s or id = %(authorid)s'
    [message] = messages(url, tmp_path, sql, '"Post"', authorId="integer", authorid="text")
    assert message.startswith("operator does not exist: integer = text")
    assert message.endswith("write %(authorid)s::bigint")


def run(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
