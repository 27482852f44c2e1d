"""An existing VPC, its subnets, and the way from them to S3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from local.doctor.account import Account, Missing
from local.doctor.checks.network import s3_prefix_lists
from local.doctor.deployment import Deployment
from local.doctor.finding import Finding, fine, unknown, wrong

__all__ = ["data_subnets", "function_subnets", "routes", "vpc"]

Json = dict[str, Any]

# Lambda takes one address for each subnet and security group, and more under load. Databases, caches and proxies take
# one or two each, and another during maintenance.
_FREE_ADDRESSES: Final = 8
# The keys of a route that lead further than the VPC. An internet gateway (igw-…) does not: functions have no public
# address.
_WAYS_OUT: Final = ("NatGatewayId", "TransitGatewayId", "InstanceId", "NetworkInterfaceId", "VpcPeeringConnectionId")


def vpc(deployment: Deployment, aws: Account) -> Iterator[Finding]:
    if not (chosen := deployment.plan.parameter("VpcId")):
        return
    try:
        aws.ask("ec2", "describe_vpcs", VpcIds=[chosen])
    except Missing:
        yield wrong(f"{chosen} does not exist in {aws.region}")
        return
    support = aws.ask("ec2", "describe_vpc_attribute", VpcId=chosen, Attribute="enableDnsSupport")
    names = aws.ask("ec2", "describe_vpc_attribute", VpcId=chosen, Attribute="enableDnsHostnames")
    command = f"`aws ec2 modify-vpc-attribute --vpc-id {chosen}"
    if not support["EnableDnsSupport"]["Value"]:
        yield wrong(f"{chosen} has no DNS support: {command} --enable-dns-support`")
    elif not names["EnableDnsHostnames"]["Value"]:
        yield wrong(f"{chosen} has no DNS host names: {command} --enable-dns-hostnames`")
    else:
        yield fine(chosen)


def function_subnets(deployment: Deployment, aws: Account) -> Iterator[Finding]:
    yield from _subnets(deployment, aws, "FunctionSubnetIds")


def data_subnets(deployment: Deployment, aws: Account) -> Iterator[Finding]:
    yield from _subnets(deployment, aws, "DataSubnetIds")


def _subnets(deployment: Deployment, aws: Account, name: str) -> Iterator[Finding]:
    chosen = deployment.plan.items(name)
    if not chosen:
        return
    try:
        found = aws.ask("ec2", "describe_subnets", SubnetIds=chosen)["Subnets"]
    except Missing as error:
        yield wrong(str(error))
        return
    problems = list(_problems_of_subnets(found, deployment.plan.parameter("VpcId")))
    yield from map(wrong, problems)
    if not problems:
        yield fine(", ".join(f"{subnet['SubnetId']} in {subnet['AvailabilityZone']}" for subnet in found))


def _problems_of_subnets(subnets: list[Json], vpc_id: str) -> Iterator[str]:
    for subnet in subnets:
        if subnet["VpcId"] != vpc_id:
            yield f"{subnet['SubnetId']} is in {subnet['VpcId']}, not in {vpc_id}"
        if (free := subnet["AvailableIpAddressCount"]) < _FREE_ADDRESSES:
            yield f"{subnet['SubnetId']} has {free} free addresses: choose one with at least {_FREE_ADDRESSES}"
    if len({subnet["AvailabilityZone"] for subnet in subnets}) < 2:
        yield f"all are in {subnets[0]['AvailabilityZone']}: choose subnets in two zones"


def routes(deployment: Deployment, aws: Account) -> Iterator[Finding]:
    """Without a way to S3, the migrate function cannot answer CloudFormation, which then waits 15 minutes."""
    plan = deployment.plan
    vpc_id, subnets = plan.parameter("VpcId"), plan.items("FunctionSubnetIds")
    if not vpc_id or not subnets:
        return
    in_vpc = [{"Name": "vpc-id", "Values": [vpc_id]}]
    tables = _tables(aws.ask_all("ec2", "describe_route_tables", "RouteTables", Filters=in_vpc))
    if not tables:
        yield unknown(f"the route tables of {vpc_id} belong to another account")
        return
    s3 = s3_prefix_lists(aws)
    ways = {subnet: _ways(tables.get(subnet) or tables.get("main", {}), s3) for subnet in subnets}
    no_way = [subnet for subnet, found in ways.items() if not found]
    if no_way and not (plan.parameter("FurtherEgress") and _interface_endpoint(aws, vpc_id)):
        yield wrong(
            f"{', '.join(no_way)}: no route to S3, through which the migrations answer CloudFormation. Add the route "
            "tables to an S3 gateway endpoint; for an interface endpoint, name its addresses in FurtherEgress"
        )
    elif plan.parameter("Egress") == "nat" and (closed := [each for each in subnets if "out" not in ways[each]]):
        yield wrong(f"{', '.join(closed)}: Egress is nat, and there is no default route to a NAT gateway")
    else:
        yield fine("the function subnets reach S3")


def _tables(found: list[Json]) -> dict[str, Json]:
    """Return the route table of each subnet that names one, and that of the others as "main"."""
    tables = {}
    for table in found:
        for association in table.get("Associations", []):
            tables["main" if association.get("Main") else association.get("SubnetId", "")] = table
    return tables


def _ways(table: Mapping[str, Any], s3: list[str]) -> set[str]:
    """Return "endpoint" if a gateway endpoint for S3 is among the routes, and "out" if there is a default route."""
    ways = set()
    for route in table.get("Routes", []):
        gateway = route.get("GatewayId", "")
        if route.get("State", "active") != "active":
            continue
        if route.get("DestinationPrefixListId") in s3 and gateway.startswith("vpce-"):
            ways.add("endpoint")
        leads_out = gateway.startswith("vgw-") or any(route.get(key) for key in _WAYS_OUT)
        if route.get("DestinationCidrBlock") == "0.0.0.0/0" and leads_out:
            ways.add("out")
    return ways


def _interface_endpoint(aws: Account, vpc_id: str) -> bool:
    wanted = {"vpc-id": vpc_id, "service-name": f"com.amazonaws.{aws.region}.s3", "vpc-endpoint-type": "Interface"}
    filters = [{"Name": name, "Values": [value]} for name, value in wanted.items()]
    return bool(aws.ask_all("ec2", "describe_vpc_endpoints", "VpcEndpoints", Filters=filters))
