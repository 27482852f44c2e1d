"""Questions of queries that are in no catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cacheaside.catalogue.parameters import Value
from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.reading.question import Question

__all__ = ["question"]


def question(sql: str, values: Mapping[str, Value] | None = None, **changes: Any) -> Question:
    """Return the question of a query, by default one without parameters. `changes` replace fields of the query."""
    fields: dict[str, Any] = {"name": "q", "summary": "", "returns": "many", "timeout_ms": 10_000, "tags": ()}
    fields |= {"parameters": {}, "policy": Policy(ttl_ms=60_000)} | changes
    return Question(Query(sql=sql, **fields), values or {})
