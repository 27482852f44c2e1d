"""The versions and classes that RDS offers, and an existing database."""

from __future__ import annotations

from typing import Any

import pytest

from local.doctor.account import Account
from local.doctor.checks.existing_database import existing_database
from local.doctor.checks.new_database import new_database
from local.doctor.deployment import Deployment
from tests.component.local.doctor.support import REGION, answer, deployment, lines


def offered(aws: Account, versions: list[str], zones: str | None) -> None:
    """`zones`: the letters of the zones that have the class; None: the region does not have it."""
    answer(
        aws,
        "rds",
        "describe_db_engine_versions",
        {"DBEngineVersions": [{"EngineVersion": version} for version in versions]},
    )
    option = {"AvailabilityZones": [{"Name": f"{REGION}{letter}"} for letter in zones or ""]}
    options = [option] if zones is not None else []
    answer(aws, "rds", "describe_orderable_db_instance_options", {"OrderableDBInstanceOptions": options})


def test_the_newest_minor_version_is_asked_for(aws: Account) -> None:
    offered(aws, ["18.9", "18.10", "18.2"], "abc")
    assert lines(new_database(deployment(), aws)) == ["✓ postgres 18.10 on db.t4g.micro"]


def test_aurora_has_the_version_of_its_cluster(aws: Account) -> None:
    offered(aws, ["17.5"], "abc")
    of = deployment(DatabaseSource="aurora", DatabaseVersion="17", HighAvailability="on")
    assert lines(new_database(of, aws)) == ["✓ aurora-postgresql 17.5 on db.serverless"]


def test_a_version_that_the_region_lacks_is_a_problem(aws: Account) -> None:
    offered(aws, [], "abc")
    [line] = lines(new_database(deployment(), aws))
    assert line.startswith("✗ RDS has no postgres 18 in eu-central-1")


def test_a_class_that_the_region_lacks_is_a_problem(aws: Account) -> None:
    offered(aws, ["18.6"], None)
    [line] = lines(new_database(deployment(DatabaseClass="db.x2g.large"), aws))
    assert line.startswith("✗ postgres 18.6 on db.x2g.large: not offered in this region")


def test_a_class_that_a_zone_lacks_is_a_problem(aws: Account) -> None:
    offered(aws, ["18.6"], "bc")
    [line] = lines(new_database(deployment(), aws))
    assert line.endswith("not offered in eu-central-1a: set AvailabilityZones to two of eu-central-1b, eu-central-1c")
    assert line.startswith("✗")
    of = deployment(AvailabilityZones="eu-central-1b,eu-central-1c")
    assert lines(new_database(of, aws)) == ["✓ postgres 18.6 on db.t4g.micro"]


def test_an_existing_database_needs_no_offer(aws: Account) -> None:
    assert lines(new_database(existing("db-X"), aws)) == []


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
        ({"IAMDatabaseAuthenticationEnabled": False}, "IAM authentication is off: `aws rds modify-db-instance --db-"),
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
    assert line == "✗ DatabaseSecurityGroupId: sg-0db does not exist in eu-central-1"


@pytest.mark.parametrize("resource", ["db-UNKNOWN", "cluster-UNKNOWN"])
def test_a_resource_id_that_no_database_has_is_a_problem(aws: Account, resource: str) -> None:
    [line] = lines(existing_database(existing(resource), aws))
    assert line == f"✗ no database of eu-central-1 has the DatabaseResourceId {resource}"


@pytest.mark.parametrize(
    ("said", "host", "expected"),
    [
        ({}, "db.example", "✓ orders, aurora-postgresql 16.4"),
        ({}, "db-ro.example", "✗ DatabaseHost is db-ro.example, and orders has db.example"),
        (
            {"IAMDatabaseAuthenticationEnabled": False},
            "db.example",
            "✗ IAM authentication is off: `aws rds modify-db",
        ),
    ],
)
def test_a_cluster_is_found_by_its_resource_id(
    aws: Account, found: Any, said: dict[str, Any], host: str, expected: str
) -> None:
    answer(aws, "rds", "describe_db_clusters", {"DBClusters": [CLUSTER | said]})
    [line] = lines(existing_database(existing("cluster-A", DatabaseHost=host), aws))
    assert line.startswith(expected)
