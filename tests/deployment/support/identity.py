"""A user pool of the emulator, a token of a user in it, and tokens that the API must refuse."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.deployment.ministack import Emulator

__all__ = ["Identity"]

_PASSWORD = "Of-a-test-1"
_FLOWS = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]


@dataclass(frozen=True)
class Identity:
    issuer: str
    audience: str
    token: str
    refused: Mapping[str, str]  # tokens by what is wrong with them

    @classmethod
    def create(cls, emulator: Emulator) -> Identity:
        cognito = emulator.client("cognito-idp")
        pool = _pool(cognito)
        # AWS has no tokens of a second. The emulator does, and so the test need not wait for minutes.
        audience = _client(cognito, pool, IdTokenValidity=1, TokenValidityUnits={"IdToken": "seconds"})
        expired = _token(cognito, audience)
        lasting = {"IdTokenValidity": 1, "TokenValidityUnits": {"IdToken": "hours"}}
        cognito.update_user_pool_client(UserPoolId=pool, ClientId=audience, ExplicitAuthFlows=_FLOWS, **lasting)
        token = _token(cognito, audience)
        claims = _decoded(token.split(".")[1])
        refused = {
            "expired": expired,
            "of another audience": _token(cognito, _client(cognito, pool)),
            "of another issuer": _token(cognito, _client(cognito, _pool(cognito))),
            **_forged(token, expired, claims),
        }
        while time.time() <= _decoded(expired.split(".")[1])["exp"]:
            time.sleep(0.1)
        return cls(claims["iss"], audience, token, refused)

    @property
    def subject(self) -> str:
        """The claim `sub` of the token."""
        return str(_decoded(self.token.split(".")[1])["sub"])


def _forged(token: str, other: str, claims: Mapping[str, Any]) -> dict[str, str]:
    """Return tokens with the claims of `token` that its issuer has not signed."""
    head, body, _ = token.split(".")
    header = _decoded(head)
    symmetric = f"{_encoded({**header, 'alg': 'HS256'})}.{body}"
    key = json.dumps({"issuer": claims["iss"]}).encode()  # any key: the issuer has no symmetric one
    mac = base64.urlsafe_b64encode(hmac.digest(key, symmetric.encode(), hashlib.sha256)).decode().rstrip("=")
    return {
        "signed as another token": f"{head}.{body}.{other.split('.')[2]}",
        "with a changed claim": f"{head}.{_encoded({**claims, 'sub': 'admin'})}.{token.split('.')[2]}",
        "without a signature": f"{_encoded({**header, 'alg': 'none'})}.{body}.",
        "signed with a symmetric key": f"{symmetric}.{mac}",
        "of no form": "no.valid.token",
    }


def _pool(cognito: Any) -> str:
    """Create a user pool with one user. Return its id."""
    pool: str = cognito.create_user_pool(PoolName="callers")["UserPool"]["Id"]
    cognito.admin_create_user(UserPoolId=pool, Username="caller", MessageAction="SUPPRESS")
    cognito.admin_set_user_password(UserPoolId=pool, Username="caller", Password=_PASSWORD, Permanent=True)
    return pool


def _client(cognito: Any, pool: str, **settings: Any) -> str:
    """Create a client of the pool: an audience of tokens. Return its id."""
    created = cognito.create_user_pool_client(UserPoolId=pool, ClientName="test", ExplicitAuthFlows=_FLOWS, **settings)
    return str(created["UserPoolClient"]["ClientId"])


def _token(cognito: Any, audience: str) -> str:
    signed_in = cognito.initiate_auth(
        ClientId=audience,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "caller", "PASSWORD": _PASSWORD},
    )
    return str(signed_in["AuthenticationResult"]["IdToken"])


def _decoded(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def _encoded(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
