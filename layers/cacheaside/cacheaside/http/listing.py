"""The catalogue as GET /queries lists it."""

from __future__ import annotations

from typing import Any

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.http.schemas import describe_parameter

__all__ = ["listing"]


def listing(catalogue: Catalogue) -> dict[str, Any]:
    """Return one item of `data` for each query, and one of `errors` for each wrong file. Times are in seconds."""
    data = [
        {
            "name": query.name,
            "summary": query.summary,
            "returns": query.returns,
            "ttl": query.policy.ttl_ms / 1000,
            "stale": query.policy.stale_ms / 1000,
            "tags": list(query.tags),
            "parameters": {name: describe_parameter(parameter) for name, parameter in query.parameters.items()},
        }
        for query in catalogue.queries.values()
    ]
    errors = [{"place": error.place, "detail": error.reason} for error in catalogue.errors]
    return {"data": data, **({"errors": errors} if errors else {})}
