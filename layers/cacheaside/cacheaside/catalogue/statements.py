"""The statements of the catalogue: queries, whose answers are cached, and commands, which write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from hashlib import blake2b
from typing import Literal, NamedTuple

from cacheaside.catalogue.parameters import Parameter
from cacheaside.catalogue.policy import Policy

__all__ = ["Command", "Isolation", "Query", "Returns", "Statement", "claims_needed"]

Returns = Literal["many", "one"]
Isolation = Literal["read committed", "repeatable read", "serializable"]


# A named tuple is made at each cold start in a third of the time of a frozen dataclass. It cannot cache a property.
class _Query(NamedTuple):
    name: str
    summary: str
    sql: str
    returns: Returns
    timeout_ms: int
    parameters: Mapping[str, Parameter]
    tags: tuple[str, ...]
    policy: Policy
    verify: bool = True  # the verifier compares answers; False if one changes without a write, as with now()


class Query(_Query):
    """A statement that reads. Its answer is cached as `policy` says, until one of its `tags` is invalidated."""

    @cached_property
    def identity(self) -> bytes:
        """16 bytes that differ between two queries if the same values can have another answer, or other tags.

        The policy is no part of it: it decides how long an answer is used, and not what it says.
        """
        parameters = sorted((each.name, each.type, each.is_list) for each in self.parameters.values())
        declared = json.dumps([self.name, self.sql, self.returns, self.tags, parameters])
        return blake2b(declared.encode(), digest_size=16).digest()

    @cached_property
    def claims(self) -> tuple[str, ...]:
        """The claims of the caller's token that are parameters. With some, each answer is that of one caller."""
        return claims_needed(self.parameters)


class Command(NamedTuple):
    """A statement that writes. Triggers of the database record which tables and rows it changed."""

    name: str
    summary: str
    sql: str
    returns: Returns
    timeout_ms: int
    parameters: Mapping[str, Parameter]
    isolation: Isolation = "read committed"


Statement = Query | Command


def claims_needed(parameters: Mapping[str, Parameter]) -> tuple[str, ...]:
    """Return the claims of the caller's token that are parameters."""
    return tuple(parameter.claim for parameter in parameters.values() if parameter.claim)
