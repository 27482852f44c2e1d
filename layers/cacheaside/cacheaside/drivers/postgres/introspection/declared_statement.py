"""A statement as a temporary function with BEGIN ATOMIC: it is parsed, even if it writes, and not run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import psycopg2
from psycopg2.extensions import cursor

from cacheaside.catalogue.quotations import unquoted
from cacheaside.catalogue.statements import Command, Statement
from cacheaside.catalogue_check.facts import StatementRefused
from cacheaside.catalogue_check.samples import samples_of_enums
from cacheaside.drivers.postgres.introspection.parse_tree import Node, nodes, parsed
from cacheaside.drivers.postgres.typed_sql import with_values

__all__ = ["DeclaredStatement", "declare"]

# The SQL begins on the second line, so that its lines can be told. A query is a subquery, as when `Queries` runs it.
_CREATE: Final = (
    "create or replace function pg_temp.cacheaside_statement() returns setof record begin atomic {body}; end"
)
_COMMAND: Final = "\n{sql}\n"
_QUERY: Final = "select answer.* from (\n{sql}\n) as answer"
_DECLARED: Final = """
select oid::bigint, prosqlbody::text from pg_proc where oid = 'pg_temp.cacheaside_statement()'::regprocedure
"""
_SELECT: Final = 1
_DELETE: Final = 4
_INNER_JOIN: Final = 0
_NOT_ONE_STATEMENT: Final = "a file has one statement: remove what follows the semicolon"
_WITHOUT_ROWS: Final = 'a command is one statement that returns rows: end it with "returning", or select from it'


@dataclass(frozen=True, slots=True)
class DeclaredStatement:
    """The function, by its OID, and the parse tree of its statement."""

    oid: int
    tree: Node

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of its rows, in their order."""
        return tuple(each.text("resname") for each in self._answer())

    @property
    def origins(self) -> tuple[tuple[int, int], ...]:
        """For each column, the OID of the relation and the number of the column whose value it always is, or zeros."""
        answer = self._answer()
        if any(_may_add_nulls(each) for each in nodes(self.tree)):
            return ((0, 0),) * len(answer)
        return tuple((each.number("resorigtbl"), each.number("resorigcol")) for each in answer)

    def _answer(self) -> list[Node]:
        answer = "targetList" if self.tree.number("commandType") == _SELECT else "returningList"
        entries = (each for each in self.tree.items(answer) if isinstance(each, Node))
        return [each for each in entries if each.text("resjunk") == "false"]


def _may_add_nulls(node: Node) -> bool:
    """Return whether the value of a column may be null where that of its origin is not, because of this node."""
    return bool(
        node.number("jointype") != _INNER_JOIN
        or node.items("groupingSets")
        or node.number("commandType") > _DELETE  # a MERGE
        or node.number("varreturningtype")  # the row before an insert or after a delete
    )


def declare(cur: cursor, statement: Statement) -> DeclaredStatement:
    """Create the function. It lasts until the caller rolls back. Raises StatementRefused, or psycopg2.Error."""
    template = _COMMAND if isinstance(statement, Command) else _QUERY
    # What follows a semicolon could end the function, and be run.
    rest = unquoted(statement.sql)
    if ";" in rest.rstrip().removesuffix(";"):
        raise StatementRefused(_NOT_ONE_STATEMENT, rest.count("\n", 0, rest.index(";")) + 1)
    try:
        for values in samples_of_enums(statement.parameters):
            cur.execute(_CREATE.format(body=template.format(sql=with_values(statement, values))))
    except (psycopg2.errors.InvalidFunctionDefinition, psycopg2.errors.FeatureNotSupported) as error:
        # Of the function: it has no rows, or is no statement that a function may have, such as VACUUM.
        if isinstance(statement, Command) and error.diag.statement_position is None:
            raise StatementRefused(_WITHOUT_ROWS) from error
        raise
    cur.execute(_DECLARED)
    [(oid, text)] = cur.fetchall()
    return DeclaredStatement(oid, next(nodes(parsed(text))))
