"""The stack as it is now: whether CloudFormation can update it, and the switch that follows the first deployment."""

from __future__ import annotations

from typing import Final

from local.doctor.check import Check
from local.doctor.deployment import Deployment

__all__ = ["LOST", "deletion_protection", "state"]

LOST: Final = ("ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED")


def state(deployment: Deployment) -> Check:
    if deployment.stack is None:
        return "none yet: this is the first deployment"
    status = deployment.stack.status
    if advice := _advice(status, deployment.configuration.stack):
        yield f"{status}: {advice}"
    return status


def _advice(status: str, name: str) -> str | None:
    if status.endswith("_IN_PROGRESS"):
        return "wait until CloudFormation is done"
    if status in LOST:
        return f"it can only be deleted: read its events, then `sam delete --stack-name {name}`"
    if status == "UPDATE_ROLLBACK_FAILED":
        return f"repair the cause, then `aws cloudformation continue-update-rollback --stack-name {name}`"
    if status == "UPDATE_FAILED":
        return f"go back first: `aws cloudformation rollback-stack --stack-name {name}`"
    return None


def deletion_protection(deployment: Deployment) -> Check:
    plan = deployment.plan
    if plan.parameter("DatabaseSource") == "existing":
        return None
    protected = plan.parameter("DeletionProtection")
    if protected == "on" and deployment.stack is None:
        yield "on: if the first deployment fails, its rollback cannot delete the database. Set it off until then"
    if protected == "off" and deployment.stack and plan.parameter("HighAvailability") == "on":
        yield "off: the stack exists now. Set DeletionProtection=on, so that no mistake deletes the database"
    return protected
