"""What an answer is made from, as PostgreSQL tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

__all__ = ["Facts", "KeyColumn", "Kind", "QueryRefused", "Scan", "Source"]


class Kind(Enum):
    """What a tag can name."""

    TABLE = "table"
    MATERIALIZED_VIEW = "materialized view"
    FUNCTION = "function"


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """One column of a primary key."""

    name: str
    type: str  # as PostgreSQL writes it, or "enum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A table, a materialized view or a function, by its tag."""

    tag: str
    kind: Kind
    name: str  # as SQL writes it
    key: tuple[KeyColumn, ...] = ()  # what its rows are named by; () if they have no tags of their own
    recorded: bool = True  # whether the outbox hears of its changes
    refusal: str = ""  # why it cannot be watched


@dataclass(frozen=True, slots=True)
class Scan:
    """One place in a query's plan where a table is read, with the columns that are equal to a parameter there."""

    tag: str
    equal: frozenset[tuple[str, str]]  # column and parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known about one query."""

    read: Mapping[str, Source]  # tables and materialized views by tag, also those behind views and functions
    opaque: Mapping[str, Source]  # functions by tag, of those that do not show what they read
    declared: Mapping[str, Source]  # what its tags name, by tag
    scans: tuple[Scan, ...] = ()  # of all tables, if a tag names a row
    out_of_plan: frozenset[str] = frozenset()  # tags of `read` whose scans `scans` may lack: a function does them


class QueryRefused(Exception):
    """PostgreSQL does not accept a query. `line` counts from 1 where its SQL begins, and is 0 if none was named."""

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
