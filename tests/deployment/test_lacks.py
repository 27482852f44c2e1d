"""The list of what the emulator lacks: an entry that it has learnt is found, and goes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from local.deployment.lacks import LACKS, Lack
from local.deployment.ministack import Emulator

ALARM = {
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


@pytest.mark.parametrize("lack", [each for each in LACKS if not each.stays and not each.where], ids=str)
def test_type_is_still_unknown(emulator: Emulator, lack: Lack) -> None:
    # A type that it has learnt would be refused for other reasons: its properties are missing.
    with pytest.raises(ClientError, match="Unrecognized resource types"):
        create(emulator, "Unknown", {"Type": lack.unknown or lack.type})


def test_alarm_of_several_metrics_is_still_refused(emulator: Emulator) -> None:
    with pytest.raises(WaiterError):
        create(emulator, "MetricMath", {"Type": "AWS::CloudWatch::Alarm", "Properties": ALARM})
    events = emulator.client("cloudformation").describe_stack_events(StackName="MetricMath")["StackEvents"]
    assert any("(metric math) is not supported" in each.get("ResourceStatusReason", "") for each in events)


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


def create(emulator: Emulator, name: str, resource: dict[str, Any]) -> None:
    """Create a stack of one resource. Raises ClientError or WaiterError if the emulator refuses it."""
    client = emulator.client("cloudformation")
    client.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": {"It": resource}}))
    client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
