"""Asks PostgreSQL about SQL: the types of its parameters, where they are used, and the columns of its answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import psycopg2
from psycopg2.extensions import cursor

from cacheaside.drivers.postgres.introspection.parse_tree import Node, nodes, parsed
from local.drafting.outline import Outline, outline
from local.errors import LocalError

__all__ = ["Description", "ParameterType", "Refused", "describe", "infer", "refuse_database", "rolled_back"]

_DATABASE: Final = """
select to_regprocedure('cacheaside.tag(regclass)') is not null, current_setting('server_version_num')::int
"""
_PREPARED: Final = "cacheaside_draft"
_TYPES: Final = f"""
select number, given.type::text, listed, element.oid::regtype::text, element.typtype = 'e',
    array(select enumlabel from pg_enum where enumtypid = element.oid order by enumsortorder)::text[]
from pg_prepared_statements
cross join unnest(parameter_types::regtype[]) with ordinality as given (type, number)
join pg_type on pg_type.oid = given.type
cross join lateral (select typcategory = 'A' and typelem <> 0 as listed) as kind
cross join lateral (select oid, typbasetype from pg_type as one where one.oid = case when listed then pg_type.typelem
    else given.type end) as plain
join pg_type as element on element.oid = coalesce(nullif(plain.typbasetype, 0), plain.oid)
where pg_prepared_statements.name = '{_PREPARED}'
order by number
"""  # noqa: S608
# A function may return nothing, whatever its statement returns.
_FUNCTION: Final = "create function pg_temp.{name}({types}) returns void begin atomic\n{sql}\n; end"
_BODY: Final = (
    "select oid::bigint, prosqlbody::text from pg_proc where proname = %s and pronamespace = pg_my_temp_schema()"
)

_PARAMETER: Final = re.compile(r"parameter \$(\d+)")
_NULL_TEST: Final = re.compile(r"(?<![\w$])\$\d+\s+is\s+(?:not\s+)?null\b", re.IGNORECASE)
_USED: Final = re.compile(r"(?<![\w$])\$(\d+)")
# To be tried in this order where PostgreSQL cannot infer a type.
_GUESSES: Final = ("text", "integer", "bigint", "numeric", "boolean", "date", "timestamptz", "uuid", "interval")
_UNDECIDED: Final = ("42P08", "42P18", "42725")  # ambiguous parameter, indeterminate type, ambiguous function


@dataclass(frozen=True, slots=True)
class ParameterType:
    """The type that PostgreSQL infers for a parameter."""

    written: str  # in PostgreSQL's notation
    is_list: bool
    element: str  # of a list; else the type itself, or what its domain is based on
    values: tuple[str, ...]  # of an enum


@dataclass(frozen=True, slots=True)
class Description:
    """The facts about a statement. `function` is the OID of a temporary function with it, up to the rollback."""

    types: tuple[ParameterType, ...]
    outline: Outline
    tree: Node
    function: int


class Refused(Exception):
    """PostgreSQL refuses the SQL. The message is one line. `number` is that of the parameter that it names, or 0."""

    def __init__(self, error: psycopg2.Error) -> None:
        diag = error.diag
        parts = (diag.message_primary or str(error), diag.message_detail, diag.message_hint)
        super().__init__(" ".join(". ".join(part.rstrip(".") for part in parts if part).split()))
        self.number = int(match[1]) if (match := _PARAMETER.search(parts[0])) else 0


@contextmanager
def rolled_back(cur: cursor) -> Iterator[None]:
    """Undo what the block does in the database, and keep the transaction. Raises Refused for errors of statements."""
    cur.execute("savepoint drafting")
    try:
        yield
    except psycopg2.Error as error:
        if cur.connection.closed or error.pgcode is None:
            raise
        raise Refused(error) from error
    finally:
        if not cur.connection.closed:
            cur.execute("rollback to savepoint drafting; release savepoint drafting")


def refuse_database(cur: cursor) -> None:
    """Raise `LocalError` if no catalogue can be checked in the database."""
    cur.execute(_DATABASE)
    [(has_schema, version)] = cur.fetchall()
    if version < 160000:
        raise LocalError(f"this is PostgreSQL {version // 10000}, and the catalogue needs 16 or later")
    if not has_schema:
        raise LocalError("the database has no schema cacheaside yet: run `cacheaside init` first")


def describe(cur: cursor, sql: str, declared: Sequence[str] = ()) -> Description:
    """Return the facts about `sql`, which has parameters $1, $2, … and is not run. Call it in `rolled_back`.

    `declared` are types that PostgreSQL shall not infer. Raises psycopg2.Error if PostgreSQL refuses the SQL.
    """
    cur.execute(f"prepare {_PREPARED}{'(' + ', '.join(declared) + ')' if declared else ''} as\n{sql}")
    try:
        cur.execute(_TYPES)
        rows = cur.fetchall()
    finally:
        cur.execute(f"deallocate {_PREPARED}")
    types = tuple(
        ParameterType(written, listed, element, tuple(values) if is_enum else ())
        for _, written, listed, element, is_enum, values in rows
    )
    cur.execute(_FUNCTION.format(name=_PREPARED, types=", ".join(each.written for each in types), sql=sql))
    cur.execute(_BODY, [_PREPARED])
    [(function, body)] = cur.fetchall()
    query = next(node for node in nodes(parsed(body)) if node.kind == "QUERY")
    return Description(types, outline(query), query, function)


def infer(cur: cursor, sql: str, parameters: int) -> Description:
    """Return the same as `describe`, and find the types of parameters that PostgreSQL cannot infer.

    In `$1 is null or id = $1` it cannot, and without the test for null it can. What is left is guessed.
    """
    try:
        with _kept_if_good(cur):
            return describe(cur, sql)
    except Refused as refused:
        if not _is_undecided(refused):
            raise
    return _guessed(cur, sql, _without_null_tests(cur, sql, parameters))


def _without_null_tests(cur: cursor, sql: str, parameters: int) -> list[str]:
    """Return the type of each parameter, "unknown" where it occurs in tests for null alone."""
    rest = _NULL_TEST.sub("true", sql)
    used = {int(number) for number in _USED.findall(rest)}
    types = ["unknown" if number in used else "text" for number in range(1, parameters + 1)]
    with suppress(Refused), rolled_back(cur):
        found = [each.written for each in describe(cur, rest, types).types]
        return [written if number in used else "unknown" for number, written in enumerate(found, 1)]
    return ["unknown"] * parameters


def _guessed(cur: cursor, sql: str, types: list[str]) -> Description:
    """Return the description with a guess for each "unknown" among `types`. Raises Refused if none is accepted."""
    while True:
        try:
            with _kept_if_good(cur):
                return describe(cur, sql, types)
        except Refused as refused:
            if not _is_undecided(refused):
                raise
            types = _with_one_guess(cur, sql, types, refused)


def _with_one_guess(cur: cursor, sql: str, types: list[str], refused: Refused) -> list[str]:
    for number in [refused.number] if refused.number else range(1, len(types) + 1):
        if types[number - 1] == "unknown":
            for guess in _GUESSES:
                tried = [*types[: number - 1], guess, *types[number:]]
                if _leaves_other_undecided(cur, sql, tried, number):
                    return tried
    raise refused


def _leaves_other_undecided(cur: cursor, sql: str, types: list[str], number: int) -> bool:
    """Return whether PostgreSQL accepts the types, or cannot infer that of a parameter other than `number`."""
    try:
        with rolled_back(cur):
            describe(cur, sql, types)
    except Refused as refused:
        return _is_undecided(refused) and refused.number not in (0, number)
    return True


def _is_undecided(refused: Refused) -> bool:
    return isinstance(refused.__cause__, psycopg2.Error) and refused.__cause__.pgcode in _UNDECIDED


@contextmanager
def _kept_if_good(cur: cursor) -> Iterator[None]:
    cur.execute("savepoint inferring")
    try:
        yield
    except psycopg2.Error as error:
        if cur.connection.closed or error.pgcode is None:
            raise
        cur.execute("rollback to savepoint inferring")
        raise Refused(error) from error
