"""An existing cache."""

from __future__ import annotations

from typing import Any

import pytest

from local.doctor.account import Account
from local.doctor.checks.existing_cache import existing_cache
from tests.component.local.doctor.support import answer, deployment, lines, refuse

GROUP: dict[str, Any] = {
    "ReplicationGroupId": "theirs",
    "Status": "available",
    "ClusterEnabled": False,
    "MemberClusters": ["theirs-001"],
    "NodeGroups": [{"PrimaryEndpoint": {"Address": "cache.example", "Port": 6379}}],
    "TransitEncryptionEnabled": True,
    "UserGroupIds": ["users"],
}
NODE: dict[str, Any] = {"Engine": "valkey", "SecurityGroups": [{"SecurityGroupId": "sg-0ca"}]}
SERVERLESS: dict[str, Any] = {
    "ServerlessCacheName": "theirs",
    "Status": "available",
    "Engine": "valkey",
    "Endpoint": {"Address": "cache.example", "Port": 6379},
    "UserGroupId": "users",
    "SecurityGroupIds": ["sg-0ca"],
}


@pytest.fixture
def found(aws: Account) -> Any:
    """Return a function that examines an existing cache, given what ElastiCache says otherwise."""
    answer(aws, "ec2", "describe_security_groups", {"SecurityGroups": [{"GroupId": "sg-0ca", "VpcId": "vpc-0a"}]})
    answer(aws, "elasticache", "describe_cache_clusters", {"CacheClusters": [NODE]})

    def examine(said: dict[str, Any], **parameters: str) -> list[str]:
        given = {"CacheType": "existing", "CacheHost": "cache.example", "CacheName": "theirs", "VpcId": "vpc-0a"}
        if parameters.get("CacheMode") == "serverless":
            answer(aws, "elasticache", "describe_serverless_caches", {"ServerlessCaches": [SERVERLESS | said]})
        else:
            answer(aws, "elasticache", "describe_replication_groups", {"ReplicationGroups": [GROUP | said]})
        of = deployment(**given | {"CacheSecurityGroupId": "sg-0ca"} | parameters)
        return lines(existing_cache(of, aws))

    return examine


def test_a_cache_as_described_is_fine(found: Any) -> None:
    assert found({}) == ["✓ theirs, valkey, node"]


@pytest.mark.parametrize(
    ("said", "parameters", "problem"),
    [
        ({}, {"CacheMode": "cluster"}, "CacheMode is cluster, and theirs has node"),
        ({}, {"CacheEngine": "redis"}, "CacheEngine is redis, and theirs has valkey"),
        ({"Status": "modifying"}, {}, "theirs is modifying"),
        ({"TransitEncryptionEnabled": False}, {}, "theirs has no TLS"),
        ({"UserGroupIds": []}, {}, "theirs has no user group"),
        ({}, {"CacheHost": "replica.example"}, "CacheHost is replica.example, and theirs has cache.example"),
        ({}, {"CachePort": "6390"}, "CachePort is 6390, and theirs has 6379"),
        ({}, {"CacheSecurityGroupId": "sg-0b"}, "CacheSecurityGroupId: theirs has sg-0ca, not sg-0b"),
        ({}, {"VpcId": "vpc-0b"}, "CacheSecurityGroupId: sg-0ca is in vpc-0a, and VpcId is vpc-0b"),
    ],
)
def test_a_cache_that_functions_could_not_use_is_a_problem(
    found: Any, said: dict[str, Any], parameters: dict[str, str], problem: str
) -> None:
    [line] = found(said, **parameters)
    assert line.startswith(f"✗ {problem}")


def test_a_cluster_has_a_configuration_endpoint(found: Any) -> None:
    cluster = {"ClusterEnabled": True, "ConfigurationEndpoint": {"Address": "clustercfg.example", "Port": 6379}}
    assert found(cluster, CacheMode="cluster", CacheHost="clustercfg.example") == ["✓ theirs, valkey, cluster"]
    [line] = found(cluster, CacheMode="cluster")
    assert line == "✗ CacheHost is cache.example, and theirs has clustercfg.example"


def test_a_serverless_cache_is_found_by_its_name(found: Any) -> None:
    assert found({}, CacheMode="serverless") == ["✓ theirs, valkey, serverless"]
    said = {"UserGroupId": "", "Endpoint": {"Address": "other.example", "Port": 6379}, "SecurityGroupIds": []}
    assert len(found(said, CacheMode="serverless")) == 3


@pytest.mark.parametrize(("mode", "known"), [("node", "theirs not found"), ("serverless", "NotFoundFault")])
def test_a_cache_that_does_not_exist_is_a_problem(aws: Account, mode: str, known: str) -> None:
    refuse(aws, "elasticache", "describe_serverless_caches", "ServerlessCacheNotFoundFault")
    of = deployment(CacheType="existing", CacheName="theirs", CacheMode=mode)
    [line] = lines(existing_cache(of, aws))
    assert line.startswith("✗")
    assert known in line
