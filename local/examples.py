"""Requests that show a catalogue: its queries, called with the examples of their parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from local.errors import LocalError

__all__ = ["Query", "example_path", "listed_queries", "requests_to_try"]

Query = Mapping[str, Any]  # as GET /queries lists it


def example_path(query: Query) -> str:
    """Return path and query string of a request. Raises `LocalError` if a required parameter has no example."""
    needed = {name: given for name, given in query["parameters"].items() if given.get("required")}
    for name, given in needed.items():
        if "example" not in given:
            raise LocalError(f"query {query['name']}: give the required parameter {name} an example to send")
    values = {name: _texts(given["example"]) for name, given in needed.items()}
    return f"/queries/{quote(query['name'])}" + (f"?{urlencode(values, doseq=True)}" if values else "")


def requests_to_try(url: str, queries: Sequence[Query]) -> str:
    """Return lines for a terminal: a call of the first query, and the list of all."""
    if not queries:
        return "  The catalogue has no queries yet: put a .sql file into functions/catalogue/queries"
    try:
        path = example_path(queries[0])
    except LocalError:  # the name alone: the answer says which parameters are needed
        path = f"/queries/{quote(queries[0]['name'])}"
    calls = [f"curl -i '{url}{path}'", f"curl -s '{url}/queries'"]
    width = max(map(len, calls))
    return f"  {calls[0]:<{width}}   # twice: a miss, then a hit\n  {calls[1]:<{width}}   # all queries"


def listed_queries(catalogue: Path) -> list[Query]:
    """Return the queries of `catalogue`, none if it cannot be read: the check has said why."""
    if not any(catalogue.glob("queries/*.sql")):
        return []
    # Imported late: a checkout without queries may have no library on its path.
    from cacheaside.catalogue.catalogue import Catalogue
    from cacheaside.errors import CatalogueError
    from cacheaside.http.listing import listing

    try:
        return [*listing(Catalogue.load(catalogue))]
    except CatalogueError:
        return []


def _texts(example: Any) -> list[str]:
    """Return the values for a query string: a list repeats its parameter, booleans are lower-case."""
    items = example if isinstance(example, list) else [example]
    return [item if isinstance(item, str) else json.dumps(item) for item in items]
