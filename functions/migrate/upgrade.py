"""Brings a database to the newest schema: applies the migrations that it does not have yet.

There are two series, each numbered from 0001: `migrate/system/` makes the schema `cacheaside`, `catalogue/migrations/`
makes the user's tables and has them watched. Each file is one transaction, which also records the file in
`cacheaside.migrations`. The transaction takes an advisory lock. So several upgrades may run at once: each one waits for
its turn and applies what is then missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

__all__ = ["FUNCTIONS", "Migration", "MigrationFailed", "read_migrations", "unknown", "upgrade"]

FUNCTIONS: Final = Path(__file__).parents[1]
# By series, below the folder of the functions. In this order: the catalogue's files call functions of the system's.
_FOLDERS: Final = {"system": "migrate/system", "catalogue": "catalogue/migrations"}
_NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]+")
_LOCK: Final = int.from_bytes(b"cacheasi", "big")  # any number that no other program locks

# A migration that waits for the lock of a table blocks all later users of that table, so the wait is short.
_GUARD: Final = "set local lock_timeout = '10s'"
# Names without a schema are PostgreSQL's own here: on the path of a session, functions of other users could come first.
# Where this setting is off, a backslash in our texts would mean something else.
_SYSTEM_GUARD: Final = "set local search_path = pg_catalog, pg_temp; set local standard_conforming_strings = on"

# Files that were edited after they were applied to databases, by the checksum of the text that these databases have.
# 0001_roles.sql ran statements that only a superuser may repeat. Where it has been applied, its effect is the same.
_FORMER_TEXTS: Final = {
    "migrate/system/0001_roles.sql": "62eb03c8b97aa560eff07c05eda3e06c4b7083f74621c25d7f1ed582395bdb4d",
}

# `create schema if not exists` needs the right to create one also where it exists.
_SCHEMA: Final = """
    do $$ begin if to_regnamespace('cacheaside') is null then create schema cacheaside; end if; end $$
"""
_BOOTSTRAP: Final = """
    create table if not exists cacheaside.migrations (
        series     text,
        number     integer,
        name       text not null,
        checksum   text not null,
        applied_at timestamptz not null default now(),
        primary key (series, number)
    )
"""
_NOT_OWNER: Final = (
    "the user must be able to create a schema in the database, or own the schema cacheaside: a superuser, on RDS the "
    "master user, runs: grant create on database … to …"
)


class MigrationFailed(Exception):
    """A file could not be applied, or must not be. It left no trace in the database; files before it stay applied."""

    def __init__(self, file: str, reason: str, line: int | None = None) -> None:
        super().__init__(f"{file}:{line}: {reason}" if line else f"{file}: {reason}")
        self.file = file
        self.reason = reason
        self.line = line


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. `name` is `0001_roles`, without the suffix."""

    series: str
    number: int
    name: str
    sql: str

    @property
    def key(self) -> tuple[str, int]:
        """The primary key in `cacheaside.migrations`."""
        return self.series, self.number

    @property
    def file(self) -> str:
        """The path below the folder of the functions: `migrate/system/0001_roles.sql`."""
        return _file(self.series, self.name)

    @property
    def checksum(self) -> str:
        """Of the text as read, so line endings make no difference."""
        return sha256(self.sql.encode()).hexdigest()


def upgrade(connection: Connection, functions: Path = FUNCTIONS) -> list[str]:
    """Apply every migration that the database lacks, and return their files in the order of application.

    Raises `MigrationFailed`. A database that is ahead of `functions` is left as it is, because that is its state during
    the rollback of a deployment. Only the caller can know whether this is a rollback: see `unknown`.
    """
    migrations = read_migrations(functions)
    applied: list[str] = []
    while (file := _apply_next(connection, migrations)) is not None:
        applied.append(file)
    return applied


def unknown(connection: Connection, functions: Path = FUNCTIONS) -> list[str]:
    """Return the files that were applied to the database and are not in `functions`: how far the database is ahead."""
    known = {migration.key for migration in read_migrations(functions)}
    with connection, connection.cursor() as cursor:
        cursor.execute("select series, number, name from cacheaside.migrations order by series = 'catalogue', number")
        return [_file(series, name) for series, number, name in cursor.fetchall() if (series, number) not in known]


def read_migrations(functions: Path) -> list[Migration]:
    """Return the files of both series, in the order of application.

    Raises `MigrationFailed` where the files of a series are not numbered 1, 2, 3 and so on.
    """
    return [migration for series in _FOLDERS for migration in _read_series(functions, series)]


