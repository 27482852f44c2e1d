"""Requests that show a catalogue: its queries, called with the examples of their parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from local.errors import LocalError

__all__ = ["Query", "claims_needed", "example_path", "examples", "listed_queries", "path_of", "requests_to_try"]

Query = Mapping[str, Any]  # as GET /queries lists it


def examples(query: Query) -> dict[str, Any]:
    """Return a value for each required parameter; the others have defaults. Raises `LocalError` for one without.

    A claim of the caller's token is no value to send.
    """
    sent = {name: about for name, about in query["parameters"].items() if "source" not in about}
    needed = {name: about for name, about in sent.items() if about.get("required")}
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


def claims_needed(query: Query) -> list[str]:
    """Return the claims of the caller's token that are parameters of the query."""
    sources = (about.get("source", "") for about in query["parameters"].values())
    return [source.removeprefix("claim:") for source in sources if source]


def example_path(query: Query) -> str:
    """Return path and query string of a request.

    Raises `LocalError` if a required parameter has no example, or if the request needs a token.
    """
    if claims := claims_needed(query):
        raise LocalError(f"query {query['name']}: ask it with a bearer token that has the claim {', '.join(claims)}")
    return path_of(query["name"], examples(query))


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
    """Return the queries of `catalogue`."""
    if not any(catalogue.glob("queries/*.sql")):
        return []
    # Imported late: a checkout without queries may have no library on its path.
    from cacheaside.catalogue.catalogue import Catalogue
    from cacheaside.http.listing import listing
    from cacheaside.settings import ApiSettings

    return [*listing(Catalogue.load(catalogue), ApiSettings())["data"]]


def _texts(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [item if isinstance(item, str) else json.dumps(item) for item in items]
