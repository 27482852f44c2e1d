"""IAM passwords for RDS and ElastiCache: presigned requests that are never sent, signed here without a network call.

The signature is AWS Signature Version 4 in query form
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html). botocore has a
signer too, but importing it takes as long as the Powertools resolver. A test compares the two byte for byte.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from cacheaside.errors import SettingsError

__all__ = ["Credentials", "cache_token", "database_token", "lambda_credentials"]

# The longest time that both services accept. A token must be valid only while a connection is opened.
_VALID_S: Final = 900
_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_EMPTY_SHA256: Final = hashlib.sha256(b"").hexdigest()
_ENDPOINT_S: Final = 0.5  # the endpoint is in the sandbox itself


# Only a function that starts from a snapshot asks the endpoint. Then this import is in the snapshot, and with any other
# start it would take time for nothing.
if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    import http.client  # noqa: F401


class Credentials(NamedTuple):
    """The keys that sign a request."""

    access_key: str
    secret_key: str
    session_token: str | None

    def __repr__(self) -> str:
        return f"Credentials(access_key={self.access_key!r})"  # the rest is secret, and must not be logged


def lambda_credentials(environment: Mapping[str, str] = os.environ) -> Credentials:
    """Return the credentials of this function. Raises SettingsError outside Lambda.

    A function that starts from a snapshot has no keys in its environment, because they would expire there. It asks an
    endpoint in the sandbox for the current ones. Raises OSError if the endpoint does not answer.
    https://docs.aws.amazon.com/lambda/latest/dg/snapstart-activate.html#snapstart-credentials
    """
    if "AWS_ACCESS_KEY_ID" not in environment and (endpoint := environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")):
        return _ask_endpoint(endpoint, environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", ""))
    try:
        return Credentials(
            environment["AWS_ACCESS_KEY_ID"],
            environment["AWS_SECRET_ACCESS_KEY"],
            environment.get("AWS_SESSION_TOKEN"),
        )
    except KeyError as error:
        raise SettingsError(f"{error.args[0]} is missing, and AUTHENTICATION is iam; outside of AWS use url") from None


def _ask_endpoint(endpoint: str, authorization: str) -> Credentials:
    """Return the current credentials. They are not kept: they expire, and only opening a connection needs them."""
    from http.client import HTTPConnection, HTTPException

    url = urlsplit(endpoint)
    connection = HTTPConnection(url.netloc, timeout=_ENDPOINT_S)
    try:
        connection.request("GET", url.path, headers={"Authorization": authorization})
        response = connection.getresponse()
        answer = json.loads(response.read())
        return Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["Token"])
    except (HTTPException, ValueError, TypeError, KeyError) as error:
        raise OSError("the sandbox's endpoint for credentials returned none") from error
    finally:
        connection.close()


def _utc_now() -> datetime:
    return datetime.now(UTC)


def database_token(
    credentials: Credentials,
    region: str,
    host: str,
    port: int,
    user: str,
    now: Callable[[], datetime] = _utc_now,
) -> str:
    """Return the password with which `user` may open a connection to RDS during the next 15 minutes."""
    parameters = {"Action": "connect", "DBUser": user}
    return _presign(credentials, region, "rds-db", f"{host}:{port}", parameters, now())


def cache_token(
    credentials: Credentials,
    region: str,
    cache_name: str,
    user: str,
    now: Callable[[], datetime] = _utc_now,
    *,
    serverless: bool = False,
) -> str:
    """Return the password with which `user` may open a connection to ElastiCache during the next 15 minutes."""
    parameters = {"Action": "connect", "User": user} | ({"ResourceType": "ServerlessCache"} if serverless else {})
    return _presign(credentials, region, "elasticache", cache_name, parameters, now())


def _presign(
    credentials: Credentials, region: str, service: str, host: str, parameters: dict[str, str], now: datetime
) -> str:
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    query = parameters | {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key}/{scope}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(_VALID_S),
        "X-Amz-SignedHeaders": "host",
    }
    if credentials.session_token:
        query["X-Amz-Security-Token"] = credentials.session_token
    canonical = "\n".join(("GET", "/", _encode(sorted(query.items())), f"host:{host}", "", "host", _EMPTY_SHA256))
    to_sign = "\n".join((_ALGORITHM, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    return f"{host}/?{_encode(query.items())}&X-Amz-Signature={signature}"


def _encode(query: Iterable[tuple[str, str]]) -> str:
    return urlencode(list(query), quote_via=quote, safe="-_.~")
