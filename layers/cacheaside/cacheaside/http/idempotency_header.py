"""The header Idempotency-Key of a command (draft-ietf-httpapi-idempotency-key-header)."""

from __future__ import annotations

from collections.abc import Mapping

from cacheaside.catalogue.parameters import Value
from cacheaside.catalogue.statements import Command
from cacheaside.http.callers import caller_of
from cacheaside.http.messages import Request
from cacheaside.http.requests import IDEMPOTENCY_KEY
from cacheaside.writing.idempotency import Idempotency

__all__ = ["idempotency_of"]


def idempotency_of(request: Request, command: Command, values: Mapping[str, Value]) -> Idempotency | None:
    """Return the idempotency key of a request for `command`, or None without one. Raises BadIdempotencyKey."""
    header = request.headers.get(IDEMPOTENCY_KEY.lower())
    return None if header is None else Idempotency.of(header, command.name, values, caller_of(request))
