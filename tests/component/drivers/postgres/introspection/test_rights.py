"""Rights that the role of a statement lacks, each with the grant to put into a migration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from cacheaside.catalogue_check.findings import CatalogueCheck
from local.servers.postgres import PostgresServer
from tests.component.support.checked_statement import checked_command, checked_query
from tests.component.support.temporary_database import temporary_database

SCHEMA = """
    create table secrets (id serial primary key, a text, b text);
    revoke all on secrets from cacheaside_query;
    grant select (id) on secrets to cacheaside_query;
    select cacheaside.watch('secrets');
    create table numbered (id bigint generated always as identity primary key, a text);
    create view owned as select * from secrets;
    create view invoked with (security_invoker = yes) as select * from secrets;
    create view of_invoked as select * from invoked;
    create function counted() returns bigint language sql stable begin atomic select count(a) from secrets; end;
    create function counted_for_all() returns bigint language sql stable security definer
        begin atomic select count(a) from secrets; end;
    create function closed(integer) returns integer language sql immutable as 'select $1';
    revoke execute on function closed from public;
    create schema "Other";
    create table "Other"."Table" (id bigint primary key);
    grant usage on schema "Other" to cacheaside_query, cacheaside_command;
"""


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> Iterator[str]:
    with temporary_database(postgres, "rights", SCHEMA) as url:
        yield url


def grants(checked: CatalogueCheck) -> list[str]:
    """Return the grants that the problems tell."""
    told = [each.message.partition("put into a migration: ") for each in checked.problems]
    return [grant.removesuffix(";") for _, _, grant in told if grant.startswith("grant ")]


@pytest.mark.parametrize(
    ("sql", "grant"),
    [
        ("select id from secrets", ""),
        ("select count(*) from secrets", ""),
        ("select a from secrets", "grant select on secrets to cacheaside_query"),
        ("select id from secrets where b = 'x'", "grant select on secrets to cacheaside_query"),
        ("select secrets from secrets", "grant select on secrets to cacheaside_query"),
        ("select id from products where exists (select a from secrets)", "grant select on secrets to cacheaside_query"),
        ("select * from owned", ""),
        ("select * from invoked", "grant select on secrets to cacheaside_query"),
        ("select * from of_invoked", "grant select on secrets to cacheaside_query"),
        ("select counted()", "grant select on secrets to cacheaside_query"),
        ("select counted_for_all()", ""),
        ("select closed(1)", "grant execute on function closed(integer) to cacheaside_query"),
        ('select * from "Other"."Table"', 'grant select on "Other"."Table" to cacheaside_query'),
        ("select a from secrets where false", "grant select on secrets to cacheaside_query"),
    ],
)
def test_right_that_a_query_lacks_is_told(url: str, tmp_path: Path, sql: str, grant: str) -> None:
    assert grants(checked_query(url, tmp_path, sql, "secrets")) == ([grant] if grant else [])


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("select rolpassword from pg_authid", "pg_authid"),
        ("select pg_read_file('x')", "pg_read_file(text)"),
        ("select tag from cacheaside.names", "cacheaside.names"),
    ],
)
def test_grant_on_what_belongs_to_the_system_is_never_told(url: str, tmp_path: Path, sql: str, name: str) -> None:
    for checked in (checked_query(url, tmp_path, sql, "secrets"), checked_command(url, tmp_path, sql)):
        assert grants(checked) == []
        assert f"may not use {name}, which belongs to the system" in str(checked.problems)


TO = "to cacheaside_command"


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("insert into orders (customer_id) values (1) returning id", []),
        ("delete from orders returning id", [f"grant delete on orders {TO}"]),
        ("update products set name = 'x' returning id", [f"grant update (name) on products {TO}"]),
        (
            "update products set price = 1, sku = 'x', name = 'x' returning id",
            [f"grant update (sku, name) on products {TO}"],
        ),
        ("update customers set name = 'x' returning 1 as n", [f"grant update (name) on customers {TO}"]),
        (
            "insert into secrets (a) values ('x') returning id",
            [f"grant insert, select on secrets {TO}", f"grant usage on sequence secrets_id_seq {TO}"],
        ),
        ("insert into secrets (id, a) values (1, 'x') returning id", [f"grant insert, select on secrets {TO}"]),
        (
            "insert into secrets (id, a) values (default, 'x') returning 1 as n",
            [f"grant insert on secrets {TO}", f"grant usage on sequence secrets_id_seq {TO}"],
        ),
        ("insert into numbered (a) values ('x') returning id", [f"grant insert, select on numbered {TO}"]),
        ("select nextval('secrets_id_seq') as n", [f"grant usage on sequence secrets_id_seq {TO}"]),
        ("select price from products for update", []),
        ("select status from orders for update", [f"grant update on orders {TO}"]),
        ("with gone as (delete from orders returning id) select id from gone", [f"grant delete on orders {TO}"]),
        (
            "insert into orders (id, customer_id) overriding system value values (1, 1)"
            " on conflict (id) do update set status = 'paid' returning id",
            [f"grant update (status) on orders {TO}"],
        ),
        (
            "merge into orders using products on orders.id = products.id when matched then delete returning orders.id",
            [f"grant delete on orders {TO}"],
        ),
        ("select closed(1) as n", [f"grant execute on function closed(integer) {TO}"]),
    ],
)
def test_right_that_a_command_lacks_is_told(url: str, tmp_path: Path, sql: str, told: list[str]) -> None:
    assert grants(checked_command(url, tmp_path, sql)) == told


@pytest.mark.parametrize(
    "sql", ["insert into secrets (a) values ('x') returning id", "update secrets set a = b returning closed(id) as n"]
)
def test_command_runs_with_the_grants_that_were_told(postgres: PostgresServer, tmp_path: Path, sql: str) -> None:
    with temporary_database(postgres, "granted", SCHEMA) as url:
        with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
            for grant in grants(checked_command(url, tmp_path, sql)):
                cursor.execute(grant)
        with closing(psycopg2.connect(postgres.url_for("cacheaside_command", "granted"))) as connection:
            connection.cursor().execute(sql)
        assert checked_command(url, tmp_path, sql).problems == ()


def test_owner_of_a_view_lacks_a_right(postgres: PostgresServer, tmp_path: Path) -> None:
    schema = f"{SCHEMA} create role viewer; alter view owned owner to viewer;"
    with temporary_database(postgres, "viewer", schema) as url:
        assert grants(checked_query(url, tmp_path, "select a from owned", "secrets")) == [
            "grant select on secrets to viewer"
        ]
        with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("drop owned by viewer; drop role viewer")
