"""The facts that PostgreSQL knows about a query: the tables and functions that its answer depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

__all__ = ["DatabaseObject", "Facts", "KeyColumn", "ObjectKind", "QueryRefused", "Scan"]


class ObjectKind(Enum):
    """The kinds of objects that a tag can name."""

    TABLE = "table"
    MATERIALIZED_VIEW = "materialized view"
    FUNCTION = "function"


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """One column of a primary key."""

    name: str
    type: str  # in PostgreSQL's notation, or "enum"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseObject:
    """A table, a materialized view or a function."""

    tag: str
    kind: ObjectKind
    name: str  # in SQL, quoted where needed
    key: tuple[KeyColumn, ...] = ()  # of the tags of its rows; () if they have no tags
    recorded: bool = True  # whether triggers record its changes in the outbox
    refusal: str = ""  # why it cannot be watched, "" if it can


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan of a table in a query's plan, with the columns that must be equal to a parameter."""

    tag: str
    equal: frozenset[tuple[str, str]]  # column and parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The facts about one query. Objects are keyed by tag."""

    read: Mapping[str, DatabaseObject]  # tables and materialized views, also those behind views and functions
    opaque: Mapping[str, DatabaseObject]  # called functions for which PostgreSQL does not know the tables read
    declared: Mapping[str, DatabaseObject]  # the objects that its tags name
    scans: tuple[Scan, ...] = ()  # of all tables, if a tag names a row
    out_of_plan: frozenset[str] = frozenset()  # tags of `read` that a function or policy scans, outside of `scans`


class QueryRefused(Exception):
    """PostgreSQL refuses a query. `line` counts from 1 where its SQL begins, and is 0 if PostgreSQL named none."""

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
