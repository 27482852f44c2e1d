"""The protocol of a CloudFormation custom resource: every request is answered by a PUT to the URL that it brings.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html. An answer that never arrives leaves the
stack waiting until its timeout, so whatever happens here ends in one.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Mapping
from typing import Any, Final, Literal

__all__ = ["respond"]

# The whole answer may have 4,096 bytes. A text of this many characters leaves room for the rest in any alphabet.
_TEXT_AT_MOST: Final = 800
_ATTEMPTS: Final = 4
_TIMEOUT_S: Final = 10

Status = Literal["SUCCESS", "FAILED"]


def respond(event: Mapping[str, Any], status: Status, reason: str = "", data: Mapping[str, str] | None = None) -> None:
    """Answer the request `event`. Raises OSError if the URL cannot be reached in several attempts."""
    document = {
        "Status": status,
        "Reason": _cut(reason),
        # One schema for each stack. An id that changed would make CloudFormation delete the old "resource".
        "PhysicalResourceId": event.get("PhysicalResourceId") or f"{event['LogicalResourceId']}-schema",
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": {name: _cut(value) for name, value in (data or {}).items()},
    }
    # The URL is presigned for an empty content type; urllib would add one of its own.
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
    return text if len(text) <= _TEXT_AT_MOST else text[: _TEXT_AT_MOST - 1] + "…"
