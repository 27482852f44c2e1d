"""The API that the suite calls, and its authentication: a deployed stack, a running one, or one of its own."""

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
    """The part of boto3's client that is used."""

    def describe_stacks(self, *, StackName: str) -> Any: ...  # noqa: N803 - AWS named it


@dataclass(frozen=True, kw_only=True)
class Target:
    url: str
    authorize: Authorize = unsigned
    guards_reads: bool = False
    guards_writes: bool = False


def of_environment(environment: Mapping[str, str]) -> Target | None:
    """Return the API that STACK or API_URL names, None without either. E2E_TOKEN is for a stack that expects a JWT."""
    token = environment.get("E2E_TOKEN")
    if name := environment.get("STACK"):
        return of_stack(name, boto3.client("cloudformation"), boto3.Session().get_credentials(), token)
    if url := environment.get("API_URL"):
        return Target(url=url, authorize=_bearer(token) if token else unsigned)
    return None


def of_stack(
    name: str, cloudformation: CloudFormation, credentials: Credentials | None, token: str | None = None
) -> Target:
    """Return the API of a deployed stack. Its parameters decide: unsigned, signed, or with `token`.

    Raises `LookupError` if the stack has no ApiUrl, or needs a token and there is none.
    """
    [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    if "ApiUrl" not in outputs:
        raise LookupError(f"stack {name} ({stack['StackStatus']}) has no output ApiUrl: is it one of template.yaml?")
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}
    reads, writes = parameters[READS], parameters[WRITES]
    if "jwt" in (reads, writes) and not token:
        raise LookupError(f"stack {name} expects bearer tokens: put one into E2E_TOKEN")
    ways = {"open": unsigned, "iam": _sigv4(credentials, stack["StackId"].split(":")[3]), "jwt": _bearer(token or "")}
    return Target(
        url=outputs["ApiUrl"],
        authorize=_by_route(ways[reads], ways[writes]),
        guards_reads=reads != "open",
        guards_writes=True,
    )


def _by_route(reads: Authorize, writes: Authorize) -> Authorize:
    """The gateway authenticates by route. A request to no route that writes is a read, whatever its method."""

    def authorize(method: str, url: str, body: bytes) -> Mapping[str, str]:
        path = urlsplit(url).path
        is_write = method == "POST" and (path == "/invalidations" or path.startswith("/commands/"))
        return (writes if is_write else reads)(method, url, body)

    return authorize


def _bearer(token: str) -> Authorize:
    return lambda _method, _url, _body: {"authorization": f"Bearer {token}"}


def _sigv4(credentials: Credentials | None, region: str) -> Authorize:
    """Sign no header of the request itself, because a proxy may change it."""

    def authorize(method: str, url: str, body: bytes) -> Mapping[str, str]:
        request = AWSRequest(method=method, url=url, data=body)
        SigV4Auth(credentials, "execute-api", region).add_auth(request)
        return dict(request.headers.items())

    return authorize
