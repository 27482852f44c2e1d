"""Files of the catalogue: a statement that can be asked and described, or a CatalogueError with its line. Nothing else.

In a statement that is accepted, PostgreSQL must take the value of each placeholder for one literal, whatever a caller
sends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.durations import parse_duration_ms
from cacheaside.catalogue.parameters import Value, bind_text
from cacheaside.catalogue.patterns import Pattern
from cacheaside.catalogue.statements import Query, Statement
from cacheaside.catalogue.tags import changed_tags, check_tag, spellings, table_of
from cacheaside.drivers.postgres.typed_sql import with_values
from cacheaside.errors import BadParameters
from cacheaside.http.listing import listing
from cacheaside.http.openapi.document import openapi
from cacheaside.reading.question import Question
from cacheaside.settings import ApiSettings
from proofs.fuzz import strategies as st
from proofs.fuzz.hostile import TEXTS
from proofs.fuzz.sql_files import FILES, File
from proofs.fuzz.sql_tokens import tokens
from proofs.fuzz.target import Target

__all__ = ["opened"]


# One of them is a value of each type, so that the text of a case need not be.
_OTHERS: Final = ("it's", "-7", "2024-01-01", "true", "0e37df36-f698-11e6-8dd4-cb9ced3df976", "a")
_API: Final = ApiSettings.from_environment(
    {"READ_AUTHORIZATION": "open", "WRITE_AUTHORIZATION": "open", "DEVELOPER_MODE": "on"}
)


@contextmanager
def opened() -> Iterator[Target]:
    """Return the target, with a folder for its files."""
    with TemporaryDirectory(prefix="cacheaside-") as name:
        folder = Path(name)
        (folder / "queries").mkdir()
        (folder / "commands").mkdir()

        def check(case: File | str) -> None:
            _check_text(case) if isinstance(case, str) else _check_file(folder, case)

        yield Target("catalogue", st.one_of(*[FILES] * 9, TEXTS), check)


def _check_text(text: str) -> None:
    """The parsers of single values raise ValueError, and nothing else."""
    with suppress(ValueError):
        assert parse_duration_ms(text) >= 0
    with suppress(ValueError):
        Pattern.parse(text).matches("a" * 1_000)
    with suppress(ValueError):
        check_tag(text, {})
    for each in spellings(text):
        assert table_of(each)
        assert changed_tags([each])


def _check_file(folder: Path, case: File) -> None:
    path = folder / case.folder / "q.sql"
    path.write_bytes(case.data)
    try:
        catalogue = Catalogue.load(folder)
    finally:
        path.unlink()
    for error in catalogue.errors:
        lines = 1 + case.data.count(b"\n") + case.data.count(b"\r")
        assert 1 <= error.line <= lines + 1, f"line {error.line} of {lines}"
        assert error.reason.encode()
        assert len(error.reason) < 2_000 + len(case.data), error.reason
    for document in (listing(catalogue, _API), openapi(catalogue, _API, {})):
        json.dumps(document, ensure_ascii=False).encode()
    statements: list[Statement] = [*catalogue.queries.values(), *catalogue.commands.values()]
    assert len(statements) + len(catalogue.errors) == 1
    for statement in statements:
        _check_statement(statement, case.sent)


def _check_statement(statement: Statement, sent: list[str]) -> None:
    values: dict[str, Value] = {}
    for name, parameter in statement.parameters.items():
        values[name] = parameter.default
        for text in (*_OTHERS, *sent):  # the last that it takes
            with suppress(ValueError):
                values[name] = parameter.from_text([text])
    with suppress(BadParameters):
        bind_text(statement.parameters, dict.fromkeys(statement.parameters, sent[:1]))
    if isinstance(statement, Query):
        with suppress(UnicodeEncodeError):
            assert Question(statement, values).keys.query == statement.name
    _check_literals(statement, values, dict.fromkeys(values))


def _check_literals(statement: Statement, values: dict[str, Value], nulls: dict[str, Value]) -> None:
    """The tokens of the statement with `values` are those without any, but for one literal in place of each null."""
    try:
        without = list(tokens(with_values(statement, nulls), standard_strings=True))
    except ValueError:
        return  # PostgreSQL refuses the statement, whatever a caller sends
    given = list(tokens(with_values(statement, values), standard_strings=True))
    assert len(given) == len(without), "a value changes the statement"
    for was, now in zip(without, given, strict=True):
        is_value = was.text == "null" and now.kind == "literal"
        assert is_value or was[:2] == now[:2], f"{was} becomes {now}"
