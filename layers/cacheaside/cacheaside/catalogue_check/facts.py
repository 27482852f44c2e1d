"""The facts that PostgreSQL knows about a statement: whether it can be run, and what its answer depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

__all__ = ["DatabaseObject", "Facts", "KeyColumn", "ObjectKind", "Scan", "StatementFacts", "StatementRefused"]


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
class StatementFacts:
    """The facts about a query or a command."""

    columns: tuple[str, ...] = ()  # the names of its answer's columns
    grants: tuple[str, ...] = ()  # the statements that give its role the rights that it lacks
    not_as_role: str = ""  # why it could not be planned with the rights of its role, "" if it was


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts(StatementFacts):
    """The facts about one query. Objects are keyed by tag."""

    read: Mapping[str, DatabaseObject]  # tables and materialized views, also those behind views and functions
    opaque: Mapping[str, DatabaseObject]  # called functions for which PostgreSQL does not know the tables read
    declared: Mapping[str, DatabaseObject]  # the objects that its tags name, by the name as the tag has it
    scans: tuple[Scan, ...] = ()  # of all tables, if no grant is missing
    out_of_plan: frozenset[str] = frozenset()  # tags of `read` that a function or policy scans, outside of `scans`
    unscanned: frozenset[str] = frozenset()  # tags of `read` that the plan scans in fewer places than the query does
    locks_rows: bool = False  # whether it has FOR UPDATE or the like
    changes_data: tuple[str, ...] = ()  # the parts that a read-only transaction refuses
    unsteady: tuple[str, ...] = ()  # the parts whose result may change without a write
    outlasts_answers: bool = False  # whether a run took longer than its answer may be used


class StatementRefused(Exception):
    """PostgreSQL refuses a statement. `line` counts from 1 where its SQL begins, and is 0 if PostgreSQL named none.

    `grant` is a statement for a migration, after which PostgreSQL may accept it, or "".
    """

    def __init__(self, reason: str, line: int = 0, grant: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.grant = grant
