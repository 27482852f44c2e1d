"""An existing database."""

from __future__ import annotations

from typing import Any

import pytest

from local.doctor.account import Account
from local.doctor.checks.existing_database import existing_database
from local.doctor.deployment import Deployment
from tests.component.local.doctor.support import answer, deployment, lines


def existing(resource: str, **parameters: str) -> Deployment:
    return deployment(
        **{
            "DatabaseSource": "existing",
            "DatabaseResourceId": resource,
            "DatabaseHost": "db.example",
            "DatabaseSecurityGroupId": "sg-0db",
            "VpcId": "vpc-0a",
        }
        | parameters
    )


INSTANCE: dict[str, Any] = {
    "DBInstanceIdentifier": "orders",
    "DbiResourceId": "db-A",
    "Engine": "postgres",
    "EngineVersion": "16.4",
    "DBInstanceStatus": "available",
    "Endpoint": {"Address": "db.example", "Port": 5432},
    "IAMDatabaseAuthenticationEnabled": True,
    "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-0db"}],
}
CLUSTER: dict[str, Any] = {
    "DBClusterIdentifier": "orders",
    "DbClusterResourceId": "cluster-A",
    "Engine": "aurora-postgresql",
    "EngineVersion": "16.4",
    "Status": "available",
    "Endpoint": "db.example",
    "ReaderEndpoint": "db-ro.example",
    "Port": 5432,
    "IAMDatabaseAuthenticationEnabled": True,
    "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-0db"}],
}


@pytest.fixture
def found(aws: Account) -> Any:
    """Return a function that examines an existing database, given what RDS says otherwise."""
    group = {"GroupId": "sg-0db", "VpcId": "vpc-0a"}
    answer(aws, "ec2", "describe_security_groups", {"SecurityGroups": [group]})

    def examine(said: dict[str, Any], **parameters: str) -> list[str]:
        answer(aws, "rds", "describe_db_instances", {"DBInstances": [INSTANCE | said]})
        return lines(existing_database(existing("db-A", **parameters), aws))

    return examine


def test_a_database_as_described_is_fine(found: Any) -> None:
    assert found({}) == ["✓ orders, postgres 16.4"]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"EngineVersion": "15.8"}, "orders is PostgreSQL 15.8: upgrade it to 16"),
        ({"Engine": "mysql"}, "orders is mysql, not PostgreSQL"),
        ({"DBInstanceStatus": "stopped"}, "orders is stopped"),
        ({"IAMDatabaseAuthenticationEnabled": False}, "orders has no IAM authentication"),
        ({"Endpoint": {"Address": "x.example", "Port": 5432}}, "DatabaseHost is db.example, and orders has x.example"),
        ({"Endpoint": {"Address": "db.example", "Port": 5433}}, "DatabasePort is 5432, and orders has 5433"),
        ({"VpcSecurityGroups": []}, "DatabaseSecurityGroupId: orders has no group, not sg-0db"),
        ({"DBClusterIdentifier": "c"}, "orders belongs to the cluster c: give the cluster's resource id"),
    ],
)
def test_a_database_that_functions_could_not_use_is_a_problem(found: Any, said: dict[str, Any], problem: str) -> None:
    [line] = found(said)
    assert line.startswith(f"✗ {problem}")


def test_all_problems_of_a_database_are_shown_at_once(found: Any) -> None:
    assert len(found({"EngineVersion": "15.8", "DBInstanceStatus": "stopped"}, DatabasePort="5555")) == 3


def test_a_security_group_of_another_vpc_is_a_problem(found: Any) -> None:
    assert found({}, VpcId="vpc-0b") == ["✗ DatabaseSecurityGroupId: sg-0db is in vpc-0a, and VpcId is vpc-0b"]


def test_a_security_group_that_does_not_exist_is_a_problem(aws: Account) -> None:
    answer(aws, "rds", "describe_db_instances", {"DBInstances": [INSTANCE]})
    [line] = lines(existing_database(existing("db-A"), aws))
    assert line.startswith("✗ The security group")
    assert "sg-0db" in line


@pytest.mark.parametrize("resource", ["db-UNKNOWN", "cluster-UNKNOWN"])
def test_a_resource_id_that_no_database_has_is_a_problem(aws: Account, resource: str) -> None:
    answer(aws, "rds", "describe_db_clusters", {"DBClusters": []})  # moto does not have this filter
    [line] = lines(existing_database(existing(resource), aws))
    assert line == f"✗ no database of eu-central-1 has the id {resource}"


@pytest.mark.parametrize(
    ("said", "host", "expected"),
    [
        ({}, "db.example", "✓ orders, aurora-postgresql 16.4"),
        ({}, "db-ro.example", "✗ DatabaseHost is db-ro.example, and orders has db.example"),
        (
            {"IAMDatabaseAuthenticationEnabled": False},
            "db.example",
            "✗ orders has no IAM authentication",
        ),
    ],
)
def test_a_cluster_is_found_by_its_resource_id(
    aws: Account, found: Any, said: dict[str, Any], host: str, expected: str
) -> None:
    answer(aws, "rds", "describe_db_clusters", {"DBClusters": [CLUSTER | said]})
    [line] = lines(existing_database(existing("cluster-A", DatabaseHost=host), aws))
    assert line.startswith(expected)
