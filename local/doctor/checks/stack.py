"""The stack as it is now: whether CloudFormation can update it, and the switches that follow the first deployment."""

from __future__ import annotations

from collections.abc import Iterator

from local.doctor.deployment import Deployment
from local.doctor.finding import Finding, fine, wrong

__all__ = ["deletion_protection", "state"]


def state(deployment: Deployment) -> Iterator[Finding]:
    if deployment.stack is None:
        yield fine("none yet: this is the first deployment")
    elif advice := _advice(deployment.stack.status, deployment.configuration.stack):
        yield wrong(f"{deployment.stack.status}: {advice}")
    else:
        yield fine(deployment.stack.status)


def _advice(status: str, name: str) -> str | None:
    if status.endswith("_IN_PROGRESS"):
        return "wait until CloudFormation is done"
    if status in ("ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED"):
        return f"it can only be deleted: read its events, then `sam delete --stack-name {name}`"
    if status == "UPDATE_ROLLBACK_FAILED":
        return f"repair the cause, then `aws cloudformation continue-update-rollback --stack-name {name}`"
    if status == "UPDATE_FAILED":
        return f"go back first: `aws cloudformation rollback-stack --stack-name {name}`"
    return None


def deletion_protection(deployment: Deployment) -> Iterator[Finding]:
    plan = deployment.plan
    protected = plan.parameter("DeletionProtection")
    if not protected or not plan.created("AWS::RDS::DBInstance", "AWS::RDS::DBCluster"):
        return
    if protected == "on" and deployment.stack is None:
        yield wrong("on: if the first deployment fails, its rollback cannot delete the database. Set it off until then")
    elif protected == "off" and deployment.stack and plan.parameter("HighAvailability") == "on":
        yield wrong("off: the stack exists now. Set DeletionProtection=on, so that no mistake deletes the database")
    else:
        yield fine(protected)
