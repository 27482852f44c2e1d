"""Handlers that do nothing: what a sandbox costs with them is the share of AWS's runtime client."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["answer_large", "do_nothing"]

_ROW: Final = '{"id":1,"name":"Mug Lamp Cotton","price":79.19},'
_LARGE_BYTES: Final = 4_600_000


def do_nothing(_event: object, _context: object) -> dict[str, Any]:
    """Return the least that API Gateway takes as a response."""
    return {"statusCode": 204}


def answer_large(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return a body of JSON that is made for this call, of 4.6 MB if the event asks for many rows."""
    large = len(event["rawQueryString"]) > len("rows=1000")
    return {"statusCode": 200, "body": _ROW * (_LARGE_BYTES // len(_ROW) if large else 4)}
