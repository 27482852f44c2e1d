"""CloudFormation's side: its requests, and the responses that it would refuse or misunderstand."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from local.deployment.cloudformation import CustomResource
from local.errors import LocalError

Json = dict[str, Any]
Spoil = Callable[[Json], object]


def send(request: Json, response: Json) -> None:
    url = urlsplit(request["ResponseURL"])
    with closing(HTTPConnection(url.netloc)) as connection:
        connection.request("PUT", url.path, json.dumps(response))
        connection.getresponse()


class Function:
    """Sends the right response, changed by `spoil`. Keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[Json] = []
        self.spoil: Spoil = lambda _: None

    def __call__(self, request: Json) -> None:
        self.requests.append(request)
        echo = {name: request[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
        response = {**echo, "Status": "SUCCESS", "Reason": "", "PhysicalResourceId": "schema", "Data": {}}
        self.spoil(response)
        send(request, response)


@pytest.fixture
def function() -> Function:
    return Function()


@pytest.fixture
def resource() -> CustomResource:
    return CustomResource("Migrations", "Custom::Migrations", {"CodeVersion": "", "SampleSize": "20"})


def code_versions(request: Json) -> tuple[str | None, ...]:
    named = [request.get(name) for name in ("ResourceProperties", "OldResourceProperties")]
    return tuple(properties and properties["CodeVersion"].rpartition(":")[2] for properties in named)


def test_versions_are_counted_as_lambda_counts_them(resource: CustomResource, function: Function) -> None:
    resource.create(function)
    resource.update(function)
    function.spoil = lambda response: response.update(Status="FAILED", Reason="a file")
    resource.update(function)
    function.spoil = lambda _: None
    resource.roll_back(function)
    resource.update(function)
    resource.delete(function)
    assert [(each["RequestType"], *code_versions(each)) for each in function.requests] == [
        ("Create", "1", None),
        ("Update", "2", "1"),
        ("Update", "3", "2"),
        ("Update", "2", "3"),  # the rollback: a version that was published before
        ("Update", "4", "2"),
        ("Delete", "4", None),
    ]
    assert [each.get("PhysicalResourceId") for each in function.requests] == [None] + 5 * ["schema"]


def test_properties_are_only_those_of_the_template(function: Function) -> None:
    CustomResource("Migrations", "Custom::Migrations", {"SampleSize": "20"}).create(function)
    assert function.requests[0]["ResourceProperties"] == {"SampleSize": "20"}


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda a: a.update(PhysicalResourceId="other"), "PhysicalResourceId 'schema' became 'other'"),
        (lambda a: a.update(PhysicalResourceId=""), "PhysicalResourceId 'schema' became ''"),
        (lambda a: a.update(RequestId="of yesterday"), "the response has RequestId 'of yesterday'"),
        (lambda a: a.pop("StackId"), "the response has StackId None"),
        (lambda a: a.update(Status="OK"), "'OK' is no status"),
        (lambda a: a.update(Status="FAILED"), "failed without a reason"),
        (lambda a: a.update(Reason="no route to 127.0.0.1"), r"the reason contains 127\.0\.0\.1"),
        (lambda a: a.update(Data={"Applied": "x" * 4096}), "no response of more than 4,096 bytes"),
    ],
)
def test_response_that_cloudformation_would_refuse_is_an_error(
    resource: CustomResource, function: Function, spoil: Spoil, says: str
) -> None:
    resource.create(function)
    function.spoil = spoil
    with pytest.raises(LocalError, match=f"Update: .*{says}"):
        resource.update(function)


def test_no_response_and_two_responses_are_errors(resource: CustomResource, function: Function) -> None:
    with pytest.raises(LocalError, match="Create: the function sent 0 responses"):
        resource.create(lambda _: None)

    def twice(request: Json) -> None:
        function(request)
        function(request)

    with pytest.raises(LocalError, match="Create: the function sent 2 responses"):
        resource.create(twice)
