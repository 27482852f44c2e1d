"""Tags of rows: accepted only where PostgreSQL's own plan shows that the query reads no other row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.servers.postgres import PostgresServer
from tests.component.support.checked_statement import checked_query
from tests.component.support.temporary_database import temporary_database

SCHEMA = """
    create type size as enum ('s', 'm', 'l');
    create table notes (code varchar(10) primary key, note text);
    create table sizes (size size primary key, note text);
    create table files (id uuid primary key, note text);
    create table days (day date primary key, note text);
    create table flags (flag boolean primary key, note text);
    create table small (id smallint primary key, note text);
    create table prices (price numeric primary key, note text);
    create table loose (note text);
    create table "Lines" (id bigint primary key);
    create table lines (
        id bigint, day date, "The Line" integer, note text, primary key (day, id, "The Line")
    ) partition by range (day);
    create table lines_2025 partition of lines for values from ('2025-01-01') to ('2026-01-01');
    create table lines_2026 partition of lines for values from ('2026-01-01') to ('2027-01-01');
    create view cheap as select * from products where price < 10;
    create collation loosely (provider = builtin, locale = 'C');
    -- The embedded server comes without the provider that can really compare like this.
    update pg_collation set collisdeterministic = false where collname = 'loosely';
    create view shown as select code collate loosely as code, note from notes;
    create function alike(size, text) returns boolean language sql immutable return lower($1::text) = lower($2);
    create operator = (leftarg = size, rightarg = text, function = alike);
    create function other_names(text) returns bigint language sql
        begin atomic select count(*) from products where name = $1; end;

    create function pg_temp.watch() returns void language sql as $$
        select cacheaside.watch(oid) from pg_class where relname = any (
            '{notes,sizes,files,days,flags,small,prices,loose,lines}'
        )
    $$;
    select pg_temp.watch();
