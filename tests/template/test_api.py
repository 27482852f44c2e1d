"""The routes of the HTTP contract, the functions that answer them, and who may call them."""

from __future__ import annotations

import json
import re
from typing import Any
from unittest.mock import ANY

from tests.support.route_access import ROWS, asked_by
from tests.template.support.api import body, operations
from tests.template.support.choices import JWT
from tests.template.support.stack import Stack, stack_of, translated

READS = ("/", "/queries", "/queries/{name}", "/queries/{name}/direct", "/health", "/openapi.json", "/docs")
ROUTES = {
    **{(method, path): "QueryFunction" for method in ("GET", "HEAD") for path in READS},
    ("ANY", "$default"): "QueryFunction",
    ("OPTIONS", "/{proxy+}"): "QueryFunction",
    ("POST", "/commands/{name}"): "CommandFunction",
    ("POST", "/invalidations"): "InvalidateFunction",
}
SECURITY: dict[str, list[dict[str, list[str]]]] = {"open": [], "iam": [{"iam": []}], "jwt": [{"jwt": []}]}


def deployed(stack: Stack) -> dict[str, Any]:
    (stage,) = stack.of_type("AWS::ApiGatewayV2::Stage").values()
    return stage


def test_routes_are_the_contract(stack: Stack) -> None:
    called = {
        route: re.search(r"functions/(\w+?)(?:Aliaslive|\.Arn)?/", str(operation))[1]  # type: ignore[index]
        for route, operation in operations(stack).items()
    }
    assert called == ROUTES


def test_each_route_asks_what_its_row_says_and_writes_are_never_open(stack: Stack) -> None:
    assert stack.parameters["WriteAuthorization"] in ("iam", "jwt")
    found = {
        (path if path == "$default" else f"{method} {path}"): operation
        for (method, path), operation in operations(stack).items()
    }
    assert found.keys() == ROWS.keys()
    for route, operation in found.items():
        asked = asked_by(ROWS[route].guard, stack.parameters)
        assert operation.get("security") == SECURITY[asked], route
        assert asked != "open" or ROWS[route].method != "POST"
    assert "security" not in body(stack)


def test_schemes_are_signatures_and_tokens_of_the_issuer(stack: Stack) -> None:
    schemes = body(stack)["components"]["securitySchemes"]
    assert schemes["iam"]["x-amazon-apigateway-authtype"] == "awsSigv4"
    chosen = {stack.parameters["ReadAuthorization"], stack.parameters["WriteAuthorization"]}
    assert ("jwt" in schemes) == ("jwt" in chosen)
    if "jwt" in schemes:
        authorizer = schemes["jwt"]["x-amazon-apigateway-authorizer"]
        assert (authorizer["type"], authorizer["identitySource"]) == ("jwt", "$request.header.Authorization")
        issuer, audience = JWT["JwtIssuer"], JWT["JwtAudience"].split(",")
        assert authorizer["jwtConfiguration"] == {"issuer": issuer, "audience": audience}


def test_no_route_is_written_that_no_function_answers(stack: Stack) -> None:
    for operation in operations(stack).values():
        assert operation["x-amazon-apigateway-integration"]["payloadFormatVersion"] == "2.0"


def test_every_route_but_invalidations_calls_the_live_alias(stack: Stack) -> None:
    for route, operation in operations(stack).items():
        target = operation["x-amazon-apigateway-integration"]["uri"]
        assert ("Aliaslive" in target) == (ROUTES[route] != "InvalidateFunction")


def test_stage_deploys_itself_and_limits_the_rate_of_every_route() -> None:
    stage = deployed(stack_of(ReadsPerSecond="500", WritesPerSecond="20"))
    assert (stage["StageName"], stage["AutoDeploy"]) == ("$default", True)
    rates = {"ThrottlingRateLimit", "ThrottlingBurstLimit"}
    assert {stage["DefaultRouteSettings"][rate] for rate in rates} == {"500"}
    limits = {route: {settings[rate] for rate in rates} for route, settings in stage["RouteSettings"].items()}
    writes: dict[str, set[object]] = {" ".join(route): {"20"} for route in ROUTES if route[0] == "POST"}
    for method in ("GET", "HEAD"):
        writes |= {f"{method} /queries/{{name}}/direct": {30}, f"{method} /health": {10, 20}}
    assert limits == writes
    assert all(s["DetailedMetricsEnabled"] for s in [stage["DefaultRouteSettings"], *stage["RouteSettings"].values()])


