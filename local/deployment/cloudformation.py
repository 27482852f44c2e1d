"""CloudFormation's side of one custom resource: what it asks over the resource's life, and what answers it accepts.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html
"""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.deployment.response_url import receiving
from local.errors import LocalError
from local.servers.processes import HOST

__all__ = ["Answer", "CustomResource"]

Json = dict[str, Any]

ACCOUNT = "us-east-1:123456789012"
FUNCTION = f"arn:aws:lambda:{ACCOUNT}:function:rehearsal-MigrateFunction"
ANSWER_LIMIT = 4096
# What would tell of the database's whereabouts. What somebody deploying needs to know is none of these.
PRIVATE = (HOST, "localhost", "postgresql://")


@dataclass(frozen=True)
class Answer:
    succeeded: bool
    reason: str
    data: Mapping[str, str]


@dataclass
class CustomResource:
    """One resource in a stack. `properties` are the template's, as text; what stands for the function is put in.

    Each request is given to `invoke`, which runs the function until it returns; the answer comes by the URL.
    """

    name: str
    type: str
    properties: Mapping[str, str]
    _id: str | None = None
    _version: int = 0  # of the code that is live
    _published: int = 0  # the last that Lambda counted
    _failed: int | None = None  # of the code whose deployment has failed, until it is rolled back

    def create(self, invoke: Callable[[Json], object]) -> Answer:
        self._id, self._version, self._published = None, 1, 1
        return self._request("Create", 1, None, invoke)

    def update(self, invoke: Callable[[Json], object]) -> Answer:
        """New code: published anew, under the next number."""
        self._published += 1
        answer = self._request("Update", self._published, self._version, invoke)
        if answer.succeeded:
            self._version = self._published
        else:
            self._failed = self._published
        return answer

    def roll_back(self, invoke: Callable[[Json], object]) -> Answer:
        """The code that was live before the update that has failed, under its own number."""
        failed, self._failed = self._failed, None
        return self._request("Update", self._version, failed, invoke)

    def delete(self, invoke: Callable[[Json], object]) -> Answer:
        return self._request("Delete", self._version, None, invoke)

    def _request(self, kind: str, version: int, old: int | None, invoke: Callable[[Json], object]) -> Answer:
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
        with receiving() as (port, answers):
            invoke({**request, "ResponseURL": f"http://{HOST}:{port}/answer"})
        if len(answers) != 1:
            raise LocalError(f"{kind}: {len(answers)} answers came, and CloudFormation waits for one")
        return self._accepted(kind, request, answers[0])

    def _properties(self, version: int) -> Json:
        known = {"ServiceToken": f"{FUNCTION}:live", "CodeVersion": f"{FUNCTION}:{version}"}
        return {name: known.get(name, value) for name, value in self.properties.items()}

    def _accepted(self, kind: str, request: Json, answer: Json) -> Answer:
        """Raise `LocalError` for what CloudFormation would refuse, or would take for something else."""
        for name in ("StackId", "RequestId", "LogicalResourceId"):
            if answer.get(name) != request[name]:
                raise LocalError(f"{kind}: the answer has {name} {answer.get(name)!r} instead of {request[name]!r}")
        if answer.get("Status") not in ("SUCCESS", "FAILED"):
            raise LocalError(f"{kind}: {answer.get('Status')!r} is no status")
        identity, reason = answer.get("PhysicalResourceId"), answer.get("Reason", "")
        if not identity or identity != (self._id or identity):
            raise LocalError(
                f"{kind}: PhysicalResourceId {self._id!r} became {identity!r}: CloudFormation would delete the old one"
            )
        self._id = identity
        if answer["Status"] == "FAILED" and not reason:
            raise LocalError(f"{kind}: failed without a reason")
        if told := [private for private in PRIVATE if private in reason]:
            raise LocalError(f"{kind}: the reason tells {told[0]}: {reason}")
        if len(json.dumps(answer, ensure_ascii=False).encode()) > ANSWER_LIMIT:
            raise LocalError(f"{kind}: CloudFormation takes no answer of more than {ANSWER_LIMIT:,} bytes")
        return Answer(answer["Status"] == "SUCCESS", reason, answer.get("Data", {}))
