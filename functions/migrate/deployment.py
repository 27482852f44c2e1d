"""Which way a deployment goes: to new code, or back to the code that was there before.

Both reach the function as the same request. What tells them apart is `CodeVersion`, the published version of the
migrate function, whose number Lambda only ever counts up. Code that somebody deploys, be it a checkout of last year,
is published anew and gets a higher number than what it replaces. CloudFormation, when it rolls back, publishes
nothing: it names the version from before again, a lower number than that of the deployment which failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Downgrade", "refuse_downgrade"]


class Downgrade(Exception):
    """Somebody deploys code that is older than the schema."""


def refuse_downgrade(event: Mapping[str, Any], ahead: Sequence[str]) -> None:
    """Raise Downgrade if `event` deploys code that lacks the migrations `ahead`: nobody has tried it with that schema.

    A rollback passes, and so does whatever cannot be told from one: a rollback that fails leaves a stack that nobody
    can deploy to any more.
    """
    if ahead and _brings_new_code(event):
        raise Downgrade(
            f"the database is ahead of this deployment: it has {', '.join(ahead)}, which migrations/ has not; "
            "deploy a checkout that has it too"
        )


def _brings_new_code(event: Mapping[str, Any]) -> bool:
    if event["RequestType"] == "Create":
        return True
    new, old = _version(event.get("ResourceProperties")), _version(event.get("OldResourceProperties"))
    # Another function, say under another name, counts from 1 again.
    return new is not None and old is not None and new[0] == old[0] and new[1] > old[1]


def _version(properties: Mapping[str, Any] | None) -> tuple[str, int] | None:
    """Return the function and the number of the version that a request names."""
    function, _, number = str((properties or {}).get("CodeVersion", "")).rpartition(":")
    return (function, int(number)) if number.isascii() and number.isdigit() else None
