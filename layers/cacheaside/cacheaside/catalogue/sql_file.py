"""One .sql file of the catalogue: a header of comment lines that hold TOML, then one SQL statement."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from cacheaside.catalogue.quotations import unquoted
from cacheaside.errors import CatalogueError

__all__ = ["SqlFile", "read_sql_file"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_PLACEHOLDER: Final = re.compile(r"%(?:\((?P<name>[^)]*)\)s|(?P<escaped>%)|(?P<stray>.?))", re.DOTALL)
_PARAMETER: Final = re.compile(r"[^\W\d]\w{0,62}")
_PARAMETER_NAME: Final = "the name of a parameter is of letters, digits and _"
_TOML_POSITION: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)")


class SqlFile(NamedTuple):
    """A parsed file. `sql` begins at line `sql_line`. `placeholders` maps each name in %(name)s to its first line."""

    path: Path
    name: str
    header: dict[str, Any]
    header_lines: tuple[str, ...]
    sql: str
    sql_line: int
    placeholders: dict[str, int]

    def line_of(self, key: str) -> int:
        """Return the line of the header that sets `key` (or a part of it), else the first line."""
        setting = re.compile(rf"--\s*{re.escape(key)}\s*[=.]")
        return next((number for number, line in enumerate(self.header_lines, 1) if setting.match(line)), 1)

    def error(self, key: str, message: str) -> CatalogueError:
        """Return the error to raise for the header's `key`, with its line."""
        return CatalogueError(self.path, self.line_of(key), message)


def read_sql_file(path: Path) -> SqlFile:
    """Read one file. Raises CatalogueError, with the line, if it is not a header and one SQL statement."""
    name = path.stem
    if not _NAME.fullmatch(name):
        raise CatalogueError(
            path, 1, f"{name!r} cannot be a route; name the file with a-z, 0-9 and _, such as top_products.sql"
        )
    try:
        # Not splitlines: a name or a string may have one of the characters that end a line elsewhere, such as U+2028.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise CatalogueError(path, 1, f"not UTF-8: {error.reason}; save the file as UTF-8") from None
    except OSError as error:
        raise CatalogueError(path, 1, f"the file cannot be read: {error.strerror}") from None
    length = next((at for at, line in enumerate(lines) if not line.startswith("--")), len(lines))
    header_lines = tuple(lines[:length])
    header = _parse_header(path, header_lines)
    body = "\n".join(lines[length:])
    if "\0" in body:  # a driver in C ends the statement there
        line = length + 1 + body.count("\n", 0, body.index("\0"))
        raise CatalogueError(path, line, "a NUL character; save the file as text in UTF-8")
    placeholders = _placeholders(path, body, first_line=length + 1)
    end = unquoted(body).rstrip()  # without a comment behind the statement
    sql = (body[: len(end) - 1] if end.endswith(";") else body).strip()
    if not sql:
        raise CatalogueError(path, length + 1, "there is no SQL statement below the header")
    sql_line = length + 1 + body[: body.find(sql)].count("\n")
    return SqlFile(path, name, header, header_lines, sql, sql_line, placeholders)


def _parse_header(path: Path, lines: tuple[str, ...]) -> dict[str, Any]:
    toml = "\n".join(line.removeprefix("--").strip() for line in lines)
    try:
        return tomllib.loads(toml, parse_float=_finite)
    except RecursionError:
        raise CatalogueError(path, 1, "the header is not TOML that can be read: it nests too deep") from None
    except ValueError as error:  # of TOML, or of a number
        position = _TOML_POSITION.search(str(error))
        line = int(position[1] or len(lines)) if position else 1
        message = _TOML_POSITION.sub("", str(error))
        raise CatalogueError(path, max(line, 1), f"the header is not TOML: {message}") from None


def _finite(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except ArithmeticError:
        raise ValueError(f"{text} has too large an exponent") from None
    if not value.is_finite():
        raise ValueError(f"{text} is not a number here")
    return value


def _placeholders(path: Path, sql: str, first_line: int) -> dict[str, int]:
    found: dict[str, int] = {}
    outside, line, at = unquoted(sql), first_line, 0
    for match in _PLACEHOLDER.finditer(sql):
        line, at = line + sql.count("\n", at, match.start()), match.start()
        if match["name"] is not None and outside[at] != "%":
            # There the text of a caller could end the comment or the string, and become SQL.
            advice = "write it outside, as in %(days)s * interval '1 day'"
            raise CatalogueError(path, line, f"%({match['name']})s is in quotes or in a comment; {advice}")
        if match["name"] is not None:
            if not _PARAMETER.fullmatch(match["name"]):
                raise CatalogueError(path, line, f"{match[0]!r} is no placeholder; {_PARAMETER_NAME}")
            found.setdefault(match["name"], line)
        elif not match["escaped"]:
            raise CatalogueError(path, line, "write %(name)s for a parameter, and %% for a percent sign")
    return found
