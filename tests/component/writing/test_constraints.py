"""A write that violates a constraint is a conflict or unprocessable, and its problem names the columns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from local.servers.postgres import PostgresServer
from tests.component.support.sql import Sql
from tests.support.problem_document import check_problem

SCHEMA = """
create schema shapes;
create domain shapes.positive as integer constraint above_zero check (value > 0);
create table shapes.parents (
    id      integer primary key,
    code    text unique,
    email   text,
    "Odd"   text constraint "odd rule" check ("Odd" <> 'secret'),
    amount  shapes.positive
);
create unique index parents_email_idx on shapes.parents (lower(email));
create unique index parents_odd_idx on shapes.parents ("Odd") include (email);
create table shapes.children (
    number  integer not null,
    parent  integer not null references shapes.parents,
    starts  integer,
    ends    integer,
    during  int4range,
    later   integer constraint later_exists references shapes.parents deferrable initially deferred,
    primary key (parent, number),
    constraint starts_before_it_ends check (starts < ends),
    constraint one_at_a_time exclude using gist (during with &&)
);
create table shapes.grandchildren (
    parent  integer,
    number  integer,
    foreign key (parent, number) references shapes.children on delete restrict
);
create schema other_shapes;
create table other_shapes.parents (misleading integer constraint parents_code_key unique);
create table shapes.parted (region varchar(5), number integer, unique (region, number)) partition by list (region);
create table shapes.parted_a partition of shapes.parted for values in ('a');

insert into shapes.parents (id, code, email, "Odd") values (1, 'one', 'A@b', 'odd'), (2, 'two', 'c@d', null);
insert into shapes.children (parent, number, during) values (1, 1, '[1, 5)');
insert into shapes.grandchildren values (1, 1);
insert into shapes.parted values ('a', 1);

grant usage on schema shapes to cacheaside_command;
grant select, insert, update, delete on all tables in schema shapes to cacheaside_command;
"""

CONFLICT, UNPROCESSABLE = (409, "conflict"), (422, "unprocessable")
TAKEN, REFERRED_TO = "there is one like it already", "something still refers to it"
NOTHING, MISSING = "what it refers to does not exist", "a value is missing"

TABLE = [
    ("insert into shapes.parents (id) values (1)", CONFLICT, ["id"], TAKEN),
    ("insert into shapes.parents (id, code) values (3, 'one')", CONFLICT, ["code"], TAKEN),
    ("insert into shapes.children (parent, number) values (1, 1)", CONFLICT, ["parent", "number"], TAKEN),
    ("insert into shapes.parents (id, email) values (3, 'a@B')", CONFLICT, ["parents_email_idx"], TAKEN),
    ("""update shapes.parents set "Odd" = 'odd' where id = 2""", CONFLICT, ["Odd"], TAKEN),
    ("insert into shapes.parted values ('a', 1)", CONFLICT, ["region", "number"], TAKEN),
    (
        "insert into shapes.children (parent, number, during) values (2, 1, '[4, 9)')",
        *(CONFLICT, ["during"], "another one is in its way"),
    ),
    ("delete from shapes.parents where id = 1", CONFLICT, ["id"], REFERRED_TO),
    ("update shapes.parents set id = 9 where id = 1", CONFLICT, ["id"], REFERRED_TO),
    ("delete from shapes.children", CONFLICT, ["parent", "number"], REFERRED_TO),
    ("insert into shapes.children (parent, number) values (7, 1)", UNPROCESSABLE, ["parent"], NOTHING),
    ("insert into shapes.grandchildren values (2, 2)", UNPROCESSABLE, ["parent", "number"], NOTHING),
    ("insert into shapes.children (parent, number, later) values (1, 2, 7)", UNPROCESSABLE, ["later"], NOTHING),
    ("insert into shapes.children (parent) values (1)", UNPROCESSABLE, ["number"], MISSING),
    (
        """insert into shapes.parents (id, "Odd") values (3, 'secret')""",
        *(UNPROCESSABLE, ["Odd"], "the rule odd rule forbids it"),
    ),
    (
        "insert into shapes.children (parent, number, starts, ends) values (1, 2, 5, 4)",
        *(UNPROCESSABLE, ["starts", "ends"], "the rule starts_before_it_ends forbids it"),
    ),
    (
        "insert into shapes.parents (id, amount) values (3, 0)",
        *(UNPROCESSABLE, ["above_zero"], "the rule above_zero forbids it"),
    ),
]


@pytest.fixture(scope="module", autouse=True)
def shapes(postgres: PostgresServer) -> Iterator[None]:
    with closing(psycopg2.connect(postgres.url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(SCHEMA)
            yield
            cursor.execute("drop schema shapes, other_shapes cascade")


def run(api: Any, sql: str) -> Any:
    commands = api.module("CommandFunction").catalogue.commands
    commands["added"] = commands["set_price"]._replace(name="added", sql=f"{sql} returning 1 as one", parameters={})
    return api.post("/commands/added", {})


@pytest.mark.parametrize(("statement", "kind", "fields", "rule"), TABLE)
def test_fields_and_kind_are_those_of_the_constraint(
    api: Any, statement: str, kind: tuple[int, str], fields: list[str], rule: str
) -> None:
    answer = run(api, statement)
    document = check_problem(answer, kind[0])
    assert document["type"] == f"/docs#{kind[1]}"
    assert document["errors"] == [{"field": field, "detail": f"{field}: {rule}"} for field in fields]
    assert document["detail"] == f"{', '.join(fields)}: {rule}"
    assert not any(word in answer.body for word in (b"insert", b"update ", b"shapes", b"secret", b"Key (", b"127.0.0"))


def test_problem_names_the_constraint_if_its_columns_cannot_be_looked_up(api: Any, sql: Sql) -> None:
    kept = api.module("CommandFunction").writer._database._kept
    roll_back = kept.roll_back

    def roll_back_and_die() -> None:
        roll_back()
        sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'cacheaside_command'")

    kept.roll_back = roll_back_and_die
    document = check_problem(run(api, "insert into shapes.parents (id, code) values (3, 'one')"), 409)
    assert [each["field"] for each in document["errors"]] == ["parents_code_key"]


def test_violation_that_a_function_raises_has_no_fields_and_hides_its_message(api: Any, sql: Sql) -> None:
    sql("""create function shapes.refuse() returns integer language plpgsql
           as 'begin raise ''secret'' using errcode = ''unique_violation''; end'""")
    answer = run(api, "update shapes.parents set id = shapes.refuse()")
    assert check_problem(answer, 409)["errors"] == []
    assert b"secret" not in answer.body
