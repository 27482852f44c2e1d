"""Which connections the network allows, in every mode."""

from __future__ import annotations

import re
from ipaddress import ip_network
from itertools import combinations

import pytest

from tests.template.support.choices import EXISTING_VPC, PREFIX_LIST
from tests.template.support.network import (
    ANY_PORT,
    EXISTING_CACHE,
    EXISTING_DATABASE,
    INTERNET,
    S3,
    Edge,
    edges,
    rules,
)
from tests.template.support.stack import Stack, read_template, stack_of

SERVING = ("QueryFunction", "CommandFunction", "InvalidateFunction")
DATABASES = {"new": ("Database",), "aurora": ("AuroraWriter", "AuroraReader"), "existing": (EXISTING_DATABASE,)}
CACHES = {"node": "Cache", "cluster": "CacheCluster", "serverless": "CacheServerless", "existing": EXISTING_CACHE}


def expected(stack: Stack) -> set[Edge]:
    """Return the connections that the network should allow: those of every mode, and those of this choice."""
    choice = stack.parameters
    databases = [name for name in DATABASES[choice["DatabaseSource"]] if name in {EXISTING_DATABASE, *stack.resources}]
    cache = CACHES[choice["CacheType"]]
    mode = choice["CacheMode"] if cache == EXISTING_CACHE else choice["CacheType"]
    found = {Edge("MigrateFunction", S3, 443)}
    found |= {Edge(function, database, 5432) for function in stack.functions for database in databases}
    if choice["FurtherEgress"]:
        found |= {Edge(function, PREFIX_LIST, ANY_PORT) for function in stack.functions}
    for function in SERVING:
        found.add(Edge(function, cache, 6379))
        if mode == "serverless":
            found.add(Edge(function, cache, 6380))
        if choice["RdsProxy"] == "on":
            found.add(Edge(function, "DatabaseProxy", 5432))
            found |= {Edge("DatabaseProxy", database, 5432) for database in databases}
        if choice["Egress"] == "endpoints":
            found |= {Edge(function, "EventsEndpoint", 443), Edge(function, "LambdaEndpoint", 443)}
            if choice["LambdaInsightsLayer"]:
                found.add(Edge(function, "LogsEndpoint", 443))
        if choice["Egress"] == "nat":
            found |= {Edge(function, INTERNET, 443), Edge(function, S3, 443)}
    return found


# Reachable from outside the VPC, or not. A new type of resource must be added to one of these.
PUBLIC = {
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::ApiMapping",
    "AWS::ApiGatewayV2::DomainName",
    "AWS::ApiGatewayV2::Stage",
}
PRIVATE = {
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::EC2::EIP",  # of a NAT gateway, which admits no connection
    "AWS::EC2::FlowLog",
    "AWS::EC2::InternetGateway",
    "AWS::EC2::NatGateway",
    "AWS::EC2::Route",
    "AWS::EC2::RouteTable",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::EC2::Subnet",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPC",
    "AWS::EC2::VPCEndpoint",
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::ElastiCache::ReplicationGroup",
    "AWS::ElastiCache::ServerlessCache",
    "AWS::ElastiCache::SubnetGroup",
    "AWS::ElastiCache::User",
    "AWS::ElastiCache::UserGroup",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Role",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Function",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Version",
    "AWS::Logs::LogGroup",
    "AWS::Logs::MetricFilter",
    "AWS::Logs::QueryDefinition",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBClusterParameterGroup",
    "AWS::RDS::DBInstance",
    "AWS::RDS::DBParameterGroup",
    "AWS::RDS::DBProxy",
    "AWS::RDS::DBProxyTargetGroup",
    "AWS::RDS::DBSubnetGroup",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    "AWS::Scheduler::Schedule",
    "AWS::Scheduler::ScheduleGroup",
    "Custom::Migrations",
}


def test_each_function_reaches_its_servers_and_nothing_else(stack: Stack) -> None:
    assert edges(stack) == expected(stack)


def test_nothing_but_the_api_is_public(stack: Stack) -> None:
    assert {resource["Type"] for resource in stack.resources.values()} <= PUBLIC | PRIVATE
    assert not [edge for edge in edges(stack) if edge.caller == INTERNET]
    for database in stack.of_type("AWS::RDS::DBInstance").values():
        assert database["PubliclyAccessible"] is False
    for subnet in stack.of_type("AWS::EC2::Subnet").values():
        assert not subnet.get("MapPublicIpOnLaunch")


def test_ingress_admits_groups_and_no_addresses(stack: Stack) -> None:
    for group, found in rules(stack, "SecurityGroupIngress").items():
        for rule in found:
            assert rule.get("SourceSecurityGroupId", "").endswith("SecurityGroup"), group
            assert not {"CidrIp", "CidrIpv6", "SourcePrefixListId"} & rule.keys(), group


def test_functions_may_be_called_by_this_api_only(stack: Stack) -> None:
    for permission in stack.of_type("AWS::Lambda::Permission").values():
        assert permission["Principal"] == "apigateway.amazonaws.com"
        assert permission["SourceArn"].startswith("arn:aws:execute-api:eu-west-1:111122223333:HttpApi/")


def test_only_nat_opens_a_rule_or_route_to_everywhere(stack: Stack) -> None:
    opened = {name for name, resource in stack.resources.items() if re.search(r"0\.0\.0\.0/0|::/0", str(resource))}
    routes = {"FunctionRouteOutA", "FunctionRouteOutB", "PublicRouteOut"} & stack.resources.keys()
    assert opened == ({"FunctionSecurityGroup", *routes} if stack.parameters["Egress"] == "nat" else set())


