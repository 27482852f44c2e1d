"""Makes all checks, prints each result when it is known, and returns the exit status."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from local.doctor.account import Account, Missing
from local.doctor.checks import (
    arns,
    build,
    cache,
    concurrency,
    domain,
    existing_database,
    existing_vpc,
    names,
    network,
    new_database,
    settings,
    stack,
)
from local.doctor.deployment import Deployment, Stack
from local.doctor.finding import Finding, Mark, NotChecked, fine, unknown
from local.doctor.samconfig import Configuration, read_configuration
from local.errors import LocalError
from local.template import read_document
from local.terminal import PrintLine, one_line, printable

__all__ = ["examine"]

NO_PROBLEM, PROBLEMS, NO_ACCOUNT = 0, 1, 3

# What a finding is about -> the check.
WITHOUT_AWS: Final[dict[str, Callable[[Deployment], Iterator[Finding]]]] = {
    "stack name": settings.stack_name,
    "parameters": settings.parameters,
    "sizes": settings.sizes,
    "region": settings.region,
    "tags": settings.tags,
    "build": build.freshness,
    "Architecture": build.architecture,
}
WITH_AWS: Final[dict[str, Callable[[Deployment, Account], Iterator[Finding]]]] = {
    "DeletionProtection": lambda deployment, _: stack.deletion_protection(deployment),
    "names": names.names,
    "concurrency": concurrency.concurrency,
    "VPCs": network.vpcs,
    "elastic addresses": network.addresses,
    "zones": network.zones,
    "S3 prefix list": network.s3_prefix_list,
    "FurtherEgress": network.further_egress,
    "VpcId": existing_vpc.vpc,
    "FunctionSubnetIds": existing_vpc.function_subnets,
    "DataSubnetIds": existing_vpc.data_subnets,
    "route to S3": existing_vpc.routes,
    "new database": new_database.new_database,
    "existing database": existing_database.existing_database,
    "new cache": cache.new_cache,
    "existing cache": cache.existing_cache,
    "CertificateArn": domain.certificate,
    "DomainName": domain.domain,
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
    report = _Report(say)
    account = Account(session, region)
    deployment = Deployment(root, configuration, template, region)
    account_id = _account_id(account, report)
    if account_id:
        deployment = _as_it_is(replace(deployment, account_id=account_id), account, report)
    for subject, check in WITHOUT_AWS.items():
        report.add(subject, check(deployment))
    for subject, asking in WITH_AWS.items() if account_id else ():
        report.add(subject, asking(deployment, account))
    if report.summary():
        return PROBLEMS
    return NO_PROBLEM if account_id else NO_ACCOUNT


class _Report:
    def __init__(self, say: PrintLine) -> None:
        self._say = say
        self._marks: list[Mark] = []

    def add(self, subject: str, findings: Iterable[Finding]) -> None:
        try:
            for finding in findings:
                self._show(subject, finding)
        except (Missing, NotChecked) as reason:
            self._show(subject, unknown(one_line(reason)))

    def summary(self) -> int:
        """Print and return the number of problems."""
        problems, left = self._marks.count(Mark.WRONG), self._marks.count(Mark.UNKNOWN)
        counted = f"{problems or 'no'} problem{'' if problems == 1 else 's'}"
        self._say(f"\n{counted}, {left} not checked" if left else f"\n{counted}")
        return problems

    def _show(self, subject: str, finding: Finding) -> None:
        self._marks.append(finding.mark)
        self._say(printable(f"{finding.mark.value} {subject.ljust(_WIDTH)}  {finding.text}"))


def _session(configuration: Configuration) -> Any:
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        return boto3.Session(profile_name=configuration.profile)
    except BotoCoreError as error:
        raise LocalError(f"AWS: {one_line(error)}") from None


def _account_id(account: Account, report: _Report) -> str | None:
    try:
        identity: str = account.ask("sts", "get_caller_identity")["Account"]
    except (Missing, NotChecked) as reason:
        report.add("account", [unknown(f"{one_line(reason)}: only the checks without AWS are made")])
        return None
    report.add("account", [fine(identity)])
    return identity


def _as_it_is(deployment: Deployment, account: Account, report: _Report) -> Deployment:
    """Return the deployment with the stack that is there now.

    SAM treats a stack in REVIEW_IN_PROGRESS, of which only a change set was made, as one that does not exist.
    """
    try:
        [found] = account.ask("cloudformation", "describe_stacks", StackName=deployment.configuration.stack)["Stacks"]
    except Missing:
        found = {"StackStatus": "REVIEW_IN_PROGRESS"}
    except NotChecked as reason:
        report.add("stack", [unknown(f"{reason}. The other checks assume a first deployment")])
        return deployment
    if found["StackStatus"] != "REVIEW_IN_PROGRESS":
        parameters = {each["ParameterKey"]: each.get("ParameterValue", "") for each in found.get("Parameters", [])}
        deployment = replace(deployment, stack=Stack(found["StackStatus"], parameters))
    report.add("stack", stack.state(deployment))
    return deployment
