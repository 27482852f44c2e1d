"""The database driver: one connection, kept between invocations, and one round trip for each load.

PostgreSQL renders every row to JSON, so that types are exact and the bytes are ready to send.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import connection, cursor

from cacheaside import steps
from cacheaside.catalogue import Command, Statement
from cacheaside.drivers.deadline import DeadlineExceeded, deadline
from cacheaside.drivers.iam import database_token, lambda_credentials
from cacheaside.errors import (
    AnswerTooLarge,
    ConstraintViolated,
    DatabaseError,
    DatabaseUnavailable,
    Overloaded,
    StatementFailed,
    StatementTimeout,
)
from cacheaside.parameters import Value
from cacheaside.settings import Authentication, DatabaseSettings

__all__ = ["Database", "connect"]

_T = TypeVar("_T")

_CONNECT_S: Final = 3.0
_PING_S: Final = 1.0
# PostgreSQL cancels a statement at its timeout. Only if it did not, being frozen or gone, do we stop waiting.
_GRACE_S: Final = 1.0
# Lambda returns at most 6 MiB, in which the body is a JSON string once more, with its quotes escaped.
_ANSWER_AT_MOST: Final = 5_000_000

# Statements of one message are one transaction, and what they set ends with it: nothing is left on the connection.
_SET: Final = "set local statement_timeout = {timeout_ms}; set local timezone = 'UTC'; "
_ROWS: Final = "select row_to_json(answer)::text from (\n{sql}\n) as answer"  # the catalogue's own SQL
_READ: Final = "set transaction read only; " + _SET + _ROWS
_BEGIN: Final = "begin; " + _SET

# How many loads that no lease holds back may run at once, in the whole fleet. A sandbox serves one request at a time,
# so a counter in it would cap nothing: PostgreSQL counts. Ten slow queries are about what a small instance can bear.
_DIRECT_AT_MOST: Final = 10
# The first key of our advisory locks, "cach"; the second is the slot. Others who use advisory locks choose other ones.
_SLOTS: Final = 0x63616368
_NO_SLOT: Final = "OVRLD"  # classes of SQLSTATE from I to Z are free for applications
# Each search starts at another slot, or all would queue up at the first. The lock ends with the transaction, which is
# this message: it is held until the query is done, and given back however that ends, even when the connection is cut.
_TAKE_SLOT: Final = f"""do $slot$
declare
    start constant int := floor(random() * {{at_most}});
begin
    for step in 0..{{at_most}} - 1 loop
        if pg_try_advisory_xact_lock({_SLOTS}, mod(start + step, {{at_most}})) then
            return;
        end if;
    end loop;
    raise sqlstate '{_NO_SLOT}' using message = 'as many direct loads as may run at once are running';
