"""Rows as JSON, for `Queries` and `Commands`: PostgreSQL renders them, so types are exact and bytes ready to send."""

from __future__ import annotations

from typing import Final

from psycopg2.extensions import cursor

from cacheaside.catalogue.statements import Statement
from cacheaside.errors import AnswerTooLarge, StatementFailed

__all__ = ["LIMITS", "body_of", "client_limit_s", "lock_limit_ms", "rows_of"]

# PostgreSQL cancels a statement at its timeout. If it is frozen or gone, the client stops waiting this much later.
_GRACE_S: Final = 1.0
# A query waits only for a lock that excludes readers, as DDL holds it. Ordinary DDL is done in less than this.
_LOCK_AT_MOST_MS: Final = 1_000
# Lambda returns at most 6,291,556 bytes of JSON. In them the body is a string, beside some kB of headers.
_SENT_AT_MOST: Final = 6_291_556 - 20_000
_ESCAPED: Final = (b'"', b"\\", b"\n", b"\r", b"\t")  # each takes a byte more; JSON has no other control characters
# A body that is compressed to nine tenths, and then in base64, takes 1.2 times as much.
_BODY_AT_MOST: Final = 5_000_000

# The settings end with the transaction. A function sets them, because RDS Proxy would pin the connection on a SET.
LIMITS: Final = "select cacheaside.limits({timeout_ms}, {lock_ms}); "


def client_limit_s(timeout_ms: int) -> float:
    """Return how long the client waits for a statement that PostgreSQL itself cancels after `timeout_ms`."""
    return timeout_ms / 1000 + _GRACE_S


def lock_limit_ms(timeout_ms: int) -> int:
    """Return how long PostgreSQL waits for a lock within a query that it cancels after `timeout_ms`."""
    return min(_LOCK_AT_MOST_MS, max(1, timeout_ms // 4))  # 0 would be no limit


def rows_of(cur: cursor, sql: str) -> list[str]:
    """Run `sql`, whose rows have one column of JSON text, and return those texts. Raises StatementFailed."""
    cur.execute(sql)
    try:
        rows = [text for (text,) in cur.fetchall()]
    except UnicodeDecodeError as error:
        raise StatementFailed("the answer is not UTF-8, as can be in a database whose encoding is SQL_ASCII") from error
    if not all(isinstance(text, str) for text in rows):
        raise ValueError("not rows of JSON text")
    return rows


def body_of(statement: Statement, rows: list[str]) -> bytes | None:
    """Return the body to send, or None if the statement returns one row and there is none.

    Raises StatementFailed if it returns one row and there are more, and AnswerTooLarge.
    """
    if statement.returns == "one" and not rows:
        return None
    if statement.returns == "one" and len(rows) > 1:
        raise StatementFailed(f"{statement.name} found {len(rows)} rows, and its file says that it returns one")
    if sum(map(len, rows)) > _BODY_AT_MOST:  # before it is copied: the sandbox may have no memory for that
        raise AnswerTooLarge(f"{statement.name} answered with more than {_BODY_AT_MOST:,} bytes, which is the limit")
    data = rows[0] if statement.returns == "one" else f"[{','.join(rows)}]"
    body = f'{{"data":{data}}}'.encode()
    # No byte takes more than two, so only large answers are counted.
    if 2 * len(body) > _SENT_AT_MOST and (len(body) > _BODY_AT_MOST or _as_sent(body) > _SENT_AT_MOST):
        raise AnswerTooLarge(
            f"{statement.name} answered with {len(body):,} bytes, {_as_sent(body):,} as sent; at most "
            f"{_BODY_AT_MOST:,}, and {_SENT_AT_MOST:,} as sent, are possible"
        )
    return body


def _as_sent(body: bytes) -> int:
    """Return the size of `body` as a string in the JSON that the function returns, which is in UTF-8."""
    return len(body) + sum(map(body.count, _ESCAPED))
