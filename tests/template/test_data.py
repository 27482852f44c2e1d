"""The database and the cache are encrypted, are not lost with the stack, and have no password."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.template.support.choices import EXISTING_VPC
from tests.template.support.stack import ROOT, TEMPLATE, Stack, stack_of

PLACES = {True: ["DataSubnetA", "DataSubnetB"], False: EXISTING_VPC["DataSubnetIds"].split(",")}


def test_database_takes_tokens_over_tls_only(stack: Stack) -> None:
    for database in stack.of_type("AWS::RDS::DBInstance").values():
        assert database["MasterUserAuthenticationType"] == "iam-db-auth"
        assert database["EnableIAMDatabaseAuthentication"] is True
        parameters = stack.resources[database["DBParameterGroupName"]]["Properties"]
        assert parameters["Parameters"]["rds.force_ssl"] == "1"
        assert parameters["Family"] == "postgres" + database["EngineVersion"].partition(".")[0]


def test_database_is_encrypted_and_outlives_the_stack(default: Stack) -> None:
    database = default.resources["Database"]
    assert (database["DeletionPolicy"], database["UpdateReplacePolicy"]) == ("Snapshot", "Snapshot")
    properties = database["Properties"]
    assert (properties["StorageEncrypted"], properties["StorageType"]) == (True, "gp3")
    assert properties["BackupRetentionPeriod"] >= 1


def test_proxy_takes_tokens_over_tls_and_signs_in_with_tokens(stack: Stack) -> None:
    for proxy in stack.of_type("AWS::RDS::DBProxy").values():
        assert (proxy["DefaultAuthScheme"], proxy["RequireTLS"]) == ("IAM_AUTH", True)
        assert "Auth" not in proxy  # which would name secrets
        (group,) = stack.of_type("AWS::RDS::DBProxyTargetGroup").values()
        assert group["DBInstanceIdentifiers"] == ["Database"]
        # A proxy that may use all connections would leave none for invalidate, migrate and people.
        assert group["ConnectionPoolConfigurationInfo"]["MaxConnectionsPercent"] <= 80


def test_cache_takes_tokens_over_tls_only(stack: Stack) -> None:
    for cache in stack.of_type("AWS::ElastiCache::ReplicationGroup").values():
        assert (cache["TransitEncryptionEnabled"], cache["TransitEncryptionMode"]) == (True, "required")
        assert cache["AtRestEncryptionEnabled"] is True
        assert cache["UserGroupIds"] == ["CacheUsers"]
    for cache in stack.of_type("AWS::ElastiCache::ServerlessCache").values():  # always encrypted
        assert cache["UserGroupId"] == "CacheUsers"


def test_cache_users_are_one_for_each_function_and_have_no_password(stack: Stack) -> None:
    users = dict(stack.of_type("AWS::ElastiCache::User"))
    engine = stack.parameters["CacheEngine"]
    for group in stack.of_type("AWS::ElastiCache::UserGroup").values():
        assert (set(group["UserIds"]), group["Engine"]) == (set(users), engine)
    default = users.pop("DefaultCacheUser", None)
    assert users.keys() == {"QueryCacheUser", "CommandCacheUser", "InvalidateCacheUser"}
    for user in users.values():
        assert (user["AuthenticationMode"], user["Engine"]) == ({"Type": "iam"}, engine)
        assert user["UserId"] == user["UserName"]  # otherwise IAM refuses the token
        assert user["UserId"].startswith("shop-")  # the stack's name: ids are unique per account
    assert (default is not None) == (engine == "redis" and stack.parameters["CacheType"] != "existing")
    if default:
        assert (default["UserName"], default["AccessString"]) == ("default", "off -@all")


def test_serverless_cache_has_a_cost_limit(stack: Stack) -> None:
    for cache in stack.of_type("AWS::ElastiCache::ServerlessCache").values():
        assert cache["CacheUsageLimits"]["DataStorage"]["Maximum"] > 0
        assert cache["CacheUsageLimits"]["ECPUPerSecond"]["Maximum"] > 0


def test_data_lives_in_the_data_subnets(stack: Stack) -> None:
    subnets = PLACES["Vpc" in stack.resources]
    for group in stack.of_type("AWS::RDS::DBSubnetGroup", "AWS::ElastiCache::SubnetGroup").values():
        assert group["SubnetIds"] == subnets
    for cache in stack.of_type("AWS::ElastiCache::ServerlessCache").values():
        assert cache["SubnetIds"] == subnets
    for proxy in stack.of_type("AWS::RDS::DBProxy").values():
        assert proxy["VpcSubnetIds"] == subnets


@pytest.mark.parametrize(("stage", "redundant"), [("dev", False), ("prod", True)])
def test_prod_survives_a_zone_and_dev_is_cheap(stage: str, redundant: bool) -> None:
    stack = stack_of(Stage=stage)
    database, cache = (stack.resources[name]["Properties"] for name in ("Database", "Cache"))
    assert (database["MultiAZ"], database["DeletionProtection"]) == (redundant, redundant)
    assert (cache["AutomaticFailoverEnabled"], cache["MultiAZEnabled"]) == (redundant, redundant)
    assert cache["NumCacheClusters"] == (2 if redundant else 1)


@pytest.mark.parametrize(("stage", "replicas"), [("dev", 0), ("prod", 1)])
def test_cluster_has_the_chosen_shards_and_in_prod_a_replica_of_each_in_another_zone(stage: str, replicas: int) -> None:
    cluster = stack_of(Stage=stage, CacheType="cluster", CacheShards="7").resources["CacheCluster"]["Properties"]
    assert (cluster["NumNodeGroups"], cluster["ReplicasPerNodeGroup"]) == ("7", replicas)
    assert cluster["MultiAZEnabled"] == (replicas > 0)
    assert cluster["AutomaticFailoverEnabled"] is True  # ElastiCache refuses a cluster without it


@pytest.mark.parametrize(("engine", "group"), [("valkey", "valkey8"), ("redis", "redis7")])
def test_parameter_group_makes_it_a_cluster_and_fits_the_engine(engine: str, group: str) -> None:
    cluster = stack_of(CacheType="cluster", CacheEngine=engine).resources["CacheCluster"]["Properties"]
    assert cluster["CacheParameterGroupName"] == f"default.{group}.cluster.on"
    assert engine + cluster["EngineVersion"].partition(".")[0] == group


def test_more_shards_are_added_to_the_cluster_that_exists() -> None:
    few, many = (stack_of(CacheType="cluster", CacheShards=shards).resources["CacheCluster"] for shards in "36")
    assert few["UpdatePolicy"] == many["UpdatePolicy"] == {"UseOnlineResharding": True}
    changed = {name for name in few["Properties"] if few["Properties"][name] != many["Properties"][name]}
    assert changed == {"NumNodeGroups"}  # a failed deployment would undo others, and leave the shards as they are


def test_cluster_differs_from_a_node_in_its_shards_only() -> None:
    """A change between the two creates another cache: ElastiCache cannot make a node of a cluster."""
    node, cluster = (stack_of(CacheType=kind, Stage="prod").resources for kind in ("node", "cluster"))
    one, other = node["Cache"]["Properties"], cluster["CacheCluster"]["Properties"]
    shared = one.keys() & other.keys()
    assert {name: one[name] for name in shared} == {name: other[name] for name in shared}
    assert one.keys() - shared == {"NumCacheClusters"}
    assert other.keys() - shared == {"NumNodeGroups", "ReplicasPerNodeGroup", "CacheParameterGroupName"}
    assert "Cache" not in cluster


def test_existing_resources_are_not_created(stack: Stack) -> None:
    new = {
        "AWS::RDS::DBInstance": stack.parameters["DatabaseSource"] == "new",
        "AWS::RDS::DBProxy": stack.parameters["RdsProxy"] == "on",
        "AWS::ElastiCache::ReplicationGroup": stack.parameters["CacheType"] in ("node", "cluster"),
        "AWS::ElastiCache::ServerlessCache": stack.parameters["CacheType"] == "serverless",
        "AWS::ElastiCache::UserGroup": stack.parameters["CacheType"] != "existing",
        "AWS::EC2::VPC": stack.parameters["VpcId"] == "",
    }
    for kind, expected in new.items():
        assert len(stack.of_type(kind)) == expected, kind


@pytest.mark.parametrize("file", [TEMPLATE, ROOT / "samconfig.toml"], ids=lambda file: file.name)
def test_there_is_no_secret_to_leak(file: Path) -> None:
    text = file.read_text()
    settings = r"^\s*-?\s*(MasterUserPassword|ManageMasterUserPassword|Passwords?|AuthToken|SecretString|NoEcho)\s*[:=]"
    assert not re.findall(settings, text, re.MULTILINE)
    assert "{{resolve:" not in text
    assert "SecretsManager" not in text
    assert not re.findall(r"\w+://[^/\s:@]+:[^/\s@]+@", text.replace("AWS::", ""))  # user:password@
    assert not re.findall(r"AKIA[0-9A-Z]{16}", text)
