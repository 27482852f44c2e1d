"""The routes of the HTTP contract, who answers them and who may call them."""

from __future__ import annotations

import json
import re

from tests.template.stack import Stack

ROUTES = {
    ("GET", "/"): "QueryFunction",
    ("GET", "/queries"): "QueryFunction",
    ("GET", "/queries/{name}"): "QueryFunction",
    ("GET", "/health"): "QueryFunction",
    ("GET", "/openapi.json"): "QueryFunction",
    ("GET", "/docs"): "QueryFunction",
    ("ANY", "$default"): "QueryFunction",
    ("POST", "/commands/{name}"): "CommandFunction",
    ("POST", "/invalidations"): "InvalidateFunction",
}


def operations(stack: Stack) -> dict[tuple[str, str], dict[str, object]]:
    paths = stack.resources["HttpApi"]["Properties"]["Body"]["paths"]
    return {
        ("ANY" if method == "x-amazon-apigateway-any-method" else method.upper(), path): operation
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def test_routes_are_the_contract(stack: Stack) -> None:
    answered_by = {
        route: re.search(r"functions/(\w+)\.Arn", str(operation))[1]  # type: ignore[index]
        for route, operation in operations(stack).items()
    }
    assert answered_by == ROUTES


def test_writes_ask_for_iam_and_reads_ask_for_nothing(stack: Stack) -> None:
    for (method, _), operation in operations(stack).items():
        assert operation.get("security") == ([{"AWS_IAM": []}] if method == "POST" else None)
    body = stack.resources["HttpApi"]["Properties"]["Body"]
    assert "security" not in body
    schemes = body["components"]["securitySchemes"]
    assert [scheme["x-amazon-apigateway-authtype"] for scheme in schemes.values()] == ["awsSigv4"]


def test_events_are_payload_version_2(default: Stack) -> None:
    for operation in operations(default).values():
        assert operation["x-amazon-apigateway-integration"]["payloadFormatVersion"] == "2.0"  # type: ignore[index]


def test_stage_deploys_itself_limits_the_rate_and_logs_json(stack: Stack) -> None:
    (stage,) = stack.of_type("AWS::ApiGatewayV2::Stage").values()
    assert (stage["StageName"], stage["AutoDeploy"]) == ("$default", True)
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] <= 1000
    assert stage["AccessLogSettings"]["DestinationArn"] == "ApiLogs.Arn"
    line = json.loads(stage["AccessLogSettings"]["Format"])
    assert {"requestId", "route", "status", "latencyMs"} <= line.keys()


def test_outputs(stack: Stack) -> None:
    assert stack.outputs == {
        "ApiUrl": "HttpApi.ApiEndpoint",
        "DatabaseEndpoint": "Database.Endpoint.Address:Database.Endpoint.Port",
        "CacheEndpoint": "Cache.PrimaryEndPoint.Address:Cache.PrimaryEndPoint.Port",
        **{f"{name}FunctionName": f"{name}Function" for name in ("Query", "Command", "Invalidate", "Migrate")},
        **{f"{name}LogGroup": f"{name}Logs" for name in ("Query", "Command", "Invalidate", "Migrate", "Api")},
    }
