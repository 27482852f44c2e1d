"""The database driver of queries: one round trip for each load. `GuardedQueries` and `Verifier` call it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from cacheaside.catalogue.policy import RENEW_EVERY_MS
from cacheaside.drivers.postgres.connection import KeptConnection
from cacheaside.drivers.postgres.deadline import during_waits
from cacheaside.drivers.postgres.refused_values import blamed
from cacheaside.drivers.postgres.rendering import body_of, client_limit_s, lock_limit_ms, rows_of
from cacheaside.drivers.postgres.typed_sql import with_values
from cacheaside.errors import ConstraintViolated, OutcomeUnknown, RefusedForNow, StatementFailed
from cacheaside.reading import steps
from cacheaside.reading.question import Question
from cacheaside.settings import DatabaseSettings

if TYPE_CHECKING:
    from cacheaside.catalogue.catalogue import Catalogue
    from cacheaside.catalogue.columns import RowTypes
    from cacheaside.catalogue.statements import Statement

__all__ = ["Queries", "message_parts"]

# PostgreSQL runs the statements of one message as one transaction.
# With `answer.*`, a column may be called `answer` too.
_ROWS: Final = "select row_to_json(answer.*)::text from (\n{sql}\n) as answer"
_SETTINGS: Final = "select cacheaside.limits({timeout_ms}, {lock_ms}, read_only => true); "

_DESCRIBED_S: Final = 2.0

# How many loads without a lease may run at once in the whole fleet. A sandbox serves one request at a time, so it
# cannot count them: PostgreSQL does. Ten slow queries are about as many as a small instance can run.
_BYPASSES_AT_MOST: Final = 10
# Those that callers ask for take only the first of these slots. The others stay free for when the cache fails.
_DIRECT_AT_MOST: Final = 5
# The lock of a slot ends with the transaction, which is this message.
_TAKE_SLOT: Final = "select cacheaside.take_slot({at_most}); "


def message_parts(question: Question, timeout_ms: int) -> tuple[str, str]:
    """Return the two parts of the message of a load: the settings of its transaction, and its query."""
    settings = _SETTINGS.format(timeout_ms=timeout_ms, lock_ms=lock_limit_ms(timeout_ms))
    return settings, _ROWS.format(sql=with_values(question.query, question.values))


class Queries:
    """Loads answers, on one kept connection."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._kept = KeptConnection(settings)

    def load(self, step: steps.Load, renew: Callable[[], object] | None = None) -> steps.Loaded:
        """Return the answer to a question, loaded in one read-only round trip, and call `renew` now and then meanwhile.

        Raises DatabaseUnavailable, RefusedForNow, Busy, StatementTimeout, Unprocessable, StatementFailed,
        AnswerTooLarge, or Overloaded for a bypass.
        """
        if step.bypass:
            return self.load_capped(step, _DIRECT_AT_MOST if step.direct else _BYPASSES_AT_MOST)
        with during_waits(renew, RENEW_EVERY_MS / 1000) if renew else nullcontext():
            return self._load(step)

    def load_capped(self, step: steps.Load, at_most: int) -> steps.Loaded:
        """Return the same as `load`, in one round trip too. Raises Overloaded if `at_most` others run in the fleet."""
        return self._load(step, _TAKE_SLOT.format(at_most=at_most))

    def _load(self, step: steps.Load, take_slot: str = "") -> steps.Loaded:
        query = step.question.query
        settings, rows_sql = message_parts(step.question, step.timeout_ms)
        sql = settings + take_slot + rows_sql
        try:
            rows = self._kept.run_repeatable(lambda cur: rows_of(cur, sql), client_limit_s(step.timeout_ms))
        except OutcomeUnknown as error:  # of a COMMIT on another server, and a query changes nothing
            raise RefusedForNow("the database cannot do this at the moment") from error.__cause__
        except (ConstraintViolated, RefusedForNow, StatementFailed) as error:
            raise blamed(error, query, step.question.values) from error.__cause__
        return steps.Loaded(body_of(query, rows))

    def ping(self) -> None:
        """Return if PostgreSQL answers. Raises DatabaseError."""
        self._kept.ping()

    def row_types(self, catalogue: Catalogue) -> RowTypes:
        """Return the statements of `catalogue` as the deployment described them. Raises DatabaseError."""
        from cacheaside.drivers.postgres.described import read_described  # for a document, so not at a cold start

        statements: list[Statement] = [*catalogue.queries.values(), *catalogue.commands.values()]
        return self._kept.run_repeatable(lambda cur: read_described(cur, statements), _DESCRIBED_S)

    def forget(self) -> None:
        """Close the connection, if there is one. The next load opens a new one. Never raises."""
        self._kept.forget()
