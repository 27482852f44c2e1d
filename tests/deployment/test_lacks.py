"""The list of what the emulator lacks: an entry that it has learnt is found, and goes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from local.deployment.lacks import LACKS, Lack
from local.deployment.ministack import Emulator

MATH = {
    "Metrics": [{"Id": "a", "Expression": "1 + 1", "ReturnData": True}],
    "Threshold": 1,
    "EvaluationPeriods": 1,
    "ComparisonOperator": "GreaterThanThreshold",
}
DATABASE = {"Engine": "postgres", "DBInstanceClass": "db.t4g.micro", "MasterUsername": "someone"}
# The operation that describes those of a type, and the list in its answer.
DATABASES = {
    "AWS::RDS::DBInstance": ("describe_db_instances", "DBInstances"),
    "AWS::RDS::DBCluster": ("describe_db_clusters", "DBClusters"),
}


@pytest.mark.parametrize("lack", [each for each in LACKS if not each.stays], ids=str)
def test_emulator_still_refuses(emulator: Emulator, lack: Lack) -> None:
    kind = lack.unknown or lack.type
    properties, reason = (MATH, "metric math") if lack.where else ({}, f"Unrecognized resource types: \\[{kind}]")
    with pytest.raises(Refused, match=reason):
        create(emulator, "Refused", {"Type": kind, "Properties": properties})


def test_a_type_that_the_emulator_has_learnt_is_not_refused(emulator: Emulator) -> None:
    create(emulator, "Learnt", {"Type": "AWS::EC2::Subnet", "Properties": {}})
    emulator.client("cloudformation").delete_stack(StackName="Learnt")


@pytest.mark.parametrize("lack", [each for each in LACKS if each.stays], ids=str)
def test_database_of_a_template_still_has_no_server(emulator: Emulator, lack: Lack) -> None:
    operation, databases = DATABASES[lack.type]
    create(emulator, "NoServer", {"Type": lack.type, "Properties": DATABASE})
    try:
        [database] = getattr(emulator.client("rds"), operation)()[databases]
        endpoint = database["Endpoint"]
        assert (endpoint if isinstance(endpoint, str) else endpoint["Address"]).endswith(".rds.amazonaws.com")
    finally:
        emulator.client("cloudformation").delete_stack(StackName="NoServer")


def test_openapi_definition_still_makes_no_routes(emulator: Emulator) -> None:
    body = {"openapi": "3.0.1", "info": {"title": "x", "version": "1"}, "paths": {"/x": {"get": {"responses": {}}}}}
    create(emulator, "NoRoutes", {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Body": body}})
    try:
        gateway = emulator.client("apigatewayv2")
        [api] = [each for each in gateway.get_apis()["Items"] if each["Name"].startswith("NoRoutes")]
        assert gateway.get_routes(ApiId=api["ApiId"])["Items"] == []
    finally:
        emulator.client("cloudformation").delete_stack(StackName="NoRoutes")


class Refused(Exception):
    """The emulator refuses a template or a resource. The text has its reasons."""


def create(emulator: Emulator, name: str, resource: dict[str, Any]) -> None:
    """Create a stack of one resource. Raises `Refused`."""
    client = emulator.client("cloudformation")
    try:
        client.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": {"It": resource}}))
        client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    except ClientError as error:
        raise Refused(str(error)) from None
    except WaiterError:
        events = client.describe_stack_events(StackName=name)["StackEvents"]
        raise Refused(str([event.get("ResourceStatusReason") for event in events])) from None
