"""Turns the OpenAPI definition and the events of functions into resources: routes, integrations, authorizer."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["add_routes"]

Json = dict[str, Any]

_API: Final = {"Ref": "HttpApi"}
_AUTHORIZER: Final = "EmulatedAuthorizer"
_TYPES: Final = {"iam": "AWS_IAM", "jwt": "JWT"}


def add_routes(resources: Json) -> Json:
    """Return `resources` with one route for each event of type HttpApi, authorized as the definition says."""
    definition = resources["HttpApi"]["Properties"]["DefinitionBody"]
    added: Json = _authorizer(definition["components"]["securitySchemes"]["jwt"])
    for function, resource in resources.items():
        events = resource["Properties"].get("Events", {}) if resource["Type"] == "AWS::Serverless::Function" else {}
        for name, event in events.items():
            if event["Type"] == "HttpApi":
                added[f"{function}Integration"] = _integration(function, resource["Properties"])
                added[f"{function}{name}Route"] = _route(function, event["Properties"], definition["paths"])
    return resources | added


def _integration(function: str, described: Json) -> Json:
    called = {"Ref": f"{function}.Alias"} if "AutoPublishAlias" in described else {"Fn::GetAtt": [function, "Arn"]}
    properties = {
        "ApiId": _API,
        "IntegrationType": "AWS_PROXY",
        "IntegrationUri": called,
        "PayloadFormatVersion": "2.0",
    }
    return {"Type": "AWS::ApiGatewayV2::Integration", "Properties": properties}


def _route(function: str, event: Json, paths: Json) -> Json:
    path, method = event.get("Path", "$default"), event.get("Method", "x-amazon-apigateway-any-method")
    security = paths[path][method.lower()]["security"]
    properties = {
        "ApiId": _API,
        "RouteKey": f"{method} {path}" if "Path" in event else path,
        "Target": {"Fn::Sub": f"integrations/${{{function}Integration}}"},
        "AuthorizationType": _authorization(security),
        "AuthorizerId": {"Fn::If": ["UseJwt", {"Ref": _AUTHORIZER}, {"Ref": "AWS::NoValue"}]},
    }
    return {"Type": "AWS::ApiGatewayV2::Route", "Properties": properties}


def _authorization(security: Any) -> Any:
    """Return the type for a `security` of OpenAPI: a list of at most one scheme, or conditions that choose one."""
    match security:
        case {"Fn::If": [condition, one, other]}:
            return {"Fn::If": [condition, _authorization(one), _authorization(other)]}
        case [scheme]:
            return _TYPES[next(iter(scheme))]
    return "NONE"


def _authorizer(scheme: Json) -> Json:
    condition, jwt, _ = scheme["Fn::If"]
    described = jwt["x-amazon-apigateway-authorizer"]
    properties = {
        "ApiId": _API,
        "AuthorizerType": "JWT",
        "Name": "jwt",
        "IdentitySource": [described["identitySource"]],
        "JwtConfiguration": {
            "Issuer": described["jwtConfiguration"]["issuer"],
            "Audience": described["jwtConfiguration"]["audience"],
        },
    }
    return {_AUTHORIZER: {"Type": "AWS::ApiGatewayV2::Authorizer", "Condition": condition, "Properties": properties}}
