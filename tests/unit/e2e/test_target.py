"""The API that the end-to-end suite calls, and the internal text that it finds in refusals."""

from __future__ import annotations

import json

import pytest

from local.live.target import Target
from tests.e2e.support.client import leaked
from tests.e2e.support.target import of_environment


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"API_URL": "", "STACK": ""}, None),
        ({"API_URL": "http://127.0.0.1:3000", "STACK": ""}, Target(url="http://127.0.0.1:3000")),
    ],
)
def test_environment_names_the_target(environment: dict[str, str], expected: Target | None) -> None:
    assert of_environment(environment) == expected


@pytest.mark.parametrize(
    "told",
    [
        "could not translate host name cacheaside.abc.eu-north-1.rds.amazonaws.com",
        "Error connecting to master.cacheaside.abc.cache.amazonaws.com:6379",
        "rediss://user@10.0.10.7:6379",
        "Traceback (most recent call last)",
        "syntax error in SELECT id, price\nFROM products",
        "update products set price = 1",
        "File /var/task/query/app.py",
    ],
)
def test_internal_text_in_a_refusal_is_found(told: str) -> None:
    assert leaked(json.dumps({"title": "Something went wrong here", "detail": told}).encode())


def test_text_that_helps_a_caller_is_no_leak() -> None:
    assert not leaked(b'{"detail": "limit must be at least 1, not \'0\'", "title": "The database cannot be reached"}')
