"""The headers of the API's responses and requests, typed. Operations refer to them by name."""

from __future__ import annotations

from typing import Any, Final

from cacheaside.http.requests import IDEMPOTENCY_KEY

__all__ = ["ANSWER_HEADERS", "DOCUMENT_HEADERS", "HEADERS", "PARAMETERS", "header_references", "parameter_references"]

# Of every answer of a query, also of one without a row; of a document that has an entity tag.
ANSWER_HEADERS: Final = ("Cache-Status", "Age", "Vary", "Cache-Control", "Server-Timing")
DOCUMENT_HEADERS: Final = ("Vary", "Cache-Control", "ETag")

_NUMBER: Final = r"[0-9]+(\.[0-9]+)?"


def _always(description: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "required": True, "schema": schema}


def _sometimes(description: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "schema": schema}


HEADERS: Final[dict[str, dict[str, Any]]] = {
    "Age": _always("Seconds since the answer was read from the database.", type="integer", minimum=0),
    "Cache-Control": _always(
        "Whether the client may keep the answer.", type="string", examples=["no-cache", "private, no-cache"]
    ),
    "Cache-Status": _always(
        "The source of the answer (RFC 9211).",
        type="string",
        pattern="^cacheaside; (hit|fwd=(miss|stale|bypass|request))(;.*)?$",
        examples=["cacheaside; hit; ttl=42"],
    ),
    "Content-Encoding": _sometimes("Of a large body, if the client accepts it.", type="string", enum=["gzip"]),
    "ETag": _always(
        "Identifies the body. If-None-Match with it gets 304 while the body is the same; If-Match gets 412 after.",
        type="string",
        pattern='^"[0-9a-f]{32}(-gzip)?"$',
    ),
    "Idempotency-Replayed": _sometimes(
        "This is the answer to an earlier request with the same key.", type="string", enum=["true"]
    ),
    "Retry-After": _sometimes("Seconds to wait before the same request is sent again.", type="integer", minimum=1),
    "Server-Timing": _always(
        "Milliseconds spent in the cache, in the database and in total.",
        type="string",
        pattern=f"^cache;dur={_NUMBER}, (db;dur={_NUMBER}, )?total;dur={_NUMBER}$",
        examples=["cache;dur=0.41, total;dur=0.62"],
    ),
    "Vary": _always(
        "Large bodies are compressed, and some answers depend on who asks.",
        type="string",
        enum=["Accept-Encoding", "Accept-Encoding, Authorization"],
    ),
}

PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "If-Match": {
        "name": "If-Match",
        "in": "header",
        "description": "Entity tags: 412 if the answer has none of them.",
        "schema": {"type": "string"},
    },
    "If-None-Match": {
        "name": "If-None-Match",
        "in": "header",
        "description": "Entity tags that the client has: 304 if the answer has one of them.",
        "schema": {"type": "string"},
    },
    IDEMPOTENCY_KEY: {
        "name": IDEMPOTENCY_KEY,
        "in": "header",
        "description": "A command that is sent again with the same key within a day is not carried out again.",
        "schema": {
            "type": "string",
            # Visible ASCII without a comma, or the same in quotes.
            "pattern": r'^(?:[!#-+\x2d-~][!-+\x2d-~]{0,254}|"(?:[!#-+\x2d-\[\]-~]|\\["\\]){1,255}")$',
        },
        "example": "0e37df36-f698-11e6-8dd4-cb9ced3df976",
    },
}


def header_references(*names: str) -> dict[str, Any]:
    """Return headers of a response, by reference."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def parameter_references(*names: str) -> list[dict[str, Any]]:
    """Return headers of a request, by reference."""
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]