"""


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> Iterator[str]:
    """The catalogue of the tests with tables that have every kind of key."""
    with temporary_database(postgres, "row_tags", SCHEMA) as url:
        yield url


Check = Callable[..., str]


@pytest.fixture
def check(url: str, tmp_path: Path) -> Check:
    """Checks one query. Returns its problems as they are printed."""

    def check(sql: str, *tags: str, **types: str) -> str:
        return "\n".join(map(str, checked_query(url, tmp_path, sql, *tags, **types).problems))

    return check


@pytest.mark.parametrize(
    ("table", "column", "kinds"),
    [
        ("products", "id", ["integer"]),
        ("small", "id", ["integer"]),
        ("notes", "code", ["text", "enum:s"]),
        ("sizes", "size", ["text", "enum:s"]),
        ("files", "id", ["uuid"]),
        ("days", "day", ["date"]),
        ("flags", "flag", ["boolean"]),
    ],
)
def test_row_is_named_by_a_parameter_of_the_keys_type(check: Check, table: str, column: str, kinds: list[str]) -> None:
    for kind in ("text", "integer", "number", "boolean", "date", "timestamp", "uuid", "enum:s"):
        problem = check(f"select * from {table} where {column}::text = %(it)s::text", f"{table}:{{it}}", it=kind)
        assert (problem == "") == (kind in kinds), (kind, problem)
    # The value without a cast, on the left side.
    assert check(f"select * from {table} where %(it)s = {column}", f"{table}:{{it}}", it=kinds[-1]) == ""


@pytest.mark.parametrize(
    "sql",
    [
        "select * from products where id = %(id)s",
        "select * from products where id = %(id)s::bigint",
        "select * from products as p where p.id = %(id)s and p.price > 3 and name <> ' OR (p.id = 1)'",
        'select * from products as "Odd (name" where id = %(id)s',
        "select * from products where id in (%(id)s)",
        "select * from cheap where id = %(id)s",
        "select * from order_items join products on products.id = order_items.product_id where products.id = %(id)s",
        "select * from order_items join products on products.id = order_items.product_id where product_id = %(id)s",
        "select * from order_items left join products on products.id = product_id where product_id = %(id)s",
        "select *, (select price from products where id = %(id)s) from order_items where product_id = %(id)s",
        "with p as (select * from products) select * from p where id = %(id)s",
        "with p as materialized (select * from products where id = %(id)s) select p.* from p, p as q",
        "select * from products,"
        " lateral (select again.price as same from products as again where again.id = products.id) as l"
        " where products.id = %(id)s",
        "select id from products where id = %(id)s union all select -id from products where %(id)s = id",
        "select * from products where id = %(id)s and (name = 'a' or name = 'b')",
        "select * from products where (id, name) = (%(id)s, 'a')",
        "select 100 %% %(id)s from products where id = %(id)s and name like 'a%%'",
    ],
)
def test_row_tag_is_enough_where_the_plan_reads_no_other_row(check: Check, sql: str) -> None:
    tags = ["products:{id}", *(["order_items"] if "order_items" in sql else [])]
    assert check(sql, *tags, id="integer") == ""


@pytest.mark.parametrize(
    ("sql", "tag"),
    [
        ("select * from notes where code = %(it)s collate loosely", "notes:{it}"),
        ("select * from notes where code collate loosely = %(it)s", "notes:{it}"),
        ("select * from shown where code = %(it)s", "notes:{it}"),
        ("select * from notes where code in (%(it)s collate loosely)", "notes:{it}"),
        ("select * from sizes where size = %(it)s", "sizes:{it}"),
    ],
)
def test_row_tag_is_not_enough_where_values_with_other_texts_are_equal(check: Check, sql: str, tag: str) -> None:
    assert "is not enough" in check(sql, tag, it="text")


def test_comparison_of_other_columns_may_have_any_collation(check: Check) -> None:
    sql = "select * from products where id = %(id)s and name = 'a' collate loosely"
    assert check(sql, "products:{id}", id="integer") == ""


@pytest.mark.parametrize(
    "sql",
    [
        # It reads no other rows, but the plan does not show that. The author can write %(id)s there.
        "select (select sum(price) from products as same where same.id = products.id) from products where id = %(id)s",
        "select * from products where id <> %(id)s",
        "select * from products where id > %(id)s limit 1",
        "select * from products where id = %(id)s or price = 3",
        "select * from products where id = %(id)s + 1",
        "select * from products where id = any (array[%(id)s, 7])",
        "select * from products where not id = %(id)s",
        "select * from products where id = coalesce(%(id)s, id)",
        "select * from products where id = %(id)s or %(all)s",
        "select * from products where %(all)s union all select * from products where id = %(id)s",
        "select * from products where case when %(all)s then true else id = %(id)s end",
        "select * from products where name = 'x' and exists (select from orders where id = %(id)s)",
        "select (select max(price) from products) from products where id = %(id)s",
        "select products.* from products join products as other on other.category = products.category"
        " where products.id = %(id)s",
        "select rank from (select id, rank() over (order by price) from products) as ranked where id = %(id)s",
        "select other.* from orders left join products on products.id = orders.id and products.id = %(id)s"
        " full join products as other on other.id = orders.id",
        "select * from products where id = (select customer_id from orders where orders.id = %(id)s)",
        "select other_names(name) from products where id = %(id)s",
        "select count(*) from products tablesample system (10) where id = %(id)s or true",
    ],
)
def test_row_tag_is_not_enough_where_the_plan_may_read_other_rows(check: Check, sql: str) -> None:
    tags = ["products:{id}", *(["orders"] if "orders" in sql else [])]
    types = {"id": "integer", **({"all": "boolean"} if "%(all)s" in sql else {})}
    [problem] = check(sql, *tags, **types).splitlines()
    assert '"products:{id}" is not enough' in problem
    right = ", ".join(f'"{tag}"' for tag in ("products", *tags[1:]))
    assert problem.endswith(f"; write -- tags = [{right}]")
    assert check(sql, "products", *tags, **types) == ""


KEY = 'day = %(day)s and id = %(id)s and "The Line" = %(line)s'


@pytest.mark.parametrize(
    ("where", "tag", "right"),
    [
        (KEY, "{day},{id},{line}", True),
        (f"{KEY} and note is not null", "{day},{id},{line}", True),
        (KEY.replace("%(id)s", "%(line)s") + " and %(id)s = 1", "{day},{id},{line}", False),
        (KEY.replace("id = %(id)s", "id >= %(id)s"), "{day},{id},{line}", False),
        (KEY, "{id},{day},{line}", False),
        (KEY, "{day},{line},{id}", False),
        (KEY, "{day},{id}", False),
        (KEY, "{id}", False),
    ],
)
def test_tag_names_all_columns_of_the_key_in_order(check: Check, where: str, tag: str, right: bool) -> None:
    for table in ("lines", "lines_2025"):
        problem = check(
            f"select * from {table} where {where}", f"lines:{tag}", day="date", id="integer", line="integer"
        )
        assert (problem == "") == right, problem


@pytest.mark.parametrize(("table", "column", "kind"), [("prices", "price", "number"), ("loose", "note", "text")])
def test_rows_without_a_usable_key_have_no_tags(check: Check, table: str, column: str, kind: str) -> None:
    problem = check(f"select * from {table} where {column} = %(it)s", f"{table}:{{it}}", it=kind)
    assert f"{table} has no primary key that could name a row" in problem
