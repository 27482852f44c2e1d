"""The database driver of queries: one round trip for each load, on one kept connection."""

from __future__ import annotations

from typing import Final

from cacheaside.drivers.postgres.connection import NO_SLOT, KeptConnection
from cacheaside.drivers.postgres.rendering import SET, body_of, limit_s, rows_of
from cacheaside.reading import steps
from cacheaside.settings import DatabaseSettings

__all__ = ["Database"]

# Statements of one message are one transaction.
_ROWS: Final = "select row_to_json(answer)::text from (\n{sql}\n) as answer"  # the catalogue's own SQL
_READ: Final = "set transaction read only; " + SET + _ROWS

# How many loads that no lease holds back may run at once, in the whole fleet. A sandbox serves one request at a time,
# so a counter in it would cap nothing: PostgreSQL counts. Ten slow queries are about what a small instance can bear.
_DIRECT_AT_MOST: Final = 10
# The first key of our advisory locks, "cach"; the second is the slot. Others who use advisory locks choose other ones.
_SLOTS: Final = 0x63616368
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
    raise sqlstate '{NO_SLOT}' using message = 'as many direct loads as may run at once are running';
end
$slot$; """
_READ_DIRECTLY: Final = "set transaction read only; " + SET + _TAKE_SLOT + _ROWS


class Database:
    """Loads answers."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._kept = KeptConnection(settings)

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
        rows = self._kept.ask_again_if_dead(lambda cur: rows_of(cur, sql, step.query.values), limit_s(step.timeout_ms))
        return steps.Loaded(body_of(step.query.query, rows))

    def ping(self) -> None:
        """Return if PostgreSQL answers. Raises DatabaseError."""
        self._kept.ping()

    def forget(self) -> None:
        """Close the connection, if there is one; the next load opens another. Never raises."""
        self._kept.forget()
