"""Requests that the API refuses: with problem details that help the caller, and contain nothing internal.

The client searches the body of every refusal for SQL, host names and traces. Nothing here writes: a command must
refuse each body that is sent to it.
"""

from __future__ import annotations

from typing import Any

import pytest

from local.live.target import Target
from tests.e2e.support.catalogue import Query, examples, target
from tests.e2e.support.client import Client
from tests.support.problem_document import check_problem

WRONG = "!"  # no number, date, truth value or UUID, and hardly one of an enumeration
UNKNOWN = "no_such_parameter"
HOSTILE = ["'; drop table products; --", "1 or 1=1", "%s", "%(id)s", "\\", "9" * 400, "null", "-1", "🙈"]


def is_wrong(about: Any) -> bool:
    return about["type"].removesuffix("[]") != "text" and WRONG not in about.get("values", [])


def test_all_bad_parameters_are_in_one_problem(api: Client, queries: list[Query], subtests: pytest.Subtests) -> None:
    for query in queries:
        with subtests.test(query["name"]):
            wrong = {name for name, about in query["parameters"].items() if is_wrong(about)}
            missing = {name for name, about in query["parameters"].items() if about["required"]} - wrong
            document = check_problem(api.get(target(query, dict.fromkeys([UNKNOWN, *wrong], WRONG))), 400)
            assert document["type"] == "/docs#bad-parameters"
            assert {each["parameter"] for each in document["errors"]} == {UNKNOWN} | wrong | missing
            assert all(each["detail"] in document["detail"] for each in document["errors"])


def test_injection_stays_a_value(api: Client, queries: list[Query], subtests: pytest.Subtests) -> None:
    for query in queries:
        for name in query["parameters"]:
            with subtests.test(query["name"], parameter=name):
                statuses = {api.get(target(query, examples(query) | {name: value})).status for value in HOSTILE}
                assert statuses <= {200, 400, 404}


@pytest.mark.parametrize("path", ["/nowhere", "/queries/a/b", "/queries/a/b/direct", "/commands", "/docs/more"])
def test_no_such_route(api: Client, path: str) -> None:
    assert check_problem(api.get(path), 404)["type"] == "/docs#no-route"


def test_no_such_query(api: Client) -> None:
    assert check_problem(api.get("/queries/no_such_query"), 404)["type"] == "/docs#unknown-name"


def test_no_such_command(api: Client) -> None:
    assert check_problem(api.post("/commands/no_such_command", {}), 404)["type"] == "/docs#unknown-name"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/queries/any", "GET, HEAD"),
        ("DELETE", "/queries", "GET, HEAD"),
        ("PUT", "/", "GET, HEAD"),
        ("GET", "/commands/any", "POST"),
        ("PATCH", "/invalidations", "POST"),
    ],
)
def test_wrong_method_gets_the_allowed_ones(api: Client, method: str, path: str, allow: str) -> None:
    answer = api.call(method, path)
    assert check_problem(answer, 405)["type"] == "/docs#method"
    assert answer.headers["allow"] == allow


@pytest.mark.parametrize(
    ("body", "media_type", "status", "kind"),
    [
        (b"{}", "text/plain", 415, "unsupported-media"),
        (b"", "application/json", 400, "bad-body"),
        (b'{"id": ', "application/json", 400, "bad-body"),
        (b"[1]", "application/json", 400, "bad-body"),
        (b'{"%s": 1}' % UNKNOWN.encode(), "application/json", 400, "bad-parameters"),
        (b'{"%s": "%s"}' % (UNKNOWN.encode(), b"x" * 300_000), "application/json", 413, "body-too-large"),
    ],
    ids=["no JSON", "empty", "cut off", "no object", "unknown parameter", "too large"],
)
def test_command_refuses_a_bad_body(
    api: Client,
    commands: list[str],
    subtests: pytest.Subtests,
    body: bytes,
    media_type: str,
    status: int,
    kind: str,
) -> None:
    for command in commands:
        with subtests.test(command):
            answer = api.post(f"/commands/{command}", body, media_type)
            assert check_problem(answer, status)["type"] == f"/docs#{kind}"


@pytest.mark.parametrize("wanted", [{}, {"tags": []}, {"tags": ["Not A Table"]}, {"query": 1}])
def test_invalidation_of_nothing_is_refused(api: Client, wanted: object) -> None:
    assert check_problem(api.post("/invalidations", wanted), 400)["type"] == "/docs#bad-body"


def test_write_of_a_stranger_is_refused(under_test: Target, stranger: Client, commands: list[str]) -> None:
    # A body that is refused in any case: without authentication, as on one machine, nothing must be written.
    expected = {401, 403} if under_test.guards_writes else {400}
    for path in ["/invalidations", *(f"/commands/{command}" for command in commands)]:
        assert stranger.post(path, []).status in expected, path


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *((path, 200) for path in ("/", "/queries", "/health", "/openapi.json", "/docs")),
        *((path, 404) for path in ("/nowhere", "/queries/no_such_query/direct")),
    ],
)
def test_stranger_may_read_only_if_reads_are_open(under_test: Target, stranger: Client, path: str, status: int) -> None:
    expected = {401, 403} if under_test.guards_reads else {status}
    assert stranger.get(path).status in expected
