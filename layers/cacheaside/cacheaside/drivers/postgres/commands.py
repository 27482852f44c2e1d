"""The database driver of commands. `Writer` calls it. Each command is one transaction, retried if it was in conflict.

    begin ─┬─ no key ──────────────────────────────────► run ───────────────── commit ─► its answer
           └─ insert the key ─┬─ it was new ───────────► run ─ store answer ── commit ─► its answer
              (waits while    ├─ of the same request ──────────────────────────────────► the stored answer
              its owner runs) └─ of another request ───────────────────────────────────► IdempotencyKeyReused

A failed transaction is rolled back, and its key with it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import psycopg2
from psycopg2.extensions import cursor

from cacheaside.catalogue.parameters import Value
from cacheaside.catalogue.statements import Command
from cacheaside.drivers.postgres.connection import KeptConnection
from cacheaside.drivers.postgres.constraints import columns_of
from cacheaside.drivers.postgres.refusals import may_have_committed
from cacheaside.drivers.postgres.refused_values import blamed
from cacheaside.drivers.postgres.rendering import LIMITS, body_of, client_limit_s, rows_of
from cacheaside.drivers.postgres.typed_sql import literal, with_values
from cacheaside.errors import (
    Busy,
    ConstraintViolated,
    DatabaseError,
    DatabaseUnavailable,
    IdempotencyKeyInFlight,
    IdempotencyKeyReused,
    OutcomeUnknown,
    RefusedForNow,
    StatementFailed,
    StatementTimeout,
)
from cacheaside.settings import DatabaseSettings
from cacheaside.writing.idempotency import Idempotency
from cacheaside.writing.writer import Committed

__all__ = ["Commands"]

Row = tuple[Any, ...]

# The average pauses between the attempts, which are one more. A random factor from 0.5 to 1.5 multiplies each, so that
# two commands that conflicted do not conflict again.
_PAUSES_S: Final = (0.02, 0.1)
# The timeout of each statement outside the transaction of the command.
_FOLLOW_UP_MS: Final = 1_000

# A sandbox that is frozen or lost between two statements must not keep its locks and its key for longer than this.
_BEGIN: Final = (
    "begin isolation level {isolation}; "
    "select cacheaside.set_local('idle_in_transaction_session_timeout', '{timeout_ms}'); "
)
_TRANSACTION_ID: Final = "select pg_current_xact_id()::text"
# PostgreSQL accepts no data-modifying CTE inside another query, so a function of ours runs the statement.
_RUN: Final = "select cacheaside.run_command({statement})::text"
_COMMIT: Final = "select cacheaside.before_commit(); commit"

# Waits until a transaction that has inserted the same key ends. It reads nothing, so that serializable commands with
# different keys do not conflict. Only the wait for the table has a limit: the other one is for the stored answer.
_INSERT_KEY: Final = """
lock table cacheaside.idempotency_keys in row exclusive mode;
select cacheaside.set_local('lock_timeout', '0');
insert into cacheaside.idempotency_keys (key, fingerprint) values (%s, %s)
on conflict (key) do nothing
returning true
"""
_SELECT_KEY: Final = "select fingerprint, answer, transaction_id::text from cacheaside.idempotency_keys where key = %s"
_STORE_ANSWER: Final = "update cacheaside.idempotency_keys set answer = %s where key = %s; "

# After a minute rows may be folded: a row for the whole table, of another transaction, replaces them. A request that is
# sent again, even hours later, must invalidate those tables too.
_SELECT_CHANGES: Final = """
with asked (transaction_id) as (select %s::xid8)
select change from asked join cacheaside.outbox using (transaction_id)
union
select change
from asked
join cacheaside.idempotency_keys using (transaction_id)
join cacheaside.outbox on written_at < created_at + interval '1 minute'
where created_at < clock_timestamp() - interval '1 minute' and drained_at is null
  and change = cacheaside.table_of(change)"""
# Rows that the invalidate function has locked are omitted: it drains them itself. The commit does not wait for the
# disk: if the mark is lost, the rows are only drained twice.
_MARK_DRAINED: Final = """
select cacheaside.set_local('synchronous_commit', 'off');
with pending as (
    select transaction_id, change from cacheaside.outbox
    where transaction_id = %s::xid8 and drained_at is null
    for update skip locked
)
update cacheaside.outbox set drained_at = clock_timestamp()
from pending
where (outbox.transaction_id, outbox.change) = (pending.transaction_id, pending.change)
"""


class Commands:
    """Runs commands, and reads and marks the changes that they recorded."""

    def __init__(
        self,
        settings: DatabaseSettings,
        sleep: Callable[[float], object] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._kept = KeptConnection(settings)
        self._sleep, self._chance = sleep, chance

    def execute(
        self, command: Command, values: Mapping[str, Value], idempotency: Idempotency | None = None
    ) -> Committed:
        """Run a command, commit, and return its answer, or the stored answer of an earlier request with its key.

        All attempts together take the command's timeout at most. Raises StatementTimeout, Busy, RefusedForNow,
        ConstraintViolated, StatementFailed, AnswerTooLarge, IdempotencyKeyReused or IdempotencyKeyInFlight: then
        nothing was written. Raises DatabaseUnavailable, or OutcomeUnknown if the connection was lost during COMMIT.
        """
        deadline = time.monotonic() + command.timeout_ms / 1000
        for average_s in _PAUSES_S:
            try:
                return self._execute_once(command, values, idempotency, deadline)
            except Busy:
                pause_s = average_s * (0.5 + self._chance())
                if time.monotonic() + pause_s >= deadline:
                    raise
            self._sleep(pause_s)
        return self._execute_once(command, values, idempotency, deadline)

    def changes(self, transaction_id: str) -> list[str]:
        """Return the changes that triggers recorded in the transaction, drained or not. Raises DatabaseError."""
        return [change for (change,) in self._follow_up(_SELECT_CHANGES, transaction_id, texts=1)]

    def mark_drained(self, transaction_id: str) -> None:
        """Mark the changes of the transaction as drained. Raises DatabaseError."""
        self._follow_up(_MARK_DRAINED, transaction_id)

    def _execute_once(
        self, command: Command, values: Mapping[str, Value], idempotency: Idempotency | None, deadline: float
    ) -> Committed:
        try:
            transaction_id = self._begin(command, deadline)
            earlier = self._insert_key(idempotency, deadline) if idempotency else None
            if earlier is not None:
                self._fetch(_COMMIT, (), deadline)
                return earlier
            body = body_of(command, self._run(command, values, deadline))
            self._commit(body, idempotency, deadline)
        except ConstraintViolated as error:
            self._kept.roll_back()
            raise self._with_columns(error) from error.__cause__
        except StatementFailed as error:
            self._kept.roll_back()
            raise blamed(error, command, values) from error.__cause__
        except BaseException:  # a transaction that is left open would be committed with the next one
            self._kept.roll_back()
            raise
        return Committed(body, transaction_id)

    def _commit(self, body: bytes | None, idempotency: Idempotency | None, deadline: float) -> None:
        try:
            if idempotency is None:
                self._fetch(_COMMIT, (), deadline)
            else:
                self._fetch(_STORE_ANSWER + _COMMIT, (body.decode() if body else None, idempotency.key), deadline)
        except (DatabaseUnavailable, RefusedForNow) as error:
            if not may_have_committed(error):
                raise
            raise OutcomeUnknown(
                "the connection to the database was lost during COMMIT: the command may have been carried out"
            ) from error.__cause__

    def _begin(self, command: Command, deadline: float) -> str:
        begin = _BEGIN.format(isolation=command.isolation, timeout_ms=command.timeout_ms)
        begin += _local_settings(deadline) + _TRANSACTION_ID
        # A lost kept connection is detected here, before anything is written, so the statement can be repeated.
        return self._kept.run_repeatable(lambda cur: _only_text(cur, begin), _wait_s(deadline))

    def _insert_key(self, idempotency: Idempotency, deadline: float) -> Committed | None:
        """Insert the key and return None, or return the stored answer if the key is of the same request."""
        try:
            if self._fetch(_INSERT_KEY, (idempotency.key, idempotency.fingerprint), deadline):
                return None
        except StatementTimeout as error:
            raise IdempotencyKeyInFlight("the first request with this idempotency-key is still running") from error
        rows = self._fetch(_SELECT_KEY, (idempotency.key,), deadline, texts=3)
        if not rows:
            raise Busy("the idempotency-key has just expired")  # pruned after a day, between the two statements
        fingerprint, answer, transaction_id = rows[0]  # the key is a primary key
        if fingerprint != idempotency.fingerprint:
            raise IdempotencyKeyReused("the idempotency-key was used for another request")
        return Committed(None if answer is None else answer.encode(), transaction_id, replayed=True)

    def _run(self, command: Command, values: Mapping[str, Value], deadline: float) -> list[str]:
        sql = _local_settings(deadline) + _RUN.format(statement=literal(with_values(command, values)))
        return self._kept.run(lambda cur: rows_of(cur, sql), _wait_s(deadline))

    def _with_columns(self, error: ConstraintViolated) -> ConstraintViolated:
        """Return the error with the columns of its constraint, or unchanged if the catalog does not tell them."""
        cause = error.__cause__
        if not isinstance(cause, psycopg2.Error) or cause.diag.column_name or not cause.diag.constraint_name:
            return error
        try:
            columns = self._kept.run(lambda cur: columns_of(cur, cause), client_limit_s(_FOLLOW_UP_MS))
        except DatabaseError:
            return error
        return type(error)(error.rule, columns or error.fields)

    def _fetch(self, sql: str, values: Row, deadline: float, texts: int | None = None) -> list[Row]:
        message = _local_settings(deadline) + sql
        return self._kept.run(lambda cur: _rows(cur, message, values, texts), _wait_s(deadline))

    def _follow_up(self, sql: str, transaction_id: str, texts: int | None = None) -> list[Row]:
        message = _local_settings_of(_FOLLOW_UP_MS) + sql
        return self._kept.run_repeatable(
            lambda cur: _rows(cur, message, (transaction_id,), texts), client_limit_s(_FOLLOW_UP_MS)
        )


def _left_ms(deadline: float) -> int:
    return max(1, round((deadline - time.monotonic()) * 1000))  # 0 would disable the timeout


def _wait_s(deadline: float) -> float:
    """Return how long the client waits for a statement that has the time left until `deadline`."""
    return client_limit_s(_left_ms(deadline))


def _local_settings(deadline: float) -> str:
    """Return the settings with which PostgreSQL cancels the next statement at the command's deadline.

    It cancels a wait for a lock after a quarter of the time, so that there is time for another attempt.
    """
    return _local_settings_of(_left_ms(deadline))


def _local_settings_of(timeout_ms: int) -> str:
    return LIMITS.format(timeout_ms=timeout_ms, lock_ms=max(1, timeout_ms // 4))


def _rows(cur: cursor, sql: str, values: Row | None = None, texts: int | None = None) -> list[Row]:
    """Return the rows of `sql`. Raises ValueError, for `run` to translate, unless each has as many `texts` or NULLs."""
    cur.execute(sql, values)
    rows = cur.fetchall() if cur.description else []
    if texts is not None and not all(len(row) == texts and all(map(_is_text, row)) for row in rows):
        raise ValueError("not the columns of the statement")
    return rows


def _only_text(cur: cursor, sql: str) -> str:
    [(text,)] = _rows(cur, sql, texts=1)
    return str(text)


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)
