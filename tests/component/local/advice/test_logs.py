"""`cacheaside advise` on the logs of a real server: what it writes is right, and the check says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import psycopg2
import pytest

from local.servers.postgres import DATABASE, PostgresServer
from migrate.upgrade import upgrade
from tests.component.local.advice.workload import create_tables, run_statements
from tests.component.support.command_line import CommandLine
from tests.support.wait_until import wait_until

SETTINGS: Final = {
    "log_min_duration_statement": "0",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "logging_collector": "on",
    "log_destination": "stderr,csvlog,jsonlog",
    "log_directory": "log",
    "log_filename": "all.log",
}
ENDINGS: Final = ("log", "csv", "json")
SNAKE, MIXED = DATABASE, "mixed"


@pytest.fixture(scope="module")
def server(new_folder: Callable[[str], Path]) -> Iterator[PostgresServer]:
    with PostgresServer(new_folder("logging"), settings=SETTINGS, durable=False) as server:
        with closing(psycopg2.connect(server.url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(f"create database {MIXED}")
        for database in (SNAKE, MIXED):
            with closing(psycopg2.connect(server.url_for("postgres", database))) as connection:
                upgrade(connection)
                with connection.cursor() as cursor:
                    create_tables(cursor, is_mixed=database == MIXED)
                connection.commit()
        yield server


@pytest.fixture(scope="module")
def logs(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], str]:
    """Returns the path of a log: that of one database in one format."""
    files = {ending: server.folder / f"data/log/all.{ending}" for ending in ENDINGS}
    for database in (SNAKE, MIXED):
        begin = {ending: path.stat().st_size for ending, path in files.items()}
        with closing(psycopg2.connect(server.url_for("postgres", database))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                run_statements(cursor, is_mixed=database == MIXED)
                cursor.execute(f"select 'the last of {database}'")
        for ending, path in files.items():
            wait_until(lambda path=path, database=database: f"the last of {database}" in path.read_text())  # type: ignore[misc]
            with path.open("rb") as file:
                file.seek(begin[ending])
                (tmp_path_factory.getbasetemp() / f"{database}.{ending}").write_bytes(file.read())
    return lambda database, ending: str(tmp_path_factory.getbasetemp() / f"{database}.{ending}")


@pytest.fixture
def cacheaside(
    server: PostgresServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    (tmp_path / "catalogue/queries").mkdir(parents=True)
    return CommandLine(tmp_path / "catalogue", capsys, monkeypatch, server.url)


def run(url: str, sql: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(sql)


def advice(cacheaside: CommandLine, path: str) -> dict[str, Any]:
    status, out, _ = cacheaside("advise", "--json", "--log", path)
    assert status == 0
    document: dict[str, Any] = json.loads(out)
    return document


@pytest.mark.parametrize("ending", ENDINGS)
def test_each_format_gives_the_same_candidates(
    ending: str, cacheaside: CommandLine, logs: Callable[[str, str], str]
) -> None:
    found = advice(cacheaside, logs(SNAKE, ending))
    candidates = {each["tables"][0]: each for each in found["candidates"]}
    assert set(candidates) == {"invoice", "customer"}
    assert "in" not in candidates["customer"]["sql"].split()
    [lines] = [each for each in found["candidates"] if "customer_id = $1 and line.quantity = any ($2)" in each["sql"]]
    assert "limit 5" in lines["sql"]  # a value that never changes is no parameter
    assert (lines["calls"], lines["questions"], lines["questions_are"]) == (30, 6, "counted")
    assert candidates["customer"]["writes_per_minute"] > 0  # one update in the log
    assert "country <> 'XX'" in candidates["customer"]["sql"]
    reasons = {each["reason"] for each in found["left_out"]}
    assert reasons >= {"another answer each time: random()", "locks rows", "writes"}


@pytest.mark.parametrize("database", [SNAKE, MIXED])
def test_written_queries_pass_the_check_and_are_not_proposed_again(
    database: str, server: PostgresServer, cacheaside: CommandLine, logs: Callable[[str, str], str]
) -> None:
    cacheaside.url = server.url_for("postgres", database)
    status, out, err = cacheaside("advise", "--write", "3", "--log", logs(database, "log"))
    assert (status, "the check finds no problem after that" in out) == (0, True), out + err
    names = sorted(path.stem for path in cacheaside.catalogue.glob("queries/*.sql"))
    assert names == ["customer", "invoice_by_customer_id_and_quantity", "invoice_by_total"]
    lines = cacheaside.query("invoice_by_customer_id_and_quantity")
    assert '-- params.quantity = { type = "integer[]", example = [1' in lines
    assert '-- params.customer_id = { type = "integer", example = ' in lines
    assert "limit 5\n" in lines
    assert '-- returns = "one"' in cacheaside.query("invoice_by_total")
    [migration] = cacheaside.migrations()
    run(cacheaside.url, migration)
    assert cacheaside("check")[0] == 0
    run(cacheaside.url, migration.replace(".watch", ".unwatch"))
    again = advice(cacheaside, logs(database, "csv"))
    known = [each for each in again["left_out"] if each["reason"] == "in the catalogue already"]
    assert (len(known), again["candidates"]) == (3, [])


def test_table_says_what_is_saved_and_why(cacheaside: CommandLine, logs: Callable[[str, str], str]) -> None:
    status, out, _ = cacheaside("advise", "--log", logs(SNAKE, "json"), "--min-calls", "20")
    assert status == 0
    assert "saves/h" in out
    assert "6 questions, each every" in out
    assert "called less than 20 times" in out


def test_other_files_are_left_as_they_are(cacheaside: CommandLine, logs: Callable[[str, str], str]) -> None:
    header = '-- summary = "Mine"\n-- ttl = "60s"\n-- tags = []\n'
    (cacheaside.catalogue / "queries/a.sql").write_text(f"{header}select count(*) from invoice, invoice_line")
    (cacheaside.catalogue / "queries/bad.sql").write_text("select 1")
    status, _, _ = cacheaside("advise", "--write", "1", "--log", logs(SNAKE, "log"))
    assert (status, len(cacheaside.migrations())) == (0, 1)
    assert cacheaside.query("a").startswith(header)
    assert cacheaside.query("bad") == "select 1"


def test_without_any_record_it_says_how_to_switch_it_on(cacheaside: CommandLine) -> None:
    status, _, err = cacheaside("advise")
    assert status == 3
    for part in ("create extension pg_stat_statements", "shared_preload_libraries", "parameter group", "--log"):
        assert part in err
