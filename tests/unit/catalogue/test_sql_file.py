"""One file of the catalogue: what is read, the line of each part, and what is refused at which line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cacheaside.catalogue.sql_file import read_sql_file
from cacheaside.errors import CatalogueError

HEADER = '-- summary = "s"\n-- ttl = "1s"\n'
QUOTED = "%(a)s is in quotes or in a comment; write it outside, as in %(days)s * interval '1 day'"


def written(folder: Path, text: str) -> Path:
    path = folder / "some.sql"
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path) -> str:
    with pytest.raises(CatalogueError) as caught:
        read_sql_file(path)
    return str(caught.value).removeprefix(f"{path.parent}/")


@pytest.mark.parametrize(
    ("body", "sql", "sql_line", "placeholders"),
    [
        ("select 1", "select 1", 3, {}),
        ("select 1 ; \n", "select 1", 3, {}),
        ("select ';' ; -- done; %%\n/* done */\n", "select ';'", 3, {}),
        ("select 1 -- done;", "select 1 -- done;", 3, {}),
        ("\n\nselect\n%(b)s,\n%(a)s, %(b)s;\n", "select\n%(b)s,\n%(a)s, %(b)s", 5, {"b": 6, "a": 7}),
        (" \n  -- of 5 %%\nselect %(a)s", "-- of 5 %%\nselect %(a)s", 4, {"a": 5}),
        ("select '\u2028\x85', %(a)s", "select '\u2028\x85', %(a)s", 3, {"a": 3}),
    ],
)
def test_statement_is_read_with_its_lines(
    tmp_path: Path, body: str, sql: str, sql_line: int, placeholders: dict[str, int]
) -> None:
    file = read_sql_file(written(tmp_path, HEADER + body))
    assert (file.name, file.header, len(file.header_lines)) == ("some", {"summary": "s", "ttl": "1s"}, 2)
    assert (file.sql, file.sql_line, file.placeholders) == (sql, sql_line, placeholders)


def test_mark_that_windows_puts_before_utf8_is_no_part_of_the_file(tmp_path: Path) -> None:
    file = read_sql_file(written(tmp_path, "\ufeff" + HEADER + "select 1"))
    assert (file.header["summary"], file.sql, file.sql_line) == ("s", "select 1", 3)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "there is no SQL statement below the header"),
        (HEADER.rstrip("\n"), 3, "there is no SQL statement below the header"),
        (HEADER + "\n\n;\n", 3, "there is no SQL statement below the header"),
        (HEADER + "\nselect\n'a\0b',\n'c\0d'", 5, "a NUL character; save the file as text in UTF-8"),
        (HEADER + "\0", 3, "a NUL character; save the file as text in UTF-8"),
        (HEADER + "\n\nselect '%(a)s'", 5, QUOTED),
        (HEADER + "-\n-- %(a)s", 4, QUOTED),
        (HEADER + "\nselect 5 % 2", 4, "write %(name)s for a parameter, and %% for a percent sign"),
        (f"-- a = {'[' * 50_000}\n", 1, "the header is not TOML that can be read: it nests too deep"),
    ],
)
def test_mistake_is_refused_at_its_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    place, _, message = refused(written(tmp_path, text)).partition(": ")
    assert (place, message) == (f"some.sql:{line}", says)


def test_name_that_cannot_be_a_route_is_refused(tmp_path: Path) -> None:
    says = "'Top-Products' cannot be a route; name the file with a-z, 0-9 and _, such as top_products.sql"
    assert refused(tmp_path / "Top-Products.sql") == f"Top-Products.sql:1: {says}"


def test_file_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "folder.sql").mkdir()
    assert refused(tmp_path / "folder.sql") == "folder.sql:1: the file cannot be read: Is a directory"
    (tmp_path / "latin.sql").write_bytes(b"-- summary = 'caf\xe9'\n")
    assert refused(tmp_path / "latin.sql") == (
        "latin.sql:1: not UTF-8: invalid continuation byte; save the file as UTF-8"
    )
