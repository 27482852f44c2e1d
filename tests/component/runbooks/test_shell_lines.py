"""The shell lines of the runbook, run by bash with an `aws` that does nothing: each call is one that AWS has."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Final

import botocore.session
import jmespath
import pytest

from tests.component.runbooks.insights import run
from tests.component.runbooks.runbook import PREAMBLE, SECTIONS
from tests.template.support.stack import read_template, stack_of

# A zero byte ends each argument, and a one byte each call.
_AWS: Final = """#!/bin/sh
{ printf '%s\\0' "$@"; printf '\\1'; } >>"$CALLS"
echo answer
"""
_GLOBAL: Final = {"query", "output"}
# Log groups that AWS creates: of a database, and of RDS Proxy.
_OF_AWS: Final = re.compile(r"/aws/rds/(instance/answer/postgresql|proxy/shop)")
COMMANDS: Final = [(title, command) for title, section in SECTIONS.items() for command in section.shell]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with programs that take the place of those that would leave this machine, or wait."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "aws").write_text(_AWS)
    for name in ("curl", "sleep"):
        (folder / name).write_text("#!/bin/sh\n")
    for program in folder.iterdir():
        program.chmod(0o755)
    return folder


def calls_of(command: str, programs: Path, tmp_path: Path) -> list[list[str]]:
    """Return the arguments of each call of `aws`."""
    bash = shutil.which("bash")
    assert bash
    script = f"{PREAMBLE.replace('cacheaside-prod', 'shop')}\n{command}"
    calls = tmp_path / "calls"
    environment = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "CALLS": str(calls)}
    subprocess.run([bash, "-eu", "-c", script], env={**environment, **_keys()}, check=True, capture_output=True)
    return [call.split("\0")[:-1] for call in calls.read_text().split("\1")[:-1]]


def _keys() -> dict[str, str]:
    return dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), "key")


@pytest.mark.parametrize(("title", "command"), COMMANDS, ids=[f"{t} {n}" for n, (t, _) in enumerate(COMMANDS)])
def test_each_call_is_one_that_aws_has(title: str, command: str, programs: Path, tmp_path: Path) -> None:
    for service, operation, *arguments in calls_of(command, programs, tmp_path):
        model = _service(service).operation_model(_operations(service)[operation])
        options: dict[str, str] = {}
        for argument in arguments:
            if argument.startswith("--"):
                options[name := argument.removeprefix("--")] = ""
            else:
                options[name] = argument
        members = {_option(name): shape for name, shape in model.input_shape.members.items()}
        for name, value in options.items():
            if name in _GLOBAL:
                continue
            shape = members.get(name) or members[name.removeprefix("no-")]
            assert bool(value) != (shape.type_name == "boolean"), f"{name} {value}"
            if value.startswith(("[", "{")):
                json.loads(value)
        required = {_option(name) for name in model.input_shape.required_members}
        assert required <= options.keys(), command
        if "query" in options:
            assert _fields(jmespath.compile(options["query"]).parsed) <= _names(model.output_shape), options["query"]


def test_schedule_of_the_sweep_is_in_the_group_that_the_command_names(programs: Path, tmp_path: Path) -> None:
    [command] = [each for _, each in COMMANDS if "get-schedule" in each]
    [*_, call] = calls_of(command, programs, tmp_path)
    [schedule] = stack_of().of_type("AWS::Scheduler::Schedule").values()
    [group] = stack_of().of_type("AWS::Scheduler::ScheduleGroup").values()
    assert call[call.index("--name") + 1] == schedule["Name"]
    assert (call[call.index("--group-name") + 1], schedule["GroupName"]) == (group["Name"], "Sweeps")


def test_each_resource_and_log_group_exists(programs: Path, tmp_path: Path) -> None:
    groups = {group["LogGroupName"] for group in stack_of().of_type("AWS::Logs::LogGroup").values()}
    text = "\n".join(command for _, command in COMMANDS)
    assert set(re.findall(r"\$\(id (\w+)\)", text)) <= read_template()["Resources"].keys()
    asked = [call for call in calls_of(text.replace("`", ""), programs, tmp_path) if call[1] == "start-query"]
    for call in asked:
        group = call[call.index("--log-group-name") + 1]
        assert group in groups or _OF_AWS.fullmatch(group), group


def test_queries_of_the_access_log_name_its_fields() -> None:
    [stage] = stack_of().of_type("AWS::ApiGatewayV2::Stage").values()
    line = re.sub(r"\$context[.\w]+", "500", stage["AccessLogSettings"]["Format"])
    queries = [query for section in SECTIONS.values() for query in section.queries("api")]
    assert len(queries) == 2
    for query in queries:
        [row] = run(query, [line])
        assert "" not in row.values(), (query, row)


@cache
def _session() -> Any:
    return botocore.session.get_session()


@cache
def _service(name: str) -> Any:
    return _session().get_service_model(name)


@cache
def _operations(service: str) -> dict[str, str]:
    return {_option(name): name for name in _service(service).operation_names}


def _option(name: str) -> str:
    """Return a name of the API as the command line writes it."""
    return botocore.xform_name(name, "-")


def _fields(node: dict[str, Any]) -> set[str]:
    """Return the fields that a parsed JMESPath expression names."""
    own = {node["value"]} if node["type"] == "field" else set()
    return own.union(*(_fields(child) for child in node["children"] if isinstance(child, dict)))


def _names(shape: Any) -> set[str]:
    """Return the names of the members of a shape and of all shapes below it."""
    found: set[str] = set()
    ahead = [shape]
    while ahead:
        each = ahead.pop()
        if each.type_name == "structure":
            ahead += [member for name, member in each.members.items() if name not in found]
            found |= each.members.keys()
        elif each.type_name == "list":
            ahead.append(each.member)
    return found
