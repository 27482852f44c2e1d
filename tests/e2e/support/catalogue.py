"""The queries of the API under test, as GET /queries lists them, and the URL that calls each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.live.listed import ListedQuery as Query
from local.live.listed import examples, path_of

__all__ = ["Query", "examples", "target"]


def target(query: Query, values: Mapping[str, Any] | None = None) -> str:
    """Return path and query string, by default with the examples."""
    return path_of(query["name"], examples(query) if values is None else values)
