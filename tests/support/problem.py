"""What every problem document must be."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["problem"]


def problem(answer: Any, status: int, cache_control: str = "no-store") -> dict[str, Any]:
    """Check that `answer` is a problem of that status, and return its document."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == cache_control
    document: dict[str, Any] = answer.json
    assert document.keys() >= {"type", "title", "status", "detail", "instance"}
    assert document["status"] == status
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", document["instance"])
    return document
