"""Computes which connections are possible, from subnets, routes, gateways and security groups.

A connection inside the VPC needs an egress rule of the caller and an ingress rule of the called, each naming the other.
A connection to the outside needs an egress rule, and a route from the caller's subnets. The routes of an existing VPC
are assumed to allow everything, so that our rules alone must be sufficient.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from typing import Any, Final, NamedTuple

from tests.template.support.stack import Stack

INTERNET: Final = "internet"
ANY_PORT: Final = -1
S3: Final = "S3"
EXISTING_DATABASE: Final = "existing database"
EXISTING_CACHE: Final = "existing cache"
_PRIVATE: Final = [IPv4Network(cidr) for cidr in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8")]


class Edge(NamedTuple):
    caller: str
    called: str
    port: int


@dataclass(frozen=True)
class Place:
    """A resource with addresses in the VPC, and the ports that it listens on, if any."""

    name: str
    subnets: tuple[str, ...]
    groups: tuple[str, ...]
    ports: tuple[int, ...] = ()
    public_address: bool = False


def edges(stack: Stack) -> set[Edge]:
    """Return every connection that the network allows."""
    network = _Network(stack)
    return set(network.inside()) | set(network.outward()) | set(network.inward())


def rules(stack: Stack, direction: str) -> dict[str, list[dict[str, Any]]]:
    """Return group -> its rules, for SecurityGroupEgress or -Ingress, including the default egress rule of EC2."""
    everything = [{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}] if direction == "SecurityGroupEgress" else []
    groups = stack.of_type("AWS::EC2::SecurityGroup")
    found = {name: list(p.get(direction) or everything) for name, p in groups.items()}
    for rule in stack.of_type(f"AWS::EC2::{direction}").values():
        found.setdefault(rule["GroupId"], []).append(rule)
    return found


class _Network:
    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._places = list(_places(stack))
        self._subnets = stack.of_type("AWS::EC2::Subnet")
        self._egress = rules(stack, "SecurityGroupEgress")
        self._ingress = rules(stack, "SecurityGroupIngress")

    def inside(self) -> Iterator[Edge]:
        for caller in self._places:
            for called in self._places:
                for port in called.ports if caller is not called else ():
                    out = any(self._allows(rule, called, port) for rule in self._rules(self._egress, caller))
                    into = any(self._allows(rule, caller, port) for rule in self._rules(self._ingress, called))
                    if out and into:
                        yield Edge(caller.name, called.name, port)

    def outward(self) -> Iterator[Edge]:
        for caller in self._places:
            for rule in self._rules(self._egress, caller):
                public = _reaches_public(rule)
                if public and any(self._leads_out(subnet) for subnet in caller.subnets):
                    yield Edge(caller.name, INTERNET, int(rule.get("ToPort", ANY_PORT)))
                listed = rule.get("DestinationPrefixListId")
                if listed and listed == self._stack.parameters["FurtherEgress"]:
                    yield Edge(caller.name, listed, int(rule.get("ToPort", ANY_PORT)))
                elif (public or listed) and all(map(self._leads_to_s3, caller.subnets)):
                    yield Edge(caller.name, S3, int(rule.get("ToPort", ANY_PORT)))

    def inward(self) -> Iterator[Edge]:
        for called in self._places:
            reachable = called.public_address and any(self._is_public(subnet) for subnet in called.subnets)
            for rule in self._rules(self._ingress, called):
                if reachable and _reaches_public(rule):
                    yield Edge(INTERNET, called.name, int(rule.get("ToPort", ANY_PORT)))

    def _rules(self, rules: dict[str, list[dict[str, Any]]], place: Place) -> Iterator[dict[str, Any]]:
        for group in place.groups:
            yield from rules.get(group, [])

    def _allows(self, rule: dict[str, Any], other: Place, port: int) -> bool:
        if rule["IpProtocol"] != "-1" and not int(rule["FromPort"]) <= port <= int(rule["ToPort"]):
            return False
        network = _network(rule)
        if network is not None:
            return any(self._overlaps(network, name) for name in other.subnets)
        return (rule.get("DestinationSecurityGroupId") or rule.get("SourceSecurityGroupId")) in other.groups

    def _overlaps(self, network: IPv4Network, subnet: str) -> bool:
        if subnet not in self._subnets:
            return not network.is_loopback
        return network.overlaps(ip_network(self._subnets[subnet]["CidrBlock"]))

    def _routes(self, subnet: str) -> list[dict[str, Any]]:
        tables = [
            association["RouteTableId"]
            for association in self._stack.of_type("AWS::EC2::SubnetRouteTableAssociation").values()
            if association["SubnetId"] == subnet
        ]
        return [r for r in self._stack.of_type("AWS::EC2::Route").values() if r["RouteTableId"] in tables]

    def _is_public(self, subnet: str) -> bool:
        return subnet not in self._subnets or any("GatewayId" in route for route in self._routes(subnet))

    def _leads_out(self, subnet: str) -> bool:
        gateways = self._stack.of_type("AWS::EC2::NatGateway")
        return subnet not in self._subnets or any(
            self._is_public(gateways[route["NatGatewayId"]]["SubnetId"])
            for route in self._routes(subnet)
            if "NatGatewayId" in route
        )

    def _leads_to_s3(self, subnet: str) -> bool:
        if subnet not in self._subnets:
            return True
        tables = {
            table
            for endpoint in self._stack.of_type("AWS::EC2::VPCEndpoint").values()
            if endpoint["VpcEndpointType"] == "Gateway" and endpoint["ServiceName"].endswith(".s3")
            for table in endpoint["RouteTableIds"]
        }
        associations = self._stack.of_type("AWS::EC2::SubnetRouteTableAssociation").values()
        return any(a["SubnetId"] == subnet and a["RouteTableId"] in tables for a in associations)


def _places(stack: Stack) -> Iterator[Place]:
    database, cache = int(stack.parameters["DatabasePort"]), int(stack.parameters["CachePort"])
    for name, p in stack.functions.items():
        yield Place(name, tuple(p["VpcConfig"]["SubnetIds"]), tuple(p["VpcConfig"]["SecurityGroupIds"]))
    groups = stack.of_type("AWS::RDS::DBSubnetGroup", "AWS::ElastiCache::SubnetGroup")
    clusters = stack.of_type("AWS::RDS::DBCluster")
    for name, p in stack.of_type("AWS::RDS::DBInstance").items():
        home = clusters.get(p.get("DBClusterIdentifier", ""), p)  # the cluster places its instances
        subnets = tuple(groups[home["DBSubnetGroupName"]]["SubnetIds"])
        admitting = tuple(home.get("VpcSecurityGroupIds") or home["VPCSecurityGroups"])
        yield Place(name, subnets, admitting, (database,), p["PubliclyAccessible"] is not False)
    for name, p in stack.of_type("AWS::RDS::DBProxy").items():
        yield Place(name, tuple(p["VpcSubnetIds"]), tuple(p["VpcSecurityGroupIds"]), (database,))
    for name, p in stack.of_type("AWS::ElastiCache::ReplicationGroup").items():
        subnets = tuple(groups[p["CacheSubnetGroupName"]]["SubnetIds"])
        yield Place(name, subnets, tuple(p["SecurityGroupIds"]), (cache, 6380))  # 6380 only to prove that it is closed
    for name, p in stack.of_type("AWS::ElastiCache::ServerlessCache").items():
        yield Place(name, tuple(p["SubnetIds"]), tuple(p["SecurityGroupIds"]), (6379, 6380))
    for name, p in stack.of_type("AWS::EC2::VPCEndpoint").items():
        if p["VpcEndpointType"] == "Interface":
            yield Place(name, tuple(p["SubnetIds"]), tuple(p["SecurityGroupIds"]), (443,))
    if group := stack.parameters["DatabaseSecurityGroupId"]:
        yield Place(EXISTING_DATABASE, (), (group,), (database,))
    if group := stack.parameters["CacheSecurityGroupId"]:
        yield Place(EXISTING_CACHE, (), (group,), (cache, 6380))


def _network(rule: dict[str, Any]) -> IPv4Network | None:
    return IPv4Network(rule["CidrIp"]) if "CidrIp" in rule else None


def _reaches_public(rule: dict[str, Any]) -> bool:
    network = _network(rule)
    return network is not None and not any(network.subnet_of(private) for private in _PRIVATE)
