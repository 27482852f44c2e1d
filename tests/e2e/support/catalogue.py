"""The queries of the API under test, as GET /queries lists them, and the URL that calls each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import pytest

__all__ = ["Query", "examples", "target"]

Query = Mapping[str, Any]


def examples(query: Query) -> dict[str, Any]:
    """Return a value for each required parameter. The others have defaults. Without an example, the test is skipped."""
    needed = {name: about for name, about in query["parameters"].items() if about["required"]}
    missing = [name for name, about in needed.items() if "example" not in about]
    if missing:
        pytest.skip(f"query {query['name']}: give {', '.join(missing)} an example to send")
    return {name: about["example"] for name, about in needed.items()}


def target(query: Query, values: Mapping[str, Any] | None = None) -> str:
    """Return path and query string, by default with the examples."""
    given = {name: _texts(value) for name, value in (examples(query) if values is None else values).items()}
    # A space is %20: in a signature + is not a space.
    parameters = urlencode(given, doseq=True, quote_via=quote)
    return f"/queries/{quote(query['name'])}" + (f"?{parameters}" if parameters else "")


def _texts(value: Any) -> list[str]:
    """Return the values for a query string: a list repeats its parameter, booleans are lower-case."""
    items = value if isinstance(value, list) else [value]
    return [item if isinstance(item, str) else json.dumps(item) for item in items]
