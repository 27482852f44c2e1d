"""CloudFormation's side of one custom resource: the requests over its life, and the checks of each response.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html
"""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.deployment.response_url import response_server
from local.errors import LocalError
from local.servers.processes import HOST

__all__ = ["CustomResource", "ResourceResponse"]

Json = dict[str, Any]

ACCOUNT = "us-east-1:123456789012"
FUNCTION = f"arn:aws:lambda:{ACCOUNT}:function:rehearsal-MigrateFunction"
RESPONSE_LIMIT_BYTES = 4096
# The address of the database. It helps nobody to solve a failed deployment, and must not be in a reason.
PRIVATE = (HOST, "localhost", "postgresql://")


@dataclass(frozen=True)
class ResourceResponse:
    succeeded: bool
    reason: str
    data: Mapping[str, str]


@dataclass
class CustomResource:
    """One resource in a stack. `properties` are the template's, as text; those about the function are filled in.

    Each method sends one request: `invoke` runs the function until it returns, and the function sends its response to
    the URL. They raise `LocalError` for a response that CloudFormation would refuse or misunderstand.
    """

    name: str
    type: str
    properties: Mapping[str, str]
    _id: str | None = None
    _version: int = 0  # the live version of the code
    _published: int = 0  # the newest version
    _failed: int | None = None  # the version whose deployment has failed and is not yet rolled back

    def create(self, invoke: Callable[[Json], object]) -> ResourceResponse:
        self._id, self._version, self._published = None, 1, 1
        return self._request("Create", 1, None, invoke)

    def update(self, invoke: Callable[[Json], object]) -> ResourceResponse:
        """Deploy new code, which Lambda publishes under the next number."""
        self._published += 1
        response = self._request("Update", self._published, self._version, invoke)
        if response.succeeded:
            self._version = self._published
        else:
            self._failed = self._published
        return response

    def roll_back(self, invoke: Callable[[Json], object]) -> ResourceResponse:
        """Go back to the version that was live before the failed update."""
        failed, self._failed = self._failed, None
        return self._request("Update", self._version, failed, invoke)

    def delete(self, invoke: Callable[[Json], object]) -> ResourceResponse:
        return self._request("Delete", self._version, None, invoke)

    def _request(self, kind: str, version: int, old: int | None, invoke: Callable[[Json], object]) -> ResourceResponse:
        request = {
            "RequestType": kind,
            "ServiceToken": f"{FUNCTION}:live",
            "StackId": f"arn:aws:cloudformation:{ACCOUNT}:stack/rehearsal/{uuid.uuid4()}",
            "RequestId": str(uuid.uuid4()),
            "LogicalResourceId": self.name,
            "ResourceType": self.type,
            "ResourceProperties": self._properties(version),
        }
        if self._id is not None:
            request["PhysicalResourceId"] = self._id
        if old is not None:
            request["OldResourceProperties"] = self._properties(old)
        with response_server() as (port, responses):
            invoke({**request, "ResponseURL": f"http://{HOST}:{port}/response"})
        if len(responses) != 1:
            raise LocalError(f"{kind}: the function sent {len(responses)} responses, CloudFormation expects one")
        return self._checked(kind, request, responses[0])

    def _properties(self, version: int) -> Json:
        known = {"ServiceToken": f"{FUNCTION}:live", "CodeVersion": f"{FUNCTION}:{version}"}
        return {name: known.get(name, value) for name, value in self.properties.items()}

    def _checked(self, kind: str, request: Json, response: Json) -> ResourceResponse:
        for name in ("StackId", "RequestId", "LogicalResourceId"):
            if response.get(name) != request[name]:
                raise LocalError(f"{kind}: the response has {name} {response.get(name)!r} instead of {request[name]!r}")
        if response.get("Status") not in ("SUCCESS", "FAILED"):
            raise LocalError(f"{kind}: {response.get('Status')!r} is no status")
        identity, reason = response.get("PhysicalResourceId"), response.get("Reason", "")
        if not identity or identity != (self._id or identity):
            raise LocalError(
                f"{kind}: PhysicalResourceId {self._id!r} became {identity!r}: CloudFormation would delete the old one"
            )
        self._id = identity
        if response["Status"] == "FAILED" and not reason:
            raise LocalError(f"{kind}: failed without a reason")
        if found := [private for private in PRIVATE if private in reason]:
            raise LocalError(f"{kind}: the reason contains {found[0]}: {reason}")
        if len(json.dumps(response, ensure_ascii=False).encode()) > RESPONSE_LIMIT_BYTES:
            raise LocalError(f"{kind}: CloudFormation accepts no response of more than {RESPONSE_LIMIT_BYTES:,} bytes")
        return ResourceResponse(response["Status"] == "SUCCESS", reason, response.get("Data", {}))
