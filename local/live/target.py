"""The stack that a command is about: the one that runs on this machine, or a deployed one.

boto3 is imported late: it takes a while, and most commands are about this machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from local import ROOT, recorded_url
from local.endpoints import Endpoints, read_endpoints
from local.errors import LocalError
from local.live.http import Authorize, unsigned

__all__ = [
    "READS",
    "TOKEN",
    "WRITES",
    "DeployedStack",
    "Target",
    "api_of",
    "bearer",
    "client",
    "database",
    "describe_stack",
    "running_stack",
    "target_of_stack",
]

# The parameters of template.yaml that say who may call.
READS: Final = "ReadAuthorization"
WRITES: Final = "WriteAuthorization"

# The variable with the bearer token for a stack that expects a JWT.
TOKEN: Final = "API_TOKEN"  # noqa: S105 - a name
_TOKEN_TEXT: Final = re.compile(r"[!-~]+")

_START: Final = "start `cacheaside run` in another terminal first"


class CloudFormation(Protocol):
    """The part of boto3's client that is used."""

    def describe_stacks(self, *, StackName: str) -> Any: ...  # noqa: N803 - AWS named it


@dataclass(frozen=True, kw_only=True)
class DeployedStack:
    """A stack of template.yaml, as CloudFormation describes it."""

    name: str
    region: str
    status: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]

    def output(self, key: str) -> str:
        """Return an output. Raises `LocalError` if there is none."""
        return self._of(self.outputs, "output", key)

    def parameter(self, key: str) -> str:
        """Return a parameter. Raises `LocalError` if there is none."""
        return self._of(self.parameters, "parameter", key)

    def _of(self, found: Mapping[str, str], kind: str, key: str) -> str:
        if key not in found:
            raise LocalError(f"stack {self.name} ({self.status}) has no {kind} {key}: is it one of template.yaml?")
        return found[key]


@dataclass(frozen=True, kw_only=True)
class Target:
    """An API and how to authenticate there."""

    url: str
    authorize: Authorize = field(default=unsigned)
    guards_reads: bool = False
    guards_writes: bool = False


def running_stack() -> Endpoints:
    """Return the addresses of the stack on this machine. Raises `LocalError` if none runs."""
    endpoints = read_endpoints(ROOT / ".local")
    if endpoints is None:
        raise LocalError(f"no stack runs in this checkout: {_START}")
    return endpoints


def database() -> str:
    """Return the database of DATABASE_URL or `init`, else that of the running stack. Raises `LocalError`."""
    if url := recorded_url.database_url():
        return url
    endpoints = read_endpoints(ROOT / ".local")
    if endpoints is None:
        raise LocalError(f"there is no database to ask: {_START}, or set DATABASE_URL")
    return endpoints.database


def api_of(stack: str | None, environment: Mapping[str, str]) -> Target:
    """Return the API of the deployed `stack`, or without one that of the running stack. Raises `LocalError`."""
    if stack is None:
        url = running_stack().api
        if url is None:
            raise LocalError(f"only the servers run in this checkout: {_START}")
        token = environment.get(TOKEN)
        return Target(url=url, authorize=bearer(token) if token else unsigned)
    import boto3

    described = describe_stack(stack, client("cloudformation"))
    return target_of_stack(described, boto3.Session().get_credentials(), environment.get(TOKEN))


def client(service: str) -> Any:
    """Return boto3's client of a service, with region and credentials of the environment. Raises `LocalError`."""
    import boto3
    from botocore.exceptions import BotoCoreError, NoRegionError

    try:
        return boto3.client(service)
    except NoRegionError:
        raise LocalError("set AWS_DEFAULT_REGION to the region of the stack") from None
    except BotoCoreError as error:
        raise LocalError(f"AWS: {error}") from None


def describe_stack(name: str, cloudformation: CloudFormation) -> DeployedStack:
    """Return the deployed stack `name`. Raises `LocalError` if AWS does not tell."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        raise LocalError(f"stack {name}: {error}") from None
    return DeployedStack(
        name=name,
        region=stack["StackId"].split(":")[3],
        status=stack["StackStatus"],
        outputs={each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])},
        parameters={each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])},
    )


def target_of_stack(stack: DeployedStack, credentials: Any, token: str | None = None) -> Target:
    """Return the API of a stack. Its parameters decide: unsigned, signed with `credentials`, or with `token`.

    Raises `LocalError` if the stack has no ApiUrl, or needs credentials or a token and there are none, or if a token
    that it needs is not one.
    """
    url = stack.output("ApiUrl")
    reads, writes = stack.parameter(READS), stack.parameter(WRITES)
    ways = {"open": unsigned, "iam": _sigv4(credentials, stack.region)}
    if "jwt" in (reads, writes):
        if not token:
            raise LocalError(f"stack {stack.name} expects bearer tokens: put one into {TOKEN}")
        ways["jwt"] = bearer(token)
    if "iam" in (reads, writes) and credentials is None:
        raise LocalError(f"stack {stack.name} expects signed requests, and the environment has no AWS credentials")
    return Target(
        url=url,
        authorize=_by_route(urlsplit(url).path, ways[reads], ways[writes]),
        guards_reads=reads != "open",
        guards_writes=True,
    )


def _by_route(base: str, reads: Authorize, writes: Authorize) -> Authorize:
    """The gateway authenticates by route. A request to no route that writes is a read, whatever its method.

    Paths of the API begin with `base`.
    """

    def authorize(method: str, url: str, body: bytes) -> Mapping[str, str]:
        path = urlsplit(url).path.removeprefix(base.rstrip("/"))
        is_write = method == "POST" and (path == "/invalidations" or path.startswith("/commands/"))
        return (writes if is_write else reads)(method, url, body)

    return authorize


def bearer(token: str) -> Authorize:
    """Return what authenticates with a bearer token, without the white space around it: a file ends with a line break.

    Raises `LocalError`, which does not show the token, for a text that http.client would refuse or send as two words.
    """
    token = token.strip()
    if not _TOKEN_TEXT.fullmatch(token):
        raise LocalError(
            f"{TOKEN} is no bearer token: it is empty, or has a blank, a line break or a letter that is not ASCII"
        )
    return lambda _method, _url, _body: {"authorization": f"Bearer {token}"}


def _sigv4(credentials: Any, region: str) -> Authorize:
    """Sign no header of the request itself, because a proxy may change it."""

    def authorize(method: str, url: str, body: bytes) -> Mapping[str, str]:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        request = AWSRequest(method=method, url=url, data=body)
        SigV4Auth(credentials, "execute-api", region).add_auth(request)
        return dict(request.headers.items())

    return authorize
