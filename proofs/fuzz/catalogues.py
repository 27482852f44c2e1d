"""Files of the catalogue: a statement that can be asked and described, or a CatalogueError with its line. Nothing else.

The files are made of headers and of SQL that are nearly right, and are changed at random. In a statement that is
accepted, PostgreSQL must take the value of each placeholder for one literal, whatever a caller sends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from hypothesis import strategies as st

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
from proofs.fuzz.hostile import NUMBERS, TEXTS, UNICODE_TEXTS, near
from proofs.fuzz.sql_tokens import tokens
from proofs.fuzz.target import Target

__all__ = ["opened"]


class File(NamedTuple):
    """A file of a query or a command, and the texts that a caller then sends for each parameter."""

    folder: str
    data: bytes
    sent: list[str]


_STRINGS: Final = st.builds(
    json.dumps,
    st.one_of(
        UNICODE_TEXTS,
        st.sampled_from(
            ("60s", "1d", "many", "one", "load", "serializable", "x", "things", "things:{x}", '"T":{x},{id}')
        ),
    ),
)
_SCALARS: Final = st.one_of(
    _STRINGS,
    _STRINGS,
    NUMBERS,
    st.sampled_from(
        (
            "true",
            "false",
            "2024-01-01",
            "2024-01-01T00:00:00Z",
            "07:32:00",
            "nan",
            "inf",
            "1e400",
            "[]",
            "{}",
            "''",
            "''''''",
        )
    ),
)
_VALUES: Final = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda each: f"[{', '.join(each)}]")
        | st.lists(st.builds("{} = {}".format, st.sampled_from(("type", "a", '""', "default")), inner), max_size=3).map(
            lambda each: f"{{{', '.join(each)}}}"
        )
    ),
    max_leaves=5,
)
_KEYS: Final = st.sampled_from(
    (
        "summary",
        "ttl",
        "stale",
        "stale_if_error",
        "negative_ttl",
        "jitter",
        "early_refresh",
        "wait",
        "waited_out",
        "compress",
        "local",
        "client",
        "verify",
        "tags",
        "timeout",
        "returns",
        "isolation",
        "params",
        "params.x",
        "params.id.type",
        'params.""',
        "a.b.c",
        "[params.x]",
        "[[tags]]",
    )
)
_KINDS: Final = st.sampled_from(
    (
        "text",
        "integer",
        "number",
        "boolean",
        "date",
        "timestamp",
        "uuid",
        "enum",
        "text[]",
        "integer[]",
        "enum[]",
        "number[]",
    )
)
_OPTIONS: Final = st.sampled_from(
    ("required", "default", "example", "description", "min", "max", "min_length", "max_length", "pattern", "values")
)
_RIGHT: Final = {
    "values": st.sampled_from(
        ('["a", "it\'s"]', '["a"]', "[1, 2]", '"abc"', '[""]', '["a", "a"]', "[true]", '[["a"]]')
    ),
    "pattern": st.sampled_from(
        ('"[a-z]+"', '"(a+)+b"', '"\\\\d{1,1000}"', '"("', '"(?s).*"', '"\\\\p{Greek}"', '"[[:alpha:]]\\\\z"')
    ),
}
_OPTION: Final = _OPTIONS.flatmap(lambda name: st.builds(f"{name} = {{}}".format, _RIGHT.get(name, _VALUES)))
_NAMES: Final = st.sampled_from(("x", "x", "id", "X", "a b", "", "é", "{x}", "limit", "a.b", "x\n"))


class _Declared(NamedTuple):
    name: str
    kind: str
    options: list[str]
    values: str

    @property
    def line(self) -> str:
        options = [*self.options, *([f"values = {self.values}"] if self.kind.startswith("enum") else ())]
        return f'params.{json.dumps(self.name)} = {{ {", ".join([f"""type = "{self.kind}" """, *options])} }}'


_NO_OPTIONS: Final[st.SearchStrategy[list[str]]] = st.just([])
_DECLARED: Final = st.one_of(
    *[st.builds(_Declared, st.just("x"), _KINDS, _NO_OPTIONS, st.just('["a", "it\'s"]'))] * 3,
    st.builds(_Declared, _NAMES, _KINDS, st.lists(_OPTION, max_size=2), _RIGHT["values"]),
)
_LINES: Final = st.one_of(
    st.builds("{} = {}".format, _KEYS, _VALUES), UNICODE_TEXTS.map(lambda text: text.replace("\n", " "))
)
_GOOD: Final = ('summary = "s"', 'ttl = "60s"', 'tags = ["things"]')
_PIECES: Final = st.sampled_from(
    (
        *(
            "%(x)s",
            "%(nope)s",
            "%%",
            "%",
            " ",
            "\n",
            "\r",
            ",",
            "'",
            "'",
            "''",
            "\\",
            "\\",
            "E'",
            "e'",
            "U&'",
            "N'",
            '"',
        ),
        *(
            'U&"',
            "$$",
            "$a$",
            "$1",
            "a$b$",
            "1",
            "--",
            "/*",
            "*/",
            "*",
            "/",
            ";",
            "select",
            "é",
            "\0",
            "\u2028",
            "\x85",
        ),
        *("\x0b", "(", ")", "a$e'", "1e'", "ée'"),
    )
)
_SQL: Final = st.lists(_PIECES, max_size=6).map("".join)
_LONG: Final = st.one_of(
    st.builds(lambda piece, times: piece * times, _PIECES, st.sampled_from((100, 3_000))),
    st.just("'',%(x)s," * 3_000),
)


def _text(lines: list[str], good: bool, prefix: str, sql: str) -> bytes:
    header = "".join(f"{prefix}{line}\n" for line in (*(_GOOD if good else ()), *lines))
    return f"{header}{sql}".encode(errors="surrogatepass")


def _accepted(declared: list[_Declared], lines: list[str], pieces: list[str]) -> bytes:
    """Return a file that is right, but for what is wrong in the declarations, the lines and the pieces of SQL."""
    each = {declaration.name: declaration for declaration in declared}.values()
    placeholders = [f"%({declaration.name})s" for declaration in each]
    sql = "".join(
        text for pair in zip([*placeholders, ""], [*pieces, *[","] * 9], strict=False) for text in reversed(pair)
    )
    return _text([*(declaration.line for declaration in each), *lines], True, "-- ", f"select {sql}")


_PREFIXES: Final = st.sampled_from(("-- ", "-- ", "-- ", "--", "--\t", "", "\ufeff-- "))
_NO_LINES: Final[st.SearchStrategy[list[str]]] = st.just([])
_SOUND: Final = st.builds(_accepted, st.lists(_DECLARED, max_size=3), _NO_LINES, st.lists(_SQL, max_size=4))
_DATA: Final = st.one_of(
    *[_SOUND] * 12,
    st.builds(_accepted, st.lists(_DECLARED, max_size=1), st.lists(_LINES, max_size=1), _NO_LINES),
    st.builds(_text, st.lists(_LINES, max_size=4), st.booleans(), _PREFIXES, st.one_of(_SQL, _SQL, _SQL, _LONG)),
    st.builds(lambda sql: _text(['params.x = { type = "text" }'], True, "-- ", sql), _LONG),
    st.builds(
        lambda nested, times: f"-- tags = {nested * times}\nselect 1".encode(),
        *(st.sampled_from(("[", "{a=", '["a",')), st.sampled_from((100, 5_000, 100_000))),
    ),
    st.builds(
        lambda key, times: f"-- {'.'.join([key] * times)} = 1\nselect 1".encode(),
        *(st.sampled_from(("a", '""')), st.sampled_from((100, 3_000))),
    ),
    st.binary(max_size=200),
)
_FILES: Final = st.builds(
    File,
    st.sampled_from(("queries", "commands")),
    _DATA,
    st.lists(st.one_of(*map(near, ("text", "integer", "date", "enum"))), min_size=1, max_size=2),
)
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

        yield Target("catalogue", st.one_of(*[_FILES] * 5, TEXTS), check)


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
        with suppress(ValueError):
            values[name] = parameter.from_text(sent[:1])
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
