"""Migrations: once each, in order, whole or not at all, and with a reason that names file and line."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from local.servers.postgres import PostgresServer
from migrate.upgrade import FUNCTIONS, MigrationFailed, unknown, upgrade

Connect = Callable[..., Connection]
FILES = [
    "migrate/system/0001_roles.sql",
    "migrate/system/0002_run_command.sql",
    "migrate/system/0003_idempotency_keys.sql",
    "migrate/system/0004_outbox.sql",
    "migrate/system/0005_listener.sql",
    "migrate/system/0006_tags.sql",
    "migrate/system/0007_recorder.sql",
    "migrate/system/0008_names.sql",
    "migrate/system/0009_recorded.sql",
    "migrate/system/0010_follow.sql",
    "migrate/system/0011_watch.sql",
    "migrate/system/0012_event_triggers.sql",
    "migrate/system/0013_prepared_transactions.sql",
    "migrate/system/0014_quoted_names.sql",
    "migrate/system/0015_described.sql",
    "migrate/system/0016_no_set_statements.sql",
    "migrate/system/0017_keys_that_are_no_utf8.sql",
    "migrate/system/0018_untrusted_users.sql",
    "migrate/system/0019_dates_and_partitions.sql",
    "catalogue/migrations/0001_shop.sql",
    "catalogue/migrations/0002_watch_shop.sql",
]
SYSTEM = "migrate/system"
CATALOGUE = "catalogue/migrations"
either_series = pytest.mark.parametrize("folder", [SYSTEM, CATALOGUE])


def write(functions: Path, folder: str, **files: str) -> Path:
    """Add files to one series and return the folder of the functions."""
    (functions / folder).mkdir(parents=True, exist_ok=True)
    for name, sql in files.items():
        (functions / folder / f"{name}.sql").write_text(sql)
    return functions


def tables(connection: Connection) -> set[str]:
    with connection, connection.cursor() as cursor:
        cursor.execute("select tablename from pg_tables where schemaname = 'public'")
        return {name for (name,) in cursor.fetchall()}


def test_second_upgrade_finds_nothing_to_do(connect: Connect) -> None:
    assert upgrade(connect()) == FILES
    assert upgrade(connect()) == []


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP"])
def test_database_in_another_encoding_is_upgraded(
    postgres: PostgresServer, sql: Callable[..., Any], encoding: str
) -> None:
    sql(f"create database other template template0 encoding '{encoding}' locale 'C'")
    try:
        with closing(psycopg2.connect(postgres.url_for("postgres", "other"))) as connection:
            assert upgrade(connection) == FILES
    finally:
        sql("drop database other with (force)")


def test_upgrades_at_once_apply_each_file_once(connect: Connect) -> None:
    applied: list[str] = []
    connections = [connect() for _ in range(4)]
    threads = [threading.Thread(target=lambda each=each: applied.extend(upgrade(each))) for each in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(applied) == sorted(FILES)


def test_each_series_has_its_own_numbers_and_the_systems_files_come_first(connect: Connect, tmp_path: Path) -> None:
    write(tmp_path, CATALOGUE, **{"0001_a": "select cacheaside.one()"})
    write(tmp_path, SYSTEM, **{"0001_a": "create function cacheaside.one() returns integer return 1"})
    assert upgrade(connect(), tmp_path) == [f"{SYSTEM}/0001_a.sql", f"{CATALOGUE}/0001_a.sql"]
    write(tmp_path, CATALOGUE, **{"0002_b": "select cacheaside.two()"})
    write(tmp_path, SYSTEM, **{"0002_b": "create function cacheaside.two() returns integer return 2"})
    assert upgrade(connect(), tmp_path) == [f"{SYSTEM}/0002_b.sql", f"{CATALOGUE}/0002_b.sql"]


@either_series
def test_file_of_comments_only_is_applied(connect: Connect, tmp_path: Path, folder: str) -> None:
    write(tmp_path, folder, **{"0001_a": "-- nothing yet\n", "0002_b": "create table public.b ();"})
    assert upgrade(connect(), tmp_path) == [f"{folder}/0001_a.sql", f"{folder}/0002_b.sql"]
    assert tables(connect()) == {"b"}


@either_series
def test_failing_file_leaves_nothing_of_itself_and_names_its_line(
    connect: Connect, tmp_path: Path, folder: str
) -> None:
    write(
        tmp_path,
        folder,
        **{"0001_a": "create table public.a ();", "0002_b": "create table public.b ();\n\nselect nonsense;\n"},
    )
    with pytest.raises(MigrationFailed) as caught:
        upgrade(connect(), tmp_path)
    assert str(caught.value).startswith(f'{folder}/0002_b.sql:3: column "nonsense" does not exist (SQLSTATE 42703)')
    assert tables(connect()) == {"a"}
    write(tmp_path, folder, **{"0002_b": "create table public.b ();"})
    assert upgrade(connect(), tmp_path) == [f"{folder}/0002_b.sql"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"create table public.a ();\n\0create table b ();", ":2: has a NUL character; save it as text in UTF-8"),
        (b"create table caf\xe9 ();", ": is not UTF-8: invalid continuation byte; save it as UTF-8"),
    ],
)
@either_series
def test_file_that_is_no_text_is_refused(
    connect: Connect, tmp_path: Path, folder: str, content: bytes, says: str
) -> None:
    (write(tmp_path, folder) / folder / "0001_a.sql").write_bytes(content)
    with pytest.raises(MigrationFailed) as caught:
        upgrade(connect(), tmp_path)
    assert str(caught.value) == f"{folder}/0001_a.sql{says}"
    assert tables(connect()) == set()


def test_mark_that_windows_puts_before_utf8_is_no_part_of_a_file(connect: Connect, tmp_path: Path) -> None:
    (write(tmp_path, CATALOGUE) / CATALOGUE / "0001_a.sql").write_text(
        "create table public.a ();", encoding="utf-8-sig"
    )
    upgrade(connect(), tmp_path)
    assert tables(connect()) == {"a"}


@either_series
def test_edited_file_is_refused(connect: Connect, tmp_path: Path, folder: str) -> None:
    upgrade(connect(), write(tmp_path, folder, **{"0001_a": "create table public.a ();"}))
    write(tmp_path, folder, **{"0001_a": "create table public.a (id int);", "0002_b": "create table public.b ();"})
    with pytest.raises(MigrationFailed, match=rf"^{folder}/0001_a\.sql: was edited after it was applied"):
        upgrade(connect(), tmp_path)
    assert tables(connect()) == {"a"}


def test_file_that_we_edited_ourselves_is_accepted_as_it_was_applied(connect: Connect) -> None:
    owner = connect()
    upgrade(owner)
    former = "62eb03c8b97aa560eff07c05eda3e06c4b7083f74621c25d7f1ed582395bdb4d"
    with owner, owner.cursor() as cursor:
        cursor.execute(f"update cacheaside.migrations set checksum = '{former}' where (series, number) = ('system', 1)")
    assert upgrade(owner) == []


@either_series
def test_renamed_file_is_refused(connect: Connect, tmp_path: Path, folder: str) -> None:
    upgrade(connect(), write(tmp_path, folder, **{"0001_a": "select 1"}))
    (tmp_path / folder / "0001_a.sql").rename(tmp_path / folder / "0001_b.sql")
    with pytest.raises(MigrationFailed, match=rf"^{folder}/0001_b\.sql: is number 1, which was applied as 0001_a\.sql"):
        upgrade(connect(), tmp_path)


@either_series
@pytest.mark.parametrize(
    ("files", "says"),
    [
        (["0002_b"], "0002_b.sql: comes next, but number 0001 is missing"),
        (["0001_a", "0001_b"], "0001_b.sql: has the same number as 0001_a.sql"),
        (["0001_a", "0003_c"], "0003_c.sql: comes next, but number 0002 is missing"),
        (["1_a"], "1_a.sql: is not named like"),
    ],
)
def test_files_out_of_order_are_refused(
    connect: Connect, tmp_path: Path, folder: str, files: list[str], says: str
) -> None:
    write(tmp_path, SYSTEM, **{"0001_a": "select 1"} if folder == CATALOGUE else {})
    write(tmp_path, folder, **dict.fromkeys(files, "select 1"))
    with pytest.raises(MigrationFailed, match=f"^{folder}/{says}"):
        upgrade(connect(), tmp_path)


@pytest.mark.parametrize("statement", ["commit", "rollback", "commit; begin"])
def test_file_that_ends_its_transaction_is_refused(connect: Connect, tmp_path: Path, statement: str) -> None:
    with pytest.raises(MigrationFailed, match="ends its transaction"):
        upgrade(connect(), write(tmp_path, CATALOGUE, **{"0001_a": f"select 1; {statement}"}))


@either_series
def test_database_that_is_ahead_is_left_alone(connect: Connect, tmp_path: Path, folder: str) -> None:
    for each in (SYSTEM, CATALOGUE):
        write(tmp_path, each, **{"0001_a": "select 1", "0002_b": "select 1"})
    upgrade(connect(), tmp_path)
    assert unknown(connect(), tmp_path) == []
    (tmp_path / folder / "0002_b.sql").unlink()
    assert upgrade(connect(), tmp_path) == []
    assert unknown(connect(), tmp_path) == [f"{folder}/0002_b.sql"]


def test_database_that_is_ahead_in_one_series_gets_the_new_files_of_the_other(connect: Connect, tmp_path: Path) -> None:
    write(tmp_path, SYSTEM, **{"0001_a": "select 1", "0002_b": "select 1"})
    upgrade(connect(), write(tmp_path, CATALOGUE, **{"0001_a": "select 1"}))
    (tmp_path / SYSTEM / "0002_b.sql").unlink()
    write(tmp_path, CATALOGUE, **{"0002_b": "select 1"})
    assert upgrade(connect(), tmp_path) == [f"{CATALOGUE}/0002_b.sql"]
    assert unknown(connect(), tmp_path) == [f"{SYSTEM}/0002_b.sql"]


def test_rows_with_a_date_in_their_key_keep_their_tags(connect: Connect, tmp_path: Path) -> None:
    """The expression of the key is another one from 0019 on, and deployed queries know the key."""
    former = write(tmp_path, SYSTEM)
    for path in sorted((FUNCTIONS / SYSTEM).glob("*.sql"))[:18]:
        (former / SYSTEM / path.name).write_bytes(path.read_bytes())
    owner = connect()
    upgrade(owner, former)
    with owner, owner.cursor() as cursor:
        cursor.execute("create table days (day date primary key); select cacheaside.watch('days')")
    upgrade(owner)
    with owner, owner.cursor() as cursor:
        cursor.execute("delete from cacheaside.outbox; insert into days values ('2026-11-30')")
        cursor.execute("select change from cacheaside.outbox")
        assert cursor.fetchall() == [("days:2026-11-30",)]
