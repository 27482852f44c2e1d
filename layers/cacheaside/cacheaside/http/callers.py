"""The caller of a request, as API Gateway has authenticated it: `requestContext.authorizer` of the event.

ReadAuthorization    authorizer
jwt                  {"jwt": {"claims": {"sub": "…"}}}      the claims of the checked token
iam                  {"iam": {"userArn": "…"}}              the signer; it has no claims
open                 none

Raises BadBody where the event has another form than API Gateway's.
"""

from __future__ import annotations

from typing import Any, Final

from cacheaside.catalogue.claims import NO_CLAIMS, Claims
from cacheaside.errors import BadIdempotencyKey
from cacheaside.http.messages import Request, expected

__all__ = ["caller_of", "claims_of"]

# A token of a service has no subject with some issuers. These claims name the client that it was issued to.
_CLIENT: Final = ("client_id", "azp")


def claims_of(request: Request) -> Claims:
    """Return the claims of the caller's token. There are none where API Gateway asks for no token.

    API Gateway sends each as text. Another value, which only an emulator sends, counts as missing.
    """
    if not request.event["requestContext"].get("authorizer"):  # as with each request where reads are open
        return NO_CLAIMS
    claims = _part(_part(_authorizer(request), "jwt"), "claims")
    return {name: value for name, value in claims.items() if isinstance(value, str)}


def caller_of(request: Request) -> str:
    """Return the signer of the request, or the subject of its token; "" where requests are not authorized.

    The session name of a role is removed: a retry may use new credentials, or come from another worker of the role. The
    users of an identity pool share a role, and have identities. Raises BadIdempotencyKey if a token names no caller.
    """
    iam, claims = _part(_authorizer(request), "iam"), claims_of(request)
    signer = expected(str, iam.get("userArn") or "")
    if ":assumed-role/" in signer:
        signer = signer.rpartition("/")[0]
    identity = expected(str, _part(iam, "cognitoIdentity").get("identityId") or "")
    if signer or not claims:
        return f"{signer} {identity}" if identity else signer
    if subject := claims.get("sub"):
        return subject
    for name in _CLIENT:
        if client := claims.get(name):
            return f"{name} {client}"
    raise BadIdempotencyKey("the token names no caller, by sub, client_id or azp: send no Idempotency-Key")


def _authorizer(request: Request) -> dict[str, Any]:
    return _part(request.event["requestContext"], "authorizer")


def _part(whole: dict[str, Any], name: str) -> dict[str, Any]:
    return expected(dict, whole.get(name) or {})
