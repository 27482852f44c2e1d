"""PostgreSQL's plan of one question, as the role of the query function gets it."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import psycopg2
from psycopg2.errorcodes import QUERY_CANCELED
from psycopg2.extensions import connection

from cacheaside.drivers.postgres.introspection.acting_role import act_as, objection_to_acting_as, see_as
from cacheaside.drivers.postgres.queries import message_parts
from cacheaside.drivers.postgres.rendering import lock_limit_ms
from cacheaside.reading.question import Question
from local.live.durations import duration

__all__ = ["QUERY_ROLE", "Plan", "read_plan"]

QUERY_ROLE: Final = "cacheaside_query"
# What cacheaside.limits does, for a session without the right to call it, or a database without it.
_SETTINGS: Final = (
    "set transaction read only; set local statement_timeout = {timeout_ms}; set local lock_timeout = {lock_ms}; "
    "set local timezone = 'UTC'; "
)
_COST: Final = re.compile(r"\(cost=[0-9.]+\.\.([0-9.]+) rows=([0-9]+)")


class Plan(NamedTuple):
    """The plan, or a sentence why there is none (`refused`). `not_as_role`: why the role could not be taken."""

    lines: tuple[str, ...] = ()
    cost: float = 0.0
    rows: int = 0
    refused: str = ""
    not_as_role: str = ""


def read_plan(database: connection, question: Question, *, analyze: bool) -> Plan:
    """Return the plan for these values. `analyze` runs the query, read-only and with its timeout. Rolls back.

    Raises psycopg2.Error if the connection fails.
    """
    timeout_ms = question.query.timeout_ms
    _, sql = message_parts(question, timeout_ms)
    settings = _SETTINGS.format(timeout_ms=timeout_ms, lock_ms=lock_limit_ms(timeout_ms))
    options = "analyze, buffers" if analyze else "costs"
    try:
        with database.cursor() as cur:
            objection = objection_to_acting_as(cur, QUERY_ROLE)
            (see_as if objection else act_as)(cur, QUERY_ROLE)
            cur.execute(f"{settings}explain ({options}) {sql}")
            lines = tuple(line for (line,) in cur.fetchall())
    except psycopg2.Error as error:
        if error.pgcode is None:
            raise
        if error.pgcode == QUERY_CANCELED:
            return Plan(refused=f"The query did not end within its timeout of {duration(timeout_ms)}")
        return Plan(refused=f"PostgreSQL refuses the query: {_reason(error)}")
    finally:
        if not database.closed:
            database.rollback()
    found = _COST.search(lines[0])
    cost, rows = (float(found[1]), int(found[2])) if found else (0.0, 0)
    return Plan(lines, cost, rows, not_as_role=objection)


def _reason(error: Any) -> str:
    diag = error.diag
    return ". ".join(part for part in (diag.message_primary, diag.message_detail, diag.message_hint) if part)
