"""Who can reach whom, in every mode."""

from __future__ import annotations

import pytest

from tests.template.choices import EXISTING_VPC
from tests.template.network import EXISTING_CACHE, EXISTING_DATABASE, INTERNET, S3, Edge, edges, rules
from tests.template.stack import TEMPLATE, Stack

SERVING = ("QueryFunction", "CommandFunction", "InvalidateFunction")
CACHES = {"node": "Cache", "serverless": "CacheServerless", "existing": EXISTING_CACHE}


def expected(stack: Stack) -> set[Edge]:
    """Return who shall reach whom: in any mode, and with what was chosen."""
    choice = stack.parameters
    database = "Database" if choice["DatabaseSource"] == "new" else EXISTING_DATABASE
    cache = CACHES[choice["CacheType"]]
    serverless = choice["CacheType"] == "serverless" or (cache == EXISTING_CACHE and choice["CacheMode"] == "serverless")
    found = {Edge("MigrateFunction", database, 5432), Edge("MigrateFunction", S3, 443)}
    for function in SERVING:
        found |= {Edge(function, database, 5432), Edge(function, cache, 6379)}
        if serverless:
            found.add(Edge(function, cache, 6380))
        if choice["RdsProxy"] == "on":
            found |= {Edge(function, "DatabaseProxy", 5432), Edge("DatabaseProxy", database, 5432)}
        if choice["Egress"] == "endpoints":
            found |= {Edge(function, "EventsEndpoint", 443), Edge(function, "LambdaEndpoint", 443)}
        if choice["Egress"] == "nat":
            found |= {Edge(function, INTERNET, 443), Edge(function, S3, 443)}
    return found


# What may be touched from outside the VPC. A new kind of resource has to be thought about here first.
PUBLIC = {"AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Stage"}
PRIVATE = {
    "AWS::CloudWatch::Alarm",
    "AWS::EC2::EIP",  # of a NAT gateway, which lets nobody in
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
    "AWS::RDS::DBInstance",
    "AWS::RDS::DBParameterGroup",
    "AWS::RDS::DBSubnetGroup",
    "AWS::Scheduler::Schedule",
    "Custom::Migrations",
}


def test_each_function_reaches_what_it_works_with_and_nothing_else(stack: Stack) -> None:
    assert edges(stack) == expected(stack)


def test_nothing_but_the_api_is_public(stack: Stack) -> None:
    assert {resource["Type"] for resource in stack.resources.values()} <= PUBLIC | PRIVATE
    assert [p["PubliclyAccessible"] for p in stack.of_type("AWS::RDS::DBInstance").values()] == [False]
    for subnet in stack.of_type("AWS::EC2::Subnet").values():
        assert not subnet.get("MapPublicIpOnLaunch")


def test_functions_may_be_called_by_this_api_only(stack: Stack) -> None:
    for permission in stack.of_type("AWS::Lambda::Permission").values():
        assert permission["Principal"] == "apigateway.amazonaws.com"
        assert permission["SourceArn"].startswith("arn:aws:execute-api:eu-west-1:111122223333:HttpApi/")


def test_only_nat_opens_a_rule_or_route_to_everywhere(stack: Stack) -> None:
    opened = {name for name, resource in stack.resources.items() if "0.0.0.0/0" in str(resource)}
    out = {"FunctionSecurityGroup", "FunctionRouteOutA", "FunctionRouteOutB", "PublicRouteOut"}
    assert opened == (out if stack.parameters["Egress"] == "nat" else set())


def test_no_group_keeps_the_open_egress_rule_that_ec2_adds(stack: Stack) -> None:
    for group in stack.of_type("AWS::EC2::SecurityGroup").values():
        assert group["SecurityGroupEgress"]


def test_no_mode_gives_the_data_a_way_out(stack: Stack) -> None:
    tables = {
        p["RouteTableId"]
        for p in stack.of_type("AWS::EC2::SubnetRouteTableAssociation").values()
        if p["SubnetId"].startswith("Data")
    }
    assert tables == {"DataRoutes"}
    assert not [p for p in stack.of_type("AWS::EC2::Route").values() if p["RouteTableId"] in tables]


def test_the_loss_of_one_zone_leaves_the_other_its_way_out_in_prod() -> None:
    gateways = Stack(Egress="nat", Stage="prod").of_type("AWS::EC2::Route")
    assert gateways["FunctionRouteOutA"]["NatGatewayId"] != gateways["FunctionRouteOutB"]["NatGatewayId"]


def test_subnets_of_a_kind_are_in_different_zones(stack: Stack) -> None:
    zones = {name: p["AvailabilityZone"] for name, p in stack.of_type("AWS::EC2::Subnet").items()}
    assert zones["FunctionSubnetA"] != zones["FunctionSubnetB"]
    assert zones["DataSubnetA"] != zones["DataSubnetB"]
    for gateway in stack.of_type("AWS::EC2::NatGateway").values():
        assert gateway["SubnetId"].startswith("PublicSubnet")


def test_s3_is_open_for_answers_to_cloudformation_only(stack: Stack) -> None:
    (statement,) = stack.of_type("AWS::EC2::VPCEndpoint")["S3Endpoint"]["PolicyDocument"]["Statement"]
    assert statement["Action"] == "s3:PutObject"
    assert statement["Resource"] == "arn:aws:s3:::cloudformation-custom-resource-response-euwest1/*"
