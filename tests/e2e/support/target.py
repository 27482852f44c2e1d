"""Which API the suite asks, and as whom: a deployed stack, one that runs already, or one of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.e2e.support.client import Authorize, unsigned

__all__ = ["READS", "WRITES", "Target", "of_environment", "of_stack"]

# The parameters of template.yaml that say who may call.
READS: Final = "ReadAuthorization"
WRITES: Final = "WriteAuthorization"


class CloudFormation(Protocol):
    """What is needed of boto3's client."""

    def describe_stacks(self, *, StackName: str) -> Any: ...  # noqa: N803 - AWS named it


@dataclass(frozen=True, kw_only=True)
class Target:
    url: str
    authorize: Authorize = unsigned
    guards_reads: bool = False
    guards_writes: bool = False


def of_environment(environment: Mapping[str, str]) -> Target | None:
    """Return what STACK or API_URL names, None if there is neither. E2E_TOKEN is for a stack that takes JWT."""
    token = environment.get("E2E_TOKEN")
    if name := environment.get("STACK"):
        return of_stack(name, boto3.client("cloudformation"), boto3.Session().get_credentials(), token)
    if url := environment.get("API_URL"):
        return Target(url=url, authorize=_bearer(token) if token else unsigned)
    return None


def of_stack(
    name: str, cloudformation: CloudFormation, credentials: Credentials | None, token: str | None = None
) -> Target:
    """Return the API of a deployed stack, asked as its parameters demand: unsigned, signed, or with `token`."""
    [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    if "ApiUrl" not in outputs:
        raise LookupError(f"stack {name} ({stack['StackStatus']}) has no output ApiUrl: is it one of template.yaml?")
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}
    reads, writes = parameters[READS], parameters[WRITES]
    if "jwt" in (reads, writes) and not token:
        raise LookupError(f"stack {name} takes bearer tokens: put one into E2E_TOKEN")
    ways = {"open": unsigned, "iam": _sigv4(credentials, stack["StackId"].split(":")[3]), "jwt": _bearer(token or "")}
    return Target(
        url=outputs["ApiUrl"],
        authorize=_by_route(ways[reads], ways[writes]),
        guards_reads=reads != "open",
        guards_writes=True,
    )


def _by_route(reads: Authorize, writes: Authorize) -> Authorize:
    """A gateway asks by route who calls, and what fits no route that writes counts as a read, whatever its method."""

    def authorize(method: str, url: str, body: bytes) -> Mapping[str, str]:
        path = urlsplit(url).path
        is_write = method == "POST" and (path == "/invalidations" or path.startswith("/commands/"))
        return (writes if is_write else reads)(method, url, body)

    return authorize


def _bearer(token: str) -> Authorize:
    return lambda _method, _url, _body: {"authorization": f"Bearer {token}"}


def _sigv4(credentials: Credentials | None, region: str) -> Authorize:
    """No header of the request itself is signed, because a proxy between may write it differently."""

    def authorize(method: str, url: str, body: bytes) -> Mapping[str, str]:
        request = AWSRequest(method=method, url=url, data=body)
        SigV4Auth(credentials, "execute-api", region).add_auth(request)
        return dict(request.headers.items())

    return authorize
