"""Whether RDS offers the engine, version and class of a new database in this region and its zones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from local.doctor.account import Account
from local.doctor.checks.network import zones_of_new_vpc
from local.doctor.deployment import Deployment
from local.doctor.finding import Finding, fine, wrong
from local.doctor.plan import Plan

__all__ = ["new_database"]

Json = dict[str, Any]


def new_database(deployment: Deployment, aws: Account) -> Iterator[Finding]:
    for engine, version, instance_class in sorted(_instances(deployment.plan)):
        versions = _versions(aws, engine, version)
        if not versions:
            yield wrong(f"RDS has no {engine} {version} in {aws.region}: choose another DatabaseVersion")
            continue
        options = aws.ask_all(
            "rds",
            "describe_orderable_db_instance_options",
            "OrderableDBInstanceOptions",
            Engine=engine,
            EngineVersion=versions[-1],
            DBInstanceClass=instance_class,
            Vpc=True,
        )
        zones = zones_of_new_vpc(deployment, aws) if deployment.plan.created("AWS::EC2::VPC") else []
        what = f"{engine} {versions[-1]} on {instance_class}"
        if problem := _problem(options, zones):
            yield wrong(f"{what}: {problem}")
        else:
            yield fine(what)


def _instances(plan: Plan) -> set[tuple[str, str, str]]:
    """Return engine, version and class of each instance. An instance of a cluster has the cluster's engine."""
    instances = plan.created("AWS::RDS::DBInstance").values()
    clusters = list(plan.created("AWS::RDS::DBCluster").values())
    found = set()
    for instance in instances:
        source = clusters[0] if clusters and "EngineVersion" not in instance else instance
        values = [plan.value(source.get(name)) for name in ("Engine", "EngineVersion")]
        found.add((str(values[0]), str(values[1]), str(plan.value(instance.get("DBInstanceClass")))))
    return found


def _versions(aws: Account, engine: str, version: str) -> list[str]:
    """Return the versions of `engine` that `version` stands for, in ascending order: "18" is every 18.x."""
    family = engine + version.partition(".")[0]
    found = aws.ask_all(
        "rds", "describe_db_engine_versions", "DBEngineVersions", Engine=engine, DBParameterGroupFamily=family
    )
    names = [each["EngineVersion"] for each in found]
    return sorted((name for name in names if f"{name}.".startswith(f"{version}.")), key=_numbers)


def _numbers(version: str) -> list[int]:
    return [int(part) if part.isdecimal() else 0 for part in version.split(".")]


def _problem(options: list[Json], zones: list[str]) -> str | None:
    if not options:
        return "not offered in this region: choose another DatabaseClass"
    offered = {zone["Name"] for option in options for zone in option.get("AvailabilityZones", [])}
    if missing := [zone for zone in zones if zone not in offered]:
        return f"not offered in {', '.join(missing)}: set AvailabilityZones to two of {', '.join(sorted(offered))}"
    return None