def test_a_line_of_the_access_log_is_json(stack: Stack) -> None:
    settings = deployed(stack)["AccessLogSettings"]
    assert settings["DestinationArn"] == "ApiLogs.Arn"
    line = json.loads(settings["Format"])
    assert {"requestId", "route", "status", "latencyMs"} <= line.keys()
    assert all(value.startswith("$context.") for value in line.values())
    personal = {"ip", "caller", "subject", "userAgent"} if stack.parameters["CallersInLog"] == "on" else set()
    assert {key for key, value in line.items() if "identity" in value or "authorizer" in value} == personal


def test_only_the_chosen_origins_may_call_from_a_page(stack: Stack) -> None:
    cors = body(stack).get("x-amazon-apigateway-cors", {})
    assert cors.get("allowOrigins", [""]) == stack.parameters["CorsOrigins"]
    assert "*" not in str(cors)
    if cors:
        assert cors["allowMethods"] == ["GET", "HEAD", "POST"]
        assert {"authorization", "idempotency-key", "if-none-match"} <= set(cors["allowHeaders"])
        assert {"cache-status", "etag", "age"} <= set(cors["exposeHeaders"])
        assert "allowCredentials" not in cors


def test_a_custom_domain_leads_to_the_api(stack: Stack) -> None:
    wanted = [stack.parameters["DomainName"]] if stack.parameters["DomainName"] else []
    domains = stack.of_type("AWS::ApiGatewayV2::DomainName")
    assert [domain["DomainName"] for domain in domains.values()] == wanted
    for domain in domains.values():
        (settings,) = domain["DomainNameConfigurations"]
        assert settings["CertificateArn"] == stack.parameters["CertificateArn"]
        assert (settings["EndpointType"], settings["SecurityPolicy"]) == ("REGIONAL", "TLS_1_2")
    for mapping in stack.of_type("AWS::ApiGatewayV2::ApiMapping").values():
        assert mapping == {"ApiId": "HttpApi", "DomainName": "Domain", "Stage": "HttpApiApiGatewayDefaultStage"}


def test_with_a_domain_the_address_of_the_api_itself_refuses_requests(stack: Stack) -> None:
    (server,) = body(stack)["servers"]
    domain = stack.parameters["DomainName"]
    assert server["x-amazon-apigateway-endpoint-configuration"]["disableExecuteApiEndpoint"] is bool(domain)
    assert stack.outputs["ApiUrl"] == (f"https://{domain}" if domain else "HttpApi.ApiEndpoint")


def test_the_api_is_named_after_its_stack(stack: Stack) -> None:
    assert body(stack)["info"]["title"] == "shop"


def test_outputs(stack: Stack) -> None:
    source = stack.parameters["DatabaseSource"]
    host = {"new": "Database.Endpoint.Address", "aurora": "AuroraCluster.Endpoint.Address", "existing": "db.example"}
    cache = {
        "node": "Cache.PrimaryEndPoint.Address",
        "cluster": "CacheCluster.ConfigurationEndPoint.Address",
        "serverless": "CacheServerless.Endpoint.Address",
        "existing": "cache.example",
    }[stack.parameters["CacheType"]]
    given = stack.parameters
    own_vpc, own_database, own_cache = not given["VpcId"], source != "existing", given["CacheType"] != "existing"
    exported = {
        "ApiUrl": ANY,
        "ApiId": "HttpApi",
        "VpcId": "Vpc" if own_vpc else given["VpcId"],
        "FunctionSubnetIds": "FunctionSubnetA,FunctionSubnetB" if own_vpc else given["FunctionSubnetIds"],
        "FunctionSecurityGroupId": "FunctionSecurityGroup",
        "DatabaseEndpoint": f"{host[source]}:5432",
        "DatabaseSecurityGroupId": "DatabaseSecurityGroup" if own_database else given["DatabaseSecurityGroupId"],
        "CacheEndpoint": f"{cache}:6379",
        "CacheSecurityGroupId": "CacheSecurityGroup" if own_cache else given["CacheSecurityGroupId"],
        "AlarmTopic": "Alarms",
    }
    expected = {
        **{f"{name}FunctionName": f"{name}Function" for name in ("Query", "Command", "Invalidate", "Migrate")},
        **{f"{name}LogGroup": f"{name}Logs" for name in ("Query", "Command", "Invalidate", "Migrate", "Api")},
    }
    if given["DomainName"]:
        expected["DomainTarget"] = "Domain.RegionalDomainName"
        expected["DomainHostedZoneId"] = "Domain.RegionalHostedZoneId"
    assert stack.outputs == exported | expected
    names = {name: output["Export"]["Name"] for name, output in translated()["Outputs"].items() if "Export" in output}
    assert names == {name: {"Fn::Sub": f"${{AWS::StackName}}-{name}"} for name in exported}
