"""The functions, routes and schedules that are read from a template."""

from pathlib import Path

import pytest

from local.errors import LocalError
from local.template import Route, Schedule, Template, read_template

TEMPLATE = """
Parameters:
  Level: {Type: String, Default: INFO}
  Patience: {Type: Number, Default: 20}
  Pace: {Type: String, Default: rate(12 hours)}
Globals:
  Function:
    CodeUri: functions/
    Timeout: 10
    MemorySize: 512
    Layers: [!Ref LibraryLayer]
    Environment:
      Variables: {LEVEL: !Ref Level, SERVICE: none}
Resources:
  LibraryLayer:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layers/library}
  ExtraLayer:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layers/extra}
  ReadFunction:
    Type: AWS::Serverless::Function
    Properties:
      Handler: read.app.handler
      Timeout: !Ref Patience
      Layers: [!Ref ExtraLayer, "arn:aws:lambda:eu-central-1:123456789012:layer:elsewhere:1"]
      Environment:
        Variables:
          SERVICE: read
          TRACING: true
          DATABASE_URL: !Sub "postgresql://${Database.Endpoint.Address}/shop"
          ENDPOINT: !If [HasCache, !GetAtt Cache.Endpoint.Address, ""]
      Events:
        One: {Type: HttpApi, Properties: {ApiId: !Ref HttpApi, Path: "/things/{id}", Method: get}}
        Every: {Type: HttpApi, Properties: {Path: /things, Method: ANY}}
        Rest: {Type: HttpApi, Properties: {ApiId: !Ref HttpApi}}
        Clock:
          Type: ScheduleV2
          Properties: {ScheduleExpression: rate(1 minute), RetryPolicy: {MaximumRetryAttempts: 0}}
        Rule: {Type: Schedule, Properties: {Schedule: rate(1 minute)}}
        Pace: {Type: ScheduleV2, Properties: {ScheduleExpression: !Ref Pace, Input: '{"full": true}'}}
  PlainFunction:
    Type: AWS::Serverless::Function
    Properties: {Handler: plain.app.handler, CodeUri: elsewhere/}
  HttpApi: {Type: AWS::Serverless::HttpApi}
"""


@pytest.fixture
def template(tmp_path: Path) -> Template:
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    return read_template(tmp_path / "template.yaml")


def test_every_http_event_is_a_route_and_nothing_else_is(template: Template) -> None:
    assert template.routes == (
        Route("GET", "/things/{id}", "ReadFunction"),
        Route("ANY", "/things", "ReadFunction"),
        Route("", "$default", "ReadFunction"),
    )
    assert [route.key for route in template.routes] == ["GET /things/{id}", "ANY /things", "$default"]


def test_every_scheduler_event_is_a_schedule_and_nothing_else_is(template: Template) -> None:
    assert template.schedules == (
        Schedule("ReadFunctionClock", "ReadFunction", 60),
        Schedule("ReadFunctionPace", "ReadFunction", 43_200, {"full": True}),
    )


@pytest.mark.parametrize(
    "expression", ["cron(0 3 * * ? *)", "at(2030-01-01T00:00:00)", "rate(0 minutes)", "rate(1.5 hours)"]
)
def test_a_schedule_that_cannot_run_here_is_an_error_that_names_it(tmp_path: Path, expression: str) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(TEMPLATE.replace("rate(1 minute)", f'"{expression}"'))
    with pytest.raises(LocalError) as caught:
        read_template(path)
    assert str(caught.value).startswith(f"ReadFunction.Clock: {expression!r} cannot run here")


def test_an_input_that_is_no_json_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(TEMPLATE.replace('{"full": true}', "{full}"))
    with pytest.raises(LocalError, match=r"^ReadFunction\.Pace: its Input is not JSON$"):
        read_template(path)


def test_globals_are_the_defaults_of_a_function(template: Template, tmp_path: Path) -> None:
    function = template.functions["PlainFunction"]
    assert (function.timeout, function.memory) == (10, 512)
    assert function.paths == (tmp_path / "elsewhere", tmp_path / "layers/library")
    assert function.environment == {"LEVEL": "INFO", "SERVICE": "none"}


def test_a_function_overrides_globals_and_adds_to_their_layers(template: Template, tmp_path: Path) -> None:
    function = template.functions["ReadFunction"]
    assert (function.handler, function.timeout, function.memory) == ("read.app.handler", 20, 512)
    assert function.paths == (tmp_path / "functions", tmp_path / "layers/library", tmp_path / "layers/extra")
    assert function.environment["SERVICE"] == "read"


def test_a_variable_that_only_a_deployment_knows_is_empty(template: Template) -> None:
    environment = template.functions["ReadFunction"].environment
    assert environment["DATABASE_URL"] == environment["ENDPOINT"] == ""
    assert environment["TRACING"] == "true"


def test_a_missing_template_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"there is no .*template\.yaml"):
        read_template(tmp_path / "template.yaml")


@pytest.mark.parametrize("text", ["Resources: [", "just text", "Resources:"])
def test_a_broken_template_is_one_line_that_names_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(text)
    with pytest.raises(LocalError) as caught:
        read_template(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
