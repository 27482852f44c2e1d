"""Brings a database to the newest schema: applies, in order, the files of `migrations/` that it does not have yet.

Each file is one transaction, recorded in `cacheaside.migrations` as it commits. An advisory lock of the same
transaction lets several upgrades run at once: each applies what it finds missing when its turn comes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

__all__ = ["Migration", "MigrationFailed", "read_migrations", "unknown", "upgrade"]

_FOLDER: Final = Path(__file__).with_name("migrations")
_NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]+")
_LOCK: Final = int.from_bytes(b"cacheasi", "big")  # any number that nobody else takes

# A migration that waits for a table's lock holds up everyone who comes after it, so it does not wait for long.
_GUARD: Final = "set local lock_timeout = '10s'"

_BOOTSTRAP: Final = """
    create schema if not exists cacheaside;
    create table if not exists cacheaside.migrations (
        number     integer primary key,
        name       text not null,
        checksum   text not null,
        applied_at timestamptz not null default now()
    )
"""


class MigrationFailed(Exception):
    """A file could not be applied, or must not be. Nothing of it remains; the files before it stay applied."""

    def __init__(self, name: str, reason: str, line: int | None = None) -> None:
        super().__init__(f"{name}.sql:{line}: {reason}" if line else f"{name}.sql: {reason}")
        self.name = name
        self.reason = reason
        self.line = line


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. `name` is `0001_roles`, without the suffix."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Of the text as read, so that a checkout with other line endings is the same file."""
        return sha256(self.sql.encode()).hexdigest()


def upgrade(connection: Connection, folder: Path = _FOLDER) -> list[str]:
    """Apply every migration that the database lacks, and return their names.

    Raises `MigrationFailed`. A database that is ahead of `folder` is left as it is: that is what a deployment
    looks like while it is rolled back. Whether it is one, only the caller can know: see `unknown`.
    """
    migrations = read_migrations(folder)
    applied: list[str] = []
    while (name := _apply_next(connection, migrations)) is not None:
        applied.append(name)
    return applied


def unknown(connection: Connection, folder: Path = _FOLDER) -> list[str]:
    """Return the names of the migrations that the database has and `folder` has not, in order: how far it is ahead."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select name from cacheaside.migrations where number > %s order by number", [len(read_migrations(folder))]
        )
        return [name for (name,) in cursor.fetchall()]


def read_migrations(folder: Path) -> list[Migration]:
    """Return the files of `folder` by number: 1, 2, 3 and so on. Raises `MigrationFailed` where that is not so."""
    migrations: list[Migration] = []
    for expected, path in enumerate(sorted(folder.glob("*.sql")), 1):
        match = _NAME.fullmatch(path.stem)
        if match is None:
            raise MigrationFailed(path.stem, "is not named like 0004_order_notes.sql")
        number = int(match[1])
        if number < expected:
            raise MigrationFailed(path.stem, f"has the same number as {migrations[-1].name}.sql")
        if number > expected:
            raise MigrationFailed(path.stem, f"comes next, but number {expected:04} is missing")
        migrations.append(Migration(number, path.stem, path.read_text(encoding="utf-8")))
    return migrations


def _apply_next(connection: Connection, migrations: Sequence[Migration]) -> str | None:
    with connection, connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute(_BOOTSTRAP)
        cursor.execute("select number, name, checksum from cacheaside.migrations order by number")
        applied = cursor.fetchall()
        _refuse_changed(migrations, applied)
        if len(applied) >= len(migrations):
            return None
        migration = migrations[len(applied)]
        cursor.execute(_GUARD)
        _execute(cursor, migration)
        cursor.execute(
            "insert into cacheaside.migrations (number, name, checksum) values (%s, %s, %s)",
            [migration.number, migration.name, migration.checksum],
        )
    return migration.name


def _refuse_changed(migrations: Sequence[Migration], applied: Sequence[tuple[int, str, str]]) -> None:
    for migration, (number, name, checksum) in zip(migrations, applied, strict=False):
        if migration.name != name:
            raise MigrationFailed(migration.name, f"is number {number}, which was applied as {name}.sql")
        if migration.checksum != checksum:
            raise MigrationFailed(name, "was edited after it was applied; restore it, and put the change in a new file")


def _execute(cursor: Cursor, migration: Migration) -> None:
    before = _transaction(cursor)
    try:
        cursor.execute(migration.sql)
        cursor.execute("set constraints all immediate")  # else a deferred one would fail at commit, in nobody's name
    except psycopg2.Error as error:
        raise MigrationFailed(migration.name, _reason(error), _line(migration.sql, error)) from error
    if _transaction(cursor) != before:
        raise MigrationFailed(migration.name, "ends its transaction; take out its commit or rollback")


def _transaction(cursor: Cursor) -> str:
    cursor.execute("select pg_current_xact_id()::text")
    return str(cursor.fetchone())


def _reason(error: psycopg2.Error) -> str:
    diag = error.diag
    if diag.message_primary is None:
        return str(error).strip()
    # Without a position, the context is what tells where a block or function stopped.
    context = None if diag.statement_position else diag.context
    notes = [note for note in (diag.message_detail, diag.message_hint, context) if note]
    return "; ".join([f"{diag.message_primary} (SQLSTATE {error.pgcode})", *notes])


def _line(sql: str, error: psycopg2.Error) -> int | None:
    position = error.diag.statement_position  # counts characters from 1, over the whole file
    return sql.count("\n", 0, int(position) - 1) + 1 if position else None
