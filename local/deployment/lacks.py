"""What the emulator does not have: taken out of a copy of the built template, or put in its place. Printed at each run.

When the emulator has learnt something, tests/deployment/test_lacks.py fails, and the entry goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["LACKS", "REPLACED", "Lack"]

Json = dict[str, Any]


@dataclass(frozen=True)
class Lack:
    """Something that is taken out of the copy."""

    type: str  # of the resources
    reason: str
    where: str = ""  # only of resources that have this property
    property: str = ""  # take out this property, and leave the resource
    stays: bool = False  # only references are replaced, those that have a value
    unknown: str = ""  # the type that the emulator refuses, if it is another one
    # The value in place of a reference, by attribute; "" is Ref. A reference without a value becomes the logical id.
    # {database} and {serverless_cache} are addresses of servers which the emulator starts when it is called directly.
    instead: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        what = f"{self.type} {self.property}" if self.property else f"{self.type} with {self.where}" * bool(self.where)
        return f"{what or self.type}: {self.reason}"


LACKS: Final = (
    Lack("AWS::EC2::SecurityGroupIngress", "unknown; its groups keep no container from another"),
    Lack("AWS::EC2::FlowLog", "unknown"),
    Lack("AWS::EC2::EIP", "unknown; containers reach what the machine reaches"),
    Lack("AWS::EC2::NatGateway", "unknown"),
    Lack("AWS::RDS::DBProxy", "unknown; functions connect to the database", instead={"Endpoint": ""}),
    Lack("AWS::RDS::DBProxyTargetGroup", "unknown"),
    Lack(
        "AWS::RDS::DBInstance",
        "a record without a server; a call of RDS starts one",
        stays=True,
        instead={"Endpoint.Address": "{database}"},
    ),
    Lack("AWS::RDS::DBCluster", "likewise", stays=True, instead={"Endpoint.Address": "{database}"}),
    Lack(
        "AWS::ElastiCache::ServerlessCache",
        "unknown; a call of ElastiCache makes the cache",
        instead={"": "${AWS::StackName}", "Endpoint.Address": "{serverless_cache}"},
    ),
    Lack("AWS::Logs::QueryDefinition", "unknown"),
    Lack("AWS::CloudWatch::Alarm", "metric math is refused", where="Metrics"),
    Lack(
        "AWS::Serverless::Function",
        "all traffic moves at once",
        property="DeploymentPreference",
        unknown="AWS::CodeDeploy::Application",
    ),
)

REPLACED: Final = {
    "routes of the API": "made as resources: the emulator ignores the OpenAPI definition; the paths, functions and "
    "authorization are read from it",
    "authorization by IAM": "a request must have a signature, which is not checked; no policy is evaluated",
    "preflight requests": "answered before any route is looked for; tests/template has the route OPTIONS /{proxy+}",
    "output ApiUrl": "a path of the emulator: under the API's own name it answers /health itself",
    "certificates": "the layer's bundle has the emulator's authorities too, and is the only one that functions trust",
    "users and replicas of caches": "made after each deployment: the emulator keeps them as records. A replica is a "
    "second Valkey in the container of its primary",
    "log groups": "made again for an invocation that ends after their deletion; on AWS no role may do that",
    "DatabasePort": "the port of this machine at which the database is published",
    "Architecture": "this machine's",
}
