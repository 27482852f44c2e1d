"""Tells a deployment of new code from a rollback to the code that was there before.

Both send the function the same request. They differ in `CodeVersion`, the published version of the migrate function,
whose number Lambda only increases. A deployment publishes its code, even an old checkout's, under a higher number than
the code that it replaces. A rollback publishes nothing: CloudFormation sends the number of the earlier version again,
which is lower than that of the failed deployment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Downgrade", "refuse_downgrade"]


class Downgrade(Exception):
    """The code to be deployed is older than the schema."""


def refuse_downgrade(event: Mapping[str, Any], ahead: Sequence[str]) -> None:
    """Raise Downgrade if `event` deploys code that lacks the migrations `ahead`: it was not tested with that schema.

    A rollback passes, and so does a request that may be one: a failed rollback leaves a stack that cannot be deployed
    to any more.
    """
    if ahead and _brings_new_code(event):
        raise Downgrade(
            f"the database is ahead of this deployment: it has {', '.join(ahead)}, which this code lacks; "
            "deploy a checkout that has it too"
        )


def _brings_new_code(event: Mapping[str, Any]) -> bool:
    if event["RequestType"] == "Create":
        return True
    new, old = _version(event.get("ResourceProperties")), _version(event.get("OldResourceProperties"))
    # The versions of another function, for example after a change of its name, are numbered from 1 again.
    return new is not None and old is not None and new[0] == old[0] and new[1] > old[1]


def _version(properties: Mapping[str, Any] | None) -> tuple[str, int] | None:
    """Return the function and the number of the version that a request names."""
    function, _, number = str((properties or {}).get("CodeVersion", "")).rpartition(":")
    return (function, int(number)) if number.isascii() and number.isdigit() else None
