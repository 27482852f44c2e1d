"""The API's routes, as the translated template defines them."""

from __future__ import annotations

from typing import Any, Final

from tests.template.support.stack import Stack

Route = tuple[str, str]
PREFLIGHT: Final[Route] = ("OPTIONS", "/{proxy+}")
PAGES: Final[set[Route]] = {(method, path) for method in ("GET", "HEAD") for path in ("/", "/docs")}


def body(stack: Stack) -> dict[str, Any]:
    """Return the OpenAPI definition."""
    found: dict[str, Any] = stack.resources["HttpApi"]["Properties"]["Body"]
    return found


def operations(stack: Stack) -> dict[Route, dict[str, Any]]:
    """Return (method, path) -> operation."""
    return {
        ("ANY" if method == "x-amazon-apigateway-any-method" else method.upper(), path): operation
        for path, methods in body(stack)["paths"].items()
        for method, operation in methods.items()
    }
