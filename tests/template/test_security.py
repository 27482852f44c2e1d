"""AWS Foundational Security Best Practices, numbered as in Security Hub, for the services that the template uses.

Each control is checked in every highly available mode. dev is cheap and does not meet some of them, on purpose.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from ipaddress import ip_network
from typing import Any, NamedTuple

import pytest

from tests.template.support.api import PAGES, PREFLIGHT, operations
from tests.template.support.choices import MODES, parameters_of
from tests.template.support.network import INTERNET, edges, rules
from tests.template.support.permissions import listed, statements
from tests.template.support.stack import Stack, stack_of

DATABASE = "AWS::RDS::DBInstance"
AURORA = "AWS::RDS::DBCluster"
NODES = "AWS::ElastiCache::ReplicationGroup"
PROD = {"BackupDays": "14", "DeletionProtection": "on"}  # as the section prod of samconfig.toml, once deployed
FLOWS = {"ResourceType": "VPC", "ResourceId": "Vpc"}


class Control(NamedTuple):
    number: str
    asks: str
    is_met: Callable[[Stack], bool]


class Exemption(NamedTuple):
    number: str
    asks: str
    reason: str


def every(kind: str, **expected: Any) -> Callable[[Stack], bool]:
    """Return a check that all resources of a type have these properties."""
    return lambda stack: all(
        {name: properties.get(name) for name in expected} == expected for properties in stack.of_type(kind).values()
    )


def every_database(**expected: Any) -> Callable[[Stack], bool]:
    """Return a check that the instance, or Aurora's cluster, has these properties."""

    def is_met(stack: Stack) -> bool:
        kept = [*stack.of_type(AURORA).values()] or [*stack.of_type(DATABASE).values()]
        return all({name: properties.get(name) for name in expected} == expected for properties in kept)

    return is_met


def database_in_several_zones(stack: Stack) -> bool:
    instances = stack.of_type(DATABASE)
    return len(instances) == 2 if stack.of_type(AURORA) else all(p["MultiAZ"] is True for p in instances.values())


def database_logs(stack: Stack) -> bool:
    kept = [*stack.of_type(AURORA).values()] or [*stack.of_type(DATABASE).values()]
    return all("postgresql" in properties["EnableCloudwatchLogsExports"] for properties in kept)


def in_two_zones(stack: Stack) -> bool:
    zones = {name: subnet["AvailabilityZone"] for name, subnet in stack.of_type("AWS::EC2::Subnet").items()}
    places = [function["VpcConfig"]["SubnetIds"] for function in stack.functions.values()]
    return all(len({zones.get(subnet, subnet) for subnet in subnets}) == 2 for subnets in places)


def called_by_this_account_only(stack: Stack) -> bool:
    permissions = stack.of_type("AWS::Lambda::Permission").values()
    return all(p["Principal"] != "*" and ":111122223333:" in p["SourceArn"] for p in permissions)


def routes_ask(stack: Stack) -> bool:
    """Reads are open only if ReadAuthorization says so, and in developer mode the pages, which hold no data.

    Preflight is always open, and reveals nothing.
    """
    is_open = {route for route, operation in operations(stack).items() if not operation["security"]}
    if stack.parameters["ReadAuthorization"] == "open":
        return is_open == {route for route in operations(stack) if route[0] != "POST"}
    in_developer_mode = stack.parameters["DeveloperMode"] == "on"
    return is_open == {PREFLIGHT} | (PAGES if in_developer_mode else set())


def no_rule_lets_addresses_in(stack: Stack) -> bool:
    return not [rule for found in rules(stack, "SecurityGroupIngress").values() for rule in found if "CidrIp" in rule]


def database_away_from_the_internet(stack: Stack) -> bool:
    public = [r["RouteTableId"] for r in stack.of_type("AWS::EC2::Route").values() if "GatewayId" in r]
    subnets = {
        a["SubnetId"]
        for a in stack.of_type("AWS::EC2::SubnetRouteTableAssociation").values()
        if a["RouteTableId"] in public
    }
    used = {s for group in stack.of_type("AWS::RDS::DBSubnetGroup").values() for s in group["SubnetIds"]}
    return not subnets & used and INTERNET not in {edge.caller for edge in edges(stack)}


def topics_are_private(stack: Stack) -> bool:
    documents = [policy["PolicyDocument"] for policy in stack.of_type("AWS::SNS::TopicPolicy").values()]
    found = [statement for document in documents for statement in document["Statement"]]
    return all(s["Effect"] == "Deny" or (s["Principal"] != "*" and "Condition" in s) for s in found)


def actions_are_named(stack: Stack) -> bool:
    return not [a for s in statements(stack) if s["Effect"] == "Allow" for a in listed(s["Action"]) if "*" in a]


def logs_every_version(stack: Stack) -> bool:
    stages = stack.of_type("AWS::ApiGatewayV2::Stage").values()
    return all(stage["AccessLogSettings"]["DestinationArn"] == "ApiLogs.Arn" for stage in stages)


def tls_is_forced(stack: Stack) -> bool:
    groups = stack.of_type("AWS::RDS::DBParameterGroup", "AWS::RDS::DBClusterParameterGroup").values()
    return all(group["Parameters"]["rds.force_ssl"] == "1" for group in groups)


def private_vpc(stack: Stack) -> bool:
    networks = [ip_network(vpc["CidrBlock"]) for vpc in stack.of_type("AWS::EC2::VPC").values()]
    return all(network.is_private for network in networks) and not any(
        subnet.get("MapPublicIpOnLaunch") for subnet in stack.of_type("AWS::EC2::Subnet").values()
    )


