"""Whether the region offers the versions and the class of a new database and a new cache."""

from __future__ import annotations

from collections.abc import Iterable

from local.doctor.account import Account
from local.doctor.check import Check
from local.doctor.checks.network import zones_of_new_vpc
from local.doctor.deployment import Deployment

__all__ = ["new_cache", "new_database"]


def new_database(deployment: Deployment, aws: Account) -> Check:
    instances = deployment.plan.created("AWS::RDS::DBInstance")
    if not instances:
        return None
    # An instance of Aurora has the version of its cluster.
    [versioned] = [each for each in deployment.plan.created("AWS::RDS::DBCluster") or instances if "Engine" in each]
    engine, version, kind = versioned["Engine"], versioned["EngineVersion"], instances[0]["DBInstanceClass"]
    what = f"{engine} {version} on {kind}"
    of = {"Engine": engine, "DBInstanceClass": kind, "Vpc": True}
    offers = aws.ask_all("rds", "describe_orderable_db_instance_options", "OrderableDBInstanceOptions", **of)
    offered = {each["EngineVersion"] for each in offers}
    matching = [each for each in offers if _is_of(each["EngineVersion"], version)]
    if not offers:
        yield f"RDS has no {kind} for {engine} in {aws.region}: choose another DatabaseClass"
    elif not matching:
        yield f"RDS has no {what} in {aws.region}: choose another DatabaseVersion, of {_listed(offered)}"
    elif deployment.plan.created("AWS::EC2::VPC"):
        zones = {zone["Name"] for each in matching for zone in each["AvailabilityZones"]}
        if missing := set(zones_of_new_vpc(deployment, aws)) - zones:
            yield f"{_listed(missing)} has no {what}: set AvailabilityZones to two of {_listed(zones)}"
    return what


def new_cache(deployment: Deployment, aws: Account) -> Check:
    for group in deployment.plan.created("AWS::ElastiCache::ReplicationGroup"):
        engine, version = group["Engine"], group["EngineVersion"]
        found = aws.ask_all("elasticache", "describe_cache_engine_versions", "CacheEngineVersions", Engine=engine)
        offered = {each["EngineVersion"] for each in found}
        if not any(_is_of(each, version) for each in offered):
            yield f"ElastiCache has no {engine} {version} in {aws.region}; it has {_listed(offered)}"
        return f"{engine} {version}"
    return None


def _is_of(full: str, version: str) -> bool:
    """Return whether 18.6 is of version 18."""
    return f"{full}.".startswith(f"{version}.")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
