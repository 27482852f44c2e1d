"""Stacks of other modes: created, asked, and deleted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.containers import engine
from local.deployment.ministack import Emulator
from local.deployment.stack import Stack
from local.sam_cli import find_sam
from tests.deployment.support.access import check_access
from tests.deployment.support.deployed import Deployed
from tests.deployment.support.identity import Identity
from tests.support.root import ROOT
from tests.support.route_access import ROWS

MINE = """-- summary = "Who asks"
-- ttl     = "60s"
-- returns = "one"
-- tags    = []
-- params.user = { type = "text", source = "claim:sub" }
select %(user)s as "user"
"""


@contextmanager
def created(stack: Stack, token: str | None = None) -> Iterator[Deployed]:
    """Build, deploy, and after the block delete."""
    stack.build()
    stack.deploy()
    yield Deployed(stack, token)
    stack.delete()


def test_prod_with_endpoints_then_an_existing_vpc_database_and_cache_with_jwt(
    emulator: Emulator, project: Path
) -> None:
    """The second stack uses the network, the database server and the cache of the first."""
    prod = Stack(emulator, project, find_sam(ROOT), "prod", {"SampleSize": "100", "Egress": "endpoints"})
    with created(prod) as first:
        first.check_api()
        assert check_access(first, {}) == 2 * (len(ROWS) - 1)
        first.psql("create database other owner cacheaside_owner")
        identity = Identity.create(emulator)
        choices = existing(first) | {
            "ReadAuthorization": "jwt",
            "WriteAuthorization": "jwt",
            "JwtIssuer": identity.issuer,
            "JwtAudience": identity.audience,
        }
        other = Stack(emulator, project, find_sam(ROOT), "dev", choices, name_suffix="-existing")
        with without_sample(project), with_query_of_a_claim(project), created(other, identity.token) as second:
            fill(second)
            second.check_api()
            assert check_access(second, identity.refused) > 100
            assert second.api.get("/queries/mine").json["data"] == {"user": identity.subject}
            assert second.api.get("/queries/mine?user=other").status == 400


@contextmanager
def without_sample(project: Path) -> Iterator[None]:
    """Take the sample out within the block: it is refused for a database that the stack did not create."""
    sample = project / "functions/catalogue/sample"
    sample.rename(project / "sample")
    yield
    (project / "sample").rename(sample)


@contextmanager
def with_query_of_a_claim(project: Path) -> Iterator[None]:
    """Have a query within the block that answers who asks. A stack whose reads are open refuses it."""
    query = project / "functions/catalogue/queries/mine.sql"
    query.write_text(MINE)
    yield
    query.unlink()


def existing(first: Deployed) -> dict[str, str]:
    """Return the parameters with which a stack uses what `first` has created."""
    client, name = first.stack.emulator.client("cloudformation"), first.stack.name
    listed = client.describe_stack_resources(StackName=name)["StackResources"]
    ids = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in listed}
    [database] = first.stack.emulator.client("rds").describe_db_instances(DBInstanceIdentifier=ids["Database"])[
        "DBInstances"
    ]
    outputs = first.stack.outputs()
    host, port = outputs["DatabaseEndpoint"].split(":")
    return {
        "VpcId": ids["Vpc"],
        "FunctionSubnetIds": f"{ids['FunctionSubnetA']},{ids['FunctionSubnetB']}",
        "DatabaseSource": "existing",
        "DatabaseHost": host,
        "DatabasePort": port,
        "DatabaseName": "other",
        "DatabaseResourceId": database["DbiResourceId"],
        "DatabaseSecurityGroupId": ids["DatabaseSecurityGroup"],
        "CacheType": "existing",
        "CacheHost": outputs["CacheEndpoint"].split(":")[0],
        "CacheName": ids["Cache"],
        "CacheSecurityGroupId": ids["CacheSecurityGroup"],
        "SampleSize": "0",
    }


def fill(deployed: Deployed) -> None:
    """Give the existing database, which never gets a sample, the product that is asked for."""
    [container] = engine.containers(deployed.stack.emulator.label, "ministack=rds")
    columns = "products (id, sku, name, category, price) overriding system value"
    sql = f"insert into {columns} values (7, 'seven', 'seven', 'other', 7)"
    engine.run_in(container, "psql", "--host=/tmp", "--user", "rdsadmin", "--command", sql, "other")
