"""Documents of the API itself as responses: the catalogue, health, OpenAPI, and the result of an invalidation."""

from __future__ import annotations

import json
from typing import Final

from cacheaside.http.messages import Response

__all__ = ["JSON", "json_response"]

JSON: Final = "application/json"


def json_response(document: object, status: int = 200) -> Response:
    """Return `document` as JSON. Clients must not keep it: it changes with time or with a deployment."""
    body = json.dumps(document, ensure_ascii=False)
    return Response(status, {"Content-Type": JSON, "Cache-Control": "no-store"}, body)
