"""Asks PostgreSQL about one recorded statement: can it be cached, what does it read, and by which columns?"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from psycopg2.extensions import cursor

from cacheaside.drivers.postgres.introspection.dependencies import dependencies
from cacheaside.drivers.postgres.introspection.effects import unsteady_parts
from cacheaside.drivers.postgres.introspection.expansion import expand
from local.advice.normalised import with_shared_parameters
from local.advice.record import Statement
from local.drafting.description import Refused, infer, rolled_back
from local.drafting.outline import Outline
from local.drafting.source import SourceSql
from local.errors import LocalError

__all__ = ["LeftOut", "Read", "ask"]

_ROLE: Final = "cacheaside_query"
_VOLATILE: Final = """
select distinct proname || '()' from pg_proc
where oid = any (%s::oid[]) and provolatile = 'v' and prosqlbody is null order by 1
"""
_NAMES: Final = "select oid::regproc::text from pg_proc where oid = any (%s::oid[]) order by 1"
_EQUAL: Final = "select oid::bigint from pg_operator where oprname = '=' and oid = any (%s::oid[])"


class LeftOut(Exception):
    """The statement cannot be cached, or need not be. The message says why."""


@dataclass(frozen=True, slots=True)
class Read:
    """What a statement reads."""

    sql: str  # of the statement, as PostgreSQL accepts it
    tables: tuple[int, ...]  # OIDs, in the order in which they are named
    outline: Outline
    equal: frozenset[int]  # the operators that compare for equality
    uses_clock: bool


def ask(cur: cursor, statement: Statement) -> Read:
    """Return what the statement reads. Raises LeftOut."""
    try:
        return _read(cur, statement.sql)
    except Refused as refused:
        if (shared := with_shared_parameters(statement.sql)) != statement.sql:
            with suppress(Refused):
                return _read(cur, shared)
        raise LeftOut(f"PostgreSQL cannot parse the recorded text: {refused}") from None
    except LocalError as error:
        raise LeftOut(f"the recorded text is no single statement: {error}") from None


def _read(cur: cursor, sql: str) -> Read:
    source = SourceSql.parse(sql)
    with rolled_back(cur):
        described = infer(cur, source.numbered, len(source.names))
        found = expand(cur, described.tree, _ROLE)
        if found.locks:
            raise LeftOut("locks rows")
        if found.writes:
            raise LeftOut("writes")
        cur.execute(_VOLATILE, [[oid for _, oid in found.calls]])
        if volatile := [name for (name,) in cur.fetchall()]:
            raise LeftOut(f"another answer each time: {', '.join(volatile)}")
        read = dependencies(cur, described.function)
        if opaque := [each.oid for each in read if each.catalog == "pg_proc"]:
            cur.execute(_NAMES, [opaque])
            raise LeftOut(f"{', '.join(name for (name,) in cur.fetchall())} hides what it reads")
        tables = [each.oid for each in read if each.catalog == "pg_class"]
        if not tables:
            raise LeftOut("reads no table of this database")
        operators = {place.operator for places in described.outline.places.values() for place in places}
        cur.execute(_EQUAL, [list(operators)])
        equal = frozenset(oid for (oid,) in cur.fetchall())
        uses_clock = any(True for _ in unsteady_parts(cur, found))
    named = described.outline.relations
    tables.sort(key=lambda oid: named.index(oid) if oid in named else len(named))
    return Read(sql, tuple(tables), described.outline, equal, uses_clock)
