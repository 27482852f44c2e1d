"""Corrects a catalogue as the check advises: lines of headers, and statements for one new migration."""

from __future__ import annotations

import difflib
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from psycopg2.extensions import connection as Connection

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.sql_file import read_sql_file
from cacheaside.catalogue_check.check import check_statements
from cacheaside.catalogue_check.findings import Finding
from cacheaside.errors import CatalogueError
from local.drafting.description import refuse_database
from local.drafting.granted import inspecting_with
from local.drafting.header import with_last_line, with_line

__all__ = ["Fixes", "find_fixes"]

# A grant lets the check see more, and a corrected line as well.
_ROUNDS: Final = 6
_NUMBER: Final = re.compile(r"(\d{4})_")
_APPLIED: Final = "select name from cacheaside.migrations where series = 'catalogue'"


@dataclass(frozen=True, slots=True)
class Fixes:
    """The files to write, by path below the catalogue, and the findings that are left after that."""

    before: Mapping[Path, str]
    after: Mapping[Path, str]
    waiting: Path | None  # the migration without which some findings remain, new or not applied yet
    left: tuple[Finding, ...]

    @property
    def diff(self) -> str:
        """The changes, as `diff -u` prints them."""
        lines: list[str] = []
        for path, text in self.after.items():
            before = self.before.get(path)
            old = before.splitlines(keepends=True) if before is not None else []
            source = str(path) if before is not None else "/dev/null"
            lines += difflib.unified_diff(old, text.splitlines(keepends=True), source, str(path), n=1)
        return "".join(lines)

    def write(self, folder: Path) -> None:
        """Write the files into the catalogue in `folder`."""
        for path, text in self.after.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            _write(folder / path, text)


def find_fixes(connection: Connection, folder: Path, only: Collection[Path] | None = None) -> Fixes:
    """Return what corrects the catalogue in `folder`, or only its files `only`.

    Changes neither the folder nor the database. Raises CatalogueError, psycopg2.Error, and `LocalError` if no
    catalogue can be checked in the database.
    """
    with connection, connection.cursor() as cur:
        refuse_database(cur)
    statements: dict[str, None] = {}
    with tempfile.TemporaryDirectory(prefix="cacheaside-fix-") as name:
        copy = Path(name)
        before = {path: text for path, text in _texts(folder) if only is None or path in only}
        for path, text in before.items():
            (copy / path).parent.mkdir(exist_ok=True)
            _write(copy / path, text)
        _add_missing_tags(copy)
        for _ in range(_ROUNDS):
            with inspecting_with(connection, statements) as database:
                checked = check_statements(copy, database)
            if not _correct(checked.problems, statements):
                break
        after = {path: text for path, text in _texts(copy) if before.get(path) != text}
        findings = [replace(each, path=each.path.relative_to(copy)) for each in checked.problems]
    pending = _pending(connection, folder)
    new = [each for each in statements if not any(each in text for text in pending.values())]
    waiting = next((path for path, text in pending.items() if any(each in text for each in statements)), None)
    if new:
        waiting = Path("migrations") / f"{_next_number(folder):04}_{_migration_name(new)}.sql"
        after[waiting] = "".join(f"{each}\n" for each in new)
    left = tuple(each for each in findings if each.fix is None or each.fix.statement not in statements)
    return Fixes(before, after, waiting, left)


def _add_missing_tags(copy: Path) -> None:
    """Add an empty list of tags, which the check then corrects, where it is all that a header lacks."""
    without = {}
    for name in Catalogue.load(copy).query_errors:
        path = copy / "queries" / f"{name}.sql"
        try:
            file = read_sql_file(path)
        except CatalogueError:
            continue
        if "tags" not in file.header:
            without[name] = path, _read(path)
            _write(path, with_last_line(_read(path), "-- tags = []"))
    for name in Catalogue.load(copy).query_errors:
        if name in without:
            _write(*without[name])


def _correct(problems: Sequence[Finding], statements: dict[str, None]) -> bool:
    """Correct the copied files, and collect the statements. Return whether anything is new."""
    is_new = False
    headers = {(each.path, each.line): each.fix.header for each in problems if each.fix and each.fix.header}
    for (path, line), header in headers.items():
        text = _read(path)
        corrected = with_line(text, line, header)
        _write(path, corrected)
        is_new |= corrected != text
    for each in problems:
        if each.fix and each.fix.statement:
            is_new |= each.fix.statement not in statements
            statements[each.fix.statement] = None
    return is_new


def _texts(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted([*folder.glob("queries/*.sql"), *folder.glob("commands/*.sql")]):
        yield path.relative_to(folder), _read(path)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="surrogateescape")  # the check reports what is not UTF-8


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="surrogateescape")


def _pending(connection: Connection, folder: Path) -> dict[Path, str]:
    """Return the migrations of the catalogue that are not applied."""
    with connection, connection.cursor() as cur:
        cur.execute(_APPLIED)
        applied = {name for (name,) in cur.fetchall()}
    files = sorted((folder / "migrations").glob("*.sql"))
    pending = [path for path in files if path.stem not in applied]
    return {path.relative_to(folder): path.read_text("utf-8", errors="surrogateescape") for path in pending}


def _next_number(folder: Path) -> int:
    names = (_NUMBER.match(path.name) for path in (folder / "migrations").glob("*.sql"))
    return max((int(match[1]) for match in names if match), default=0) + 1


def _migration_name(statements: list[str]) -> str:
    grants = sum(each.startswith("grant ") for each in statements)
    return "watch" if not grants else "grant" if grants == len(statements) else "watch_and_grant"
