"""Makes all checks, prints each result when it is known, and returns the exit status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from local.doctor.account import Account
from local.doctor.check import FINE, UNKNOWN, WRONG, Check, Missing, NotChecked, results
from local.doctor.checks import (
    arns,
    build,
    concurrency,
    existing_cache,
    existing_database,
    existing_vpc,
    network,
    settings,
    stack,
    versions,
)
from local.doctor.deployment import Deployment, Stack
from local.doctor.samconfig import Configuration, read_configuration
from local.errors import LocalError
from local.template import read_document
from local.terminal import PrintLine, one_line, printable

__all__ = ["examine"]

NO_PROBLEM, PROBLEMS, NO_ACCOUNT = 0, 1, 3

# The subject of the results -> the check.
WITHOUT_AWS: Final[dict[str, Callable[[Deployment], Check]]] = {
    "stack name": settings.stack_name,
    "parameters": settings.parameters,
    "sizes": settings.sizes,
    "region": settings.region,
    "build": build.freshness,
    "Architecture": build.architecture,
}
WITH_AWS: Final[dict[str, Callable[[Deployment, Account], Check]]] = {
    "DeletionProtection": lambda deployment, _: stack.deletion_protection(deployment),
    "concurrency": concurrency.concurrency,
    "VPCs": network.vpcs,
    "elastic addresses": network.addresses,
    "zones": network.zones,
    "FurtherEgress": network.further_egress,
    "VpcId": existing_vpc.vpc,
    "FunctionSubnetIds": existing_vpc.function_subnets,
    "DataSubnetIds": existing_vpc.data_subnets,
    "route to S3": existing_vpc.routes,
    "new database": versions.new_database,
    "existing database": existing_database.existing_database,
    "new cache": versions.new_cache,
    "existing cache": existing_cache.existing_cache,
    "CertificateArn": arns.certificate,
    "KmsKeyArn": arns.key,
    "PermissionsBoundaryArn": arns.permissions_boundary,
    "LambdaInsightsLayer": arns.insights_layer,
}
_WIDTH: Final = max(map(len, [*WITHOUT_AWS, *WITH_AWS]))


def examine(root: Path, environment: str, say: PrintLine) -> int:
    """Check the deployment of `environment` in samconfig.toml. Return 1 for problems, 3 without AWS, else 0.

    Raises `LocalError` if samconfig.toml or template.yaml cannot be read.
    """
    configuration = read_configuration(root / "samconfig.toml", environment)
    template = read_document(root / "template.yaml")
    session = _session(configuration)
    region = configuration.region or session.region_name or "us-east-1"  # as SAM chooses it
    aws = Account(session, region)
    deployment = Deployment(root, configuration, template, region)
    report = _Report(say)
    if has_account := _has_account(aws, report):
        deployment = _as_it_is(deployment, aws, report)
    for subject, check in WITHOUT_AWS.items():
        report.add(subject, check(deployment))
    for subject, asking in WITH_AWS.items() if has_account else ():
        report.add(subject, asking(deployment, aws))
    if report.summary():
        return PROBLEMS
    return NO_PROBLEM if has_account else NO_ACCOUNT


class _Report:
    def __init__(self, say: PrintLine) -> None:
        self._say = say
        self._marks: list[str] = []

    def add(self, subject: str, check: Check) -> None:
        for mark, text in results(check):
            self.show(mark, subject, text)

    def show(self, mark: str, subject: str, text: str) -> None:
        self._marks.append(mark)
        self._say(printable(f"{mark} {subject.ljust(_WIDTH)}  {text}"))

    def summary(self) -> int:
        """Print and return the number of problems."""
        problems, left = self._marks.count(WRONG), self._marks.count(UNKNOWN)
        counted = f"{problems or 'no'} problem{'' if problems == 1 else 's'}"
        self._say(f"\n{counted}, {left} not checked" if left else f"\n{counted}")
        return problems


def _session(configuration: Configuration) -> Any:
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        return boto3.Session(profile_name=configuration.profile)
    except BotoCoreError as error:
        raise LocalError(f"AWS: {one_line(error)}") from None


def _has_account(aws: Account, report: _Report) -> bool:
    try:
        report.show(FINE, "account", aws.ask("sts", "get_caller_identity")["Account"])
    except (Missing, NotChecked) as reason:
        report.show(UNKNOWN, "account", f"{reason}: only the checks without AWS are made")
        return False
    return True


def _as_it_is(deployment: Deployment, aws: Account, report: _Report) -> Deployment:
    """Return the deployment with the stack that is there now.

    SAM treats a stack in REVIEW_IN_PROGRESS, of which only a change set was made, as one that does not exist. After a
    stack that must be deleted, the next deployment is a first one again.
    """
    try:
        [found] = aws.ask("cloudformation", "describe_stacks", StackName=deployment.configuration.stack)["Stacks"]
    except Missing:
        found = {"StackStatus": "REVIEW_IN_PROGRESS"}
    except NotChecked as reason:
        report.show(UNKNOWN, "stack", f"not checked: {reason}. The other checks assume a first deployment")
        return deployment
    parameters = {each["ParameterKey"]: each.get("ParameterValue", "") for each in found.get("Parameters", [])}
    status = found["StackStatus"]
    current = deployment if status == "REVIEW_IN_PROGRESS" else replace(deployment, stack=Stack(status, parameters))
    report.add("stack", stack.state(current))
    return deployment if status in stack.LOST else current