MET = [
    Control("APIGateway.8", "routes specify an authorization type", routes_ask),
    Control("APIGateway.9", "stages of version 2 log access", logs_every_version),
    Control("EC2.6", "flow logs of what a VPC rejects", every("AWS::EC2::FlowLog", **FLOWS)),
    Control("EC2.15", "subnets assign no public addresses", private_vpc),
    Control("EC2.18", "groups admit all addresses on authorized ports only", no_rule_lets_addresses_in),
    Control("EC2.19", "groups admit no address on high-risk ports", no_rule_lets_addresses_in),
    Control("ElastiCache.2", "automatic minor version upgrades", every(NODES, AutoMinorVersionUpgrade=True)),
    Control("ElastiCache.3", "automatic failover", every(NODES, AutomaticFailoverEnabled=True)),
    Control("ElastiCache.4", "encrypted at rest", every(NODES, AtRestEncryptionEnabled=True)),
    Control("ElastiCache.5", "encrypted in transit", every(NODES, TransitEncryptionEnabled=True)),
    Control("ElastiCache.6", "users must sign in", every(NODES, UserGroupIds=["CacheUsers"])),
    Control("ElastiCache.7", "no default subnet group", every(NODES, CacheSubnetGroupName="CacheSubnets")),
    Control("IAM.1", "no policy allows everything", actions_are_named),
    Control("IAM.21", "no policy allows all actions of a service", actions_are_named),
    Control("Lambda.1", "no other account may call", called_by_this_account_only),
    Control("Lambda.2", "supported runtimes", every("AWS::Lambda::Function", Runtime="python3.13")),
    Control("Lambda.5", "functions in a VPC live in two zones", in_two_zones),
    Control("RDS.2", "no public address", every(DATABASE, PubliclyAccessible=False)),
    Control("RDS.3", "encrypted at rest", every_database(StorageEncrypted=True)),
    Control("RDS.5", "in several zones", database_in_several_zones),
    Control("RDS.6", "enhanced monitoring", every(DATABASE, MonitoringInterval=60)),
    Control("RDS.8", "protected against deletion", every_database(DeletionProtection=True)),
    Control("RDS.9", "logs are published", database_logs),
    Control("RDS.10", "IAM authentication", every_database(EnableIAMDatabaseAuthentication=True)),
    Control("RDS.11", "backups, kept for a week at least", every_database(BackupRetentionPeriod="14")),
    Control("RDS.13", "automatic minor version upgrades", every(DATABASE, AutoMinorVersionUpgrade=True)),
    Control("RDS.17", "snapshots have the instance's tags", every_database(CopyTagsToSnapshot=True)),
    Control("RDS.25", "an administrator's name of its own", every_database(MasterUsername="cacheaside_owner")),
    Control("RDS.36", "PostgreSQL's log in CloudWatch", database_logs),
    Control("RDS.38", "PostgreSQL takes TLS only", tls_is_forced),
    Control("RDS.43", "proxies take TLS only", every("AWS::RDS::DBProxy", RequireTLS=True)),
    Control("RDS.46", "in no subnet with a route to an internet gateway", database_away_from_the_internet),
    Control("SNS.4", "topics are not public", topics_are_private),
]

NOT_MET = [
    Exemption("APIGateway.1", "execution logs of REST APIs", "ours is an HTTP API, which has access logs only"),
    Exemption("APIGateway.4", "a web ACL", "an HTTP API takes none; put CloudFront before it where one is needed"),
    Exemption(
        "CloudFormation.3", "stacks protected against termination", "a setting of the stack, which no template has"
    ),
    Exemption("CloudFormation.4", "stacks have a service role", "chosen at deployment: sam deploy --role-arn"),
    Exemption(
        "EC2.2", "default groups let nothing through", "CloudFormation cannot change it, and no resource uses it"
    ),
    Exemption("EC2.10", "an endpoint for EC2's own API", "no function calls it; isolated means no way out"),
    Exemption("ElastiCache.1", "backups of the cache", "a backup would restore answers that were invalidated"),
    Exemption("RDS.20", "events of instances are subscribed to", "CPU, storage and connections have alarms instead"),
    Exemption("RDS.21", "events of parameter groups are subscribed to", "they change with this template only"),
    Exemption("RDS.22", "events of security groups are subscribed to", "they change with this template only"),
    Exemption("RDS.23", "no default port", "hides nothing from the groups that may connect; DatabasePort changes it"),
    Exemption("SNS.1", "topics encrypted with a key", "an alarm's text is no secret; KmsKeyArn encrypts them"),
]


@cache
def prod() -> list[Stack]:
    return [stack_of(**parameters_of(mode) | PROD) for mode in MODES if mode["HighAvailability"] == "on"]


@pytest.mark.parametrize("control", MET, ids=lambda control: control.number)
def test_control_is_met(control: Control) -> None:
    assert [stack.parameters for stack in prod() if not control.is_met(stack)] == []


def test_every_control_is_named_once_and_every_exception_has_its_reason() -> None:
    numbers = [control.number for control in MET] + [exemption.number for exemption in NOT_MET]
    assert len(numbers) == len(set(numbers))
    assert all(exemption.reason for exemption in NOT_MET)


def test_resources_that_the_controls_check_exist() -> None:
    """No control is met only because every mode lacks the resource that it checks."""
    kinds = {resource["Type"] for stack in prod() for resource in stack.resources.values()}
    assert kinds >= {DATABASE, AURORA, NODES, "AWS::RDS::DBProxy", "AWS::EC2::FlowLog", "AWS::SNS::TopicPolicy"}


def test_dev_fails_only_the_controls_that_prod_pays_for() -> None:
    failed = {control.number for control in MET if not control.is_met(stack_of())}
    assert failed == {"ElastiCache.3", "RDS.5", "RDS.8", "RDS.11"}
