"""Who can open a connection to whom, computed from subnets, routes, gateways and security groups.

A connection inside the VPC needs an egress rule of the caller and an ingress rule of the called that name each other.
One to the outside needs an egress rule and, from the caller's subnets, a route.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, Final, NamedTuple

from tests.template.stack import Stack

INTERNET: Final = "internet"
S3: Final = "S3"
_EVERYWHERE: Final = ip_network("0.0.0.0/0")


class Edge(NamedTuple):
    caller: str
    called: str
    port: int


@dataclass(frozen=True)
class Place:
    """Something with addresses in the VPC, and the port it answers on, if it does."""

    name: str
    subnets: tuple[str, ...]
    groups: tuple[str, ...]
    port: int | None
    public_address: bool = False


def edges(stack: Stack) -> set[Edge]:
    """Return every connection that the network lets through."""
    network = _Network(stack)
    return set(network.inside()) | set(network.outward()) | set(network.inward())


class _Network:
    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._places = list(_places(stack))
        self._subnets = stack.of_type("AWS::EC2::Subnet")
        self._egress = _rules(stack, "SecurityGroupEgress")
        self._ingress = _rules(stack, "SecurityGroupIngress")

    def inside(self) -> Iterator[Edge]:
        for caller in self._places:
            for called in self._places:
                if caller is called or called.port is None:
                    continue
                out = any(self._allows(rule, called, called.port) for rule in self._rules(self._egress, caller))
                into = any(self._allows(rule, caller, called.port) for rule in self._rules(self._ingress, called))
                if out and into:
                    yield Edge(caller.name, called.name, called.port)

    def outward(self) -> Iterator[Edge]:
        for caller in self._places:
            for rule in self._rules(self._egress, caller):
                open_rule = _network(rule) == _EVERYWHERE
                if open_rule and any(self._leads_out(subnet) for subnet in caller.subnets):
                    yield Edge(caller.name, INTERNET, int(rule.get("ToPort", -1)))
                if (open_rule or "DestinationPrefixListId" in rule) and all(map(self._leads_to_s3, caller.subnets)):
                    yield Edge(caller.name, S3, int(rule.get("ToPort", -1)))

    def inward(self) -> Iterator[Edge]:
        for called in self._places:
            reachable = called.public_address and any(self._is_public(subnet) for subnet in called.subnets)
            for rule in self._rules(self._ingress, called):
                network = _network(rule)
                if network is not None and not network.is_private and reachable:
                    yield Edge(INTERNET, called.name, int(rule.get("ToPort", -1)))

    def _rules(self, rules: dict[str, list[dict[str, Any]]], place: Place) -> Iterator[dict[str, Any]]:
        for group in place.groups:
            yield from rules[group]

    def _allows(self, rule: dict[str, Any], other: Place, port: int) -> bool:
        if rule["IpProtocol"] != "-1" and not int(rule["FromPort"]) <= port <= int(rule["ToPort"]):
            return False
        network = _network(rule)
        if network is not None:
            return any(network.overlaps(ip_network(self._subnets[name]["CidrBlock"])) for name in other.subnets)
        return (rule.get("DestinationSecurityGroupId") or rule.get("SourceSecurityGroupId")) in other.groups

    def _routes(self, subnet: str) -> list[dict[str, Any]]:
        tables = [
            association["RouteTableId"]
            for association in self._stack.of_type("AWS::EC2::SubnetRouteTableAssociation").values()
            if association["SubnetId"] == subnet
        ]
        return [r for r in self._stack.of_type("AWS::EC2::Route").values() if r["RouteTableId"] in tables]

    def _is_public(self, subnet: str) -> bool:
        return any("GatewayId" in route for route in self._routes(subnet))

    def _leads_out(self, subnet: str) -> bool:
        gateways = self._stack.of_type("AWS::EC2::NatGateway")
        return any(
            self._is_public(gateways[route["NatGatewayId"]]["SubnetId"])
            for route in self._routes(subnet)
            if "NatGatewayId" in route
        )

    def _leads_to_s3(self, subnet: str) -> bool:
        tables = {
            table
            for endpoint in self._stack.of_type("AWS::EC2::VPCEndpoint").values()
            if endpoint["VpcEndpointType"] == "Gateway" and endpoint["ServiceName"].endswith(".s3")
            for table in endpoint["RouteTableIds"]
        }
        associations = self._stack.of_type("AWS::EC2::SubnetRouteTableAssociation").values()
        return any(a["SubnetId"] == subnet and a["RouteTableId"] in tables for a in associations)


def _places(stack: Stack) -> Iterator[Place]:
    for name, p in stack.functions.items():
        vpc = p["VpcConfig"]
        yield Place(name, tuple(vpc["SubnetIds"]), tuple(vpc["SecurityGroupIds"]), None)
    groups = stack.of_type("AWS::RDS::DBSubnetGroup", "AWS::ElastiCache::SubnetGroup")
    for name, p in stack.of_type("AWS::RDS::DBInstance").items():
        subnets = tuple(groups[p["DBSubnetGroupName"]]["SubnetIds"])
        yield Place(name, subnets, tuple(p["VPCSecurityGroups"]), 5432, p["PubliclyAccessible"] is not False)
    for name, p in stack.of_type("AWS::ElastiCache::ReplicationGroup").items():
        yield Place(name, tuple(groups[p["CacheSubnetGroupName"]]["SubnetIds"]), tuple(p["SecurityGroupIds"]), 6379)
    for name, p in stack.of_type("AWS::EC2::VPCEndpoint").items():
        if p["VpcEndpointType"] == "Interface":
            yield Place(name, tuple(p["SubnetIds"]), tuple(p["SecurityGroupIds"]), 443)


def _rules(stack: Stack, direction: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rules of each group, those of EC2's own default included."""
    everything = [{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}] if direction == "SecurityGroupEgress" else []
    groups = stack.of_type("AWS::EC2::SecurityGroup")
    rules = {name: list(p.get(direction) or everything) for name, p in groups.items()}
    for rule in stack.of_type(f"AWS::EC2::{direction}").values():
        rules[rule["GroupId"]].append(rule)
    return rules


def _network(rule: dict[str, Any]) -> Any:
    return ip_network(rule["CidrIp"]) if "CidrIp" in rule else None
