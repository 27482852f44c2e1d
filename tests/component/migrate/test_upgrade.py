"""Migrations: once each, in order, whole or not at all, and with a reason that names file and line."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection

from migrate.upgrade import MigrationFailed, unknown, upgrade

Connect = Callable[..., Connection]
FILES = [
    "0001_roles",
    "0002_shop",
    "0003_commands",
    "0004_outbox",
    "0005_watch",
    "0006_follow_schema",
    "0007_watch_shop",
]


def write(folder: Path, **files: str) -> Path:
    for name, sql in files.items():
        (folder / f"{name}.sql").write_text(sql)
    return folder


def tables(connection: Connection) -> set[str]:
    with connection, connection.cursor() as cursor:
        cursor.execute("select tablename from pg_tables where schemaname = 'public'")
        return {name for (name,) in cursor.fetchall()}


def test_second_upgrade_finds_nothing_to_do(connect: Connect) -> None:
    assert upgrade(connect()) == FILES
    assert upgrade(connect()) == []


def test_upgrades_at_once_apply_each_file_once(connect: Connect) -> None:
    applied: list[str] = []
    connections = [connect() for _ in range(4)]
    threads = [threading.Thread(target=lambda each=each: applied.extend(upgrade(each))) for each in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(applied) == FILES


def test_failing_file_leaves_nothing_of_itself_and_names_its_line(connect: Connect, tmp_path: Path) -> None:
    write(tmp_path, **{"0001_a": "create table a ();", "0002_b": "create table b ();\n\nselect nonsense;\n"})
    with pytest.raises(MigrationFailed) as caught:
        upgrade(connect(), tmp_path)
    assert str(caught.value).startswith('0002_b.sql:3: column "nonsense" does not exist (SQLSTATE 42703)')
    assert tables(connect()) == {"a"}
    write(tmp_path, **{"0002_b": "create table b ();"})
    assert upgrade(connect(), tmp_path) == ["0002_b"]


def test_edited_file_is_refused(connect: Connect, tmp_path: Path) -> None:
    upgrade(connect(), write(tmp_path, **{"0001_a": "create table a ();"}))
    write(tmp_path, **{"0001_a": "create table a (id int);", "0002_b": "create table b ();"})
    with pytest.raises(MigrationFailed, match=r"0001_a\.sql: was edited after it was applied"):
        upgrade(connect(), tmp_path)
    assert tables(connect()) == {"a"}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (["0002_b"], "number 0001 is missing"),
        (["0001_a", "0001_b"], "has the same number as 0001_a.sql"),
        (["0001_a", "0003_c"], "number 0002 is missing"),
        (["1_a"], "is not named like"),
    ],
)
def test_files_out_of_order_are_refused(connect: Connect, tmp_path: Path, files: list[str], says: str) -> None:
    write(tmp_path, **dict.fromkeys(files, "select 1"))
    with pytest.raises(MigrationFailed, match=says):
        upgrade(connect(), tmp_path)


@pytest.mark.parametrize("statement", ["commit", "rollback", "commit; begin"])
def test_file_that_ends_its_transaction_is_refused(connect: Connect, tmp_path: Path, statement: str) -> None:
    with pytest.raises(MigrationFailed, match="ends its transaction"):
        upgrade(connect(), write(tmp_path, **{"0001_a": f"select 1; {statement}"}))


def test_database_that_is_ahead_is_left_alone(connect: Connect, tmp_path: Path) -> None:
    upgrade(connect(), write(tmp_path, **{"0001_a": "create table a ();", "0002_b": "create table b ();"}))
    assert unknown(connect(), tmp_path) == []
    (tmp_path / "0002_b.sql").unlink()
    assert upgrade(connect(), tmp_path) == []
    assert unknown(connect(), tmp_path) == ["0002_b"]
