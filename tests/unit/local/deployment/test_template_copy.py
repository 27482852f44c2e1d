"""The copy of the template that the emulator deploys: what it lacks is gone, and nothing refers to it any more."""

from __future__ import annotations

from typing import Any

import pytest

from local.deployment.lacks import LACKS
from local.deployment.template_copy import emulated
from tests.support.root import ROOT

Json = dict[str, Any]
ADDRESSES = {"database": "db.example", "serverless_cache": "cache.example"}


def copy_of(**resources: Json) -> Json:
    """Return the resources of a copy of the smallest template that has these."""
    api: Json = {
        "Type": "AWS::Serverless::HttpApi",
        "Properties": {
            "DefinitionBody": {
                "paths": {
                    "/open": {"get": {"security": []}},
                    "/kept": {"post": {"security": {"Fn::If": ["Jwt", [{"jwt": []}], [{"iam": []}]]}}},
                    "$default": {"x-amazon-apigateway-any-method": {"security": [{"iam": []}]}},
                },
                "components": {"securitySchemes": {"jwt": {"Fn::If": ["Jwt", AUTHORIZER, None]}}},
            }
        },
    }
    template = {"Resources": {"HttpApi": api, **resources}, "Outputs": {"ApiUrl": {"Value": "of AWS"}}}
    copy = emulated(template, "http://here/${HttpApi}", ADDRESSES)
    assert copy["Outputs"]["ApiUrl"] == {"Value": {"Fn::Sub": "http://here/${HttpApi}"}}
    found: Json = copy["Resources"]
    return found


AUTHORIZER = {
    "x-amazon-apigateway-authorizer": {
        "identitySource": "$request.header.Authorization",
        "jwtConfiguration": {"issuer": "https://issuer", "audience": ["a"]},
    }
}
PROXY: Json = {"Type": "AWS::RDS::DBProxy", "Properties": {}}


def test_resource_that_is_lacking_is_gone_with_what_waits_for_it() -> None:
    resources = copy_of(Proxy=PROXY, Role={"Type": "AWS::IAM::Role", "DependsOn": ["Proxy", "HttpApi"]})
    assert "Proxy" not in resources
    assert resources["Role"]["DependsOn"] == ["HttpApi"]


@pytest.mark.parametrize(
    ("reference", "becomes"),
    [
        ({"Ref": "Proxy"}, {"Fn::Sub": "Proxy"}),
        ({"Fn::GetAtt": ["Proxy", "DBProxyArn"]}, {"Fn::Sub": "Proxy"}),
        ({"Fn::GetAtt": ["Proxy", "Endpoint"]}, {"Fn::Sub": ""}),
        ({"Fn::Sub": "a ${Proxy.DBProxyArn} ${Other} ${!Proxy}"}, {"Fn::Sub": "a Proxy ${Other} ${!Proxy}"}),
        ({"Fn::Sub": ["${Id}", {"Id": {"Ref": "Proxy"}}]}, {"Fn::Sub": ["${Id}", {"Id": {"Fn::Sub": "Proxy"}}]}),
        ({"Fn::GetAtt": ["Database", "Endpoint.Address"]}, {"Fn::Sub": "db.example"}),
        ({"Fn::GetAtt": ["Database", "DbiResourceId"]}, {"Fn::GetAtt": ["Database", "DbiResourceId"]}),
        ({"Ref": "Database"}, {"Ref": "Database"}),
        ({"Ref": "Cache"}, {"Fn::Sub": "${AWS::StackName}"}),
        ({"Fn::GetAtt": ["Cache", "Endpoint.Address"]}, {"Fn::Sub": "cache.example"}),
        ({"Ref": "Other"}, {"Ref": "Other"}),
    ],
)
def test_reference_gets_the_value_in_its_place(reference: Json, becomes: Json) -> None:
    resources = copy_of(
        Proxy=PROXY,
        Database={"Type": "AWS::RDS::DBInstance", "Properties": {}},
        Cache={"Type": "AWS::ElastiCache::ServerlessCache", "Properties": {}},
        Role={"Type": "AWS::IAM::Role", "Properties": {"Policies": [reference]}},
    )
    assert resources["Role"]["Properties"]["Policies"] == [becomes]
    assert "Database" in resources


def test_only_alarms_of_several_metrics_are_gone() -> None:
    alarm = {"Type": "AWS::CloudWatch::Alarm"}
    resources = copy_of(
        One={**alarm, "Properties": {"MetricName": "x"}}, Several={**alarm, "Properties": {"Metrics": []}}
    )
    assert "One" in resources
    assert "Several" not in resources


def test_each_event_becomes_a_route_with_its_authorization() -> None:
    events = {
        "Open": {"Type": "HttpApi", "Properties": {"Method": "GET", "Path": "/open"}},
        "Kept": {"Type": "HttpApi", "Properties": {"Method": "POST", "Path": "/kept"}},
        "Other": {"Type": "HttpApi", "Properties": {}},
        "Sweep": {"Type": "ScheduleV2", "Properties": {}},
    }
    described = {"AutoPublishAlias": "live", "DeploymentPreference": {}, "Events": events}
    resources = copy_of(Query={"Type": "AWS::Serverless::Function", "Properties": described})
    assert "DeploymentPreference" not in resources["Query"]["Properties"]
    routes = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::ApiGatewayV2::Route"]
    assert {each["RouteKey"]: each["AuthorizationType"] for each in routes} == {
        "GET /open": "NONE",
        "POST /kept": {"Fn::If": ["Jwt", "JWT", "AWS_IAM"]},
        "$default": "AWS_IAM",
    }
    assert resources["QueryIntegration"]["Properties"]["IntegrationUri"] == {"Ref": "Query.Alias"}
    assert resources["EmulatedAuthorizer"]["Properties"]["JwtConfiguration"]["Issuer"] == "https://issuer"


def test_every_entry_is_about_something_in_the_template() -> None:
    types = [line.split()[1] for line in (ROOT / "template.yaml").read_text().splitlines() if "Type: AWS::" in line]
    for lack in LACKS:
        assert lack.type in types, f"{lack}: no such resource, so the entry goes"
