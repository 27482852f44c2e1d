"""The API of a deployed stack, and the signatures that the gateway will verify."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import boto3
import pytest
from botocore.credentials import Credentials
from botocore.stub import Stubber
from samtranslator.yaml_helper import yaml_parse

from local.errors import LocalError
from local.live.target import READS, WRITES, DeployedStack, Target, describe_stack, target_of_stack
from tests.support.root import ROOT

TEMPLATE = ROOT / "template.yaml"
URL = "https://abc.execute-api.eu-north-1.amazonaws.com"
WHO = Credentials("AKIDEXAMPLE", "secret", "session-token")
BEARER = {"authorization": "Bearer eyJ"}


@pytest.fixture
def cloudformation() -> Iterator[Stubber]:
    """Answers one DescribeStacks; botocore checks question and answer against the service's model."""
    client = boto3.client("cloudformation", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def deployed(stubber: Stubber, reads: str, writes: str, token: str | None = None, **stack: object) -> Target:
    """Return the target of a stack with these parameters."""
    described = {
        "StackName": "cacheaside-dev",
        "StackId": "arn:aws:cloudformation:eu-north-1:111122223333:stack/cacheaside-dev/1",
        "StackStatus": "CREATE_COMPLETE",
        "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
        "Parameters": [
            {"ParameterKey": READS, "ParameterValue": reads},
            {"ParameterKey": WRITES, "ParameterValue": writes},
        ],
        "Outputs": [{"OutputKey": "ApiUrl", "OutputValue": URL}],
    }
    stubber.add_response("describe_stacks", {"Stacks": [described | stack]}, {"StackName": "cacheaside-dev"})
    return target_of_stack(describe_stack("cacheaside-dev", stubber.client), WHO, token)


def test_parameters_and_outputs_that_are_read_are_in_the_template() -> None:
    template = yaml_parse(TEMPLATE.read_text())
    assert template["Parameters"][READS]["AllowedValues"] == ["open", "iam", "jwt"]
    assert template["Parameters"][WRITES]["AllowedValues"] == ["iam", "jwt"]
    assert "ApiUrl" in template["Outputs"]


def test_open_reads_are_unsigned_and_writes_are_signed(cloudformation: Stubber) -> None:
    target = deployed(cloudformation, "open", "iam")
    assert (target.url, target.guards_reads, target.guards_writes) == (URL, False, True)
    for method, path in [("GET", "/queries/a?b=1"), ("POST", "/queries/a"), ("GET", "/commands/a"), ("PUT", "/")]:
        assert target.authorize(method, URL + path, b"") == {}
    for path in ("/commands/a", "/invalidations"):
        assert "/eu-north-1/execute-api/aws4_request" in target.authorize("POST", URL + path, b"{}")["Authorization"]


def test_writes_below_a_base_path_are_signed(cloudformation: Stubber) -> None:
    url = f"{URL}/base/$default"
    target = deployed(cloudformation, "open", "iam", Outputs=[{"OutputKey": "ApiUrl", "OutputValue": url}])
    assert target.authorize("POST", f"{url}/commands/a", b"{}")
    assert target.authorize("GET", f"{url}/queries", b"") == {}


@pytest.mark.parametrize("reads", ["iam", "jwt"])
def test_reads_and_writes_may_be_authorized_differently(cloudformation: Stubber, reads: str) -> None:
    target = deployed(cloudformation, reads, "jwt", token="eyJ")
    assert target.guards_reads
    assert target.authorize("POST", f"{URL}/commands/a", b"{}") == BEARER
    assert (target.authorize("GET", f"{URL}/queries", b"") == BEARER) == (reads == "jwt")


def test_stack_without_an_address_is_an_error(cloudformation: Stubber) -> None:
    with pytest.raises(LocalError, match=r"cacheaside-dev \(ROLLBACK_COMPLETE\) has no output ApiUrl"):
        deployed(cloudformation, "open", "iam", StackStatus="ROLLBACK_COMPLETE", Outputs=[])


def test_a_stack_of_another_template_is_an_error(cloudformation: Stubber) -> None:
    with pytest.raises(LocalError, match=r"has no parameter ReadAuthorization: is it one of template\.yaml"):
        deployed(cloudformation, "open", "iam", Parameters=[])


def test_a_stack_that_aws_does_not_know_is_an_error(cloudformation: Stubber) -> None:
    cloudformation.add_client_error("describe_stacks", "ValidationError", "Stack with id shop does not exist")
    with pytest.raises(LocalError, match=r"stack shop: .*Stack with id shop does not exist"):
        describe_stack("shop", cloudformation.client)


def test_signed_requests_without_credentials_are_an_error(cloudformation: Stubber) -> None:
    stack = DeployedStack(
        name="shop",
        region="eu-north-1",
        status="CREATE_COMPLETE",
        outputs={"ApiUrl": URL},
        parameters={READS: "open", WRITES: "iam"},
    )
    with pytest.raises(LocalError, match="the environment has no AWS credentials"):
        target_of_stack(stack, None)


def test_missing_token_is_an_error(cloudformation: Stubber) -> None:
    with pytest.raises(LocalError, match="API_TOKEN"):
        deployed(cloudformation, "open", "jwt")


@pytest.mark.parametrize("token", ["eyJ\rhbG", "eyJ\nhbG", "eyJ hbG", "eyJ\0hbG", "eyJé", "eyJ\udcff", " \n"])
def test_token_that_no_header_can_carry_is_refused_without_showing_it(cloudformation: Stubber, token: str) -> None:
    with pytest.raises(LocalError, match="API_TOKEN is no bearer token") as refused:
        deployed(cloudformation, "open", "jwt", token)
    assert "eyJ" not in str(refused.value)


def test_line_break_at_the_end_of_the_file_of_a_token_is_not_sent(cloudformation: Stubber) -> None:
    target = deployed(cloudformation, "jwt", "jwt", token=" eyJ\r\n")
    assert target.authorize("GET", f"{URL}/queries", b"") == BEARER


def test_wrong_token_does_not_stop_requests_that_need_none(cloudformation: Stubber) -> None:
    target = deployed(cloudformation, "open", "iam", token="e y J")
    assert target.authorize("GET", f"{URL}/queries", b"") == {}


def test_signature_covers_method_path_query_and_body(cloudformation: Stubber) -> None:
    target = deployed(cloudformation, "iam", "iam")
    headers = target.authorize("GET", f"{URL}/queries", b"")
    assert re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/\d{8}/eu-north-1/execute-api/aws4_request, "
        r"SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=[0-9a-f]{64}",
        headers["Authorization"],
    )
    assert headers["X-Amz-Security-Token"] == "session-token"
    asked = [("GET", "/q?a=1", b""), ("GET", "/q?a=2", b""), ("HEAD", "/q?a=1", b""), ("GET", "/r?a=1", b"")]
    asked += [("POST", "/commands/a", b"{}"), ("POST", "/commands/a", b"[]")]
    signatures = {target.authorize(method, URL + path, body)["Authorization"] for method, path, body in asked}
    assert len(signatures) == len(asked)
