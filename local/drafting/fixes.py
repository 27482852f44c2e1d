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

from cacheaside.catalogue_check.check import check_statements
from cacheaside.catalogue_check.findings import Finding
from local.drafting.granted import inspecting_with
from local.drafting.header import with_line

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
            (folder / path).write_text(text, encoding="utf-8")


def find_fixes(connection: Connection, folder: Path, only: Collection[Path] | None = None) -> Fixes:
    """Return what corrects the catalogue in `folder`, or only its files `only`.

    Changes neither the folder nor the database. Raises CatalogueError and psycopg2.Error.
    """
    statements: dict[str, None] = {}
    with tempfile.TemporaryDirectory(prefix="cacheaside-fix-") as name:
        copy = Path(name)
        before = {path: text for path, text in _texts(folder) if only is None or path in only}
        for path, text in before.items():
            (copy / path).parent.mkdir(exist_ok=True)
            (copy / path).write_text(text, encoding="utf-8")
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


def _correct(problems: Sequence[Finding], statements: dict[str, None]) -> bool:
    """Correct the copied files, and collect the statements. Return whether anything is new."""
    is_new = False
    headers = {(each.path, each.line): each.fix.header for each in problems if each.fix and each.fix.header}
    for (path, line), header in headers.items():
        text = path.read_text(encoding="utf-8")
        corrected = with_line(text, line, header)
        path.write_text(corrected, encoding="utf-8")
        is_new |= corrected != text
    for each in problems:
        if each.fix and each.fix.statement:
            is_new |= each.fix.statement not in statements
            statements[each.fix.statement] = None
    return is_new


def _texts(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted([*folder.glob("queries/*.sql"), *folder.glob("commands/*.sql")]):
        yield path.relative_to(folder), path.read_text(encoding="utf-8")


def _pending(connection: Connection, folder: Path) -> dict[Path, str]:
    """Return the migrations of the catalogue that are not applied."""
    with connection, connection.cursor() as cur:
        cur.execute(_APPLIED)
        applied = {name for (name,) in cur.fetchall()}
    files = sorted((folder / "migrations").glob("*.sql"))
    return {path.relative_to(folder): path.read_text(encoding="utf-8") for path in files if path.stem not in applied}


def _next_number(folder: Path) -> int:
    names = (_NUMBER.match(path.name) for path in (folder / "migrations").glob("*.sql"))
    return max((int(match[1]) for match in names if match), default=0) + 1


def _migration_name(statements: list[str]) -> str:
    grants = sum(each.startswith("grant ") for each in statements)
    return "watch" if not grants else "grant" if grants == len(statements) else "watch_and_grant"
