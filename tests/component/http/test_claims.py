"""Queries and commands that depend on who asks: no caller gets the answer of another, and no request can choose it."""

from __future__ import annotations

import random
from typing import Any, Final

import pytest

from cacheaside.catalogue.parameters import Parameter
from cacheaside.catalogue.policy import Policy
from tests.component.support.simultaneous_calls import call_simultaneously
from tests.support.problem_document import check_problem
from tests.support.tokens import bearer

CALLERS: Final = ("ada", "bob")
USER: Final = Parameter("user", "text", claim="sub")
# So short that requests meet each state: fresh, stale with a refresh, expired, and the load of another request.
POLICY: Final = Policy(ttl_ms=100, stale_ms=100, stale_if_error_ms=100, early_refresh=1, local_ms=20)
SANDBOXES: Final = 20
REQUESTS: Final = 10  # of each


@pytest.fixture
def mine(api: Any) -> Any:
    """The API with a query and a command that answer who asks."""
    queries, commands = api.module("QueryFunction").catalogue.queries, api.module("CommandFunction").catalogue.commands
    tell: dict[str, Any] = {"sql": "select %(user)s as user", "parameters": {"user": USER}, "returns": "one"}
    queries["mine"] = queries["version"]._replace(name="mine", tags=("orders",), **tell)
    commands["mine"] = commands["set_price"]._replace(name="mine", **tell)
    api.module("InvalidateFunction").catalogue.queries["mine"] = queries["mine"]
    return api


def ask(api: Any, who: str, target: str = "/queries/mine", **headers: str) -> Any:
    return api.get(target, authorization=bearer(sub=who), **headers)


def test_each_caller_gets_its_own_answer_from_the_cache(mine: Any) -> None:
    for expected in ("fwd=miss", "hit"):
        for who in CALLERS:
            answer = ask(mine, who)
            assert answer.json == {"data": {"user": who}}
            assert expected in answer.headers["cache-status"]
            assert answer.headers["cache-control"] == "private, no-cache"
            assert answer.headers["vary"] == "Accept-Encoding, Authorization"


def test_two_hundred_requests_at_once_are_never_answered_with_those_of_others(mine: Any) -> None:
    queries = mine.module("QueryFunction").catalogue.queries
    queries["mine"] = queries["mine"]._replace(
        sql="select %(user)s as user, pg_sleep(0.02)::text as slept", policy=POLICY
    )

    def sandbox(seed: int) -> list[tuple[str, str, str]]:
        """Return caller, answer and source of each request to one sandbox."""
        chance = random.Random(seed)  # noqa: S311  # no secret
        told = []
        for _ in range(REQUESTS):
            who = chance.choice(CALLERS)
            answer = ask(mine, who, chance.choice(["/queries/mine", "/queries/mine", "/queries/mine?"]))
            told.append((who, answer.json["data"]["user"], answer.headers["cache-status"]))
        return told

    results = call_simultaneously([lambda seed=seed: sandbox(seed) for seed in range(SANDBOXES)])
    answers = [answer for told in results for answer in told]
    assert len(answers) == SANDBOXES * REQUESTS
    assert [answer for answer in answers if answer[0] != answer[1]] == []
    assert {who for who, _, _ in answers} == {*CALLERS}
    assert any("hit" in source for _, _, source in answers)
    assert any("fwd" in source for _, _, source in answers)


@pytest.mark.parametrize("path", ["/queries/mine", "/queries/mine/direct"])
def test_a_request_cannot_choose_whose_answer_it_gets(mine: Any, path: str) -> None:
    problem = check_problem(ask(mine, "ada", f"{path}?user=bob"), 400)
    assert [each["parameter"] for each in problem["errors"]] == ["user"]
    assert ask(mine, "ada", path).json["data"]["user"] == "ada"
    for header in ("user", "sub", "x_user", "x_forwarded_user", "x_amzn_oidc_identity", "x_amzn_requestcontext"):
        assert ask(mine, "ada", path, **{header: "bob"}).json["data"]["user"] == "ada"
    cookie = {"authorization": bearer(sub="ada"), "cookie": "user=bob; sub=bob"}
    assert mine.call("GET", path, headers=cookie).json["data"]["user"] == "ada"
    check_problem(mine.post("/commands/mine", {"user": "bob"}, authorization=bearer(sub="ada")), 400)
    written = mine.post("/commands/mine", {}, authorization=bearer(sub="ada"))
    assert written.json["data"] == {"user": "ada"}


@pytest.mark.parametrize("path", ["/queries/mine", "/queries/mine/direct"])
def test_a_caller_without_a_token_gets_no_answer_that_is_cached(mine: Any, path: str) -> None:
    ask(mine, "ada")
    answer = mine.get(path)
    assert check_problem(answer, 401)["type"] == "/docs#unauthenticated"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert check_problem(mine.get(path, authorization=bearer(email="ada")), 403)["type"] == "/docs#wrong-claim"
    assert check_problem(mine.get(path, authorization=bearer(sub=["ada"])), 403)["type"] == "/docs#wrong-claim"
    assert mine.call("HEAD", path).status == 401
    check_problem(mine.post("/commands/mine", {}), 401)


def test_a_signed_request_has_no_claims(mine: Any) -> None:
    mine.authorizer = {"iam": {"userArn": "arn:aws:iam::123456789012:user/ada", "claims": {"sub": "ada"}}}
    check_problem(mine.get("/queries/mine"), 401)


def test_the_etag_of_another_caller_saves_nothing(mine: Any) -> None:
    tag = ask(mine, "ada").headers["etag"]
    assert ask(mine, "ada", if_none_match=tag).status == 304
    answer = ask(mine, "bob", if_none_match=tag)
    assert (answer.status, answer.json["data"]["user"]) == (200, "bob")
    assert ask(mine, "bob", if_match=tag).status == 412


def test_an_operator_invalidates_the_answer_of_the_caller_that_is_named(mine: Any) -> None:
    for who in CALLERS:
        ask(mine, who)
    named = {"query": "mine", "params": {"user": "ada"}}
    assert mine.post("/invalidations", named).json["data"] == {"answers": 1}
    assert "fwd=miss" in ask(mine, "ada").headers["cache-status"]
    assert "hit" in ask(mine, "bob").headers["cache-status"]
    check_problem(mine.post("/invalidations", {"query": "mine"}, authorization=bearer(sub="ada")), 400)