def _read_series(functions: Path, series: str) -> Iterator[Migration]:
    previous = ""
    for expected, path in enumerate(sorted((functions / _FOLDERS[series]).glob("*.sql")), 1):
        file = _file(series, path.stem)
        match = _NAME.fullmatch(path.stem)
        if match is None:
            raise MigrationFailed(file, "is not named like 0004_order_notes.sql")
        number = int(match[1])
        if number < expected:
            raise MigrationFailed(file, f"has the same number as {previous}.sql")
        if number > expected:
            raise MigrationFailed(file, f"comes next, but number {expected:04} is missing")
        yield Migration(series, number, path.stem, _read(path, file))
        previous = path.stem


def _read(path: Path, file: str) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise MigrationFailed(file, f"is not UTF-8: {error.reason}; save it as UTF-8") from None
    if "\0" in text:  # a driver in C ends the statements there
        line = 1 + text.count("\n", 0, text.index("\0"))
        raise MigrationFailed(file, "has a NUL character; save it as text in UTF-8", line)
    return text


def _file(series: str, name: str) -> str:
    return f"{_FOLDERS[series]}/{name}.sql"


def _apply_next(connection: Connection, migrations: Sequence[Migration]) -> str | None:
    with connection, connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
        _bootstrap(cursor)
        cursor.execute("select series, number, name, checksum from cacheaside.migrations")
        applied = {(series, number): (name, checksum) for series, number, name, checksum in cursor.fetchall()}
        _refuse_changed(migrations, applied)
        migration = next((migration for migration in migrations if migration.key not in applied), None)
        if migration is None:
            return None
        cursor.execute(_GUARD)
        if migration.series == "system":
            cursor.execute(_SYSTEM_GUARD)
        _execute(cursor, migration)
        cursor.execute(
            "insert into cacheaside.migrations (series, number, name, checksum) values (%s, %s, %s, %s)",
            [migration.series, migration.number, migration.name, migration.checksum],
        )
    return migration.file


def _bootstrap(cursor: Cursor) -> None:
    try:
        cursor.execute(_SCHEMA)
        cursor.execute(_BOOTSTRAP)
    except psycopg2.errors.InsufficientPrivilege as error:
        raise MigrationFailed(_FOLDERS["system"], f"{_reason(error)}; {_NOT_OWNER}") from error


def _refuse_changed(migrations: Sequence[Migration], applied: Mapping[tuple[str, int], tuple[str, str]]) -> None:
    for migration in migrations:
        name, checksum = applied.get(migration.key, (migration.name, migration.checksum))
        if migration.name != name:
            raise MigrationFailed(migration.file, f"is number {migration.number}, which was applied as {name}.sql")
        if checksum not in (migration.checksum, _FORMER_TEXTS.get(migration.file)):
            raise MigrationFailed(
                migration.file, "was edited after it was applied; restore it, and put the change in a new file"
            )


def _execute(cursor: Cursor, migration: Migration) -> None:
    before = _transaction(cursor)
    notices = cursor.connection.notices
    earlier, notices[:] = notices[:], []
    try:
        _run(cursor, migration.sql)
        # A deferred constraint would fail at commit, where the error could no longer name the file.
        cursor.execute("set constraints all immediate")
    except psycopg2.Error as error:
        # The reason may be in a warning: `watch` cannot create triggers on a table of another owner.
        warnings = [line.partition(":")[2].strip() for line in notices if line.startswith("WARNING")]
        reason = "; ".join([_reason(error), *warnings])
        raise MigrationFailed(migration.file, reason, _line(migration.sql, error)) from error
    finally:
        notices[:0] = earlier
    if _transaction(cursor) != before:
        raise MigrationFailed(migration.file, "ends its transaction; take out its commit or rollback")


def _run(cursor: Cursor, sql: str) -> None:
    try:
        cursor.execute(sql)
    except psycopg2.ProgrammingError as error:
        # A file of comments only. This error is psycopg2's own, and leaves the transaction as it was.
        if error.pgcode is not None or "empty query" not in str(error):
            raise


def _transaction(cursor: Cursor) -> str:
    cursor.execute("select pg_current_xact_id()::text")
    return str(cursor.fetchone())


def _reason(error: psycopg2.Error) -> str:
    diag = error.diag
    if diag.message_primary is None:
        return str(error).strip()
    # An error without a position happened in a block or function: then the context says where.
    context = None if diag.statement_position else diag.context
    notes = [note for note in (diag.message_detail, diag.message_hint, context) if note]
    return "; ".join([f"{diag.message_primary} (SQLSTATE {error.pgcode})", *notes])


def _line(sql: str, error: psycopg2.Error) -> int | None:
    position = error.diag.statement_position  # counts characters from 1, over the whole file
    return sql.count("\n", 0, int(position) - 1) + 1 if position else None
