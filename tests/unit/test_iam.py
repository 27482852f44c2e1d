"""IAM tokens, byte for byte what botocore's own signer makes of the same request at the same moment."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest.mock import patch

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from botocore.session import Session

from cacheaside.drivers.iam import Credentials, cache_token, database_token, lambda_credentials
from cacheaside.errors import SettingsError

NOW = datetime(2026, 11, 23, 9, 30, 0, tzinfo=UTC)
REGION = "eu-central-1"
HOST = "shop.abcdefghijkl.eu-central-1.rds.amazonaws.com"
# Every character that must be percent-encoded in one place and not in another.
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY=EXAMPLEKEY"
SESSION_TOKEN = "IQoJb3JpZ2luX2VjEA0aDGV1LWNlbnRyYWwtMSJHMEU/+=="


@pytest.fixture(params=[SESSION_TOKEN, None], ids=["role", "user"])
def credentials(request: pytest.FixtureRequest) -> Credentials:
    return Credentials("AKIDEXAMPLE", SECRET, request.param)


@pytest.fixture(autouse=True)
def botocore_clock() -> object:
    with patch.object(botocore.auth, "get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        yield


def test_database_token_is_the_one_of_botocore(credentials: Credentials) -> None:
    client = Session().create_client(
        "rds",
        REGION,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        aws_session_token=credentials.session_token,
    )
    theirs = client.generate_db_auth_token(HOST, 5432, "cacheaside_query")
    assert database_token(credentials, REGION, HOST, 5432, "cacheaside_query", lambda: NOW) == theirs


@pytest.mark.parametrize("kind", [{}, {"ResourceType": "ServerlessCache"}], ids=["replication-group", "serverless"])
def test_cache_token_is_the_one_of_botocore(credentials: Credentials, kind: dict[str, str]) -> None:
    # botocore has no call for this one: AWS documents the request, and its general signer signs it.
    request = AWSRequest("GET", "https://shop-cache/", params={"Action": "connect", "User": "shop-query", **kind})
    boto = BotoCredentials(credentials.access_key, credentials.secret_key, credentials.session_token)
    botocore.auth.SigV4QueryAuth(boto, "elasticache", REGION, expires=900).add_auth(request)
    theirs = request.url.removeprefix("https://")
    ours = cache_token(credentials, REGION, "shop-cache", "shop-query", lambda: NOW, serverless=bool(kind))
    assert ours == theirs


def test_credentials_come_from_the_environment_and_are_not_printed() -> None:
    credentials = lambda_credentials({"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": SECRET})
    assert SECRET not in repr(credentials)
    with pytest.raises(SettingsError, match="AWS_ACCESS_KEY_ID is missing"):
        lambda_credentials({})
