"""Asks PostgreSQL about the statements of a catalogue, as the role that will run them. No command is run.

    check_statements ─► Inspector ─┬─ declared_statement    its parse tree and the columns of its answer
                                   ├─ expansion, rights     the rights that its role lacks
                                   ├─ effects               what a query must not do, or does by itself
                                   ├─ dependencies          what a query reads, by tag (database_objects)
                                   ├─ equality              what = means in it
                                   ├─ generic_plan          its scans
                                   └─ advice                what to write where PostgreSQL refuses it
    describe_rows ─► Inspector ─┬─ row_types    the columns of its rows, for the documents
                                └─ touches      how to invalidate its tags, for the documents

Each step is rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psycopg2
from psycopg2.extensions import connection, cursor

from cacheaside.catalogue.columns import Described
from cacheaside.catalogue.statements import Command, Query, Statement
from cacheaside.catalogue.tags import table_of
from cacheaside.catalogue_check.facts import DatabaseObject, Facts, ObjectKind, StatementFacts, StatementRefused
from cacheaside.catalogue_check.samples import samples
from cacheaside.drivers.postgres.introspection.acting_role import act_as, objection_to_acting_as, see_as
from cacheaside.drivers.postgres.introspection.advice import cast_to_write, grant_to_write
from cacheaside.drivers.postgres.introspection.database_objects import ObjectId, describe, find_objects
from cacheaside.drivers.postgres.introspection.declared_statement import declare
from cacheaside.drivers.postgres.introspection.dependencies import dependencies
from cacheaside.drivers.postgres.introspection.effects import refuse_writes, unsteady_parts
from cacheaside.drivers.postgres.introspection.equality import Equality, equality
from cacheaside.drivers.postgres.introspection.expansion import expand
from cacheaside.drivers.postgres.introspection.generic_plan import Plan, generic_plan
from cacheaside.drivers.postgres.introspection.rights import missing_grants
from cacheaside.drivers.postgres.introspection.row_types import columns_of
from cacheaside.drivers.postgres.introspection.touches import Touches
from cacheaside.drivers.postgres.typed_sql import with_values

__all__ = ["Inspector", "inspecting"]

_QUERY_ROLE: Final = "cacheaside_query"
_COMMAND_ROLE: Final = "cacheaside_command"

# Neither an exclusive lock of another session nor a stable function that the planner evaluates may delay the check.
# Names are printed as in a tag.
_SETTINGS: Final = (
    "set local lock_timeout = '5s'; set local statement_timeout = '10s'; set local timezone = 'UTC'; "
    "set local quote_all_identifiers = off"
)

# All columns are used, as when `Queries` runs the query. The planner omits tables that only unused columns read.
_QUERY: Final = "select row_to_json(answer.*) from (\n{sql}\n) as answer"
_COMMAND: Final = "\n{sql}"
_RUN: Final = "select count(row_to_json(answer.*)) from (\n{sql}\n) as answer"

Become = Callable[[cursor, str], None]


class Inspector:
    """Reads facts in one transaction, which `inspecting` begins and rolls back."""

    def __init__(self, cur: cursor) -> None:
        self._cur = cur
        self._touches = Touches(cur)
        self._objections = {role: objection_to_acting_as(cur, role) for role in (_QUERY_ROLE, _COMMAND_ROLE)}

    def facts(self, query: Query) -> Facts:
        """Return the facts about `query`. Raises StatementRefused if it is wrong, psycopg2.Error for other failures."""
        with self._attempt(query, _QUERY_ROLE, see_as) as cur:
            declared = declare(cur, query)
            found = expand(cur, declared.tree, _QUERY_ROLE)
            refuse_writes(cur, found, query.sql)
            grants = tuple(missing_grants(cur, found, declared.oid, _QUERY_ROLE))
            unsteady = tuple(unsteady_parts(cur, found))
            read = dependencies(cur, declared.oid)
            equal = equality(cur, found)
        # PostgreSQL refuses to plan what the role may not run. The tags of rows are checked once it may.
        plan = None if grants else self._plan(query, _QUERY, _QUERY_ROLE, equal)
        objects = self._described(read)
        return Facts(
            columns=declared.columns,
            grants=grants,
            not_as_role=self._objections[_QUERY_ROLE],
            read={tag: each for tag, each in objects.items() if each.kind is not ObjectKind.FUNCTION},
            opaque={tag: each for tag, each in objects.items() if each.kind is ObjectKind.FUNCTION},
            declared=self._declared(query),
            scans=plan.scans if plan else (),
            out_of_plan=frozenset(self._described([each for each, in_plan in read.items() if not in_plan])),
            unscanned=plan.unscanned(self._cur, found.references) if plan else frozenset(),
            unsteady=unsteady,
            outlasts_answers=not grants and self._outlasts_answers(query),
        )

    def command_facts(self, command: Command) -> StatementFacts:
        """Return the facts about `command`, which is not run. Raises as `facts`."""
        with self._attempt(command, _COMMAND_ROLE, see_as) as cur:
            declared = declare(cur, command)
            found = expand(cur, declared.tree, _COMMAND_ROLE)
            grants = tuple(missing_grants(cur, found, declared.oid, _COMMAND_ROLE))
            equal = equality(cur, found)
        if not grants:
            self._plan(command, _COMMAND, _COMMAND_ROLE, equal)
        return StatementFacts(columns=declared.columns, grants=grants, not_as_role=self._objections[_COMMAND_ROLE])

    def described(self, statement: Statement) -> Described | None:
        """Return the statement as PostgreSQL describes it, or None if PostgreSQL refuses it: the check says why.

        Raises psycopg2.Error for other failures.
        """
        query = statement if isinstance(statement, Query) else None
        try:
            with self._rolled_back(_QUERY_ROLE if query else _COMMAND_ROLE, see_as):
                columns = columns_of(self._cur, statement)
                return Described(columns, self._touches.of(query) if query else {})
        except StatementRefused:
            return None
        except psycopg2.Error as error:
            if _is_fatal(error, self._cur):
                raise
            return None

    def _plan(self, statement: Statement, template: str, role: str, equal: Equality) -> Plan:
        with self._attempt(statement, role, self._act_as) as cur:
            return generic_plan(cur, template.format(sql=statement.sql), statement, equal)

    def _outlasts_answers(self, query: Query) -> bool:
        """Return whether the query runs for longer than its answers may be used. It is run only if that is possible."""
        usable_ms = query.policy.ttl_ms + query.policy.stale_ms
        if usable_ms >= query.timeout_ms:
            return False
        try:
            with self._rolled_back(_QUERY_ROLE, self._act_as):
                self._cur.execute("set local transaction_read_only = on")
                self._cur.execute(f"set local statement_timeout = {usable_ms}")
                self._cur.execute(_RUN.format(sql=with_values(query, samples(query.parameters))))
        except psycopg2.errors.QueryCanceled:
            return True
        except psycopg2.Error as error:  # a generated sample may be a bad value, such as a text that is no number
            if _is_fatal(error, self._cur):
                raise
        return False

    def _declared(self, query: Query) -> dict[str, DatabaseObject]:
        named = find_objects(self._cur, {table_of(tag) for tag in query.tags})
        return {tag: each for tag, found in named for each in describe(self._cur, [found])}

    def _described(self, ids: Collection[ObjectId]) -> dict[str, DatabaseObject]:
        return {each.tag: each for each in describe(self._cur, ids)}

    def _act_as(self, cur: cursor, role: str) -> None:
        """Take on the rights and settings of `role`, or only the meaning of its names if the rights cannot be had."""
        (see_as if self._objections[role] else act_as)(cur, role)

    @contextmanager
    def _attempt(self, statement: Statement, role: str, become: Become) -> Iterator[cursor]:
        """Run the block after `become`, and roll both back. Raises StatementRefused for the errors of the block."""
        try:
            with self._rolled_back(role, become):
                yield self._cur
        except psycopg2.Error as error:
            if _is_fatal(error, self._cur):
                raise
            sent, position = (self._cur.query or b"").decode(errors="replace"), int(error.diag.statement_position or 0)
            # The SQL begins on the second line of what was sent. Positions are in characters, from 1.
            before, after = sent[: max(position - 1, 0)], sent[max(position - 1, 0) :]
            note, grant = self._advice(statement, role, error, after)
            raise StatementRefused(_reason(error).removesuffix(".") + note, before.count("\n"), grant) from error

    @contextmanager
    def _rolled_back(self, role: str, become: Become) -> Iterator[None]:
        with self._cur.connection.cursor() as control:  # so that `self._cur` knows the statement that failed
            control.execute("savepoint attempt")
            try:
                become(control, role)
                yield
            finally:
                control.execute("rollback to savepoint attempt; release savepoint attempt")

    def _advice(self, statement: Statement, role: str, error: psycopg2.Error, place: str) -> tuple[str, str]:
        def is_accepted(other: Statement) -> bool:
            try:
                with self._rolled_back(role, see_as):
                    return declare(self._cur, other) is not None
            except (psycopg2.Error, StatementRefused):
                return False

        with self._rolled_back(role, self._act_as):
            grant = grant_to_write(self._cur, error, role)
        if grant:
            return f"; put into a migration: {grant};", f"{grant};"
        with self._rolled_back(role, see_as):
            cast = cast_to_write(self._cur, statement, error, place, is_accepted)
        return f"; {cast}" if cast else "", ""


@contextmanager
def inspecting(connection: connection) -> Iterator[Inspector]:
    """Yield an inspector of the database, and roll back its transaction after the block."""
    with suppress(_RollBack), connection, connection.cursor() as cur:
        cur.execute(_SETTINGS)
        yield Inspector(cur)
        raise _RollBack


class _RollBack(Exception):
    """Makes psycopg2 roll back, in autocommit mode as well."""


def _is_fatal(error: psycopg2.Error, cur: cursor) -> bool:
    """Return whether the error is of the connection or the server, and not of the statement."""
    return error.pgcode is None or bool(cur.connection.closed)


def _reason(error: psycopg2.Error) -> str:
    diag = error.diag
    return ". ".join(part for part in (diag.message_primary, diag.message_detail, diag.message_hint) if part)
