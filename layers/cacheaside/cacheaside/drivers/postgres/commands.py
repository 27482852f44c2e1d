"""The database driver of commands: each is one transaction, tried again when others were in its way.

    begin ─┬─ no key ────────────────────────────────► run ───────────────────── commit ─► its answer
           └─ claim the key ─┬─ free ────────────────► run ─ keep the answer ─── commit ─► its answer
              (waits for     ├─ of the same request ────────────────────────────────────► the answer of then
              who has it)    └─ of another request ─────────────────────────────────────► IdempotencyKeyReused

What fails is rolled back, and its key is free again.
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
from cacheaside.drivers.postgres.constraints import DOES_NOT_FIT, columns_of
from cacheaside.drivers.postgres.rendering import SET, body_of, client_limit_s, rows_of
from cacheaside.errors import (
    Busy,
    ConstraintViolated,
    DatabaseError,
    DatabaseUnavailable,
    IdempotencyKeyInFlight,
    IdempotencyKeyReused,
    OutcomeUnknown,
    StatementFailed,
    StatementTimeout,
    Unprocessable,
)
from cacheaside.settings import DatabaseSettings
from cacheaside.writing.idempotency import Idempotency
from cacheaside.writing.writer import Committed

__all__ = ["Commands"]

Row = tuple[Any, ...]

# Between attempts, on average: one more than pauses. Each is half as long or half as long again, by chance, so that
# two that met do not meet again.
_PAUSES_S: Final = (0.02, 0.1)
# For what is asked besides the command itself, each.
_FOLLOW_UP_MS: Final = 1_000

# A sandbox that is frozen or lost between two statements must not keep its locks, and its key, for longer than this.
_BEGIN: Final = "begin isolation level {isolation}; set local idle_in_transaction_session_timeout = {timeout_ms}; "
_TRANSACTION: Final = "select pg_current_xact_id()::text"
# PostgreSQL takes no data-modifying CTE inside another query, so a function of ours runs the statement.
_RUN: Final = "select cacheaside.run_command(%s)::text"
# What is deferred until COMMIT would run there under no timeout at all.
_COMMIT: Final = "set constraints all immediate; commit"

# Waits for a transaction that has inserted the key and not ended yet. That nothing is read here keeps serializable
# commands with different keys out of each other's way.
_CLAIM: Final = """
insert into cacheaside.idempotency_keys (key, fingerprint) values (%s, %s)
on conflict (key) do nothing
returning true
"""
_CLAIMED: Final = "select fingerprint, answer, transaction_id::text from cacheaside.idempotency_keys where key = %s"
_KEEP: Final = "update cacheaside.idempotency_keys set answer = %s where key = %s; "

# After a minute rows may be folded into the tables' own, under another transaction. A request that is sent again, hours
# later even, stands for those too.
_CHANGES: Final = """
with asked (transaction_id) as (select %s::xid8)
select change from asked join cacheaside.outbox using (transaction_id)
union
select change
from asked
join cacheaside.idempotency_keys using (transaction_id)
join cacheaside.outbox on written_at < created_at + interval '1 minute'
where created_at < clock_timestamp() - interval '1 minute' and drained_at is null and strpos(change, ':') = 0"""
# What the invalidate function has locked, it is taking out itself. Nobody waits for the disk: a mark that is lost is
# work done twice, no more.
_DRAINED: Final = """
set local synchronous_commit = off;
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
    """Runs commands, and knows what they changed."""

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
        """Run a command, commit, and return its answer; or the answer of before, if its key was used for it then.

        All attempts together take the command's timeout at most. Raises StatementTimeout, Busy, ConstraintViolated,
        StatementFailed, AnswerTooLarge, IdempotencyKeyReused or IdempotencyKeyInFlight: then nothing was written.
        Raises DatabaseUnavailable, or OutcomeUnknown if the connection was lost during COMMIT.
        """
        deadline = time.monotonic() + command.timeout_ms / 1000
        for average_s in _PAUSES_S:
            try:
                return self._attempt(command, values, idempotency, deadline)
            except Busy:
                pause_s = average_s * (0.5 + self._chance())
                if time.monotonic() + pause_s >= deadline:
                    raise
            self._sleep(pause_s)
        return self._attempt(command, values, idempotency, deadline)

    def changes(self, transaction_id: str) -> list[str]:
        """Return what the transaction changed, as its triggers have it, drained or not. Raises DatabaseError."""
        return [change for (change,) in self._follow_up(_CHANGES, transaction_id)]

    def mark_drained(self, transaction_id: str) -> None:
        """Say that what the transaction changed is out of the cache. Raises DatabaseError."""
        self._follow_up(_DRAINED, transaction_id)

    def _attempt(
        self, command: Command, values: Mapping[str, Value], idempotency: Idempotency | None, deadline: float
    ) -> Committed:
        try:
            transaction_id = self._begin(command, deadline)
            earlier = self._claim(idempotency, deadline) if idempotency else None
            if earlier is not None:
                self._ask(_COMMIT, (), deadline)
                return earlier
            body = body_of(command, self._run(command, values, deadline))
            self._commit(body, idempotency, deadline)
        except ConstraintViolated as error:
            self._kept.roll_back()
            raise self._explained(error) from error.__cause__
        except BaseException:  # a transaction that is left open would be committed with the next one
            self._kept.roll_back()
            raise
        return Committed(body, transaction_id)

    def _commit(self, body: bytes | None, idempotency: Idempotency | None, deadline: float) -> None:
        try:
            if idempotency is None:
                self._ask(_COMMIT, (), deadline)
            else:
                self._ask(_KEEP + _COMMIT, (body.decode() if body else None, idempotency.key), deadline)
        except DatabaseUnavailable as error:
            raise OutcomeUnknown(
                "the connection to the database was lost while this was committed: it may have been carried out"
            ) from error.__cause__

    def _begin(self, command: Command, deadline: float) -> str:
        begin = _BEGIN.format(isolation=command.isolation, timeout_ms=command.timeout_ms)
        begin += _within(deadline) + _TRANSACTION
        # A kept connection that has died shows it here, before anything is written, so asking again is safe.
        [(transaction_id,)] = self._kept.ask_again_if_dead(lambda cur: _fetched(cur, begin), _limit_until(deadline))
        return str(transaction_id)

    def _claim(self, idempotency: Idempotency, deadline: float) -> Committed | None:
        """Make the key ours, or return what its request was answered."""
        try:
            if self._ask(_CLAIM, (idempotency.key, idempotency.fingerprint), deadline):
                return None
        except StatementTimeout as error:
            raise IdempotencyKeyInFlight("the first request with this idempotency-key is still running") from error
        claimed = self._ask(_CLAIMED, (idempotency.key,), deadline)
        if not claimed:
            raise Busy("the idempotency-key has just been given up")  # it was a day old
        [(fingerprint, answer, transaction_id)] = claimed
        if fingerprint != idempotency.fingerprint:
            raise IdempotencyKeyReused("the idempotency-key was used for another request")
        return Committed(None if answer is None else answer.encode(), transaction_id, replayed=True)

    def _run(self, command: Command, values: Mapping[str, Value], deadline: float) -> list[str]:
        def run(cur: cursor) -> list[str]:
            return rows_of(cur, _within(deadline) + _RUN, (cur.mogrify(command.sql, values).decode(),))

        try:
            return self._kept.ask(run, _limit_until(deadline))
        except StatementFailed as error:
            if getattr(error.__cause__, "pgcode", None) in DOES_NOT_FIT:
                raise Unprocessable(
                    "a value is too long, out of range, or not of its column's form"
                ) from error.__cause__
            raise

    def _explained(self, error: ConstraintViolated) -> ConstraintViolated:
        """Return the error with the columns of its constraint, if they can be found out."""
        cause = error.__cause__
        if not isinstance(cause, psycopg2.Error) or cause.diag.column_name or not cause.diag.constraint_name:
            return error
        try:
            columns = self._kept.ask(lambda cur: columns_of(cur, cause), client_limit_s(_FOLLOW_UP_MS))
        except DatabaseError:
            return error
        return type(error)(error.rule, columns or error.fields)

    def _ask(self, sql: str, values: Row, deadline: float) -> list[Row]:
        return self._kept.ask(lambda cur: _fetched(cur, _within(deadline) + sql, values), _limit_until(deadline))

    def _follow_up(self, sql: str, transaction_id: str) -> list[Row]:
        message = SET.format(timeout_ms=_FOLLOW_UP_MS) + sql
        return self._kept.ask_again_if_dead(
            lambda cur: _fetched(cur, message, (transaction_id,)), client_limit_s(_FOLLOW_UP_MS)
        )


def _left_ms(deadline: float) -> int:
    return max(1, round((deadline - time.monotonic()) * 1000))  # 0 would be no limit at all


def _limit_until(deadline: float) -> float:
    """Return how long the client waits for a statement that has the time left until `deadline`."""
    return client_limit_s(_left_ms(deadline))


def _within(deadline: float) -> str:
    """Return what makes PostgreSQL cancel the next statement when the command's time is over."""
    return SET.format(timeout_ms=_left_ms(deadline))


def _fetched(cur: cursor, sql: str, values: Row | None = None) -> list[Row]:
    cur.execute(sql, values)
    return cur.fetchall() if cur.description else []
