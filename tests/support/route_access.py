"""Who may call each route, and how to call it. A route of the API without a row here fails the tests."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

__all__ = ["ROWS", "Guard", "Row", "asked_by"]


class Guard(Enum):
    """The parameter of template.yaml that decides what a route asks of its callers."""

    READS = "ReadAuthorization"
    WRITES = "WriteAuthorization"
    PAGES = "ReadAuthorization, and open in developer mode: a browser sends no credentials for a page"
    HEALTH = "HealthAuthorization"
    NONE = "nothing: a browser sends no credentials with a preflight request"


class Row(NamedTuple):
    """A request that reaches the route, and the status of the answer to a caller who may send it."""

    guard: Guard
    method: str
    path: str
    status: int = 200
    body: dict[str, Any] | None = None


def _read(guard: Guard, route: str, path: str = "") -> dict[str, Row]:
    return {f"{method} {route}": Row(guard, method, path or route) for method in ("GET", "HEAD")}


ROWS: Final[Mapping[str, Row]] = {
    **_read(Guard.PAGES, "/"),
    **_read(Guard.PAGES, "/docs"),
    **_read(Guard.READS, "/queries"),
    **_read(Guard.READS, "/queries/{name}", "/queries/product?id=7"),
    **_read(Guard.READS, "/queries/{name}/direct", "/queries/product/direct?id=7"),
    **_read(Guard.READS, "/openapi.json"),
    **_read(Guard.HEALTH, "/health"),
    "$default": Row(Guard.READS, "DELETE", "/queries/product", 405),
    "OPTIONS /{proxy+}": Row(Guard.NONE, "OPTIONS", "/queries/product", 405),
    "POST /commands/{name}": Row(Guard.WRITES, "POST", "/commands/set_price", body={"id": 7, "price": 7}),
    "POST /invalidations": Row(Guard.WRITES, "POST", "/invalidations", body={"tags": ["products:7"]}),
}


def asked_by(guard: Guard, parameters: Mapping[str, str]) -> str:
    """Return what the routes with this guard ask for in a stack with these parameters: open, iam or jwt."""
    reads = parameters.get("ReadAuthorization", "open")
    match guard:
        case Guard.WRITES:
            return parameters.get("WriteAuthorization", "iam")
        case Guard.PAGES:
            return "open" if parameters.get("DeveloperMode") == "on" else reads
        case Guard.HEALTH:
            return reads if parameters.get("HealthAuthorization") == "reads" else "open"
        case Guard.NONE:
            return "open"
    return reads
