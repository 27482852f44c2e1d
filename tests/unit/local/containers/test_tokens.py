"""What the stand-ins for RDS and ElastiCache accept as a token: nothing but the signed request itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from cacheaside.drivers.iam import Credentials, database_token
from local.containers.servers import tokens
from local.containers.servers.tokens import Refused, check

CREDENTIALS: Final = Credentials("000000012345", "test", "a/session+token")


def accept(token: str, host: str = "db:5432") -> None:
    check(token, "rds-db", {"Action": "connect", "DBUser": "me"}, lambda given, _: given == host)


@pytest.fixture(autouse=True, params=["000000012345", "*"])
def principals(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "iam.json"
    path.write_text(
        json.dumps({request.param: {"secret": "test", "session_token": "a/session+token", "users": ["m*"]}})
    )
    monkeypatch.setattr(tokens, "PRINCIPALS", path)


@pytest.fixture
def token() -> str:
    """Made for each test: it is valid for 15 minutes."""
    return database_token(CREDENTIALS, "eu-central-1", "db", 5432, "me")


def test_token_is_accepted(token: str) -> None:
    accept(token)


@pytest.mark.parametrize(
    "forge",
    [
        lambda _: "",
        lambda _: "a password",
        lambda token: token.rpartition("&")[0],
        lambda token: token[:-1] + ("0" if token[-1] != "0" else "1"),
        lambda token: token.replace("X-Amz-Expires=900", "X-Amz-Expires=901"),
        lambda token: token.replace("DBUser=me", "DBUser=my"),
        lambda token: token.replace("DBUser=me", "DBUser=my&DBUser=me"),
        lambda token: token.replace("eu-central-1", "us-east-1"),
        lambda token: token.replace("db:5432", "other:5432"),
    ],
)
def test_forged_token_is_refused(token: str, forge: Callable[[str], str]) -> None:
    assert forge(token) != token
    with pytest.raises(Refused):
        accept(forge(token))


def test_token_of_another_host_is_refused(token: str) -> None:
    with pytest.raises(Refused, match="the token is for db:5432"):
        accept(token, host="other:5432")
