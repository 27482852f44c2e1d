"""An AWS account in memory: moto, and written answers for the operations that moto does not have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local.doctor.account import Account
from tests.component.local.doctor.support import REGION


@pytest.fixture(scope="module")
def session() -> Any:
    """One session for many tests: it reads the large descriptions of the services once."""
    return boto3.Session("testing", "testing", region_name=REGION)


@pytest.fixture
def aws(session: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield Account(session, REGION)
