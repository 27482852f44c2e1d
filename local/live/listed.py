"""The queries of an API, as GET /queries lists them, and the path that asks each."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from local.errors import LocalError
from local.live.http import send
from local.live.target import Target

__all__ = ["ListedQuery", "examples", "listed_queries", "path_of"]

ListedQuery = Mapping[str, Any]


def listed_queries(api: Target) -> dict[str, ListedQuery]:
    """Return the queries of the API by name. Raises `LocalError`."""
    try:
        response = send("GET", f"{api.url}/queries", api.authorize)
    except (OSError, http.client.HTTPException) as error:
        raise LocalError(f"{api.url} does not answer ({error}): is it running?") from None
    if response.status != 200:
        raise LocalError(f"GET {api.url}/queries: {response}")
    return {query["name"]: query for query in json.loads(response.body)["data"]}


def examples(query: ListedQuery) -> dict[str, Any]:
    """Return a value for each required parameter; the others have defaults. Raises `LocalError` for one without."""
    needed = {name: about for name, about in query["parameters"].items() if about.get("required")}
    for name, about in needed.items():
        if "example" not in about:
            raise LocalError(f"query {query['name']}: give the required parameter {name} an example to send")
    return {name: about["example"] for name, about in needed.items()}


def path_of(name: str, values: Mapping[str, Any]) -> str:
    """Return the path and query string that ask the query `name`. A list repeats its parameter."""
    given = {parameter: _texts(value) for parameter, value in values.items() if value is not None}
    # A space is %20: in a signature + is not a space.
    parameters = urlencode(given, doseq=True, quote_via=quote)
    return f"/queries/{quote(name)}" + (f"?{parameters}" if parameters else "")


def _texts(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [item if isinstance(item, str) else json.dumps(item) for item in items]
