"""The response of a custom resource to CloudFormation: a PUT to the URL that the request contains.

Without a response the stack waits until its timeout.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Mapping
from typing import Any, Final, Literal

__all__ = ["send_response"]

# The whole response may have 4,096 bytes. A text of this many characters leaves room for the rest in any alphabet.
_MAX_CHARACTERS: Final = 800
_ATTEMPTS: Final = 4
_TIMEOUT_S: Final = 10

Status = Literal["SUCCESS", "FAILED"]


def send_response(
    event: Mapping[str, Any], status: Status, reason: str = "", data: Mapping[str, str] | None = None
) -> None:
    """Answer the request `event`. Raises OSError if the URL cannot be reached in four attempts."""
    document = {
        "Status": status,
        "Reason": _cut(reason),
        # A stack has one schema, so the id never changes: if it did, CloudFormation would delete the old "resource".
        "PhysicalResourceId": event.get("PhysicalResourceId") or f"{event['LogicalResourceId']}-schema",
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": {name: _cut(value) for name, value in (data or {}).items()},
    }
    # The URL is presigned for an empty content type; without this header urllib adds one of its own.
    request = urllib.request.Request(  # noqa: S310  # CloudFormation's URL, https
        event["ResponseURL"], json.dumps(document, ensure_ascii=False).encode(), {"content-type": ""}, method="PUT"
    )
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            urllib.request.urlopen(request, timeout=_TIMEOUT_S).close()  # noqa: S310
            return
        except OSError:
            if attempt == _ATTEMPTS:
                raise
            time.sleep(2**attempt)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else text[: _MAX_CHARACTERS - 1] + "…"
