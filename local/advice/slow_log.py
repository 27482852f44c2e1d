"""Reads statements, their times and their values from PostgreSQL's log.

    2025-03-01 12:00:00.123 UTC [77] app@shop LOG:  duration: 31.4 ms  statement: select …
    2025-03-01 12:00:00.123 UTC [77] app@shop LOG:  duration: 31.4 ms  execute <unnamed>: select … $1
    2025-03-01 12:00:00.123 UTC [77] app@shop DETAIL:  Parameters: $1 = '42'
    2025-03-01 12:00:00.123 UTC [77] app@shop LOG:  duration: 31.4 ms  plan:
            Query Text: select …

log_line_prefix may be any that has a time. Files of csvlog and jsonlog are told by their first character. A
line that is damaged, such as the last one of a file that is still written, is left out.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from local.advice.normalised import Normalised
from local.advice.record import Record, Statement
from local.advice.repeated import Normaliser
from local.errors import LocalError

__all__ = ["read_logs"]

_EVENT: Final = re.compile(r"\b(?P<severity>LOG|DETAIL|STATEMENT|ERROR|HINT|CONTEXT|WARNING|FATAL):  ")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?|\b\d{10}\.\d{3}\b")
_DURATION: Final = re.compile(
    r"duration: (?P<ms>\d{1,15}(?:\.\d+)?) ms  "
    r"(?:(?:statement|execute (?!fetch from)[^:]*): (?P<sql>.*)|plan:\s*(?P<plan>.*))",
    re.DOTALL,
)
_PLAN_TEXT: Final = re.compile(
    r"Query Text: (?P<sql>.*?)\n\s*(?:Query Parameters: (?P<values>[^\n]*)\n\s*)?"
    r"(?=[A-Z][^\n]*\s\((?:cost|actual)|Query Identifier)",
    re.DOTALL,
)
_PARAMETERS: Final = re.compile(r"\$(\d{1,5}) = (?:NULL|'((?:[^']|'')*)')")
_CSV: Final = re.compile(r"\d{4}-\d\d-\d\d [\d:.]+ [^\s,]+,")  # the time zone may be a number
# A duration as PostgreSQL writes it in another language.
_FOREIGN: Final = re.compile(r"(?!duration\b)\b[^\W\d_]+ ?: \d+\.\d{3} [^\W\d_]+ ")
_CSV_TIME, _CSV_DATABASE, _CSV_MESSAGE, _CSV_DETAIL = 0, 2, 13, 14
# A log with faster statements than this has all statements.
_ALL_BELOW_MS: Final = 1.0
_QUESTIONS_AT_MOST: Final = 100_000
_LONGEST_FIELD: Final = 2**30  # no statement is longer
_TELL_EVERY: Final = 2**20
# What a damaged line of JSON raises: no JSON, nested too deeply, no object.
_DAMAGED: Final = (ValueError, RecursionError, AttributeError)


class _Event(NamedTuple):
    time: str
    database: str  # "" if the format does not say
    message: str
    detail: str


@dataclass(slots=True)
class _Group:
    first: Normalised
    calls: int = 0
    total_ms: float = 0.0
    values: list[Counter[Any]] = field(default_factory=list)  # by slot
    questions: set[int] = field(default_factory=set)


def read_logs(paths: Sequence[Path], database: str, progress: Callable[[int, int], None]) -> Record:
    """Return the record of the statements in the files, without those of other databases. Raises `LocalError`.

    Calls `progress` with the number of bytes that are read, and of all, if that takes long.
    """
    groups: dict[str, _Group] = {}
    normalised = Normaliser()
    first = last = None
    fastest = float("inf")
    for event in _events_of(paths, progress):
        if event.database not in ("", database) or (parsed := _statement(event)) is None:
            continue
        ms, sql, values = parsed
        try:
            when = _seconds(event.time)
        except ValueError:
            continue
        fastest = min(fastest, ms)
        if when is not None:
            first, last = min(first or when, when), max(last or when, when)
        _add(groups, *normalised(sql, values), ms)
    if not groups:
        raise LocalError(f"{', '.join(map(str, paths))}: {_why_nothing(paths)}")
    if first is None or last is None:
        raise LocalError("the lines of the log have no time: log_line_prefix needs %m, %t or %n")
    statements = [_finished(group) for group in groups.values()]
    return Record("the log", statements, max(last - first, 1.0), has_writes=fastest < _ALL_BELOW_MS)


def _events_of(paths: Sequence[Path], progress: Callable[[int, int], None]) -> Iterator[_Event]:
    """Yield the events of the files. Raises `LocalError` if one cannot be read."""
    done = 0
    path = paths[0]
    try:
        total = sum(path.stat().st_size for path in paths)
        for path in paths:
            with path.open("rb") as file:
                yield from _events(_lines(file, lambda size: progress(min(size, total), total), done))
            done += path.stat().st_size
    except OSError as error:
        raise LocalError(f"{path} cannot be read: {error.strerror}") from None
    if total >= _TELL_EVERY:
        progress(total, total)


def _lines(file: BinaryIO, progress: Callable[[int], None], done: int) -> Iterator[str]:
    told = done
    for line in file:
        done += len(line)
        if done - told >= _TELL_EVERY:
            progress(told := done)
        yield line.decode("utf-8", "replace")


def _why_nothing(paths: Sequence[Path]) -> str:
    for path in filter(Path.is_file, paths):  # a pipe cannot be read again
        with path.open("rb") as file:
            if _FOREIGN.search(file.read(_TELL_EVERY).decode("utf-8", "replace")):
                return "messages must be in English: set lc_messages = 'C'"
    return (
        "there is no line with a duration and a statement; switch on "
        "log_min_duration_statement, or auto_explain with log_nested_statements off"
    )


def _add(groups: dict[str, _Group], key: str, values: Sequence[Any], whole: Normalised | None, ms: float) -> None:
    if (group := groups.get(key)) is None:
        assert whole, "the first statement of a shape is normalised whole"
        group = groups[key] = _Group(whole, values=[Counter() for _ in whole.slots])
    group.calls += 1
    group.total_ms += ms
    for counter, value in zip(group.values, values, strict=True):
        if len(counter) < _QUESTIONS_AT_MOST or value in counter:
            counter[value] += 1
    if len(group.questions) < _QUESTIONS_AT_MOST:
        group.questions.add(hash(tuple(values)))


def _finished(group: _Group) -> Statement:
    """Return the statement. A literal that was the same in all calls stays; with one call, nothing is known."""

    def is_constant(at: int) -> bool:
        return not group.first.slots[at].number and (group.calls > 1 and len(group.values[at]) == 1)

    sql, parameters = group.first.sql(is_constant)
    examples = {number: _example(group.values[at]) for number, at in parameters.items()}
    known = {number: value for number, value in examples.items() if value is not None}
    return Statement(group.first.key, sql, group.calls, group.total_ms, len(group.questions), known)


def _example(values: Counter[Any]) -> Any:
    """Return the most common value. A text of one call alone may be personal."""
    [(value, times)] = values.most_common(1)
    if isinstance(value, tuple):
        return list(value)
    return value if times > 1 or not isinstance(value, str) or not value.strip("0123456789-:. ") else None


def _statement(event: _Event) -> tuple[float, str, dict[int, str | None]] | None:
    match = _DURATION.match(event.message)
    if match is None:
        return None
    values = event.detail if event.detail.lower().startswith("parameters:") else ""
    sql = match["sql"]
    if match["plan"] is not None:
        sql, values = _text_of_plan(match["plan"])
    if not sql:
        return None
    return float(match["ms"]), sql, _values(values)


def _text_of_plan(plan: str) -> tuple[str, str]:
    if plan.lstrip().startswith("{"):
        try:
            document = json.loads(plan)
            return str(document.get("Query Text", "")), str(document.get("Query Parameters", ""))
        except _DAMAGED:
            return "", ""
    match = _PLAN_TEXT.search(plan)
    return (match["sql"], match["values"] or "") if match else ("", "")


def _values(text: str) -> dict[int, str | None]:
    found = _PARAMETERS.finditer(text)
    return {int(match[1]): None if match[2] is None else match[2].replace("''", "'") for match in found}


def _events(lines: Iterator[str]) -> Iterator[_Event]:
    first = next(lines, "")
    lines = chain([first], lines)
    if first.startswith("{"):
        return _json_events(lines)
    return _csv_events(lines) if _CSV.match(first) else _plain_events(lines)


def _json_events(lines: Iterable[str]) -> Iterator[_Event]:
    for line in lines:
        try:
            found = json.loads(line)
            fields = [str(found.get(name, "")) for name in ("timestamp", "dbname", "message", "detail")]
        except _DAMAGED:
            continue
        yield _Event(*fields)


def _csv_events(lines: Iterable[str]) -> Iterator[_Event]:
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(lines)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            continue
        if len(row) > _CSV_DETAIL:
            yield _Event(row[_CSV_TIME], row[_CSV_DATABASE], row[_CSV_MESSAGE], row[_CSV_DETAIL])


def _plain_events(lines: Iterable[str]) -> Iterator[_Event]:
    """Yield events of several lines, of which all but the first begin with a tab. A DETAIL follows its LOG."""
    time, kind, parts, last = "", "", list[str](), _Event("", "", "", "")
    for line in chain(lines, ["LOG:  end"]):
        line = line.rstrip("\r\n")
        match = None if line.startswith("\t") else _EVENT.search(line)
        if match is None:
            parts.append(line.removeprefix("\t"))
            continue
        text = "\n".join(parts)
        if kind == "DETAIL":
            last = last._replace(detail=text)
        elif kind:
            yield last
            last = _Event(time, "", text if kind == "LOG" else "", "")
        found = _TIME.search(line, 0, match.start())
        time, kind, parts = found[0] if found else "", match["severity"], [line[match.end() :]]
    yield last


def _seconds(time: str) -> float | None:
    """Return the time, or None if there is none. Raises `ValueError` for a thirteenth month."""
    if not (match := _TIME.search(time)):
        return None
    text = match[0]
    return float(text) if text[4] != "-" else datetime.fromisoformat(text).timestamp()
