"""Which errors of PostgreSQL a value of the caller can cause, by SQLSTATE (appendix A of its manual).

    10  20  21  22  44  54000  54001  a value out of range, of a wrong form, too long, not found or found twice
    P0001  38000  39000  unknown ones a function raised it on purpose
    P0002  P0003                      SELECT INTO STRICT found no row, or several
    42501, if a policy is the reason  a row that row-level security forbids to write
    0A000  3F000  some of class 42    a text is itself a query or a name, as for to_tsquery, regclass or ts_stat

Of class 22, not 2200H, 22P03 and 22P04: a sequence has ended, or a file is damaged.

The others are ours: a missing table or privilege, a bug, a query that writes. So is any error of a statement whose
parameters all have their defaults, because the caller chose nothing. Class 23 is the topic of `constraints`, and what
passes by itself that of `refusals`. A read-only query can break only the constraint of a domain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import psycopg2
from psycopg2 import errorcodes

from cacheaside.catalogue.parameters import Value
from cacheaside.catalogue.statements import Statement
from cacheaside.drivers.postgres.refusals import READ_ONLY
from cacheaside.errors import DatabaseError, RefusedForNow, StatementFailed, Unprocessable

__all__ = ["blamed"]

_CLASSES_OF_POSTGRESQL: Final = frozenset(code for name, code in vars(errorcodes).items() if name.startswith("CLASS_"))
_CLASSES: Final = (
    errorcodes.CLASS_XQUERY_ERROR,
    errorcodes.CLASS_CASE_NOT_FOUND,
    errorcodes.CLASS_CARDINALITY_VIOLATION,  # a subquery finds two rows, or a list has a value twice
    errorcodes.CLASS_DATA_EXCEPTION,
    errorcodes.CLASS_INTEGRITY_CONSTRAINT_VIOLATION,
    errorcodes.CLASS_WITH_CHECK_OPTION_VIOLATION,
)
_OURS: Final = frozenset(
    [
        errorcodes.SEQUENCE_GENERATOR_LIMIT_EXCEEDED,
        errorcodes.INVALID_BINARY_REPRESENTATION,
        errorcodes.BAD_COPY_FILE_FORMAT,
    ]
)
_CODES: Final = frozenset(
    [
        errorcodes.PROGRAM_LIMIT_EXCEEDED,  # a text too long for an index or a tsvector, repeat() of too much
        errorcodes.STATEMENT_TOO_COMPLEX,  # nested JSON or a regular expression that is deeper than the stack
        errorcodes.RAISE_EXCEPTION,
        errorcodes.NO_DATA_FOUND,
        errorcodes.TOO_MANY_ROWS,
        errorcodes.EXTERNAL_ROUTINE_EXCEPTION,  # raised by a function in another language than SQL
        errorcodes.EXTERNAL_ROUTINE_INVOCATION_EXCEPTION,  # pgp_sym_decrypt with a wrong key
    ]
)
# PostgreSQL gives the position of such an error if it is in SQL: ours, or a value that a function runs. It gives none
# if the error is in a value that a function parses.
_CODES_IN_TEXT: Final = frozenset(
    [
        errorcodes.FEATURE_NOT_SUPPORTED,  # date_trunc('timezone', …)
        errorcodes.INVALID_SCHEMA_NAME,
        errorcodes.INVALID_CATALOG_NAME,  # pg_database_size('missing')
        errorcodes.SYNTAX_ERROR,  # to_tsquery('foo bar')
        errorcodes.INVALID_NAME,
        errorcodes.UNDEFINED_TABLE,  # 'missing'::regclass
        errorcodes.UNDEFINED_COLUMN,  # has_column_privilege('shown', 'missing', 'select')
        errorcodes.UNDEFINED_OBJECT,  # 'klingon'::regconfig
        errorcodes.UNDEFINED_FUNCTION,
        errorcodes.AMBIGUOUS_FUNCTION,
        errorcodes.WRONG_OBJECT_TYPE,  # nextval of a table
    ]
)


def blamed(error: DatabaseError, statement: Statement, values: Mapping[str, Value]) -> DatabaseError:
    """Return the error to raise for a refused statement: Unprocessable if a value may be the cause."""
    cause = error.__cause__
    if not isinstance(cause, psycopg2.Error):
        return error
    if isinstance(error, RefusedForNow) and cause.pgcode != READ_ONLY:  # it is ours if a read-only query writes
        return error
    chosen = any(values[name] != parameter.default for name, parameter in statement.parameters.items())
    if chosen and _is_about_a_value(cause, values):
        return Unprocessable("a value is out of range, too long, or not of the form that is needed")
    return StatementFailed("the database refused the statement")


def _is_about_a_value(error: psycopg2.Error, values: Mapping[str, Value]) -> bool:
    code = error.pgcode or ""
    if code == errorcodes.INSUFFICIENT_PRIVILEGE:  # a policy forbids the row, or a grant is missing
        return error.diag.source_function == "ExecWithCheckOptions"
    if code in _CODES_IN_TEXT:
        if error.diag.internal_position:
            return error.diag.internal_query in values.values()  # ts_stat and query_to_xml run a text as a query
        if (error.diag.context or "").startswith('invalid type name "'):  # 'int['::regtype; the position is in the text
            return True
        in_our_sql = error.diag.statement_position or error.diag.source_function == "CheckValidResultRel"
        return not in_our_sql  # the latter has no position: the SQL writes to a materialized view
    of_function = bool(code) and code[:2] not in _CLASSES_OF_POSTGRESQL
    return of_function or code in _CODES or (code.startswith(_CLASSES) and code not in _OURS)
