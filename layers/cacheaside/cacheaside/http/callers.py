"""The caller of a request, as API Gateway has authenticated it: `requestContext.authorizer` of the event.

ReadAuthorization    authorizer
jwt                  {"jwt": {"claims": {"sub": "…"}}}      the claims of the checked token
iam                  {"iam": {"userArn": "…"}}              the signer; it has no claims
open                 none
"""

from __future__ import annotations

from typing import Any

from cacheaside.catalogue.claims import Claims
from cacheaside.http.messages import Request

__all__ = ["caller_of", "claims_of"]


def claims_of(request: Request) -> Claims:
    """Return the claims of the caller's token. There are none where API Gateway asks for no token.

    API Gateway sends each as text. Another value, which only an emulator sends, counts as missing.
    """
    claims: dict[str, object] = (_authorizer(request).get("jwt") or {}).get("claims") or {}
    return {name: value for name, value in claims.items() if isinstance(value, str)}


def caller_of(request: Request) -> str:
    """Return the signer of the request, or the subject of its token; "" where requests are not authorized.

    The session name of a role is removed: a retry may use new credentials, or come from another worker of the role.
    """
    signer: str | None = (_authorizer(request).get("iam") or {}).get("userArn")
    if signer and ":assumed-role/" in signer:
        signer = signer.rpartition("/")[0]
    return signer or claims_of(request).get("sub") or ""


def _authorizer(request: Request) -> dict[str, Any]:
    return request.event["requestContext"].get("authorizer") or {}
