"""An existing VPC: its DNS, its subnets, and the way to S3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from local.doctor.account import Account
from local.doctor.checks import existing_vpc
from local.doctor.deployment import Deployment
from tests.component.local.doctor.support import REGION, answer, deployment, lines


@dataclass
class Network:
    """A VPC with two subnets in two zones."""

    ec2: Any
    vpc: str
    subnets: list[str]

    def chosen(self, **parameters: str) -> Deployment:
        ids = ",".join(self.subnets)
        return deployment(**{"VpcId": self.vpc, "FunctionSubnetIds": ids, "DataSubnetIds": ids} | parameters)

    def main_routes(self) -> str:
        filters = [{"Name": "vpc-id", "Values": [self.vpc]}, {"Name": "association.main", "Values": ["true"]}]
        [table] = self.ec2.describe_route_tables(Filters=filters)["RouteTables"]
        return str(table["RouteTableId"])


@pytest.fixture
def network(aws: Account) -> Network:
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{number}.0/24", AvailabilityZone=f"{REGION}{letter}")
        for number, letter in enumerate("ab")
    ]
    return Network(ec2, vpc, [each["Subnet"]["SubnetId"] for each in subnets])


def test_a_vpc_that_does_not_exist_is_a_problem(aws: Account) -> None:
    assert lines(existing_vpc.vpc(deployment(), aws)) == []
    [line] = lines(existing_vpc.vpc(deployment(VpcId="vpc-0a"), aws))
    assert line.startswith("✗")
    assert "vpc-0a does not exist" in line


def test_a_vpc_without_dns_names_is_a_problem(aws: Account, network: Network) -> None:
    assert lines(existing_vpc.vpc(network.chosen(), aws)) == [f"✓ {network.vpc}"]
    network.ec2.modify_vpc_attribute(VpcId=network.vpc, EnableDnsHostnames={"Value": False})
    [line] = lines(existing_vpc.vpc(network.chosen(), aws))
    assert line.startswith("✗ DnsHostnames is off")
    network.ec2.modify_vpc_attribute(VpcId=network.vpc, EnableDnsSupport={"Value": False})
    assert lines(existing_vpc.vpc(network.chosen(), aws))[0].startswith("✗ DnsSupport is off")


def test_subnets_in_two_zones_are_fine(aws: Account, network: Network) -> None:
    for check in (existing_vpc.function_subnets, existing_vpc.data_subnets):
        [line] = lines(check(network.chosen(), aws))
        assert line == f"✓ {network.subnets[0]} in eu-central-1a, {network.subnets[1]} in eu-central-1b"


def test_a_subnet_that_does_not_exist_is_a_problem(aws: Account, network: Network) -> None:
    [line] = lines(existing_vpc.function_subnets(network.chosen(FunctionSubnetIds="subnet-0a"), aws))
    assert line.startswith("✗")
    assert "subnet-0a" in line


def test_subnets_in_one_zone_are_a_problem(aws: Account, network: Network) -> None:
    first = network.subnets[0]
    assert lines(existing_vpc.data_subnets(network.chosen(DataSubnetIds=first), aws)) == [
        "✗ all are in eu-central-1a: choose subnets in two zones"
    ]


def test_subnets_of_another_vpc_are_a_problem(aws: Account, network: Network) -> None:
    found = lines(existing_vpc.function_subnets(network.chosen(VpcId="vpc-0a"), aws))
    assert found == [f"✗ {subnet} is in {network.vpc}, not in vpc-0a" for subnet in network.subnets]


def test_a_full_subnet_is_a_problem(aws: Account, network: Network) -> None:
    subnets = [
        {"SubnetId": "subnet-0", "VpcId": network.vpc, "AvailabilityZone": "a", "AvailableIpAddressCount": 7},
        {"SubnetId": "subnet-1", "VpcId": network.vpc, "AvailabilityZone": "b", "AvailableIpAddressCount": 8},
    ]
    answer(aws, "ec2", "describe_subnets", {"Subnets": subnets})
    [line] = lines(existing_vpc.function_subnets(network.chosen(), aws))
    assert line.startswith("✗ subnet-0 has 7 free addresses")


def test_no_way_to_s3_is_a_problem(aws: Account, network: Network) -> None:
    [line] = lines(existing_vpc.routes(network.chosen(), aws))
    assert line.startswith(f"✗ {', '.join(network.subnets)}: no route to S3")


@pytest.mark.parametrize(("service", "mark"), [("s3", "✓"), ("dynamodb", "✗")])
def test_a_gateway_endpoint_of_s3_is_a_way(aws: Account, network: Network, service: str, mark: str) -> None:
    routes = {"RouteTables": [{"Associations": [{"Main": True}], "Routes": [_endpoint_route(service)]}]}
    answer(aws, "ec2", "describe_route_tables", routes)
    [line] = lines(existing_vpc.routes(network.chosen(), aws))
    assert line.startswith(mark)


def _endpoint_route(service: str) -> dict[str, str]:
    region = deployment().template["Mappings"]["Region"][REGION]
    prefix_list = region["S3PrefixList"] if service == "s3" else "pl-0dynamodb"
    return {"DestinationPrefixListId": prefix_list, "GatewayId": "vpce-0a", "State": "active"}


def test_a_nat_gateway_is_a_way_and_an_internet_gateway_is_none(aws: Account, network: Network) -> None:
    table = network.main_routes()
    gateway = network.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    network.ec2.attach_internet_gateway(VpcId=network.vpc, InternetGatewayId=gateway)
    network.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    [line] = lines(existing_vpc.routes(network.chosen(), aws))
    assert line.startswith("✗")
    nat = network.ec2.create_nat_gateway(SubnetId=network.subnets[0], ConnectivityType="private")
    network.ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")
    network.ec2.create_route(
        RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat["NatGateway"]["NatGatewayId"]
    )
    assert lines(existing_vpc.routes(network.chosen(Egress="nat"), aws)) == ["✓ the function subnets reach S3"]


def test_a_subnet_with_routes_of_its_own_does_not_use_the_main_ones(aws: Account, network: Network) -> None:
    own = network.ec2.create_route_table(VpcId=network.vpc)["RouteTable"]["RouteTableId"]
    network.ec2.associate_route_table(RouteTableId=own, SubnetId=network.subnets[1])
    nat = network.ec2.create_nat_gateway(SubnetId=network.subnets[0], ConnectivityType="private")
    network.ec2.create_route(
        RouteTableId=network.main_routes(),
        DestinationCidrBlock="0.0.0.0/0",
        NatGatewayId=nat["NatGateway"]["NatGatewayId"],
    )
    [line] = lines(existing_vpc.routes(network.chosen(), aws))
    assert line.startswith(f"✗ {network.subnets[1]}: no route to S3")


def test_egress_nat_without_a_default_route_is_a_problem(aws: Account, network: Network) -> None:
    routes = {"RouteTables": [{"Associations": [{"Main": True}], "Routes": [_endpoint_route("s3")]}]}
    answer(aws, "ec2", "describe_route_tables", routes)
    [line] = lines(existing_vpc.routes(network.chosen(Egress="nat"), aws))
    assert line.startswith("✗")
    assert "Egress is nat" in line


def test_what_further_egress_reaches_cannot_be_seen(aws: Account, network: Network) -> None:
    [line] = lines(existing_vpc.routes(network.chosen(FurtherEgress="pl-0a"), aws))
    assert line.startswith(f"? not checked: {', '.join(network.subnets)}: S3 can only be reached if FurtherEgress")


def test_a_dead_route_is_no_way(aws: Account, network: Network) -> None:
    dead = _endpoint_route("s3") | {"State": "blackhole"}
    answer(aws, "ec2", "describe_route_tables", {"RouteTables": [{"Associations": [{"Main": True}], "Routes": [dead]}]})
    [line] = lines(existing_vpc.routes(network.chosen(), aws))
    assert line.startswith("✗")


def test_routes_of_a_shared_vpc_cannot_be_seen(aws: Account, network: Network) -> None:
    answer(aws, "ec2", "describe_route_tables", {"RouteTables": []})
    assert lines(existing_vpc.routes(network.chosen(), aws)) == [
        f"? not checked: the route tables of {network.vpc} belong to another account"
    ]
