"""The database driver of commands: each is one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cacheaside.catalogue import Command
from cacheaside.drivers.connection import KeptConnection
from cacheaside.drivers.statement import SET, body_of, limit_s, rows_of
from cacheaside.errors import DatabaseError
from cacheaside.parameters import Value
from cacheaside.settings import DatabaseSettings

__all__ = ["Commands"]

_BEGIN: Final = "begin; " + SET

# PostgreSQL takes no data-modifying CTE inside another query, so a function of ours runs the statement.
_WRITE: Final = "select cacheaside.run_command(%s)::text"


class Commands:
    """Runs commands."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._kept = KeptConnection(settings)

    def execute(self, command: Command, values: Mapping[str, Value]) -> bytes | None:
        """Run a command, commit, and return its answer; None if it returns one row and touched none.

        Raises StatementTimeout, ConstraintViolated, StatementFailed or AnswerTooLarge: then nothing was written.
        Raises DatabaseUnavailable: if the connection was lost during COMMIT, nobody can tell whether it was.
        """
        limit_s = limit_s(command.timeout_ms)
        begin = _BEGIN.format(timeout_ms=command.timeout_ms)
        # A kept connection that has died shows it here, before anything is written, so asking again is safe.
        self._kept.ask_again_if_dead(lambda cur: cur.execute(begin), limit_s)
        try:
            rows = self._kept.ask(lambda cur: rows_of(cur, _WRITE, (cur.mogrify(command.sql, values).decode(),)), limit_s)
            body = body_of(command, rows)
            self._kept.ask(lambda cur: cur.execute("commit"), limit_s)
        except DatabaseError:
            self._kept.roll_back()
            raise
        return body
