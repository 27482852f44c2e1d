"""IAM tokens must equal those of botocore's own signer for the same request and moment, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from unittest.mock import patch

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from botocore.session import Session

from cacheaside.drivers.iam import Credentials, cache_token, database_token, lambda_credentials
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import DatabaseUnavailable, SettingsError
from cacheaside.settings import Authentication, DatabaseSettings

NOW = datetime(2026, 11, 23, 9, 30, 0, tzinfo=UTC)
REGION = "eu-central-1"
HOST = "shop.abcdefghijkl.eu-central-1.rds.amazonaws.com"
# These characters must be percent-encoded in some parts of a request, and not in others.
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY=EXAMPLEKEY"
SESSION_TOKEN = "IQoJb3JpZ2luX2VjEA0aDGV1LWNlbnRyYWwtMSJHMEU/+=="


@pytest.fixture(params=[SESSION_TOKEN, None], ids=["role", "user"])
def credentials(request: pytest.FixtureRequest) -> Credentials:
    return Credentials("AKIDEXAMPLE", SECRET, request.param)


@pytest.fixture(autouse=True)
def botocore_clock() -> object:
    with patch.object(botocore.auth, "get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        yield


def test_database_token_equals_that_of_botocore(credentials: Credentials) -> None:
    client = Session().create_client(
        "rds",
        REGION,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        aws_session_token=credentials.session_token,
    )
    expected = client.generate_db_auth_token(HOST, 5432, "cacheaside_query")
    assert database_token(credentials, REGION, HOST, 5432, "cacheaside_query", lambda: NOW) == expected


@pytest.mark.parametrize("kind", [{}, {"ResourceType": "ServerlessCache"}], ids=["replication-group", "serverless"])
def test_cache_token_equals_that_of_botocore(credentials: Credentials, kind: dict[str, str]) -> None:
    # botocore has no call for this token. AWS documents the request, and the general signer of botocore signs it.
    request = AWSRequest("GET", "https://shop-cache/", params={"Action": "connect", "User": "shop-query", **kind})
    boto = BotoCredentials(credentials.access_key, credentials.secret_key, credentials.session_token)
    botocore.auth.SigV4QueryAuth(boto, "elasticache", REGION, expires=900).add_auth(request)
    expected = request.url.removeprefix("https://")
    token = cache_token(credentials, REGION, "shop-cache", "shop-query", lambda: NOW, serverless=bool(kind))
    assert token == expected


def test_credentials_come_from_the_environment_and_are_not_printed() -> None:
    credentials = lambda_credentials({"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": SECRET})
    assert SECRET not in repr(credentials)
    with pytest.raises(SettingsError, match="AWS_ACCESS_KEY_ID is missing"):
        lambda_credentials({})


class Endpoint(HTTPServer):
    """The endpoint that gives credentials to a sandbox that was started from a snapshot."""

    body: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{self.server_port}/2021-04-23/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "let me",
        }


class _Get(BaseHTTPRequestHandler):
    server: Endpoint

    def do_GET(self) -> None:
        known = (self.path, self.headers["Authorization"]) == ("/2021-04-23/credentials", "let me")
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write((self.server.body if known else "{}").encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setattr("cacheaside.drivers.iam._ENDPOINT_S", 30)
    with Endpoint(("127.0.0.1", 0), _Get) as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield server
        server.shutdown()


def test_function_from_a_snapshot_asks_its_endpoint_each_time(endpoint: Endpoint) -> None:
    for key in ("AKID1", "AKID2"):  # earlier credentials may have expired
        endpoint.body = json.dumps({"AccessKeyId": key, "SecretAccessKey": SECRET, "Token": "T", "Expiration": "soon"})
        assert lambda_credentials(endpoint.environment) == Credentials(key, SECRET, "T")


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"Code": "no", "Message": "never"}'])
def test_endpoint_without_credentials_raises_an_error_that_drivers_handle(endpoint: Endpoint, body: str) -> None:
    endpoint.body = body
    with pytest.raises(OSError, match="returned none"):
        lambda_credentials(endpoint.environment)


def test_database_without_credentials_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/credentials")
    settings = DatabaseSettings(url=f"postgresql://q@{HOST}/shop", authentication=Authentication.IAM, region=REGION)
    with pytest.raises(DatabaseUnavailable):
        Queries(settings).ping()
