"""What the catalogue consists of: queries, which are cached, and commands, which write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from cacheaside.catalogue.parameters import Parameter, Value, query_string
from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.tags import resolve_tags
from cacheaside.reading.keys import Keys, statement_keys

__all__ = ["BoundQuery", "Command", "Isolation", "Query", "Returns", "Statement"]

Returns = Literal["many", "one"]
Isolation = Literal["read committed", "repeatable read", "serializable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What queries and commands have in common."""

    name: str
    summary: str
    sql: str
    returns: Returns
    timeout_ms: int
    parameters: Mapping[str, Parameter]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(Statement):
    """A statement that reads, and whose answer is cached as `policy` says, until something behind `tags` changes."""

    tags: tuple[str, ...]
    policy: Policy
    verify: bool = True  # may be compared with the database; not if it changes without a write, as by now()

    def bind(self, values: Mapping[str, Value]) -> BoundQuery:
        """Return this query with checked values (see `parameters.bind_text`) for all its parameters."""
        return BoundQuery(self, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Statement):
    """A statement that writes. What it has changed, the database tells."""

    isolation: Isolation = "read committed"


@dataclass(frozen=True)
class BoundQuery:
    """A query with values for its parameters: one question, with one place in the cache."""

    query: Query
    values: Mapping[str, Value]

    @cached_property
    def keys(self) -> Keys:
        """Where its answer lives."""
        tags = resolve_tags(self.query.tags, self.values)
        return statement_keys(self.query.name, self.query.sql, self.values, tags)

    @property
    def question(self) -> str:
        """The values as a query string: what `bind_text` takes to ask the same again."""
        return query_string(self.values)
