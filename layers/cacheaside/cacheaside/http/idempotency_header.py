"""The header Idempotency-Key of a command (draft-ietf-httpapi-idempotency-key-header)."""

from __future__ import annotations

from collections.abc import Mapping

from cacheaside.catalogue.parameters import Value
from cacheaside.catalogue.statements import Command
from cacheaside.http.messages import Request
from cacheaside.http.requests import IDEMPOTENCY_KEY
from cacheaside.writing.idempotency import Idempotency

__all__ = ["idempotency_of"]


def idempotency_of(request: Request, command: Command, values: Mapping[str, Value]) -> Idempotency | None:
    """Return the idempotency key of a request for `command`, or None without one. Raises BadIdempotencyKey."""
    header = request.headers.get(IDEMPOTENCY_KEY.lower())
    return None if header is None else Idempotency.of(header, command.name, values, _caller(request))


def _caller(request: Request) -> str:
    """Return the signer of the request, or the subject of its token; "" where requests are not authorized.

    The session name of a role is removed: a retry may use new credentials, or come from another worker of the role.
    """
    authorizer = request.event["requestContext"].get("authorizer") or {}
    signer: str | None = (authorizer.get("iam") or {}).get("userArn")
    subject: str | None = ((authorizer.get("jwt") or {}).get("claims") or {}).get("sub")
    if signer and ":assumed-role/" in signer:
        signer = signer.rpartition("/")[0]
    return signer or subject or ""
