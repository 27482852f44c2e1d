"""What a query's load and a command have in common on their way through PostgreSQL, which renders rows to JSON itself.

So types are exact, and the bytes are ready to send.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from psycopg2.extensions import cursor

from cacheaside.catalogue.parameters import Value
from cacheaside.catalogue.statements import Statement
from cacheaside.errors import AnswerTooLarge, StatementFailed

__all__ = ["SET", "body_of", "limit_s", "rows_of"]

# PostgreSQL cancels a statement at its timeout. Only if it did not, being frozen or gone, do we stop waiting.
_GRACE_S: Final = 1.0
# Lambda returns at most 6 MiB, in which the body is a JSON string once more, with its quotes escaped.
_ANSWER_AT_MOST: Final = 5_000_000

# What it sets ends with the transaction: nothing is left on the connection.
SET: Final = "set local statement_timeout = {timeout_ms}; set local timezone = 'UTC'; "


def limit_s(timeout_ms: int) -> float:
    """Return how long to wait for a statement that PostgreSQL itself cancels after `timeout_ms`."""
    return timeout_ms / 1000 + _GRACE_S


def rows_of(cur: cursor, sql: str, values: Mapping[str, Value] | tuple[str, ...]) -> list[str]:
    """Run `sql` and return its rows, which are one column of JSON text."""
    cur.execute(sql, values)
    return [row[0] for row in cur.fetchall()]


def body_of(statement: Statement, rows: list[str]) -> bytes | None:
    """Return the body to send, or None when one row is wanted and there is none.

    Raises StatementFailed for more rows than one then, and AnswerTooLarge.
    """
    if statement.returns == "one" and not rows:
        return None
    if statement.returns == "one" and len(rows) > 1:
        raise StatementFailed(f"{statement.name} found {len(rows)} rows, and its file says that it returns one")
    data = rows[0] if statement.returns == "one" else f"[{','.join(rows)}]"
    body = f'{{"data":{data}}}'.encode()
    if len(body) > _ANSWER_AT_MOST:
        raise AnswerTooLarge(
            f"{statement.name} answered with {len(body):,} bytes; at most {_ANSWER_AT_MOST:,} can be sent"
        )
    return body
