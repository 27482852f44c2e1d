"""The database and the cache are encrypted, are not lost with the stack, and have no password."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from cacheaside.drivers.postgres.connection import _CONNECT_S
from tests.template.support.choices import EXISTING_VPC
from tests.template.support.stack import ROOT, TEMPLATE, Stack, stack_of

PLACES = {True: ["DataSubnetA", "DataSubnetB"], False: EXISTING_VPC["DataSubnetIds"].split(",")}


def database(stack: Stack) -> dict[str, Any]:
    """Return the resource that holds the data of a new database, or nothing: Aurora's is the cluster."""
    return stack.resources.get("Database") or stack.resources.get("AuroraCluster") or {}


def test_database_takes_tokens_over_tls_only(stack: Stack) -> None:
    if properties := database(stack).get("Properties"):
        assert properties["MasterUserAuthenticationType"] == "iam-db-auth"
        assert properties["EnableIAMDatabaseAuthentication"] is True
        group = properties.get("DBParameterGroupName") or properties["DBClusterParameterGroupName"]
        parameters = stack.resources[group]["Properties"]
        assert parameters["Parameters"]["rds.force_ssl"] == "1"
        # A minor version would be a downgrade, once RDS has upgraded the database by itself.
        assert properties["EngineVersion"] == stack.parameters["DatabaseVersion"]
        assert parameters["Family"] == properties["Engine"] + stack.parameters["DatabaseVersion"]


def test_database_is_encrypted_and_outlives_the_stack(stack: Stack) -> None:
    if kept := database(stack):
        assert (kept["DeletionPolicy"], kept["UpdateReplacePolicy"]) == ("Snapshot", "Snapshot")
        assert kept["Properties"]["StorageEncrypted"] is True


def test_refused_tokens_are_logged(stack: Stack) -> None:
    if properties := database(stack).get("Properties"):
        assert {"postgresql", "iam-db-auth-error"} <= {*properties["EnableCloudwatchLogsExports"]}


def test_a_key_of_your_own_encrypts_everything_that_is_kept(stack: Stack) -> None:
    key = stack.parameters["KmsKeyArn"] or None
    kinds = ("AWS::RDS::DBCluster", "AWS::ElastiCache::ReplicationGroup", "AWS::ElastiCache::ServerlessCache")
    for name, properties in stack.of_type(*kinds, "AWS::Logs::LogGroup").items():
        assert properties.get("KmsKeyId") == key, name
    for name, properties in stack.of_type("AWS::RDS::DBInstance").items():
        assert properties.get("PerformanceInsightsKMSKeyId") == key, name
        if name == "Database":
            assert properties.get("KmsKeyId") == key
    for topic in stack.of_type("AWS::SNS::Topic").values():
        assert topic.get("KmsMasterKeyId") == key


def test_sizes_are_those_chosen(stack: Stack) -> None:
    chosen = stack.parameters
    if kept := database(stack):
        assert kept["Properties"]["BackupRetentionPeriod"] == chosen["BackupDays"]
    if "Database" in stack.resources:
        instance = stack.resources["Database"]["Properties"]
        assert instance["DBInstanceClass"] == chosen["DatabaseClass"]
        assert instance["AllocatedStorage"] == chosen["DatabaseStorage"]
        assert instance["MaxAllocatedStorage"] == chosen["DatabaseStorageLimit"]
    for cluster in stack.of_type("AWS::RDS::DBCluster").values():
        assert cluster["ServerlessV2ScalingConfiguration"] == {
            "MinCapacity": chosen["AuroraMinCapacity"],
            "MaxCapacity": chosen["AuroraMaxCapacity"],
        }
    for nodes in stack.of_type("AWS::ElastiCache::ReplicationGroup").values():
        assert nodes["CacheNodeType"] == chosen["CacheClass"]


@pytest.mark.parametrize(("available", "names"), [("off", ["AuroraWriter"]), ("on", ["AuroraWriter", "AuroraReader"])])
def test_aurora_has_a_reader_if_highly_available(available: str, names: list[str]) -> None:
    stack = stack_of(DatabaseSource="aurora", HighAvailability=available)
    instances = stack.of_type("AWS::RDS::DBInstance")
    assert [*instances] == names
    for instance in instances.values():
        assert (instance["DBInstanceClass"], instance["DBClusterIdentifier"]) == ("db.serverless", "AuroraCluster")
    assert all("AuroraWriter" in stack.needs(name) for name in names[1:])  # the first instance becomes the writer


def test_functions_wait_for_a_server_of_the_cluster(stack: Stack) -> None:
    """The names of the cluster exist before it has an instance that answers to them."""
    if "AuroraCluster" in stack.resources:
        assert all("AuroraWriter" in stack.needs(name) for name in stack.functions)


