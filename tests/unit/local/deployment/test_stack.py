"""How a stack calls the SAM CLI: a program that notes arguments and variables, and fails when it is told to."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.deployment import stack as module
from local.deployment.ministack import Emulator
from local.deployment.stack import DeploymentFailed, Stack
from local.sam_cli import host_architecture

SAM = f"""#!{sys.executable}
import json, os, pathlib, sys
here = pathlib.Path(__file__).parent
called = {{"arguments": sys.argv[1:], "variables": dict(os.environ), "folder": os.getcwd()}}
(here / sys.argv[1]).write_text(json.dumps(called))
print("the output of", sys.argv[1])
sys.exit((here / "fails").exists())
"""
SAMCONFIG = """
[prod.global.parameters]
stack_name = "of-prod"
parameter_overrides = ["Architecture=other", "SampleSize=0"]
"""
EVENTS = [
    ("Later", "UPDATE_FAILED", "its reason"),
    ("of-prod", "UPDATE_IN_PROGRESS", "User Initiated"),
    ("Earlier", "CREATE_FAILED", "of an earlier deployment"),
]


class FakeEmulator(Emulator):
    def client(self, service: str) -> Any:
        return self

    def describe_stack_events(self, *, StackName: str) -> Any:  # noqa: N803 - AWS named it
        names = ("LogicalResourceId", "ResourceStatus", "ResourceStatusReason")
        return {"StackEvents": [dict(zip(names, event, strict=True)) | {"StackName": StackName} for event in EVENTS]}


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setattr(module, "create_servers", lambda *_: {"database": "db.example", "database_port": "5433"})
    monkeypatch.setattr(module, "complete_caches", lambda _: None)
    monkeypatch.setattr(module, "emulated", lambda template, url, _: template | {"Url": url})
    sam = tmp_path / "sam"
    sam.write_text(SAM)
    sam.chmod(0o755)
    (tmp_path / "samconfig.toml").write_text(SAMCONFIG)
    (tmp_path / ".aws-sam/build").mkdir(parents=True)
    (tmp_path / ".aws-sam/build/template.yaml").write_text("Resources: {}\n")
    emulator = FakeEmulator("http://127.0.0.1:4566", "172.17.0.1", tmp_path / "log")
    return Stack(emulator, tmp_path, sam, "prod", {"SampleSize": "20"})


def called(stack: Stack, command: str) -> Any:
    return json.loads((stack.project / command).read_text())


def test_deployment_is_that_of_the_section_but_for_what_was_chosen(stack: Stack) -> None:
    assert stack.deploy() == "the output of deploy\n"
    arguments = called(stack, "deploy")["arguments"]
    assert arguments[:3] == ["deploy", "--config-env", "prod"]
    overrides = arguments[arguments.index("--parameter-overrides") + 1 :]
    assert overrides == [f"Architecture={host_architecture()}", "SampleSize=20", "DatabasePort=5433"]
    assert arguments[arguments.index("--stack-name") + 1] == "of-prod"
    copy = yaml.safe_load(Path(arguments[arguments.index("--template-file") + 1]).read_text())
    assert copy["Url"] == "http://127.0.0.1:4566/_aws/execute-api/${HttpApi}/$default"


def test_sam_calls_the_emulator_and_knows_no_profile_of_this_machine(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://elsewhere")
    stack.deploy()
    variables = called(stack, "deploy")["variables"]
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert (variables["AWS_ACCESS_KEY_ID"], "AWS_PROFILE" in variables) == ("test", False)


def test_failed_deployment_shows_the_reasons_of_its_own_resources(stack: Stack) -> None:
    (stack.project / "fails").touch()
    with pytest.raises(DeploymentFailed) as failed:
        stack.deploy()
    assert str(failed.value) == "sam deploy failed:\nLater: its reason"


def test_failed_build_shows_the_output(stack: Stack) -> None:
    (stack.project / "fails").touch()
    with pytest.raises(DeploymentFailed, match="sam build failed:\nthe output of build"):
        stack.build()
