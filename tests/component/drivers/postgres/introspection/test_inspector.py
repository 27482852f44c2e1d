"""The tables that a query reads, as PostgreSQL reports them: also those in views and functions, and unused ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from cacheaside.catalogue.parameters import Parameter
from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.catalogue_check.facts import Facts, KeyColumn, ObjectKind, StatementRefused
from cacheaside.drivers.postgres.introspection.inspector import inspecting
from local.servers.postgres import PostgresServer
from tests.component.support.temporary_database import temporary_database

SCHEMA = """
    create view cheap as select * from products where price < 10;
    create view cheap_names as select name, (select count(*) from customers) as customers from cheap;
    create materialized view totals as select count(*) as orders from orders;
    create view total as select * from totals;

    create schema sales;
    create table sales.leads (id bigint primary key);
    grant usage on schema sales to cacheaside_query;
    grant select on sales.leads to cacheaside_query;
    create table public."Odd" (id bigint primary key);

    create table visits (id bigint, day date, primary key (day, id)) partition by range (day);
    create table visits_2025 partition of visits for values from ('2025-01-01') to ('2026-01-01');
    create table visits_2026 partition of visits for values from ('2026-01-01') to ('2027-01-01')
        partition by range (day);
    create table visits_2026_q1 partition of visits_2026 for values from ('2026-01-01') to ('2026-04-01');

    create function shown() returns bigint language sql begin atomic select count(*) from customers; end;
    create function shown_through() returns bigint language sql return (select shown() + count(*) from cheap);
    create function hidden_in_plpgsql() returns bigint language plpgsql
        as 'begin return (select count(*) from customers); end';
    create function hidden_in_a_string() returns bigint language sql as 'select count(*) from customers';
    create function sales.hidden() returns setof products language plpgsql as 'begin return; end';
    create function calls_hidden() returns bigint language sql begin atomic select hidden_in_plpgsql(); end;
    create function promises(integer) returns integer language plpgsql immutable as 'begin return $1; end';
    create function compares(bigint, bigint) returns boolean language sql
        begin atomic select $1 = $2 and exists (select from orders); end;
    create operator ~~~ (function = compares, leftarg = bigint, rightarg = bigint);
    create function adds(bigint, bigint) returns bigint language sql
        begin atomic select $1 + $2 + count(*) from orders; end;
    create aggregate total_of (bigint) (sfunc = adds, stype = bigint, initcond = '0');
    create function endless() returns text language plpgsql as 'begin loop end loop; end';

    create table members (name text primary key);
    create table diaries (id bigint primary key);
    create policy own on diaries for select using (exists (select from members where members.name = current_user));
    alter table diaries enable row level security;
