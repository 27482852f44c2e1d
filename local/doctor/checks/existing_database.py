"""An existing database of RDS or Aurora, which is found by its resource id."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from local.doctor.account import Account
from local.doctor.checks.security_groups import group_problem
from local.doctor.deployment import Deployment
from local.doctor.finding import Finding, fine, wrong
from local.doctor.plan import Plan

__all__ = ["existing_database"]

Json = dict[str, Any]

_OLDEST: Final = 16


@dataclass(frozen=True)
class _Database:
    """What RDS says of an instance or a cluster."""

    name: str
    engine: str
    version: str
    status: str
    host: str
    port: int
    iam: bool
    groups: tuple[str, ...]
    cluster: str | None  # of which an instance is a member
    enable_iam: str  # the command


def existing_database(deployment: Deployment, aws: Account) -> Iterator[Finding]:
    plan = deployment.plan
    resource = plan.parameter("DatabaseResourceId")
    if plan.parameter("DatabaseSource") != "existing" or not resource:
        return
    database = _find(aws, resource)
    if database is None:
        yield wrong(f"no database of {aws.region} has the DatabaseResourceId {resource}")
        return
    problems = [*_problems(database, plan)]
    group = plan.parameter("DatabaseSecurityGroupId")
    if group and (problem := group_problem(aws, group, database.groups, database.name, plan.parameter("VpcId"))):
        problems.append(f"DatabaseSecurityGroupId: {problem}")
    yield from map(wrong, problems)
    if not problems:
        yield fine(f"{database.name}, {database.engine} {database.version}")


def _problems(database: _Database, plan: Plan) -> Iterator[str]:
    if database.cluster:
        yield f"{database.name} belongs to the cluster {database.cluster}: give the cluster's resource id and writer"
    if not database.engine.endswith("postgres") and database.engine != "aurora-postgresql":
        yield f"{database.name} is {database.engine}, not PostgreSQL"
    if int(database.version.partition(".")[0]) < _OLDEST:
        yield f"{database.name} is PostgreSQL {database.version}: upgrade it to {_OLDEST} or later"
    if database.status != "available":
        yield f"{database.name} is {database.status}: wait until it is available"
    if not database.iam:
        yield f"IAM authentication is off: `{database.enable_iam} --enable-iam-database-authentication`"
    if plan.parameter("DatabaseHost").lower() != database.host.lower():
        yield f"DatabaseHost is {plan.parameter('DatabaseHost')}, and {database.name} has {database.host}"
    if plan.parameter("DatabasePort") != str(database.port):
        yield f"DatabasePort is {plan.parameter('DatabasePort')}, and {database.name} has {database.port}"


def _find(aws: Account, resource: str) -> _Database | None:
    if resource.startswith("cluster-"):
        found = aws.ask_all("rds", "describe_db_clusters", "DBClusters")
        matching = [each for each in found if each.get("DbClusterResourceId") == resource]
        return _cluster(matching[0]) if matching else None
    found = aws.ask_all("rds", "describe_db_instances", "DBInstances")
    matching = [each for each in found if each.get("DbiResourceId") == resource]
    return _instance(matching[0]) if matching else None


def _instance(found: Json) -> _Database:
    name = found["DBInstanceIdentifier"]
    return _Database(
        name,
        found["Engine"],
        found["EngineVersion"],
        found["DBInstanceStatus"],
        found.get("Endpoint", {}).get("Address", ""),
        found.get("Endpoint", {}).get("Port", 0),
        found.get("IAMDatabaseAuthenticationEnabled", False),
        tuple(each["VpcSecurityGroupId"] for each in found.get("VpcSecurityGroups", [])),
        found.get("DBClusterIdentifier"),
        f"aws rds modify-db-instance --db-instance-identifier {name}",
    )


def _cluster(found: Json) -> _Database:
    name = found["DBClusterIdentifier"]
    return _Database(
        name,
        found["Engine"],
        found["EngineVersion"],
        found["Status"],
        found.get("Endpoint", ""),
        found.get("Port", 0),
        found.get("IAMDatabaseAuthenticationEnabled", False),
        tuple(each["VpcSecurityGroupId"] for each in found.get("VpcSecurityGroups", [])),
        None,
        f"aws rds modify-db-cluster --db-cluster-identifier {name}",
    )
