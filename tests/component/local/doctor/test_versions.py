"""The versions and classes that a region offers."""

from __future__ import annotations

import pytest

from local.doctor.account import Account
from local.doctor.checks.versions import new_cache, new_database
from tests.component.local.doctor.support import REGION, answer, deployment, lines


def offered(aws: Account, versions: list[str], zones: str = "abc") -> None:
    """RDS offers the class in these versions, in the zones with these letters."""
    named = [{"Name": f"{REGION}{letter}"} for letter in zones]
    options = [{"EngineVersion": version, "AvailabilityZones": named} for version in versions]
    answer(aws, "rds", "describe_orderable_db_instance_options", {"OrderableDBInstanceOptions": options})


def test_any_minor_version_will_do(aws: Account) -> None:
    offered(aws, ["17.6", "18.2"])
    assert lines(new_database(deployment(), aws)) == ["✓ postgres 18 on db.t4g.micro"]


@pytest.mark.parametrize("available", ["on", "off"])
def test_aurora_has_the_version_of_its_cluster(aws: Account, available: str) -> None:
    offered(aws, ["17.5"])
    of = deployment(DatabaseSource="aurora", DatabaseVersion="17", HighAvailability=available)
    assert lines(new_database(of, aws)) == ["✓ aurora-postgresql 17 on db.serverless"]


def test_a_version_that_the_region_lacks_is_a_problem(aws: Account) -> None:
    offered(aws, ["17.6", "180.1"])
    [line] = lines(new_database(deployment(), aws))
    assert line.startswith("✗ RDS has no postgres 18 on db.t4g.micro in eu-central-1: choose another DatabaseVersion")


def test_a_class_that_the_region_lacks_is_a_problem(aws: Account) -> None:
    offered(aws, [])
    [line] = lines(new_database(deployment(DatabaseClass="db.x2g.large"), aws))
    assert line.startswith("✗ RDS has no db.x2g.large for postgres in eu-central-1: choose another DatabaseClass")


def test_a_version_that_a_zone_lacks_is_a_problem(aws: Account) -> None:
    offered(aws, ["18.6"], "bc")
    [line] = lines(new_database(deployment(), aws))
    assert line.startswith("✗ eu-central-1a has no postgres 18 on db.t4g.micro: set AvailabilityZones to two of")
    of = deployment(AvailabilityZones="eu-central-1b,eu-central-1c")
    assert lines(new_database(of, aws)) == ["✓ postgres 18 on db.t4g.micro"]


def test_an_existing_server_needs_no_offer(aws: Account) -> None:
    assert lines(new_database(deployment(DatabaseSource="existing"), aws)) == []
    assert lines(new_cache(deployment(CacheType="existing"), aws)) == []


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        (["7.2", "8.2"], "✓ valkey 8.2"),
        (["7.2", "8.2.1"], "✓ valkey 8.2"),
        (["7.2", "8.20"], "✗ ElastiCache has no valkey 8.2 in eu-central-1; it has 7.2, 8.20"),
    ],
)
@pytest.mark.parametrize("kind", ["node", "cluster"])
def test_an_engine_version_that_the_region_lacks_is_a_problem(
    aws: Account, kind: str, versions: list[str], expected: str
) -> None:
    found = {"CacheEngineVersions": [{"EngineVersion": version} for version in versions]}
    answer(aws, "elasticache", "describe_cache_engine_versions", found)
    assert lines(new_cache(deployment(CacheType=kind), aws)) == [expected]
