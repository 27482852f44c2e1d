"""The key, the permissions boundary, the layer and the certificate that parameters name by their ARN."""

from __future__ import annotations

from local.doctor.account import Account
from local.doctor.check import Check
from local.doctor.deployment import Deployment

__all__ = ["certificate", "insights_layer", "key", "permissions_boundary"]


def key(deployment: Deployment, aws: Account) -> Check:
    if not (arn := deployment.plan.parameter("KmsKeyArn")):
        return None
    if not _is_in(aws.region, arn):
        yield f"{arn} is not in {aws.region}: give a key of the region of the stack"
    elif (state := aws.ask("kms", "describe_key", KeyId=arn)["KeyMetadata"]["KeyState"]) != "Enabled":
        yield f"{arn} is {state}: enable it, or give another key"
    return arn


def permissions_boundary(deployment: Deployment, aws: Account) -> Check:
    yield from ()  # no problem but that of AWS: there is no such policy
    if arn := deployment.plan.parameter("PermissionsBoundaryArn"):
        aws.ask("iam", "get_policy", PolicyArn=arn)
    return arn


def insights_layer(deployment: Deployment, aws: Account) -> Check:
    if not (arn := deployment.plan.parameter("LambdaInsightsLayer")):
        return None
    if not _is_in(aws.region, arn):
        yield f"{arn} is not in {aws.region}: give AWS's layer for the region of the stack"
    if ("-Arm64:" in arn) != (deployment.plan.parameter("Architecture") == "arm64"):
        yield f"{arn} is for another CPU than Architecture: the one for arm64 has Arm64 in its name"
    return arn


def certificate(deployment: Deployment, aws: Account) -> Check:
    name, arn = deployment.plan.parameter("DomainName"), deployment.plan.parameter("CertificateArn")
    if not name or not arn:
        return None
    if not _is_in(aws.region, arn):
        yield f"{arn} is not in {aws.region}: request a certificate in the region of the stack"
        return None
    found = aws.ask("acm", "describe_certificate", CertificateArn=arn)["Certificate"]
    names = {found["DomainName"], *found.get("SubjectAlternativeNames", [])}
    wildcard = f"*.{name.lower().partition('.')[2]}"  # it stands for one label
    if found["Status"] != "ISSUED":
        yield f"its status is {found['Status']}, not ISSUED: complete its validation by DNS"
    if not names & {name.lower(), wildcard}:
        yield f"it is for {', '.join(sorted(names))}, not for {name}"
    return f"issued for {name}"


def _is_in(region: str, arn: str) -> bool:
    return arn.split(":")[3:4] == [region]