"""


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> Iterator[str]:
    """The catalogue of the tests with the tables, views and functions of `SCHEMA`."""
    with temporary_database(postgres, "dependencies", SCHEMA) as url:
        yield url


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    with closing(psycopg2.connect(url)) as connection:
        yield connection


Ask = Callable[..., Facts]
ID = Parameter(name="id", type="integer")


@pytest.fixture
def ask(connection: Connection) -> Iterator[Ask]:
    """Returns the facts about a query."""
    with inspecting(connection) as database:

        def ask(sql: str, *tags: str, **parameters: Parameter) -> Facts:
            return database.facts(query(sql, *tags, **parameters))

        yield ask


def query(sql: str, *tags: str, **parameters: Parameter) -> Query:
    policy = Policy(ttl_ms=1, stale_ms=0, stale_if_error_ms=0, negative_ttl_ms=1)
    fields: dict[str, Any] = {"name": "q", "summary": "", "returns": "many", "timeout_ms": 1}
    return Query(**fields, sql=sql, parameters=parameters, tags=tags, policy=policy)


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ("select 1", ""),
        ("select name from products", "products"),
        ("select * from public.products", "products"),
        ("select products.id, orders.id from products, orders", "products orders"),  # two columns of one name
        ("select from cheap", "products"),
        ("select name from cheap_names", "products customers"),
        ("select * from totals", "totals"),
        ("select * from total", "totals"),
        ("select * from sales.leads", "sales.leads"),
        ('select * from "Odd"', '"Odd"'),
        ("select * from visits", "visits"),
        ("select * from visits_2025", "visits"),
        ("select * from visits_2026_q1", "visits"),
        ("with a as (select id from orders) select * from a, products", "orders products"),
        ("with unused as (select id from orders) select 1", "orders"),
        ("select (select max(id) from orders) from products", "orders products"),
        ("select from products where exists (select from orders)", "orders products"),
        ("select from products where id in (select product_id from order_items)", "order_items products"),
        ("select * from products, lateral (select from orders where id = products.id) as o", "orders products"),
        ("select id from orders union all select id from products", "orders products"),
        ("select products.id from products left join orders using (id)", "orders products"),  # the planner removes it
        ("select id from products where false", "products"),
        ("select id from products where false and exists (select from orders)", "orders products"),
        ("select case when true then 1 else (select max(id) from orders) end", "orders"),
        ("select shown()", "customers"),
        ("select shown_through()", "customers products"),
        ("select total_of(id) from products", "orders products"),
        ("select from products where id ~~~ 1", "orders products"),
        ("select promises(1)", ""),
        ("select id from diaries", "diaries members"),
        ("select relname from pg_class", ""),
        ("select table_name from information_schema.tables", ""),
        ("select last_value from orders_id_seq", "orders_id_seq"),
    ],
)
def test_every_table_is_found(ask: Ask, sql: str, reads: str) -> None:
    facts = ask(sql)
    assert (set(facts.read), set(facts.opaque)) == (set(reads.split()), set())


@pytest.mark.parametrize(
    ("sql", "calls", "reads"),
    [
        ("select slow_version()", "slow_version", ""),
        ("select hidden_in_plpgsql() from products", "hidden_in_plpgsql", "products"),
        ("select hidden_in_a_string()", "hidden_in_a_string", ""),
        ("select * from orders where id = calls_hidden()", "hidden_in_plpgsql", "orders"),
        ("select name from sales.hidden()", "sales.hidden", "products"),  # it returns rows of the table
    ],
)
def test_function_whose_tables_are_hidden_is_named(ask: Ask, sql: str, calls: str, reads: str) -> None:
    facts = ask(sql)
    assert (set(facts.opaque), set(facts.read)) == ({calls}, set(reads.split()))


def test_functions_of_extensions_count_as_reading_no_table(connection: Connection) -> None:
    with inspecting(connection) as database, connection.cursor() as cursor:
        cursor.execute("alter extension plpgsql add function hidden_in_plpgsql()")
        assert not database.facts(query("select hidden_in_plpgsql()")).opaque


def test_tables_of_functions_and_policies_are_out_of_plan(ask: Ask) -> None:
    assert ask("select shown(), (select count(*) from products)").out_of_plan == {"customers"}
    assert ask("select shown(), (select count(*) from customers)").out_of_plan == {"customers"}
    assert ask("select from diaries").out_of_plan == {"members"}


def test_tags_are_looked_up(ask: Ask) -> None:
    tags = ("products", "orders:{id}", "totals", "slow_version", "sales.leads", "sales.hidden", "visits")
    nothing = ("product", "cheap", "visits_2025", "sales.products", "leads", "a..b", "pg_class")
    declared = ask("select %(id)s", *tags, *nothing, id=ID).declared
    assert set(declared) == {tag.partition(":")[0] for tag in tags}
    kinds = {ObjectKind.TABLE: 4, ObjectKind.MATERIALIZED_VIEW: 1, ObjectKind.FUNCTION: 2}
    assert {kind: [each.kind for each in declared.values()].count(kind) for kind in ObjectKind} == kinds


def test_key_is_the_primary_key_of_the_table(ask: Ask) -> None:
    facts = ask("select from order_items, visits_2025, totals")
    assert facts.read["order_items"].key == (KeyColumn("order_id", "bigint"), KeyColumn("line", "integer"))
    assert facts.read["visits"].key == (KeyColumn("day", "date"), KeyColumn("id", "bigint"))
    assert facts.read["totals"].key == ()


@pytest.mark.parametrize(
    ("change", "sql", "tag"),
    [
        ("select cacheaside.unwatch('products')", "select from products", "products"),
        ("alter table products disable trigger user", "select from products", "products"),
        ("alter table products enable trigger user", "select from cheap", "products"),
        ("drop function cacheaside.record_products cascade", "select from products", "products"),
        ("create table late (id bigint)", "select from late", "late"),
        ("alter schema sales rename to sold", "select from sold.leads", "sold.leads"),
        ("alter table visits_2026_q1 disable trigger user", "select from visits", "visits"),
        ("alter event trigger cacheaside_follow_schema disable", "select from totals", "totals"),
        ("drop event trigger cacheaside_follow_schema", "select from totals", "totals"),
    ],
)
def test_changes_without_a_trigger_are_reported(connection: Connection, change: str, sql: str, tag: str) -> None:
    with inspecting(connection) as database, connection.cursor() as cursor:
        cursor.execute("select cacheaside.watch('visits'), cacheaside.watch('sales.leads')")
        # Otherwise an event trigger would repair some of the changes.
        cursor.execute("select set_config('cacheaside.following', token, true) from cacheaside.following")
        cursor.execute(change)
        source = database.facts(query(sql)).read[tag]
        assert (source.recorded, source.refusal) == (False, "")


@pytest.mark.parametrize("sql", ["select from products", "select from visits_2025", "select from totals"])
def test_table_with_its_triggers_is_recorded(connection: Connection, sql: str) -> None:
    with inspecting(connection) as database, connection.cursor() as cursor:
        cursor.execute("select cacheaside.watch('visits')")
        [source] = database.facts(query(sql)).read.values()
        assert source.recorded


def test_table_that_cannot_be_watched_says_why(connection: Connection) -> None:
    with inspecting(connection) as database, connection.cursor() as cursor:
        cursor.execute("create unlogged table hasty (id bigint primary key)")
        refusal = database.facts(query("select from hasty")).read["hasty"].refusal
        assert refusal == "it is not a permanent table, and a crash can empty it"
        assert database.facts(query('select from "Odd"')).read['"Odd"'].refusal == ""


@pytest.mark.parametrize(
    ("sql", "line", "says"),
    [
        ("select *\nfrom nowhere", 2, 'relation "nowhere" does not exist'),
        ("select 1\n\nwhere )", 3, "syntax error at or near"),
        ("selekt 1", 1, "syntax error at or near"),
        ("select id\nfrom products\nwhere prize < 1", 3, 'Perhaps you meant to reference the column "products.price"'),
        ("select 1; drop table products", 1, "one statement"),
        ("select 'ä', %(name)s,\n'ö'::bigint", 2, "invalid input syntax for type bigint"),
        ("with gone as (delete from products returning id) select * from gone", 1, "data-modifying"),
    ],
)
def test_query_that_postgresql_refuses_says_where(ask: Ask, sql: str, line: int, says: str) -> None:
    name = Parameter(name="name", type="text")
    with pytest.raises(StatementRefused) as caught:
        ask(sql, **({"name": name} if "%" in sql else {}))
    assert says in caught.value.reason
    assert caught.value.line == line
    assert set(ask("select from products").read) == {"products"}


def test_every_type_of_parameter_can_be_planned(ask: Ask) -> None:
    kinds = ("text", "integer", "number", "boolean", "date", "timestamp", "uuid")
    parameters = {kind: Parameter(name=kind, type=kind) for kind in kinds}
    lists = {f"{kind}s": Parameter(name=f"{kind}s", type=kind, is_list=True, required=False) for kind in kinds}
    sql = (
        f"select 100 %% 7, {', '.join(f'%({name})s, %({name})s is null' for name in parameters | lists)} from products"
    )
    assert set(ask(sql, "products", **parameters, **lists).read) == {"products"}
    facts = ask(f"{sql} where id = %(integer)s", "products:{integer}", **parameters, **lists)
    assert [scan.equal for scan in facts.scans] == [{("id", "integer")}]


@pytest.mark.parametrize("autocommit", [True, False])
def test_check_leaves_nothing_on_the_connection(url: str, autocommit: bool) -> None:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = autocommit
        with inspecting(connection) as database:
            database.facts(query("select from products where id = %(id)s", "products:{id}", id=ID))
            with pytest.raises(StatementRefused):
                database.facts(query("select from nowhere"))
        assert connection.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_IDLE
        cursor.execute("select count(*) from pg_class where relnamespace = pg_my_temp_schema()")
        assert cursor.fetchone() == (0,)
        cursor.execute("show statement_timeout")
        assert cursor.fetchone() == ("0",)


def test_no_query_is_run(ask: Ask) -> None:
    facts = ask("select id, endless() from products where name = endless() and id = %(id)s", "products:{id}", id=ID)
    assert (set(facts.opaque), len(facts.scans)) == ({"endless"}, 1)


def test_stable_function_that_the_planner_runs_does_not_block_the_check(connection: Connection) -> None:
    with inspecting(connection) as database, connection.cursor() as cursor:
        cursor.execute("alter function endless() stable; set local statement_timeout = '200ms'")
        with pytest.raises(StatementRefused, match="statement timeout"):
            database.facts(query("select from products where name < endless()"))
        assert set(database.facts(query("select endless()")).opaque) == {"endless"}


def test_lock_of_another_session_does_not_block_the_check(url: str, connection: Connection) -> None:
    with closing(psycopg2.connect(url)) as other, other.cursor() as theirs:
        theirs.execute("lock table customers in access exclusive mode")
        with inspecting(connection) as database, connection.cursor() as cursor:
            cursor.execute("set local lock_timeout = '50ms'")
            with pytest.raises(StatementRefused, match="lock timeout"):
                database.facts(query("select from customers"))
            assert set(database.facts(query("select from orders")).read) == {"orders"}


def test_connection_that_dies_is_not_reported_as_a_refused_query(url: str, connection: Connection) -> None:
    with closing(psycopg2.connect(url)) as other, other.cursor() as cursor:
        cursor.execute("select pg_terminate_backend(%s)", [connection.info.backend_pid])
    with pytest.raises(psycopg2.Error), inspecting(connection) as database:
        database.facts(query("select from products"))
