"""One connection to PostgreSQL, kept between invocations, reopened when lost. Queries, Commands and Outbox use it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import connection, cursor

from cacheaside.drivers.iam import database_token, lambda_credentials
from cacheaside.drivers.postgres.constraints import violation
from cacheaside.drivers.postgres.deadline import DeadlineExceeded, wait_deadline
from cacheaside.drivers.postgres.refusals import READ_ONLY, refusal
from cacheaside.drivers.postgres.spoken import without_values
from cacheaside.errors import (
    DatabaseError,
    DatabaseSilent,
    DatabaseUnavailable,
    Overloaded,
    StatementFailed,
    StatementTimeout,
)
from cacheaside.settings import Authentication, DatabaseSettings

__all__ = ["KeptConnection", "open_connection"]

_T = TypeVar("_T")

_CONNECT_S: Final = 3.0
_PING_S: Final = 1.0

# psycopg2 quotes a reply that it cannot parse, and cannot decode the quotation if it is not UTF-8. If a server sends a
# value that is none of its type, nests it too deep, or sends other columns than the statement has, Python's own errors
# get through.
_FAILURES: Final = (psycopg2.Error, ValueError, ArithmeticError, LookupError, RecursionError)

_NO_SLOT: Final = "OVRLD"  # of cacheaside.take_slot; classes of SQLSTATE from I to Z are free for applications


class KeptConnection:
    """Runs functions of a cursor, and translates the errors of psycopg2 to those of `cacheaside.errors`.

    After an error of any other kind the connection is closed, so that no later statement reads its reply. It is also
    closed if PostgreSQL is read-only: a new connection may reach another server, or get other settings.
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._connection: connection | None = None

    def run(self, action: Callable[[cursor], _T], limit_s: float) -> _T:
        """Return the result of `action`, whose waits for PostgreSQL end after `limit_s`. Raises DatabaseError."""
        try:
            if self._connection is None:
                self._connection = open_connection(self._settings)
            with wait_deadline(limit_s), self._connection.cursor() as cur:
                return action(cur)
        except _FAILURES as error:
            if isinstance(error, psycopg2.Error):
                without_values(error, self._settings.url)
            translated = _translated(error, lost=self._connection is None or bool(self._connection.closed))
            # Only a reply with a SQLSTATE is complete. After any other error a part of it may be unread.
            unusable = getattr(error, "pgcode", None) in (None, READ_ONLY)
            if unusable or isinstance(translated, DatabaseUnavailable):
                self.forget()
            raise translated from error
        except BaseException:
            self.forget()
            raise

    def run_repeatable(self, action: Callable[[cursor], _T], limit_s: float) -> _T:
        """The same, but if a kept connection was lost, run `action` again on a new one. It must be repeatable."""
        kept = self._connection is not None
        try:
            return self.run(action, limit_s)
        except DatabaseUnavailable as error:
            # After a timeout the server may be frozen. A second attempt would only double the wait.
            if not kept or isinstance(error, DatabaseSilent):
                raise
        return self.run(action, limit_s)

    def ping(self) -> None:
        """Return if PostgreSQL answers. Raises DatabaseError."""
        self.run_repeatable(lambda cur: cur.execute("select 1"), _PING_S)

    def roll_back(self) -> None:
        """Roll back the transaction, or else close the connection. Never raises."""
        if self._connection is None:  # so there is no transaction
            return
        try:
            self.run(lambda cur: cur.execute("rollback"), _PING_S)
        except DatabaseError:
            self.forget()  # closing the connection rolls back as well

    def forget(self) -> None:
        """Close the connection, if there is one."""
        lost, self._connection = self._connection, None  # first, in case that closing it is interrupted
        if lost is not None:
            with suppress(psycopg2.Error):
                lost.close()


def open_connection(settings: DatabaseSettings) -> connection:
    """Open a connection in autocommit mode to a primary, within 3 s. Raises psycopg2.OperationalError.

    A standby is refused: for a while after a failover the host name may lead to the former primary. An answer from it
    may be older than the write that invalidated the previous answer.
    """
    # PostgreSQL converts between UTF-8 and the encoding of the database, whatever the role or the database prefers.
    extra: dict[str, Any] = {"application_name": "cacheaside", "client_encoding": "UTF8"}
    extra["target_session_attrs"] = "primary"
    if settings.authentication is Authentication.IAM:
        extra["password"] = _token(settings)
    with wait_deadline(_CONNECT_S):
        # After a freeze the server may be gone without notice. The kernel must not wait for its acknowledgement then.
        opened: connection = psycopg2.connect(settings.url, tcp_user_timeout=3_000, **extra)
    opened.autocommit = True
    return opened


def _token(settings: DatabaseSettings) -> str:
    url = urlsplit(settings.url)
    try:
        credentials = lambda_credentials()
    except OSError as error:
        raise psycopg2.OperationalError("there are no credentials to sign in with") from error
    return database_token(
        credentials, settings.region, url.hostname or "", url.port or 5432, unquote(url.username or "")
    )


def _translated(error: Exception, lost: bool) -> DatabaseError:
    if isinstance(error, DeadlineExceeded):
        return DatabaseSilent("the database cannot be reached")
    if lost or not isinstance(error, psycopg2.Error):
        return DatabaseUnavailable("the database cannot be reached")
    code = error.pgcode or ""
    if code == _NO_SLOT:
        return Overloaded("the limit of concurrent loads without a lease is reached")
    if code == errorcodes.QUERY_CANCELED:
        return StatementTimeout("the statement ran into its timeout")
    if code.startswith(errorcodes.CLASS_INTEGRITY_CONSTRAINT_VIOLATION):
        return violation(error)
    return refusal(error) or StatementFailed("the database refused the statement")
