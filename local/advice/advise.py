"""Collects the advice: what was recorded, which of it can be cached, and what that would save."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor

from cacheaside.catalogue.sql_file import read_sql_file
from cacheaside.errors import CatalogueError
from local.advice.normalised import fingerprint
from local.advice.pg_stat_statements import HOW_TO_SWITCH_ON, read_pg_stat_statements
from local.advice.question import LeftOut, Read, ask
from local.advice.ranking import Candidate, estimate, rank
from local.advice.record import Record, Statement
from local.advice.slow_log import read_logs
from local.advice.tables import Writes, read_columns, read_tables, read_writes
from local.errors import LocalError

__all__ = ["Advice", "advise"]

# PostgreSQL is asked about so many statements at most, those that took longest.
_ASKED: Final = 100
_CHEAP_MS: Final = 1.0  # a hit takes about as long
_HIDDEN: Final = "<insufficient privilege>"  # in place of the text
_SELECT: Final = re.compile(r"\s*(?:\(\s*)*(?:select|with|values|table)\b", re.IGNORECASE)
_WRITE: Final = re.compile(r"\s*(?:insert|update|delete|merge|copy|truncate)\b", re.IGNORECASE)
_OURS: Final = re.compile(r"\bcacheaside(?:\.|_)|row_to_json\(answer\.\*\)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Advice:
    """The candidates, the best first, and the statements that are none, each with the reason."""

    record: Record
    writes: Writes
    candidates: Sequence[Candidate]
    left_out: Sequence[tuple[Statement, str]]


def advise(
    connection: Connection,
    logs: Sequence[Path],
    catalogue: Path,
    min_calls: int,
    reading: Callable[[int, int], None],
    progress: Callable[[int, int], None],
) -> Advice:
    """Return the advice for the database, and leave it as it is. Raises `LocalError` if nothing is recorded.

    Calls `reading` with the bytes of the logs that are read, and `progress` with the statements that are asked about.
    """
    try:
        with connection.cursor() as cur:
            cur.execute("set local statement_timeout = '30s'; set local lock_timeout = '5s'")
            record = _record(cur, logs, reading)
            return _advice(cur, record, set(_fingerprints(catalogue)), min_calls, progress)
    finally:
        if not connection.closed:
            connection.rollback()


def _record(cur: cursor, logs: Sequence[Path], reading: Callable[[int, int], None]) -> Record:
    if logs:
        cur.execute("select current_database()")
        [(database,)] = cur.fetchall()
        return read_logs(logs, database, reading)
    record = read_pg_stat_statements(cur)
    if isinstance(record, str):
        raise LocalError(HOW_TO_SWITCH_ON.format(reason=record))
    return record


def _advice(
    cur: cursor, record: Record, known: Collection[str], min_calls: int, progress: Callable[[int, int], None]
) -> Advice:
    left_out: list[tuple[Statement, str]] = []
    asked: list[Statement] = []
    for statement in sorted(record.statements, key=lambda each: -each.total_ms):
        if reason := _objection(statement, min_calls, known):
            left_out.append((statement, reason))
        elif len(asked) < _ASKED:
            asked.append(statement)
        else:
            left_out.append((statement, f"not among the {_ASKED} that take longest"))
    read: list[tuple[Statement, Read]] = []
    for at, statement in enumerate(asked, 1):
        try:
            read.append((statement, ask(cur, statement)))
        except LeftOut as reason:
            left_out.append((statement, str(reason)))
        progress(at, len(asked))
    tables = read_tables(cur, {oid for _, each in read for oid in each.tables})
    columns = read_columns(cur, tables)
    writes = read_writes(cur, record, tables)
    candidates = [estimate(statement, each, record.seconds, tables, columns, writes.rates) for statement, each in read]
    return Advice(record, writes, rank(candidates), left_out)


def _objection(statement: Statement, min_calls: int, known: Collection[str]) -> str:
    """Return why the statement is no candidate, as far as its text says it, or ""."""
    if statement.key.startswith(_HIDDEN):
        return "of other users: grant pg_read_all_stats to this one"
    if _OURS.search(statement.key):
        return "cacheaside's own"
    if not _SELECT.match(statement.key):
        return "writes" if _WRITE.match(statement.key) else "no query"
    if statement.mean_ms < _CHEAP_MS:
        return f"takes less than {_CHEAP_MS:g} ms, as a hit does"
    if statement.calls < min_calls:
        return f"called less than {min_calls} times"
    return "in the catalogue already" if fingerprint(statement.key) in known else ""


def _fingerprints(catalogue: Path) -> Iterator[str]:
    for path in catalogue.glob("queries/*.sql"):
        try:
            yield fingerprint(read_sql_file(path).sql)
        except CatalogueError:  # the check reports it
            continue