def test_no_group_keeps_the_open_egress_rule_that_ec2_adds(stack: Stack) -> None:
    for group in stack.of_type("AWS::EC2::SecurityGroup").values():
        assert group.get("SecurityGroupEgress")


def test_every_rule_has_a_description(stack: Stack) -> None:
    for direction in ("SecurityGroupEgress", "SecurityGroupIngress"):
        for group, found in rules(stack, direction).items():
            assert all(rule.get("Description") for rule in found), group


def test_the_data_has_no_way_out(stack: Stack) -> None:
    tables = {
        p["RouteTableId"]
        for p in stack.of_type("AWS::EC2::SubnetRouteTableAssociation").values()
        if p["SubnetId"].startswith("Data")
    }
    assert tables == ({"DataRoutes"} if "Vpc" in stack.resources else set())
    assert not [p for p in stack.of_type("AWS::EC2::Route").values() if p["RouteTableId"] in tables]
    callers = {edge.caller for edge in edges(stack) if edge.called in (INTERNET, S3, PREFIX_LIST)}
    assert callers <= stack.functions.keys()
    egress = rules(stack, "SecurityGroupEgress")
    for group in {"DatabaseSecurityGroup", "CacheSecurityGroup", "EndpointSecurityGroup"} & egress.keys():
        assert [rule["CidrIp"] for rule in egress[group]] == ["127.0.0.1/32"]


def test_the_loss_of_one_zone_leaves_the_other_its_way_out_if_highly_available() -> None:
    routes = stack_of(Egress="nat", HighAvailability="on").of_type("AWS::EC2::Route")
    assert routes["FunctionRouteOutA"]["NatGatewayId"] != routes["FunctionRouteOutB"]["NatGatewayId"]


@pytest.mark.parametrize(("given", "zones"), [("", ["zone-a", "zone-b"]), ("zone-b,zone-d", ["zone-b", "zone-d"])])
def test_subnets_of_a_kind_are_in_the_two_chosen_zones(given: str, zones: list[str]) -> None:
    stack = stack_of(Egress="nat", HighAvailability="on", AvailabilityZones=given)
    found = {name: p["AvailabilityZone"] for name, p in stack.of_type("AWS::EC2::Subnet").items()}
    assert {name: zones["AB".index(name[-1])] for name in found} == found
    assert {name[:-1] for name in found} == {"FunctionSubnet", "DataSubnet", "PublicSubnet"}


@pytest.mark.parametrize("block", ["10.0.0.0/16", "10.20.0.0/21", "192.168.0.0/20"])
def test_subnets_share_the_addresses_of_the_vpc_without_overlap(block: str) -> None:
    stack = stack_of(Egress="nat", HighAvailability="on", VpcCidr=block)
    (vpc,) = stack.of_type("AWS::EC2::VPC").values()
    subnets = [ip_network(p["CidrBlock"]) for p in stack.of_type("AWS::EC2::Subnet").values()]
    assert vpc["CidrBlock"] == block
    assert all(subnet.subnet_of(ip_network(block)) for subnet in subnets)
    assert not [pair for pair in combinations(subnets, 2) if pair[0].overlaps(pair[1])]


def test_only_nat_gateways_live_in_the_public_subnets(stack: Stack) -> None:
    public = {name for name in stack.of_type("AWS::EC2::Subnet") if name.startswith("Public")}
    inside = {
        name
        for name, resource in stack.resources.items()
        if any(f"'{subnet}'" in str(resource.get("Properties")) for subnet in public)
    }
    allowed = ("AWS::EC2::NatGateway", "AWS::EC2::SubnetRouteTableAssociation")
    assert inside == stack.of_type(*allowed).keys() & inside


def test_without_nat_s3_is_open_for_answers_to_cloudformation_only(stack: Stack) -> None:
    for endpoint in stack.of_type("AWS::EC2::VPCEndpoint").values():
        if endpoint["VpcEndpointType"] == "Gateway":
            answers, *others = endpoint["PolicyDocument"]["Statement"]
            assert answers["Action"] == "s3:PutObject"
            assert answers["Resource"] == "arn:aws:s3:::cloudformation-custom-resource-response-euwest1/*"
            # With NAT functions reach the S3 of other regions. The roles decide, as they do there.
            opened = [("s3:*", "*")] if "NatGatewayA" in stack.resources else []
            assert [(statement["Action"], statement["Resource"]) for statement in others] == opened


def test_refused_connections_are_logged() -> None:
    (log,) = stack_of().of_type("AWS::EC2::FlowLog").values()
    assert (log["ResourceId"], log["ResourceType"], log["TrafficType"]) == ("Vpc", "VPC", "REJECT")
    assert not stack_of(**EXISTING_VPC).of_type("AWS::EC2::FlowLog")  # its owner decides


def test_a_region_without_a_known_prefix_list_is_refused() -> None:
    """FindInMap has no default, so CloudFormation refuses the template there before it creates anything."""
    (rule,) = (
        rule
        for rule in read_template()["Resources"]["MigrateSecurityGroup"]["Properties"]["SecurityGroupEgress"]
        if "DestinationPrefixListId" in rule
    )
    assert rule["DestinationPrefixListId"] == {"Fn::FindInMap": ["Region", {"Ref": "AWS::Region"}, "S3PrefixList"]}
    assert "Condition" not in read_template()["Resources"]["MigrateSecurityGroup"]
