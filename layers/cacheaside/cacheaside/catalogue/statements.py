"""The statements of the catalogue: queries, whose answers are cached, and commands, which write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cacheaside.catalogue.parameters import Parameter
from cacheaside.catalogue.policy import Policy

__all__ = ["Command", "Isolation", "Query", "Returns", "Statement"]

Returns = Literal["many", "one"]
Isolation = Literal["read committed", "repeatable read", "serializable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The part that queries and commands share."""

    name: str
    summary: str
    sql: str
    returns: Returns
    timeout_ms: int
    parameters: Mapping[str, Parameter]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(Statement):
    """A statement that reads. Its answer is cached as `policy` says, until one of its `tags` is invalidated."""

    tags: tuple[str, ...]
    policy: Policy
    verify: bool = True  # the verifier compares answers; False if one changes without a write, as with now()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Statement):
    """A statement that writes. Triggers of the database record which tables and rows it changed."""

    isolation: Isolation = "read committed"
