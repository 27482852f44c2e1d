"""Handlers that do nothing: what a sandbox costs with them is the share of AWS's runtime client."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["answer_large", "do_nothing"]

_ROW: Final = '{"id":1,"name":"Mug Lamp Cotton","price":79.1900},'


def do_nothing(_event: object, _context: object) -> dict[str, Any]:
    """Return the least that API Gateway takes as a response."""
    return {"statusCode": 204}


def answer_large(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return a body that is made for this call, of so many rows as the event asks for: 4.6 MB for 90,000."""
    return {"statusCode": 200, "body": _ROW * int(event["queryStringParameters"]["rows"])}
