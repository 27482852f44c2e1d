"""A user pool of the emulator, and a token of a user in it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from local.deployment.ministack import Emulator

__all__ = ["Identity"]

_PASSWORD = "Of-a-test-1"


@dataclass(frozen=True)
class Identity:
    issuer: str
    audience: str
    token: str

    @classmethod
    def create(cls, emulator: Emulator) -> Identity:
        cognito = emulator.client("cognito-idp")
        pool = cognito.create_user_pool(PoolName="callers")["UserPool"]["Id"]
        flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
        client = cognito.create_user_pool_client(UserPoolId=pool, ClientName="test", ExplicitAuthFlows=flows)
        audience = client["UserPoolClient"]["ClientId"]
        cognito.admin_create_user(UserPoolId=pool, Username="caller", MessageAction="SUPPRESS")
        cognito.admin_set_user_password(UserPoolId=pool, Username="caller", Password=_PASSWORD, Permanent=True)
        signed_in = cognito.initiate_auth(
            ClientId=audience,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": "caller", "PASSWORD": _PASSWORD},
        )
        token: str = signed_in["AuthenticationResult"]["IdToken"]
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return cls(claims["iss"], audience, token)
