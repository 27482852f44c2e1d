"""SQL in every type of parameter, asserted on the statements that PostgreSQL's own log received.

Apart from its literals, the logged statement is the declared one. Each placeholder has become one literal, which means
the value. The answer says the same value again. The settings of a session must not matter, nor the encoding of the
database.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import psycopg2

from bench.servers import temporary_postgres
from cacheaside.catalogue.parameters import SCALAR_TYPES, Parameter, Value, canonical
from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Command, Query
from cacheaside.drivers.postgres.commands import Commands
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import DatabaseError
from cacheaside.reading.question import Question
from cacheaside.reading.steps import Load
from cacheaside.settings import Authentication, DatabaseSettings
from migrate.upgrade import upgrade
from proofs.fuzz import strategies as st
from proofs.fuzz.hostile import UNICODE_TEXTS, near
from proofs.fuzz.parameters import ENUM
from proofs.fuzz.sql_tokens import Token, tokens
from proofs.fuzz.target import Target

__all__ = ["opened"]

_ENCODINGS: Final = ("UTF8", "EUC_JP", "LATIN1", "SQL_ASCII")
# What a role, a database or a parameter group may set. PostgreSQL names a setting that it does not have.
_SETTINGS: Final = (
    *("", "standard_conforming_strings=off", "backslash_quote=on", "escape_string_warning=off", "client_encoding=SJIS"),
    *(
        "client_encoding=BIG5",
        "array_nulls=off",
        "DateStyle=German",
        "quote_all_identifiers=on",
        "IntervalStyle=sql_standard",
    ),
)
# Placeholders beside everything that begins, ends or continues a literal. Each has the value once as a column `x`.
_TEMPLATES: Final = (
    "select %(x)s as x",
    "select 'a' as a,%(x)s as x,'b'as b",
    "select E'\\\\' as a, %(x)s as x, $$'$$ as b",
    "select %(x)s\n as x, '' as a",
    "select/**/%(x)s as x--'\n",
    "select %(x)s as x, %(x)s as y",
    "select coalesce(%(x)s) as x where 'it''s' <> '%%(x)s'",
)


class Asked(NamedTuple):
    """A value of one type, in a statement, to a database of this encoding, in a session with this setting."""

    kind: str
    texts: list[str]
    is_list: bool
    template: str
    encoding: str
    setting: str
    is_command: bool


_CASES: Final = st.sampled_from(sorted(SCALAR_TYPES)).flatmap(
    lambda kind: st.builds(
        Asked,
        st.just(kind),
        st.lists(st.one_of(UNICODE_TEXTS, near(kind)) if kind == "text" else near(kind), min_size=1, max_size=3),
        *(
            st.booleans(),
            st.sampled_from(_TEMPLATES),
            st.sampled_from(_ENCODINGS),
            st.sampled_from(_SETTINGS),
            st.booleans(),
        ),
    )
)


@dataclass
class _Log:
    """What the server has logged since the last call of `statements`."""

    path: Path
    read: int = 0

    def statements(self) -> list[str]:
        with self.path.open("rb") as file:
            file.seek(self.read)
            data = file.read()
        self.read += len(data)
        lines = re.split(rb"^(?=\d+ LOG:  statement: )", data, flags=re.MULTILINE)
        logged = [line.partition(b"statement: ")[2] for line in lines if b" LOG:  statement: " in line]
        return [
            re.sub(
                r"\n\S+ (?:ERROR|DETAIL|CONTEXT|HINT|STATEMENT|WARNING|NOTICE):.*",
                "\n",
                each.decode(errors="surrogateescape"),
                flags=re.DOTALL,
            )
            .removesuffix("\n")
            .replace("\n\t", "\n")
            for each in logged
        ]


@contextmanager
def opened() -> Iterator[Target]:
    """Return the target, with a PostgreSQL that logs each statement, and a database for each encoding."""
    with ExitStack() as exits:
        server, _ = exits.enter_context(temporary_postgres(durable=False))
        with closing(psycopg2.connect(server.url)) as owner, owner.cursor() as cursor:
            owner.autocommit = True
            for setting in (
                "log_statement = 'all'",
                "log_line_prefix = '%p '",
                "log_min_error_statement = panic",
                "log_min_messages = log",
            ):
                cursor.execute(f"alter system set {setting}")
            cursor.execute("select pg_reload_conf()")
            for name in _ENCODINGS:
                options = f"encoding '{name}' locale 'C' locale_provider libc template template0"
                cursor.execute(f'create database "{name}" {options}')
                with closing(psycopg2.connect(server.url_for("postgres", name), client_encoding="UTF8")) as connection:
                    upgrade(connection)
        log = _Log(server.log)

        def check(case: Asked) -> None:
            role = "cacheaside_command" if case.is_command else "cacheaside_query"
            options = f"?options={quote(f'-c {case.setting}')}" if case.setting else ""
            url = server.url_for(role, case.encoding) + options
            _check(case, DatabaseSettings(url=url, authentication=Authentication.URL, region=""), log)

        yield Target("sql", _CASES, check)


def _check(case: Asked, settings: DatabaseSettings, log: _Log) -> None:
    values = ENUM if case.kind == "enum" else ()
    parameter = Parameter(name="x", type=case.kind, is_list=case.is_list, values=values)
    try:
        value = parameter.from_text(case.texts if case.is_list else case.texts[:1])
        json.dumps(
            canonical(value), ensure_ascii=False
        ).encode()  # a request with half a surrogate pair comes not so far
    except ValueError:
        return
    log.statements()
    body = None
    with suppress(DatabaseError):  # such as a text that the database has no encoding for
        body = _answer(case, {"x": parameter}, {"x": value}, settings)
    ours = [
        statement for statement in log.statements() if "cacheaside.limits" in statement and _marks(case) in statement
    ]
    assert body is None or ours, "the log has not the statement"
    standard = "standard_conforming_strings=off" not in case.setting
    for statement in ours if case.encoding == "UTF8" else ():
        _check_statement(case, statement, value, standard=standard)
    if body is not None and case.encoding != "SQL_ASCII":
        _check_answer(json.loads(body)["data"][0]["x"], case, value)


def _marks(case: Asked) -> str:
    return "run_command" if case.is_command else "row_to_json"


def _answer(
    case: Asked, parameters: Mapping[str, Parameter], values: Mapping[str, Value], settings: DatabaseSettings
) -> bytes | None:
    if case.is_command:
        commands = Commands(settings)
        try:
            return commands.execute(Command("c", "", case.template, "many", 10_000, parameters), values).body
        finally:
            commands._kept.forget()
    queries = Queries(settings)
    try:
        query = Query("q", "", case.template, "many", 10_000, parameters, (), Policy(ttl_ms=1_000))
        return queries.load(Load(Question(query, values), 10_000)).body
    finally:
        queries.forget()


def _check_statement(case: Asked, statement: str, value: Value, *, standard: bool) -> None:
    found = list(tokens(statement, standard_strings=standard))
    if case.is_command:  # the statement is itself the one literal of a call
        at = next(number for number, token in enumerate(found) if token.text == "run_command")
        inner = found[at + 2]
        assert [inner.kind, found[at + 3].text, len(found) - at] == ["literal", ")", 7], found[at:]
        found = list(tokens(inner.text, standard_strings=standard))
    declared = re.sub(r"%(?:%|\(x\)s)", lambda found: "%" if found[0] == "%%" else "(null)", case.template)
    expected = list(tokens(declared, standard_strings=standard))
    if not case.is_command:
        found = _inside(found)
    literals = _matched(expected, found)
    assert len(literals) == case.template.count("%(x)s") - case.template.count("%%(x)s")
    for literal in literals:
        assert _meaning(literal, case) == _as_texts(value), f"{literal!r} does not mean {value!r}"


def _inside(found: Sequence[Token]) -> list[Token]:
    """Return the tokens of the declared statement, between those that a load puts around it."""
    start = next(at for at, token in enumerate(found) if token.text == "row_to_json")
    opening = next(at for at in range(start, len(found)) if found[at].text == "from") + 1
    assert [found[opening].text, *(token.text for token in found[-3:])] == ["(", ")", "as", "answer"]
    return list(found[opening + 1 : -3])


def _matched(expected: Sequence[Token], found: Sequence[Token]) -> list[str]:
    """Return the literals in the places of the placeholders. All other tokens are those that were declared."""
    literals, at = [], 0
    for token in expected:
        now = found[at]
        if token.text == "null" and now.kind == "literal":
            literals.append(now.text)
            at += 1
            while found[at].text != ")":  # ::numeric, or ::bigint[]
                assert found[at].text in (
                    "::",
                    ":",
                    "[",
                    "]",
                    "text",
                    "bigint",
                    "numeric",
                    "boolean",
                    "date",
                    "timestamptz",
                    "uuid",
                )
                at += 1
            continue
        assert token[:2] == now[:2], f"{now} is in the place of {token}"
        at += 1
    assert at == len(found), f"more than was declared: {found[at:]}"
    return literals


def _meaning(literal: str, case: Asked) -> list[str]:
    if not case.is_list:
        return [literal]
    return [
        re.sub(r"\\(.)", r"\1", item[1:-1], flags=re.DOTALL)
        for item in re.findall(r'"(?:[^"\\]|\\.)*"', literal, re.DOTALL)
    ]


def _as_texts(value: Value) -> list[str]:
    values: list[Any] = value if isinstance(value, list) else [value]
    return [str(each).lower() if isinstance(each, bool) else str(canonical(each)) for each in values]


def _check_answer(answered: Any, case: Asked, value: Value) -> None:
    """A text comes back as it went. The others have another notation in JSON, which other tests are about."""
    if case.kind == "text":
        assert answered == canonical(value), f"{answered!r} came back for {value!r}"