def test_proxy_takes_tokens_over_tls_and_signs_in_with_tokens(stack: Stack) -> None:
    for proxy in stack.of_type("AWS::RDS::DBProxy").values():
        assert (proxy["DefaultAuthScheme"], proxy["RequireTLS"]) == ("IAM_AUTH", True)
        assert "Auth" not in proxy  # which would name secrets
        (group,) = stack.of_type("AWS::RDS::DBProxyTargetGroup").values()
        assert group.get("DBInstanceIdentifiers", group.get("DBClusterIdentifiers")) == [
            {"new": "Database", "aurora": "AuroraCluster"}[stack.parameters["DatabaseSource"]]
        ]
        # A proxy that may use all connections would leave none for invalidate, migrate and people.
        assert group["ConnectionPoolConfigurationInfo"]["MaxConnectionsPercent"] <= 80
        # A function that gives up first cannot tell a busy pool from a database that is down.
        assert group["ConnectionPoolConfigurationInfo"]["ConnectionBorrowTimeout"] < _CONNECT_S


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


@pytest.mark.parametrize(("available", "redundant"), [("off", False), ("on", True)])
def test_a_highly_available_stack_survives_the_loss_of_a_zone(available: str, redundant: bool) -> None:
    stack = stack_of(HighAvailability=available)
    database, cache = (stack.resources[name]["Properties"] for name in ("Database", "Cache"))
    assert database["MultiAZ"] == redundant
    assert (cache["AutomaticFailoverEnabled"], cache["MultiAZEnabled"]) == (redundant, redundant)
    assert cache["NumCacheClusters"] == (2 if redundant else 1)


@pytest.mark.parametrize(("protection", "protected"), [("off", False), ("on", True)])
def test_database_is_protected_from_deletion_only_if_chosen(protection: str, protected: bool) -> None:
    for source in ("new", "aurora"):
        properties = database(stack_of(DatabaseSource=source, DeletionProtection=protection))["Properties"]
        assert properties["DeletionProtection"] is protected


@pytest.mark.parametrize(("available", "replicas"), [("off", 0), ("on", 1)])
def test_cluster_has_the_chosen_shards_and_replicas(available: str, replicas: int) -> None:
    chosen = {"HighAvailability": available, "CacheType": "cluster", "CacheShards": "7"}
    cluster = stack_of(**chosen).resources["CacheCluster"]["Properties"]
    assert (cluster["NumNodeGroups"], cluster["ReplicasPerNodeGroup"]) == ("7", replicas)
    assert cluster["MultiAZEnabled"] == (replicas > 0)
    assert cluster["AutomaticFailoverEnabled"] is True  # ElastiCache refuses a cluster without it


@pytest.mark.parametrize(("engine", "version", "family"), [("valkey", "9.0", "valkey9"), ("redis", "7.1", "redis7")])
def test_parameter_group_makes_it_a_cluster_and_fits_the_version(engine: str, version: str, family: str) -> None:
    chosen = stack_of(CacheType="cluster", CacheEngine=engine, CacheVersion=version)
    cluster = chosen.resources["CacheCluster"]["Properties"]
    assert cluster["CacheParameterGroupName"] == f"default.{family}.cluster.on"
    assert (cluster["Engine"], cluster["EngineVersion"]) == (engine, version)
    serverless = stack_of(CacheType="serverless", CacheEngine=engine, CacheVersion=version)
    assert serverless.resources["CacheServerless"]["Properties"]["MajorEngineVersion"] == version[0]


def test_more_shards_are_added_to_the_cluster_that_exists() -> None:
    few, many = (stack_of(CacheType="cluster", CacheShards=shards).resources["CacheCluster"] for shards in "36")
    assert few["UpdatePolicy"] == many["UpdatePolicy"] == {"UseOnlineResharding": True}
    changed = {name for name in few["Properties"] if few["Properties"][name] != many["Properties"][name]}
    assert changed == {"NumNodeGroups"}  # a failed deployment would undo others, and leave the shards as they are


def test_cluster_differs_from_a_node_in_its_shards_only() -> None:
    """A change between the two creates another cache: ElastiCache cannot make a node of a cluster."""
    node, cluster = (stack_of(CacheType=kind, HighAvailability="on").resources for kind in ("node", "cluster"))
    one, other = node["Cache"]["Properties"], cluster["CacheCluster"]["Properties"]
    shared = one.keys() & other.keys()
    assert {name: one[name] for name in shared} == {name: other[name] for name in shared}
    assert one.keys() - shared == {"NumCacheClusters"}
    assert other.keys() - shared == {"NumNodeGroups", "ReplicasPerNodeGroup", "CacheParameterGroupName"}
    assert "Cache" not in cluster


def test_existing_resources_are_not_created(stack: Stack) -> None:
    new = {
        "AWS::RDS::DBParameterGroup": stack.parameters["DatabaseSource"] == "new",
        "AWS::RDS::DBCluster": stack.parameters["DatabaseSource"] == "aurora",
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
