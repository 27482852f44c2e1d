"""An existing cache, which is found by its name."""

from __future__ import annotations

from typing import Any

from local.doctor.account import Account
from local.doctor.check import Check
from local.doctor.checks.servers import differences, group_problems
from local.doctor.deployment import Deployment

__all__ = ["existing_cache"]

Json = dict[str, Any]


def existing_cache(deployment: Deployment, aws: Account) -> Check:
    plan = deployment.plan
    name = plan.parameter("CacheName")
    if plan.parameter("CacheType") != "existing" or not name:
        return None
    cache = _serverless(aws, name) if plan.parameter("CacheMode") == "serverless" else _nodes(aws, name)
    if cache["Status"] != "available":
        yield f"{name} is {cache['Status']}: wait until it is available"
    if not cache.get("TransitEncryptionEnabled"):
        yield f"{name} has no TLS: enable encryption in transit"
    if not (cache.get("UserGroupId") or cache.get("UserGroupIds")):
        yield f"{name} has no user group: create one and attach it, docs/maintenance.md"
    endpoint = cache.get("Endpoint", {})
    actual = {"CacheMode": cache["Mode"], "CacheEngine": cache["Engine"]}
    actual |= {"CacheHost": endpoint.get("Address"), "CachePort": endpoint.get("Port")}
    yield from differences(plan, name, actual)
    yield from group_problems(plan, name, "CacheSecurityGroupId", cache.get("SecurityGroupIds", []), aws)
    return f"{name}, {cache['Engine']}, {cache['Mode']}"


def _serverless(aws: Account, name: str) -> Json:
    cache: Json
    [cache] = aws.ask("elasticache", "describe_serverless_caches", ServerlessCacheName=name)["ServerlessCaches"]
    return cache | {"Mode": "serverless", "TransitEncryptionEnabled": True}


def _nodes(aws: Account, name: str) -> Json:
    """Return a replication group like a serverless cache. Only its nodes tell engine and security groups."""
    group: Json
    [group] = aws.ask("elasticache", "describe_replication_groups", ReplicationGroupId=name)["ReplicationGroups"]
    member = group["MemberClusters"][0]
    [node] = aws.ask("elasticache", "describe_cache_clusters", CacheClusterId=member)["CacheClusters"]
    groups = [each["SecurityGroupId"] for each in node.get("SecurityGroups", [])]
    is_cluster = group.get("ClusterEnabled")
    endpoint = group.get("ConfigurationEndpoint") if is_cluster else group["NodeGroups"][0].get("PrimaryEndpoint")
    mode = "cluster" if is_cluster else "node"
    return group | {"Mode": mode, "Engine": node["Engine"], "SecurityGroupIds": groups, "Endpoint": endpoint or {}}
