"""Parameters that are claims of the caller's token: declared, bound, and out of reach for the caller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.parameters import Parameter, bind_json, bind_text
from cacheaside.errors import BadParameters, CatalogueError, Unauthenticated, WrongClaim

DECLARED = {
    "user": Parameter("user", "text", claim="sub", max_length=10),
    "limit": Parameter("limit", "integer", required=False, default=3),
}
CALLER = {"sub": "ada", "iss": "https://issuer.example"}


def query(folder: Path, parameter: str, more: str = "", tags: str = '["orders"]') -> Any:
    path = folder / "queries" / "mine.sql"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"""\
-- summary = "Mine"
-- ttl = "1m"
-- tags = {tags}
-- params.user = {{ {parameter} }}{more}
select %(user)s
""")
    return Catalogue.load(folder).query("mine")


@pytest.mark.parametrize("claim", ["sub", "cognito:username", "https://example.com/tenant"])
def test_a_claim_is_declared_by_its_name(tmp_path: Path, claim: str) -> None:
    mine = query(tmp_path, f'type = "text", source = "claim:{claim}"')
    assert mine.claims == (claim,)


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ('type = "text", source = "sub"', "source must name a claim"),
        ('type = "text", source = "claim:"', "source must name a claim"),
        ('type = "text", source = "claim:a b"', "source must name a claim"),
        ('type = "text", source = 7', "source must name a claim"),
        ('type = "text", source = "iam:userArn"', "source must name a claim"),
        ('type = "text[]", source = "claim:groups"', "a claim is one value"),
        ('type = "text", source = "claim:sub", default = "all"', "a claim is one value"),
        ('type = "text", source = "claim:sub", required = false', "a claim is one value"),
    ],
)
def test_a_source_that_could_be_missing_or_ambiguous_is_refused(tmp_path: Path, parameter: str, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        query(tmp_path, parameter)


def test_the_key_of_a_tag_does_not_hold_a_claim(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="names the parameter user, which is a claim; write 'customers'"):
        query(tmp_path, 'type = "text", source = "claim:sub"', tags='["customers:{user}"]')


@pytest.mark.parametrize("bind", [bind_text, bind_json])
def test_the_token_has_the_value_and_the_request_cannot_name_it(bind: Any) -> None:
    given = {"limit": ["5"]} if bind is bind_text else {"limit": 5}
    assert bind(DECLARED, given, CALLER) == {"user": "ada", "limit": 5}
    named = {"user": ["bob"]} if bind is bind_text else {"user": "bob"}
    with pytest.raises(BadParameters, match="'user' is not a parameter here; it takes limit"):
        bind(DECLARED, named, CALLER)


def test_an_operator_names_the_value() -> None:
    assert bind_json(DECLARED, {"user": "bob"}, None) == {"user": "bob", "limit": 3}
    with pytest.raises(BadParameters, match="user is required"):
        bind_json(DECLARED, {}, None)


@pytest.mark.parametrize("value", ["[ada", "ada]"])
def test_one_bracket_makes_no_list(value: str) -> None:
    assert bind_text(DECLARED, {}, {"sub": value}) == {"user": value, "limit": 3}


@pytest.mark.parametrize("bind", [bind_text, bind_json])
def test_a_route_that_passes_no_claims_on_is_one_without_a_token(bind: Any) -> None:
    with pytest.raises(Unauthenticated):
        bind(DECLARED, {"user": ["bob"]})


def test_without_a_token_nothing_is_answered() -> None:
    with pytest.raises(Unauthenticated):
        bind_text(DECLARED, {}, {})
    with pytest.raises(Unauthenticated):
        bind_text(DECLARED, {"user": ["ada"]}, {})


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (DECLARED["user"], None),
        (DECLARED["user"], ""),
        (DECLARED["user"], "eleven char"),
        (DECLARED["user"], "[ada]"),
        (DECLARED["user"], "[ada bob]"),
        (DECLARED["user"], "map[a:b]"),
        (DECLARED["user"], "<nil>"),
        (DECLARED["user"], "\ud800"),
        (DECLARED["user"], "a\0b"),
        (Parameter("user", "integer", claim="sub"), "7x"),
        (Parameter("user", "uuid", claim="sub"), "auth0|7"),
        (Parameter("user", "enum", values=("a", "b"), claim="sub"), "other"),
    ],
)
def test_a_claim_that_is_missing_or_malformed_is_refused_without_its_value(
    parameter: Parameter, value: str | None
) -> None:
    claims = {"iss": "issuer"} | ({} if value is None else {"sub": value})
    with pytest.raises(WrongClaim) as refused:
        bind_text({"user": parameter}, {}, claims)
    assert not value or value not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "text", "value"), [("integer", "42", 42), ("boolean", "true", True), ("text", "a,b", "a,b")]
)
def test_a_claim_is_converted_as_a_value_of_a_url(kind: str, text: str, value: object) -> None:
    assert bind_text({"user": Parameter("user", kind, claim="sub")}, {}, {"sub": text}) == {"user": value}
