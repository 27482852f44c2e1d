"""The part of the query language of CloudWatch Logs Insights that the runbook uses. Anything else is an error."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["run"]

Record = dict[str, Any]
_TERM = re.compile(r'([@\w.]+) (like|=|!=|>=|>|<=|<|in) (?:"([^"]*)"|(\d+)|(\[[^]]*\]))')
_COLUMN = re.compile(r"(count|max|pct)\(([@\w.*]+)(?:, \d+)?\)(?: as (\w+))?")
_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda value, given: bool(value == given),
    "!=": lambda value, given: bool(value != given),
    ">": lambda value, given: float(value) > float(given),
    ">=": lambda value, given: float(value) >= float(given),
    "like": lambda value, given: given in str(value),
    "in": lambda value, given: value in given,
}


def run(query: str, lines: Sequence[str]) -> list[Record]:
    """Return the rows that the query finds in the lines of a log group: values by the name of their column."""
    rows = [_Line(line) for line in lines]
    for command in query.strip().split("|"):
        verb, _, rest = command.strip().partition(" ")
        rows = {"filter": _filter, "stats": _stats, "fields": _fields, "sort": _sort, "limit": _limit}[verb](rest, rows)
    return [dict(row) for row in rows]


class _Line(dict[str, Any]):
    """The fields of a line of JSON, with a dot between the names of nested ones."""

    def __init__(self, line: str) -> None:
        super().__init__({"@message": line, "@timestamp": "now"})
        if line.startswith("{"):
            self._add("", json.loads(line))

    def _add(self, prefix: str, values: dict[str, Any]) -> None:
        for name, value in values.items():
            if isinstance(value, dict):
                self._add(f"{prefix}{name}.", value)
            elif value is not None:
                self[prefix + name] = value


def _filter(condition: str, rows: list[Any]) -> list[Any]:
    for term in condition.split(" and "):
        if present := re.fullmatch(r"ispresent\(([@\w.]+)\)", term):
            rows = [row for row in rows if present[1] in row]
            continue
        matched = _TERM.fullmatch(term)
        assert matched, f"a filter that this file does not know: {term}"
        name, operator, text, number, listed = matched.groups()
        given = json.loads(listed) if listed else text if text is not None else number
        # A field that a line lacks differs from every value.
        rows = [row for row in rows if (_COMPARED[operator](row[name], given) if name in row else operator == "!=")]
    return rows


def _stats(columns: str, rows: list[Any]) -> list[Any]:
    aggregates, _, keys = columns.partition(" by ")
    assert re.fullmatch(rf"{_COLUMN.pattern}(?:, {_COLUMN.pattern})*", aggregates), aggregates
    names = re.sub(r"bin\(\d+[smh]\)", "@timestamp", keys).split(", ")
    groups: dict[tuple[str, ...], list[Any]] = {}
    for row in rows:
        groups.setdefault(tuple(str(row.get(name, "")) for name in names), []).append(row)
    found = []
    for key, members in groups.items():
        result = dict(zip(names, key, strict=True))
        for function, field, alias in _COLUMN.findall(aggregates):
            values = [float(row[field]) for row in members if field in row]
            result[alias or f"{function}({field})"] = len(members) if function == "count" else max(values, default="")
        found.append(result)
    return found


def _fields(names: str, rows: list[Any]) -> list[Any]:
    return [{name: row.get(name, "") for name in names.split(", ")} for row in rows]


def _sort(order: str, rows: list[Any]) -> list[Any]:
    name, direction = order.split(" ")
    return sorted(rows, key=lambda row: row[name], reverse=direction == "desc")


def _limit(number: str, rows: list[Any]) -> list[Any]:
    return rows[: int(number)]
