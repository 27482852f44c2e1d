"""An existing database of RDS or Aurora, which is found by its resource id."""

from __future__ import annotations

from typing import Any, Final

from local.doctor.account import Account
from local.doctor.check import Check
from local.doctor.checks.servers import differences, group_problems
from local.doctor.deployment import Deployment

__all__ = ["existing_database"]

Json = dict[str, Any]

_OLDEST: Final = 16


def existing_database(deployment: Deployment, aws: Account) -> Check:
    plan = deployment.plan
    resource = plan.parameter("DatabaseResourceId")
    if plan.parameter("DatabaseSource") != "existing" or not resource:
        return None
    if not (found := _find(aws, resource)):
        yield f"no database of {aws.region} has the id {resource}"
        return None
    [database] = found
    name, engine, version = database["DBInstanceIdentifier"], database["Engine"], database["EngineVersion"]
    if (cluster := database.get("DBClusterIdentifier", name)) != name:
        yield f"{name} belongs to the cluster {cluster}: give the cluster's resource id and writer"
    if engine not in ("postgres", "aurora-postgresql"):
        yield f"{name} is {engine}, not PostgreSQL"
    if int(version.partition(".")[0]) < _OLDEST:
        yield f"{name} is PostgreSQL {version}: upgrade it to {_OLDEST} or later"
    if database["DBInstanceStatus"] != "available":
        yield f"{name} is {database['DBInstanceStatus']}: wait until it is available"
    if not database.get("IAMDatabaseAuthenticationEnabled"):
        yield f"{name} has no IAM authentication: enable it with --enable-iam-database-authentication"
    endpoint = database["Endpoint"]
    yield from differences(plan, name, {"DatabaseHost": endpoint["Address"], "DatabasePort": endpoint["Port"]})
    groups = [each["VpcSecurityGroupId"] for each in database.get("VpcSecurityGroups", [])]
    yield from group_problems(plan, name, "DatabaseSecurityGroupId", groups, aws)
    return f"{name}, {engine} {version}"


def _find(aws: Account, resource: str) -> list[Json]:
    """Return the database with this resource id, or nothing. A cluster is described like an instance."""
    if not resource.startswith("cluster-"):
        only = [{"Name": "dbi-resource-id", "Values": [resource]}]
        return aws.ask_all("rds", "describe_db_instances", "DBInstances", Filters=only)
    only = [{"Name": "db-cluster-resource-id", "Values": [resource]}]
    return [
        each
        | {"DBInstanceIdentifier": each["DBClusterIdentifier"], "DBInstanceStatus": each["Status"]}
        | {"Endpoint": {"Address": each["Endpoint"], "Port": each["Port"]}}
        for each in aws.ask_all("rds", "describe_db_clusters", "DBClusters", Filters=only)
    ]
