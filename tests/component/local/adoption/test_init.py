"""`cacheaside init`: from a clone to somebody's own database. Nothing changes before it was shown and agreed to."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from local.adoption.sample import LIST, listed
from local.servers.postgres import PostgresServer
from tests.component.support.own_database import SCHEMA, Owned, command, owned_database, write
from tests.support.root import ROOT

MIGRATION = "functions/catalogue/migrations/0001_watch_tables.sql"
MIXED_CASE = """
create schema "Sales Dept";
create table "InvoiceLine" ("InvoiceLineId" integer primary key);
create table "Sales Dept"."Region's" (id integer primary key);
create table "__EFMigrationsHistory" ("MigrationId" text primary key);
"""


def init(checkout: Path, database: Owned, *options: str) -> tuple[int, str, str]:
    return command(checkout, "init", "--database-url", database.url, *options)


def files(checkout: Path) -> dict[str, str]:
    """The files that init may change, with their text."""
    found = [*(checkout / "functions").rglob("*.sql"), *checkout.glob("*.sql"), *checkout.glob("*.env")]
    return {str(path.relative_to(checkout)): path.read_text() for path in found}


def watched(database: Owned) -> set[str]:
    return {name for (name,) in database.run("select relation::text from cacheaside.watched where complete")}


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_nothing_changes_without_consent(checkout: Path, shop: Owned, options: list[str]) -> None:
    before = shop.dump(), files(checkout)
    status, out, err = init(checkout, shop, *options)
    assert status == (0 if options else 130)
    assert "'sales.orders'" in out.partition("select cacheaside.watch(")[2]
    assert ("Give --yes." in err) is not bool(options)
    assert (shop.dump(), files(checkout), shop.roles()) == (*before, set())


def test_answer_no_at_a_terminal_declines(checkout: Path, shop: Owned) -> None:
    ours, theirs = pty.openpty()
    arguments = [sys.executable, "-m", "local", "init", "--database-url", shop.url]
    environment = os.environ | {"PYTHONPATH": "layers/cacheaside:functions:."}
    process = subprocess.Popen(arguments, cwd=checkout, env=environment, stdin=theirs, stdout=subprocess.PIPE)
    os.write(ours, b"n\n")
    assert b"Do all this?" in process.communicate(timeout=60)[0]
    assert (process.returncode, shop.roles()) == (130, set())


def test_sample_leaves_and_tables_that_are_not_ours_are_watched(checkout: Path, shop: Owned) -> None:
    status, out, err = init(checkout, shop, "--yes")
    assert (status, err) == (0, "")
    assert {name for name in files(checkout) if "catalogue" in name} == {MIGRATION}
    assert not (checkout / "functions/catalogue/sample").exists()
    assert watched(shop) == {"customers", "sales.orders"}
    assert shop.run("select count(*) from customers") == [(10,)]
    readable = "select has_table_privilege('cacheaside_query', '{}', 'select')"
    assert [shop.run(readable.format(each)) for each in ("customers", "sales.orders", "sales.totals")] == [
        [(True,)]
    ] * 3
    assert "cacheaside run" in out
    assert shop.url in (checkout / "cacheaside.env").read_text()


def test_second_init_finds_nothing_to_do(checkout: Path, shop: Owned) -> None:
    init(checkout, shop, "--yes")
    before = shop.dump(), files(checkout)
    status, out, _ = init(checkout, shop)
    assert (status, out.splitlines()[-1]) == (0, "Nothing to do: all of this is there already.")
    assert (shop.dump(), files(checkout)) == before


def test_empty_database_gets_its_first_migration_with_its_first_table(checkout: Path, server: PostgresServer) -> None:
    with owned_database(server, "postgres", "empty", "select 1") as empty:
        status, out, err = init(checkout, empty, "--yes")
        assert (status, err) == (0, "")
        assert "No migration is written: run the same command again when there are tables." in out
        assert not (checkout / MIGRATION).exists()
        assert init(checkout, empty)[0] == 0
        empty.run("create table later (id integer)")
        assert init(checkout, empty, "--yes")[0] == 0
        assert watched(empty) == {"later"}


def test_table_that_no_migration_watches_is_told(checkout: Path, shop: Owned) -> None:
    init(checkout, shop, "--table", "customers", "--yes")
    for name, expected in (("customers", 0), ("sales.orders", 1)):
        status, out, _ = command(checkout, "init", "--table", name, DATABASE_URL=shop.url)
        advice = "sales.orders is not watched: put into a new migration: select cacheaside.watch('sales.orders');"
        assert (status, advice in out) == (expected, bool(expected))


def test_plan_for_a_script_is_json_and_nothing_else(checkout: Path, shop: Owned) -> None:
    _, out, _ = init(checkout, shop, "--yes", "--json")
    plan = json.loads(out)
    assert plan["files_written"].keys() == {MIGRATION}
    reasons = {table["name"]: table["watched"] for table in plan["tables"]}
    assert reasons["customers"] == "will be"
    assert reasons["alembic_version"] == "no: a migration tool keeps its books in it"
    assert reasons["visits"] == "no: it is not a permanent table, and a crash can empty it"


def test_only_named_tables_are_watched(checkout: Path, shop: Owned) -> None:
    init(checkout, shop, "--table", "sales.orders", "--yes")
    assert watched(shop) == {"sales.orders"}
    assert shop.run("select has_table_privilege('cacheaside_query', 'customers', 'select')") == [(False,)]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--table", "customer"], "there is no table customer: is it customers?"),
        (["--table", "visits"], "visits cannot be watched: it is not a permanent table"),
        (["--schema", "sale"], "no schema with tables is called sale"),
    ],
)
def test_wrong_names_are_refused(checkout: Path, shop: Owned, options: list[str], reason: str) -> None:
    status, _, err = init(checkout, shop, *options, "--yes")
    assert status == 3
    assert reason in err
    assert shop.roles() == set()


def test_names_are_written_as_postgresql_prints_them(checkout: Path, server: PostgresServer) -> None:
    with owned_database(server, "postgres", "mixed", MIXED_CASE) as mixed:
        status, _, err = init(checkout, mixed, "--yes")
        assert (status, err) == (0, "")
        assert watched(mixed) == {'"InvoiceLine"', '"Sales Dept"."Region\'s"'}


def test_migration_of_odd_names_is_valid_sql(checkout: Path, server: PostgresServer) -> None:
    with owned_database(server, "postgres", "mixed", MIXED_CASE) as mixed:
        _, out, _ = init(checkout, mixed, "--json")
        [migration] = json.loads(out)["files_written"].values()
        assert """select cacheaside.watch(\n    '"InvoiceLine"',\n    '"Sales Dept"."Region''s"'\n);""" in migration
        assert 'grant usage on schema "Sales Dept" to' in migration


def test_message_beside_the_json_does_not_control_the_terminal(checkout: Path, server: PostgresServer) -> None:
    table = '"ev\x1b]0;pwn\x07il"'
    query = f"-- summary = 'a'\n-- ttl = '5s'\n-- tags = []\nselect 1 from {table};\n"
    (checkout / "functions/catalogue/queries/evil.sql").write_text(query)
    with owned_database(server, "postgres", "evil", f"create table {table} (id integer primary key)") as evil:
        _, out, err = init(checkout, evil, "--yes", "--json")
    assert "ev\\x1b]0;pwn\\x07il" in err
    assert all(line.isprintable() for line in (out + err).split("\n"))


def test_names_mean_the_same_under_another_search_path(checkout: Path, server: PostgresServer) -> None:
    with owned_database(server, "postgres", "paths", SCHEMA + "create table sales.customers (id integer)") as paths:
        paths.run("alter database paths set search_path = sales, public")
        assert init(checkout, paths, "--yes")[0] == 0
        names = paths.run("select relation::oid::regclass::text from cacheaside.watched order by 1")
        assert names == [("customers",), ("orders",), ("public.customers",)]


def test_users_own_queries_stay(checkout: Path, shop: Owned) -> None:
    catalogue = checkout / "functions/catalogue"
    write(catalogue / "queries/mine.sql", "select 1")
    (catalogue / "queries/all.sql").write_text("-- edited")
    _, out, _ = init(checkout, shop)
    assert "Edited files of the sample stay: functions/catalogue/queries/all.sql" in out
    init(checkout, shop, "--yes")
    assert {path.name for path in (catalogue / "queries").iterdir()} == {"all.sql", "mine.sql"}


@pytest.mark.parametrize("name", ["migrations/0001_shop.sql", "migrations/0002_mine.sql", "sample/mine.sql"])
def test_users_file_that_builds_on_the_sample_stops_it(checkout: Path, shop: Owned, name: str) -> None:
    write(checkout / "functions/catalogue" / name, "-- mine")
    before = files(checkout)
    status, _, err = init(checkout, shop, "--yes")
    assert status == 3
    assert f"functions/catalogue/{name}: not of the sample as shipped" in err
    assert (files(checkout), shop.roles()) == (before, set())


def test_sample_without_its_list_stops_it(checkout: Path, shop: Owned) -> None:
    (checkout / "functions/catalogue" / LIST).unlink()
    before = files(checkout)
    status, _, err = init(checkout, shop, "--yes")
    assert status == 3
    assert "functions/catalogue/sample/files.sha256 is missing" in err
    assert (files(checkout), shop.roles()) == (before, set())


def test_it_goes_on_after_a_failure_half_way(checkout: Path, shop: Owned) -> None:
    shop.run("create table in_the_way (id integer)")
    shop.run("create schema cacheaside; create table cacheaside.outbox (id integer)")
    status, _, err = init(checkout, shop, "--yes")
    assert status == 3
    assert 'migrate/system/0004_outbox.sql: relation "outbox" already exists' in err
    shop.run("drop table cacheaside.outbox")
    assert init(checkout, shop, "--yes")[0] == 0
    assert watched(shop) == {"customers", "in_the_way", "sales.orders"}


def test_table_that_another_session_writes_to_is_named(checkout: Path, shop: Owned) -> None:
    with closing(psycopg2.connect(shop.url)) as writer:
        writer.cursor().execute("delete from customers where id = 0")
        status, _, err = init(checkout, shop, "--yes")
    assert status == 3
    assert err.splitlines()[-1].endswith(
        "another session has been writing to customers for 10 s: run the same command again when its transaction has "
        "ended"
    )
    assert init(checkout, shop, "--yes")[0] == 0


def test_catalogue_of_another_database_is_not_mixed_with_this_one(checkout: Path, shop: Owned, tmp_path: Path) -> None:
    init(checkout, shop, "--yes")
    (checkout / MIGRATION).unlink()
    status, _, err = init(checkout, shop, "--yes")
    assert status == 3
    assert "the database has the migrations of another catalogue" in err


def test_list_of_the_shipped_sample_is_up_to_date() -> None:
    catalogue = ROOT / "functions/catalogue"
    if not (catalogue / LIST).exists():
        return  # the sample was taken out
    written, right = ((catalogue / LIST).read_text().splitlines(), list(listed(catalogue)))
    names = {line.partition("  ")[2] for line in written}
    ours = [line for line in right if (name := line.partition("  ")[2]) in names or name.startswith("sample/")]
    assert written == ours, f"write {LIST} anew: python -m local.adoption.sample"
