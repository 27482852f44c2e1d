"""The claims of a bearer token, which this machine does not check, in the notation of API Gateway."""

from __future__ import annotations

import base64
import json

import pytest

from local.api.events import Request, to_event
from local.api.routing import Match
from local.api.tokens import unchecked_claims
from local.template import Route
from tests.support.tokens import bearer


def test_each_claim_is_text() -> None:
    claims = {"sub": "ada", "groups": ["a", "b c"], "admin": True, "level": 7, "share": 0.5, "none": None}
    claims |= {"whole": 7.0, "exact": 12345678.1, "object": {"b": [1], "a": None}}
    assert unchecked_claims(bearer(**claims)) == {
        "sub": "ada",
        "groups": "[a b c]",
        "admin": "true",
        "level": "7",
        "share": "0.5",
        "none": "<nil>",
        "whole": "7",
        "exact": "12345678.1",
        "object": "map[a:<nil> b:[1]]",
    }


def test_a_token_that_a_shell_makes_will_do() -> None:
    body = base64.b64encode(json.dumps({"sub": "ø?>"}).encode()).decode()
    assert unchecked_claims(f"bearer .{body}.") == {"sub": "ø?>"}


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer x", "Bearer .e30.", "Basic .e30.", "Bearer .W10=.", "Bearer .ø.", "Bearer a.b.c.d"],
)
def test_what_is_no_token_has_no_claims(authorization: str) -> None:
    assert unchecked_claims(authorization) == {}


def test_a_claim_that_nests_deeply_is_no_error() -> None:
    nested: object = "x"
    for _ in range(700):
        nested = [nested]
    unchecked_claims(bearer(sub=nested))


def test_the_event_has_an_authorizer_only_with_a_token() -> None:
    def context(*headers: tuple[str, str]) -> dict[str, object]:
        request = Request("GET", "/queries/mine", list(headers))
        event = to_event(request, Match(Route("GET", "/queries/{name}", "Function"), {}), port=3000)
        found: dict[str, object] = event["requestContext"]
        return found

    assert context(("Authorization", bearer(sub="ada")))["authorizer"] == {
        "jwt": {"claims": {"sub": "ada"}, "scopes": None}
    }
    assert "authorizer" not in context(("X-Sub", "ada"), ("X-Amzn-Oidc-Identity", "ada"))
