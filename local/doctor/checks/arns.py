"""What parameters name by an ARN: a key, a permissions boundary, a layer."""

from __future__ import annotations

from collections.abc import Iterator

from local.doctor.account import Account, Missing
from local.doctor.deployment import Deployment
from local.doctor.finding import Finding, fine, wrong

__all__ = ["insights_layer", "key", "permissions_boundary"]


def key(deployment: Deployment, aws: Account) -> Iterator[Finding]:
    arn = deployment.plan.parameter("KmsKeyArn")
    if not arn:
        return
    if _region(arn) != aws.region:
        yield wrong(f"{arn} is not in {aws.region}: give a key of the region of the stack")
        return
    try:
        found = aws.ask("kms", "describe_key", KeyId=arn)["KeyMetadata"]
    except Missing:
        yield wrong(f"{arn} does not exist")
        return
    if found["KeyState"] != "Enabled":
        yield wrong(f"{arn} is {found['KeyState']}: enable it, or give another key")
    elif found.get("KeySpec", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
        yield wrong(f"{arn} is of the kind {found['KeySpec']}: a symmetric key for encryption is needed")
    else:
        yield fine(arn)


def permissions_boundary(deployment: Deployment, aws: Account) -> Iterator[Finding]:
    arn = deployment.plan.parameter("PermissionsBoundaryArn")
    if not arn:
        return
    try:
        aws.ask("iam", "get_policy", PolicyArn=arn)
    except Missing:
        yield wrong(f"there is no policy {arn}")
    else:
        yield fine(arn)


def insights_layer(deployment: Deployment, aws: Account) -> Iterator[Finding]:
    arn = deployment.plan.parameter("LambdaInsightsLayer")
    if not arn:
        return
    built_for_arm = "-Arm64:" in arn
    if _region(arn) != aws.region:
        yield wrong(f"{arn} is not in {aws.region}: give AWS's layer for the region of the stack")
    elif built_for_arm != (deployment.plan.parameter("Architecture") == "arm64"):
        yield wrong(f"{arn} is for another CPU than Architecture: the one for arm64 has Arm64 in its name")
    else:
        yield fine(arn)


def _region(arn: str) -> str:
    return (arn.split(":") + [""] * 4)[3]
