"""An existing VPC, its subnets, and the way from them to S3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from local.doctor.account import Account
from local.doctor.check import Check, NotChecked
from local.doctor.deployment import Deployment

__all__ = ["data_subnets", "function_subnets", "routes", "vpc"]

Json = dict[str, Any]

# Lambda takes one address for each subnet and security group, and more under load. Databases, caches and proxies take
# one or two each, and another during maintenance.
_FREE_ADDRESSES: Final = 8
# The keys of a route that lead further than the VPC. An internet gateway (igw-…) does not: functions have no public
# address.
_WAYS_OUT: Final = ("NatGatewayId", "TransitGatewayId", "InstanceId", "NetworkInterfaceId", "VpcPeeringConnectionId")


def vpc(deployment: Deployment, aws: Account) -> Check:
    if not (chosen := deployment.plan.parameter("VpcId")):
        return None
    for attribute, option in (("DnsSupport", "dns-support"), ("DnsHostnames", "dns-hostnames")):
        found = aws.ask("ec2", "describe_vpc_attribute", VpcId=chosen, Attribute=f"enable{attribute}")
        if not found[f"Enable{attribute}"]["Value"]:
            yield f"{attribute} is off: `aws ec2 modify-vpc-attribute --vpc-id {chosen} --enable-{option}`"
    return chosen


def function_subnets(deployment: Deployment, aws: Account) -> Check:
    return (yield from _subnets(deployment, aws, "FunctionSubnetIds"))


def data_subnets(deployment: Deployment, aws: Account) -> Check:
    return (yield from _subnets(deployment, aws, "DataSubnetIds"))


def _subnets(deployment: Deployment, aws: Account, name: str) -> Check:
    if not (chosen := deployment.plan.items(name)):
        return None
    vpc_id = deployment.plan.parameter("VpcId")
    subnets = aws.ask("ec2", "describe_subnets", SubnetIds=chosen)["Subnets"]
    for subnet in subnets:
        if subnet["VpcId"] != vpc_id:
            yield f"{subnet['SubnetId']} is in {subnet['VpcId']}, not in {vpc_id}"
        if (free := subnet["AvailableIpAddressCount"]) < _FREE_ADDRESSES:
            yield f"{subnet['SubnetId']} has {free} free addresses: choose one with at least {_FREE_ADDRESSES}"
    if len({subnet["AvailabilityZone"] for subnet in subnets}) < 2:
        yield f"all are in {subnets[0]['AvailabilityZone']}: choose subnets in two zones"
    return ", ".join(f"{subnet['SubnetId']} in {subnet['AvailabilityZone']}" for subnet in subnets)


def routes(deployment: Deployment, aws: Account) -> Check:
    """Without a way to S3, the migrate function cannot answer CloudFormation, which then waits 15 minutes."""
    plan = deployment.plan
    vpc_id, subnets = plan.parameter("VpcId"), plan.items("FunctionSubnetIds")
    if not vpc_id or not subnets:
        return None
    in_vpc = [{"Name": "vpc-id", "Values": [vpc_id]}]
    if not (tables := _tables(aws.ask_all("ec2", "describe_route_tables", "RouteTables", Filters=in_vpc))):
        raise NotChecked(f"the route tables of {vpc_id} belong to another account")
    s3 = deployment.template["Mappings"]["Region"].get(aws.region, {}).get("S3PrefixList")
    ways = {subnet: _ways(tables.get(subnet) or tables.get("main", {}), s3) for subnet in subnets}
    no_way = ", ".join(subnet for subnet, found in ways.items() if not found)
    closed = ", ".join(subnet for subnet, found in ways.items() if "out" not in found)
    if plan.parameter("Egress") == "nat" and closed:
        yield f"{closed}: Egress is nat, and there is no default route to a NAT gateway"
    elif no_way and plan.parameter("FurtherEgress"):
        raise NotChecked(
            f"{no_way}: S3 can only be reached if FurtherEgress lists an interface endpoint or proxy for it"
        )
    elif no_way:
        yield (
            f"{no_way}: no route to S3, through which the migrations answer CloudFormation. Add the route "
            "tables to an S3 gateway endpoint; for an interface endpoint, name its addresses in FurtherEgress"
        )
    return "the function subnets reach S3"


def _tables(found: list[Json]) -> dict[str, Json]:
    """Return the route table of each subnet that names one, and that of the others as "main"."""
    tables = {}
    for table in found:
        for association in table.get("Associations", []):
            tables["main" if association.get("Main") else association.get("SubnetId", "")] = table
    return tables


def _ways(table: Mapping[str, Any], s3: str | None) -> set[str]:
    """Return "endpoint" if a gateway endpoint for S3 is among the routes, and "out" if there is a default route."""
    ways = set()
    for route in table.get("Routes", []):
        gateway = route.get("GatewayId", "")
        if route.get("State", "active") != "active":
            continue
        if s3 and route.get("DestinationPrefixListId") == s3 and gateway.startswith("vpce-"):
            ways.add("endpoint")
        leads_out = gateway.startswith("vgw-") or any(route.get(key) for key in _WAYS_OUT)
        if route.get("DestinationCidrBlock") == "0.0.0.0/0" and leads_out:
            ways.add("out")
    return ways
