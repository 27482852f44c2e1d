"""The engine version of a new cache, and an existing cache, which is found by its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from local.doctor.account import Account, Missing
from local.doctor.checks.security_groups import group_problem
from local.doctor.deployment import Deployment
from local.doctor.finding import Finding, fine, wrong
from local.doctor.plan import Plan

__all__ = ["existing_cache", "new_cache"]


@dataclass(frozen=True)
class _Cache:
    """What ElastiCache says of a replication group or a serverless cache."""

    mode: str
    engine: str
    status: str
    host: str
    port: int
    tls: bool
    users: bool  # whether a user group is attached
    groups: tuple[str, ...]


def new_cache(deployment: Deployment, aws: Account) -> Iterator[Finding]:
    plan = deployment.plan
    for properties in plan.created("AWS::ElastiCache::ReplicationGroup").values():
        engine, version = str(plan.value(properties.get("Engine"))), str(plan.value(properties.get("EngineVersion")))
        found = aws.ask_all("elasticache", "describe_cache_engine_versions", "CacheEngineVersions", Engine=engine)
        versions = [each["EngineVersion"] for each in found]
        if any(f"{each}.".startswith(f"{version}.") for each in versions):
            yield fine(f"{engine} {version}")
        else:
            yield wrong(f"ElastiCache has no {engine} {version} in {aws.region}; it has {', '.join(versions)}")


def existing_cache(deployment: Deployment, aws: Account) -> Iterator[Finding]:
    plan = deployment.plan
    name = plan.parameter("CacheName")
    if plan.parameter("CacheType") != "existing" or not name:
        return
    try:
        cache = _serverless(aws, name) if plan.parameter("CacheMode") == "serverless" else _nodes(aws, name)
    except Missing:
        kind = "serverless cache" if plan.parameter("CacheMode") == "serverless" else "replication group"
        yield wrong(f"{aws.region} has no {kind} {name}: correct CacheName, or CacheMode")
        return
    problems = list(_problems(cache, plan))
    group = plan.parameter("CacheSecurityGroupId")
    if group and (problem := group_problem(aws, group, cache.groups, name, plan.parameter("VpcId"))):
        problems.append(f"CacheSecurityGroupId: {problem}")
    yield from map(wrong, problems)
    if not problems:
        yield fine(f"{name}, {cache.engine}, {cache.mode}")


def _problems(cache: _Cache, plan: Plan) -> Iterator[str]:
    name = plan.parameter("CacheName")
    if cache.mode != plan.parameter("CacheMode"):
        yield f"CacheMode is {plan.parameter('CacheMode')}, and {name} is {cache.mode}"
    if cache.engine != plan.parameter("CacheEngine"):
        yield f"CacheEngine is {plan.parameter('CacheEngine')}, and {name} has {cache.engine}"
    if cache.status != "available":
        yield f"{name} is {cache.status}: wait until it is available"
    if not cache.tls:
        yield f"{name} has no TLS: enable encryption in transit"
    if not cache.users:
        yield f"{name} has no user group: create one and attach it, docs/maintenance.md"
    if cache.host.lower() != plan.parameter("CacheHost").lower():
        yield f"CacheHost is {plan.parameter('CacheHost')}, and {name} has {cache.host}"
    if str(cache.port) != plan.parameter("CachePort"):
        yield f"CachePort is {plan.parameter('CachePort')}, and {name} has {cache.port}"


def _nodes(aws: Account, name: str) -> _Cache:
    [group] = aws.ask("elasticache", "describe_replication_groups", ReplicationGroupId=name)["ReplicationGroups"]
    member = group["MemberClusters"][0]
    [node] = aws.ask("elasticache", "describe_cache_clusters", CacheClusterId=member)["CacheClusters"]
    is_cluster = group.get("ClusterEnabled", False)
    endpoint = group.get("ConfigurationEndpoint") if is_cluster else group["NodeGroups"][0].get("PrimaryEndpoint")
    return _Cache(
        "cluster" if is_cluster else "node",
        node["Engine"],
        group["Status"],
        (endpoint or {}).get("Address", ""),
        (endpoint or {}).get("Port", 0),
        group.get("TransitEncryptionEnabled", False),
        bool(group.get("UserGroupIds")),
        tuple(each["SecurityGroupId"] for each in node.get("SecurityGroups", [])),
    )


def _serverless(aws: Account, name: str) -> _Cache:
    [cache] = aws.ask("elasticache", "describe_serverless_caches", ServerlessCacheName=name)["ServerlessCaches"]
    return _Cache(
        "serverless",
        cache["Engine"],
        cache["Status"],
        cache["Endpoint"]["Address"],
        cache["Endpoint"]["Port"],
        True,
        bool(cache.get("UserGroupId")),
        tuple(cache.get("SecurityGroupIds", [])),
    )
