"""`python -m local check` of statements that the functions would refuse, or answer wrongly, when they are deployed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.servers.postgres import PostgresServer
from tests.component.support.check_command import check
from tests.component.support.temporary_database import temporary_database

SCHEMA = """
    create table pe (id bigint, d date, primary key (id, d)) partition by range (d);
    create schema app;
    create table app.t (id bigint primary key, in_app text);
    create table public.t (id bigint primary key, in_public text);
    grant usage on schema app to cacheaside_query;
    grant select on app.t to cacheaside_query;
    alter role cacheaside_query in database asking set search_path = app, public;
    create table hidden (id bigint primary key);
    revoke select on hidden from cacheaside_query;
    select cacheaside.watch('pe'), cacheaside.watch('app.t'), cacheaside.watch('t'), cacheaside.watch('hidden');
"""

Ask = Callable[[str, str], tuple[int, str]]


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> Iterator[str]:
    with temporary_database(postgres, "asking", SCHEMA) as url:
        yield url


@pytest.fixture
def ask(url: str, tmp_path: Path) -> Ask:
    """Checks one statement beside a query that is right. Returns the exit status and what was printed."""
    for kind in ("queries", "commands"):
        (tmp_path / kind).mkdir()
    (tmp_path / "queries/right.sql").write_text(
        '-- summary = "x"\n-- ttl = "60s"\n-- tags = ["products"]\nselect id from products\n'
    )

    def ask(file: str, text: str) -> tuple[int, str]:
        (tmp_path / file).write_text(f'-- summary = "x"\n{text}\n')
        status, out, err = check(CATALOGUE=str(tmp_path), DATABASE_URL=url)
        assert err == ""
        return status, out.replace(f"{tmp_path}/", "")

    return ask


def test_scan_that_todays_plan_leaves_out_is_no_proof(ask: Ask) -> None:
    parameters = '-- params.id = { type = "integer" }\n-- params.d = { type = "date" }\n'
    header = f'-- ttl = "60s"\n-- tags = ["pe:{{id}},{{d}}"]\n{parameters}'
    status, out = ask("queries/q.sql", f"{header}select * from pe where id >= %(id)s and d >= %(d)s")
    assert status == 1
    assert out.startswith('queries/q.sql:3: "pe:{id},{d}" is not enough: ')
    assert out.endswith('write -- tags = ["pe"]\n')


def test_name_means_what_it_means_to_the_function(ask: Ask) -> None:
    status, out = ask("queries/q.sql", '-- ttl = "60s"\n-- tags = ["t"]\nselect in_public from t')
    assert status == 1
    assert 'queries/q.sql:4: column "in_public" does not exist' in out
    assert ask("queries/q.sql", '-- ttl = "60s"\n-- tags = ["app.t"]\nselect in_app from t')[0] == 0


def test_query_that_locks_rows_is_told_with_its_line(ask: Ask) -> None:
    sql = "select id, price\nfrom products\nwhere id = 1\nfor update"
    status, out = ask("queries/q.sql", f'-- ttl = "60s"\n-- tags = ["products"]\n{sql}')
    assert (status, out.count("\n")) == (1, 1)
    assert out.startswith("queries/q.sql:7: a query is loaded in a read-only transaction, which refuses for update")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("queries/q.sql", '-- ttl = "60s"\n-- tags = ["orders", "customers"]\n'),
        ("commands/q.sql", ""),
    ],
)
def test_two_columns_of_one_name_are_told(ask: Ask, file: str, text: str) -> None:
    status, out = ask(
        file, f"{text}select orders.id, customers.id, name from orders join customers on customers.id = customer_id"
    )
    assert status == 1
    assert '2 columns of the answer are called "id"' in out


def test_command_that_names_no_table_is_told(ask: Ask) -> None:
    status, out = ask("commands/q.sql", "update nowhere set price = 1 returning price")
    assert (status, out) == (1, 'commands/q.sql:2: relation "nowhere" does not exist\n')


@pytest.mark.parametrize(
    ("file", "text", "grant"),
    [
        ("commands/q.sql", "delete from orders returning id", "grant delete on orders to cacheaside_command;"),
        (
            "queries/q.sql",
            '-- ttl = "60s"\n-- tags = ["hidden"]\nselect id from hidden',
            "grant select on hidden to cacheaside_query;",
        ),
    ],
)
def test_right_that_is_missing_is_told_with_the_grant(ask: Ask, file: str, text: str, grant: str) -> None:
    status, out = ask(file, text)
    assert (status, out.count("\n")) == (1, 1)
    assert out.endswith(f"put into a migration: {grant}\n")


@pytest.mark.parametrize(
    ("settings", "sql", "warning"),
    [
        ('-- verify = false\n-- ttl = "20ms"', "select pg_sleep(1)::text as slept", "takes longer than its answer"),
        ('-- ttl = "60s"', "select now()", "depends on now()"),
    ],
)
def test_query_that_the_cache_makes_no_use_of_is_a_warning(ask: Ask, settings: str, sql: str, warning: str) -> None:
    status, out = ask("queries/q.sql", f"{settings}\n-- tags = []\n{sql}")
    assert status == 0
    assert "queries/q.sql:" in out
    assert ": warning: the " in out
    assert warning in out
