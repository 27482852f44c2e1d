"""A stack in the emulator: `sam build`, `sam deploy` and `sam delete` as a user types them."""

from __future__ import annotations

import os
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

from local.deployment.ministack import REGION, Emulator
from local.deployment.servers import complete_caches, create_servers, delete_servers
from local.deployment.template_copy import emulated
from local.errors import LocalError
from local.sam_cli import host_architecture

__all__ = ["DeploymentFailed", "Stack"]

Json = dict[str, Any]

_BUNDLE: Final = "DependenciesLayer/certificates/rds-global-bundle.pem"


class DeploymentFailed(LocalError):
    """The SAM CLI ended with an error. The text is the end of its output."""


@dataclass
class Stack:
    """A stack of `project`, a copy of a checkout, by the section `config_env` of its samconfig.toml."""

    emulator: Emulator
    project: Path
    sam: Path
    config_env: str = "dev"
    parameters: Mapping[str, str] = field(default_factory=dict)  # those that differ from samconfig.toml
    name_suffix: str = ""

    @property
    def name(self) -> str:
        return str(self._configured["stack_name"]) + self.name_suffix

    @property
    def choices(self) -> dict[str, str]:
        """The parameters that are given, by name."""
        configured = dict(str(each).split("=", 1) for each in self._configured["parameter_overrides"])
        return configured | {"Architecture": host_architecture()} | dict(self.parameters)

    @cached_property
    def _configured(self) -> Json:
        document = tomllib.loads((self.project / "samconfig.toml").read_text(encoding="utf-8"))
        parameters: Json = document[self.config_env]["global"]["parameters"]
        return parameters

    def build(self) -> None:
        """Raises `DeploymentFailed`."""
        self._run("build", *self._chosen())
        bundle = self._built / _BUNDLE
        with bundle.open("ab") as file:
            file.write(self.emulator.authorities)

    def deploy(self) -> str:
        """Deploy what was built. Return the output. Raises `DeploymentFailed`."""
        addresses = create_servers(self.emulator, self.name, self.choices)
        port = {"DatabasePort": addresses["database_port"]} if "database_port" in addresses else {}
        api_url = f"{self.emulator.url}/_aws/execute-api/${{HttpApi}}/$default"
        template = yaml.safe_load((self._built / "template.yaml").read_text(encoding="utf-8"))
        copy = self._built / "emulated.yaml"
        copy.write_text(yaml.safe_dump(emulated(template, api_url, addresses), sort_keys=False), encoding="utf-8")
        command = ("deploy", "--template-file", str(copy), "--config-file", str(self.project / "samconfig.toml"))
        try:
            output = self._run(*command, "--stack-name", self.name, "--no-confirm-changeset", *self._chosen(port))
        except DeploymentFailed as failed:
            if reasons := self.failures():
                raise DeploymentFailed("\n".join(["sam deploy failed:", *reasons])) from failed
            raise
        complete_caches(self.emulator)
        return output

    def delete(self) -> None:
        """Raises `DeploymentFailed`."""
        self._run("delete", "--no-prompts", "--stack-name", self.name, "--region", REGION)
        delete_servers(self.emulator, self.name)

    def outputs(self) -> dict[str, str]:
        return {each["OutputKey"]: each["OutputValue"] for each in self.described()["Outputs"]}

    def described(self) -> Json:
        """Return the stack as CloudFormation describes it."""
        stack: Json = self.emulator.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"][0]
        return stack

    def failures(self) -> list[str]:
        """Return the resources that the last deployment could not create or update, each with its reason."""
        from botocore.exceptions import ClientError

        try:
            events = self.emulator.client("cloudformation").describe_stack_events(StackName=self.name)["StackEvents"]
        except ClientError:
            return []  # there is no stack
        began = next((n for n, each in enumerate(events) if _is_start(each)), len(events))
        failed = [each for each in events[:began] if each["ResourceStatus"] in ("CREATE_FAILED", "UPDATE_FAILED")]
        return [f"{each['LogicalResourceId']}: {each.get('ResourceStatusReason')}" for each in failed]

    @property
    def _built(self) -> Path:
        return self.project / ".aws-sam" / "build"

    def _chosen(self, forced: Mapping[str, str] = MappingProxyType({})) -> tuple[str, ...]:
        return ("--parameter-overrides", *(f"{name}={value}" for name, value in (self.choices | dict(forced)).items()))

    def _run(self, command: str, *arguments: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment.pop("PYTHONPATH", None)
        # The layers' makefiles need a python3 with pip: sam's own.
        path = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{self.sam.parent}"
        config = () if command == "delete" else ("--config-env", self.config_env)
        done = subprocess.run(
            [str(self.sam), command, *config, *arguments],
            cwd=self.project,
            env={**environment, **self.emulator.environment, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise DeploymentFailed(f"sam {command} failed:\n{done.stdout.strip()[-3000:]}")
        return done.stdout


def _is_start(event: Json) -> bool:
    """Whether a deployment began with this event."""
    began = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "REVIEW_IN_PROGRESS")
    return event["LogicalResourceId"] == event["StackName"] and event["ResourceStatus"] in began