end
$slot$; """
_READ_DIRECTLY: Final = "set transaction read only; " + _SET + _TAKE_SLOT + _ROWS

# PostgreSQL takes no data-modifying CTE inside another query, so a function of ours runs the statement.
_WRITE: Final = "select cacheaside.run_command(%s)::text"


class Database:
    """The connection of one function to PostgreSQL: opened when first needed, kept, and opened again when it died."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._connection: connection | None = None

    def load(self, step: steps.Load) -> steps.Loaded:
        """Return the answer to a query, read in one round trip that can change nothing.

        Raises DatabaseUnavailable, StatementTimeout, StatementFailed, AnswerTooLarge, or Overloaded if it is direct.
        """
        if step.direct:
            return self.load_directly(step, _DIRECT_AT_MOST)
        return self._load(step, _READ.format(timeout_ms=step.timeout_ms, sql=step.query.query.sql))

    def load_directly(self, step: steps.Load, at_most: int) -> steps.Loaded:
        """Return the same as `load`, in as many round trips, unless `at_most` others are doing so: then Overloaded."""
        sql = _READ_DIRECTLY.format(timeout_ms=step.timeout_ms, at_most=at_most, sql=step.query.query.sql)
        return self._load(step, sql)

    def _load(self, step: steps.Load, sql: str) -> steps.Loaded:
        rows = self._ask_again_if_dead(lambda cur: _rows(cur, sql, step.query.values), _limit_s(step.timeout_ms))
        return steps.Loaded(_body(step.query.query, rows))

    def execute(self, command: Command, values: Mapping[str, Value]) -> bytes | None:
        """Run a command, commit, and return its answer; None if it returns one row and touched none.

        Raises StatementTimeout, ConstraintViolated, StatementFailed or AnswerTooLarge: then nothing was written.
        Raises DatabaseUnavailable: if the connection was lost during COMMIT, nobody can tell whether it was.
        """
        limit_s = _limit_s(command.timeout_ms)
        begin = _BEGIN.format(timeout_ms=command.timeout_ms)
        # A kept connection that has died shows it here, before anything is written, so asking again is safe.
        self._ask_again_if_dead(lambda cur: cur.execute(begin), limit_s)
        try:
            rows = self._ask(lambda cur: _rows(cur, _WRITE, (cur.mogrify(command.sql, values).decode(),)), limit_s)
            body = _body(command, rows)
            self._ask(lambda cur: cur.execute("commit"), limit_s)
        except DatabaseError:
            self._roll_back()
            raise
        return body

    def ping(self) -> None:
        """Return if PostgreSQL answers. Raises DatabaseError."""
        self._ask_again_if_dead(lambda cur: cur.execute("select 1"), _PING_S)

    def _ask_again_if_dead(self, ask: Callable[[cursor], _T], limit_s: float) -> _T:
        kept = self._connection is not None
        try:
            return self._ask(ask, limit_s)
        except DatabaseUnavailable as error:
            # Silence is not death: asking a frozen server again would only double the wait.
            if not kept or isinstance(error.__cause__, DeadlineExceeded):
                raise
        return self._ask(ask, limit_s)

    def _ask(self, ask: Callable[[cursor], _T], limit_s: float) -> _T:
        try:
            if self._connection is None:
                self._connection = connect(self._settings)
            with deadline(limit_s), self._connection.cursor() as cur:
                return ask(cur)
        except (psycopg2.Error, UnicodeDecodeError) as error:
            # psycopg2 quotes the answer that it cannot make sense of, and fails at that if it is no UTF-8 either.
            dead = isinstance(error, DeadlineExceeded | UnicodeDecodeError)
            lost = dead or self._connection is None or bool(self._connection.closed)
            if lost:
                self._forget()
            raise _translated(error, lost) from error

    def _roll_back(self) -> None:
        try:
            self._ask(lambda cur: cur.execute("rollback"), _PING_S)
        except DatabaseError:
            self._forget()  # closing the connection rolls back as well

    def _forget(self) -> None:
        if self._connection is not None:
            with suppress(psycopg2.Error):
                self._connection.close()
        self._connection = None


def connect(settings: DatabaseSettings) -> connection:
    """Open a connection in autocommit mode, within 3 s. Raises psycopg2.OperationalError."""
    url = urlsplit(settings.url)
    extra: dict[str, Any] = {"application_name": "cacheaside"}
    if settings.authentication is Authentication.IAM:
        extra["password"] = database_token(
            lambda_credentials(), settings.region, url.hostname or "", url.port or 5432, unquote(url.username or "")
        )
    with deadline(_CONNECT_S):
        # After a freeze the peer may be gone without a word; then unacknowledged bytes must not be waited for.
        opened: connection = psycopg2.connect(settings.url, tcp_user_timeout=3_000, **extra)
    opened.autocommit = True
    return opened


def _limit_s(timeout_ms: int) -> float:
    return timeout_ms / 1000 + _GRACE_S


def _rows(cur: cursor, sql: str, values: Mapping[str, Value] | tuple[str, ...]) -> list[str]:
    cur.execute(sql, values)
    return [row[0] for row in cur.fetchall()]


def _body(statement: Statement, rows: list[str]) -> bytes | None:
    """Return the body to send, or None when one row is wanted and there is none."""
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


def _translated(error: psycopg2.Error | UnicodeDecodeError, lost: bool) -> DatabaseError:
    if lost or isinstance(error, UnicodeDecodeError):
        return DatabaseUnavailable("the database cannot be reached")
    code = error.pgcode or ""
    if code == _NO_SLOT:
        return Overloaded("as many requests as may ask the database at once are asking it")
    if code == errorcodes.QUERY_CANCELED:
        return StatementTimeout("the statement ran into its timeout")
    if code.startswith(errorcodes.CLASS_INTEGRITY_CONSTRAINT_VIOLATION):
        return ConstraintViolated("the change conflicts with what is stored")
    return StatementFailed("the database refused the statement")
