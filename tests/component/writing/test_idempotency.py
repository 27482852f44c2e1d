"""Requests with the same Idempotency-Key are carried out once, even if they fail, conflict or arrive together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from tests.component.support.simultaneous_calls import call_simultaneously
from tests.component.support.sql import Sql
from tests.support.problem_document import check_problem

ORDER = {"customer_id": 7, "product_ids": [1, 2], "quantities": [2, 1]}


def pooled(user: str) -> Any:
    """Return the caller as a user of an identity pool, all of whom have the same role."""
    role = "arn:aws:sts::1:assumed-role/Users/CognitoIdentityCredentials"
    return {"iam": {"userArn": role, "cognitoIdentity": {"identityId": user}}}


BAD_ORDER = {**ORDER, "product_ids": [1, 999_999]}


@pytest.fixture
def orders(sql: Sql) -> Callable[[], int]:
    """Counts the orders placed since the fixture was set up."""
    sql("truncate cacheaside.idempotency_keys")
    [(before,)] = sql("select count(*) from orders")
    return lambda: sql("select count(*) from orders")[0][0] - before


def place(api: Any, key: str, body: Any = ORDER) -> Any:
    return api.post("/commands/place_order", body, idempotency_key=key)


def test_request_sent_again_gets_the_same_answer_and_is_not_carried_out_again(api: Any, orders: Any) -> None:
    first, again = place(api, "k"), place(api, "k")
    assert (first.status, again.status) == (200, 200)
    assert first.body == again.body
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert orders() == 1


def test_requests_without_a_key_are_each_carried_out(api: Any, orders: Any) -> None:
    for _ in range(2):
        assert api.post("/commands/place_order", ORDER).status == 200
    assert orders() == 2


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_request_sent_twenty_times_at_once_writes_once(api: Any, orders: Any, isolation: Any) -> None:
    commands = api.module("CommandFunction").catalogue.commands
    commands["place_order"] = commands["place_order"]._replace(isolation=isolation, timeout_ms=60_000)
    answers = call_simultaneously([lambda: place(api, "k")] * 20)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["data"]["id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 19
    assert orders() == 1


@pytest.mark.usefixtures("orders")
def test_serializable_commands_with_different_keys_do_not_conflict(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cacheaside.drivers.postgres.commands._PAUSES_S", ())  # one attempt must be enough
    commands = api.module("CommandFunction").catalogue.commands
    commands["place_order"] = commands["place_order"]._replace(
        sql="select pg_sleep(0.2)::text as slept",
        parameters={},
        isolation="serializable",
        timeout_ms=60_000,
    )
    calls = [lambda number=number: place(api, f"key-{number}", {}) for number in range(20)]
    assert {answer.status for answer in call_simultaneously(calls)} == {200}


def test_key_is_the_same_with_and_without_quotes(api: Any, orders: Any) -> None:
    place(api, "8e03978e-40d5-43dd-bc93-6894a57f9324")
    assert "idempotency-replayed" in place(api, '"8e03978e-40d5-43dd-bc93-6894a57f9324"').headers
    assert orders() == 1


def test_key_of_a_request_that_failed_is_free_again(api: Any, orders: Any) -> None:
    for _ in range(2):
        assert check_problem(place(api, "k", BAD_ORDER), 422)["type"] == "/docs#unprocessable"
    assert place(api, "k").status == 200
    assert orders() == 1


def test_key_of_another_request_is_refused(api: Any, orders: Any) -> None:
    place(api, "k")
    for answer in (
        place(api, "k", {**ORDER, "quantities": [2, 2]}),
        api.post("/commands/set_price", {"id": 42, "price": 1}, idempotency_key="k"),
    ):
        document = check_problem(answer, 422)
        assert document["type"] == "/docs#idempotency-key-reused"
        assert document["detail"] == "the idempotency-key was used for another request"
    assert orders() == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"iam": {"userArn": "arn:aws:iam::1:user/a"}}, {"iam": {"userArn": "arn:aws:iam::1:user/b"}}),
        ({"jwt": {"claims": {"sub": "a"}, "scopes": None}}, {"jwt": {"claims": {"sub": "b"}, "scopes": None}}),
        ({"iam": {"userArn": "arn:aws:iam::1:user/a"}}, None),
        ({"jwt": {"claims": {"client_id": "a"}}}, {"jwt": {"claims": {"client_id": "b"}}}),  # tokens of services
        ({"jwt": {"claims": {"azp": "a"}}}, {"jwt": {"claims": {"client_id": "a"}}}),
        (pooled("a"), pooled("b")),
    ],
)
def test_key_of_another_caller_is_refused(api: Any, orders: Any, first: Any, second: Any) -> None:
    api.authorizer = first
    assert place(api, "k").status == 200
    assert "idempotency-replayed" in place(api, "k").headers
    api.authorizer = second
    assert check_problem(place(api, "k"), 422)["type"] == "/docs#idempotency-key-reused"
    assert orders() == 1


def test_key_of_a_caller_without_a_name_is_refused(api: Any, orders: Any) -> None:
    api.authorizer = {"jwt": {"claims": {"iss": "issuer"}}}
    assert check_problem(place(api, "k"), 400)["type"] == "/docs#bad-idempotency-key"
    assert orders() == 0


def test_404_for_no_row_is_replayed_too(api: Any, sql: Sql, orders: Any) -> None:
    body = {"id": 999_999, "price": 1}
    check_problem(api.post("/commands/set_price", body, idempotency_key="k"), 404)
    again = api.post("/commands/set_price", body, idempotency_key="k")
    assert check_problem(again, 404)["type"] == "/docs#no-row"
    assert again.headers["idempotency-replayed"] == "true"


def test_first_request_that_outlasts_the_second_is_a_conflict(api: Any, postgres: Any, orders: Any) -> None:
    commands = api.module("CommandFunction").catalogue.commands
    original = commands["place_order"]
    commands["place_order"] = original._replace(timeout_ms=4_000)
    with closing(psycopg2.connect(postgres.url)) as first, first.cursor() as cursor:
        cursor.execute("insert into cacheaside.idempotency_keys (key, fingerprint) values ('k', '')")
        answer = place(api, "k")
        assert check_problem(answer, 409)["type"] == "/docs#idempotency-key-in-flight"
        assert answer.headers["retry-after"] == "5"
        first.rollback()
    commands["place_order"] = original
    assert place(api, "k").status == 200
    assert orders() == 1


def test_key_that_is_pruned_during_the_lookup_is_free(api: Any, sql: Sql, orders: Any) -> None:
    place(api, "k")
    commands = api.module("CommandFunction").writer._database
    fetch = commands._fetch

    def prune_and_fetch(statement: str, *rest: Any, **options: Any) -> Any:
        if statement.startswith("select fingerprint"):
            sql("delete from cacheaside.idempotency_keys")
        return fetch(statement, *rest, **options)

    commands._fetch = prune_and_fetch
    assert place(api, "k").status == 200
    assert orders() == 2


@pytest.mark.parametrize("key", ["", " ", '""', "two words", '"unbalanced', '"a" "b"', '"a";b', "\u00e9", "x" * 256])
def test_malformed_key_is_refused(api: Any, orders: Any, key: str) -> None:
    assert check_problem(place(api, key), 400)["type"] == "/docs#bad-idempotency-key"
    assert orders() == 0
